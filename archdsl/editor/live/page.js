'use strict';
// The text is the truth: what is typed is read by the compiler and written to the file; what others write is shown here.
const $ = id => document.getElementById(id);
const token = new URLSearchParams(location.search).get('token');
const text = $('text'), behind = $('behind');
let seen = '', saved = '', theirs = null, level = 'stage', asked = 0, reading, writing;

async function ask(path, body) {
  const headers = {'x-archdsl-token': token, 'content-type': 'application/json'};
  const got = await fetch(path, body ? {method: 'POST', headers, body: JSON.stringify(body)} : {headers});
  return [got.status, await got.json()];
}

// reading: faults, drawing, table
async function read() {
  const number = ++asked;
  try {
    const [status, shown] = await ask('read', {text: text.value, level});
    if (number !== asked) return; // something was typed meanwhile
    if (status !== 200) return say(shown.error);
    show(shown);
  } catch { say('the server has ended'); }
}

function show(shown) {
  mark(shown.findings);
  list(shown.findings);
  document.body.classList.toggle('stale', !shown.title);
  if (!shown.title) return; // the last drawing stays, pale
  $('title').textContent = document.title = shown.title;
  $('facts').textContent = shown.facts;
  $('drawing').innerHTML = shown.drawing; // made by the compiler, which escapes every name
  $('table').innerHTML = shown.table;
  $('changes').hidden = !shown.changes;
  $('changes').querySelector('pre').textContent = shown.changes || '';
}

function mark(findings) {
  const lines = text.value.split('\n').map(line => [...line]);
  const nodes = [];
  lines.forEach((letters, i) => {
    let at = 0;
    const here = findings.filter(f => f.start[0] === i).sort((a, b) => a.start[1] - b.start[1]);
    for (const f of here) {
      const end = f.end[0] === i ? f.end[1] : letters.length;
      if (f.start[1] < at) continue; // two on the same word: one line below it
      nodes.push(document.createTextNode(letters.slice(at, f.start[1]).join('')));
      const span = document.createElement('span');
      span.className = f.warning ? 'warn' : 'fault';
      span.textContent = letters.slice(f.start[1], end).join('') || ' ';
      nodes.push(span);
      at = Math.max(end, f.start[1]);
    }
    nodes.push(document.createTextNode(letters.slice(at).join('') + '\n'));
  });
  behind.replaceChildren(...nodes);
  follow();
}

function list(findings) {
  $('findings').replaceChildren(...findings.map(f => {
    const item = document.createElement('li'), told = document.createElement('pre');
    item.className = f.warning ? 'warn' : 'fault';
    told.textContent = f.text.replace(/^  written .*\n?/m, ''); // the text is beside it
    item.append(told);
    item.onclick = () => select(f);
    if (f.mended !== null) {
      const fix = document.createElement('button');
      fix.textContent = 'fix: ' + f.fix;
      fix.className = 'fix';
      fix.onclick = e => { e.stopPropagation(); mend(f); };
      item.append(fix);
    }
    return item;
  }));
}

function offset([line, column]) {
  const lines = text.value.split('\n');
  const before = [...(lines[line] || '')].slice(0, column).join('').length;
  return lines.slice(0, line).reduce((sum, one) => sum + one.length + 1, 0) + before;
}

function select(f) {
  text.focus();
  text.setSelectionRange(offset(f.start), offset(f.end));
}

function mend(f) {
  const line = text.value.split('\n')[f.start[0]], start = offset([f.start[0], 0]);
  replace(start, start + line.length, f.mended);
}

function replace(start, end, by) { // as if typed, so that it can be undone
  text.focus();
  text.setSelectionRange(start, end);
  if (!document.execCommand('insertText', false, by)) {
    text.setRangeText(by, start, end, 'end');
    changed();
  }
}

// the file
function changed() {
  mark([]);
  clearTimeout(reading);
  clearTimeout(writing);
  reading = setTimeout(read, 60);
  writing = setTimeout(write, 400);
  say('');
}

async function write() {
  const mine = text.value;
  if (mine === saved || theirs) return;
  try {
    const [status, got] = await ask('write', {text: mine, seen});
    if (status === 409) return differ(got);
    if (status !== 200) return say(got.error);
    [seen, saved] = [got.mark, mine];
    say('saved');
  } catch { say('the server has ended'); }
}

function arrived(got) {
  if (got.error) return say(got.error);
  if (got.mark === seen) return;
  if (text.value !== saved && got.text !== text.value) return differ(got);
  take(got);
}

function take(got) {
  const at = [text.selectionStart, text.selectionEnd], top = text.scrollTop;
  [seen, saved, theirs] = [got.mark, got.text, null];
  $('notice').hidden = true;
  if (text.value !== got.text) text.value = got.text;
  text.setSelectionRange(...at);
  text.scrollTop = top;
  mark([]);
  read();
}

function differ(got) {
  theirs = got;
  $('notice').hidden = false;
  $('notice').querySelector('span').textContent = 'The file was changed elsewhere, and differs from this text.';
}

$('take').onclick = () => take(theirs);
$('keep').onclick = () => { [seen, saved, theirs] = [theirs.mark, theirs.text, null]; $('notice').hidden = true; write(); };

function say(what) { $('state').textContent = what; }

// what is clicked and typed
text.oninput = changed;
const follow = () => { behind.scrollTop = text.scrollTop; behind.scrollLeft = text.scrollLeft; };
text.onscroll = follow;
text.onkeydown = e => {
  if (e.key !== 'Tab' || e.shiftKey || e.ctrlKey || e.altKey) return;
  e.preventDefault();
  replace(text.selectionStart, text.selectionEnd, '  ');
};
for (const b of document.querySelectorAll('[data-level]')) {
  b.onclick = () => { level = b.dataset.level; press(); read(); };
}
function press() {
  for (const b of document.querySelectorAll('[data-level]')) b.setAttribute('aria-pressed', b.dataset.level === level);
}
$('heat').onclick = e => e.currentTarget.setAttribute('aria-pressed', !$('drawing').classList.toggle('plain'));

async function fromZoo(make) {
  const name = $('preset').value.trim();
  const [status, got] = await ask('zoo/' + encodeURIComponent(name));
  if (status !== 200) return say(got.error);
  replace(0, text.value.length, make(name, got.text));
}
$('copy').onclick = () => fromZoo((name, spec) => spec.endsWith('\n') ? spec : spec + '\n');
$('extend').onclick = () => fromZoo(name => `extends: ${name}\nname: my_${name}\nset: {}\n`);
$('preset').onfocus = async () => {
  if ($('names').children.length) return;
  const [, got] = await ask('names');
  $('names').replaceChildren(...got.names.map(name => Object.assign(document.createElement('option'), {value: name})));
};

press();
new EventSource('events?token=' + encodeURIComponent(token)).onmessage = e => arrived(JSON.parse(e.data));
