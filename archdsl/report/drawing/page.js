'use strict';
const {facts, made, classes, folds} = JSON.parse(document.getElementById('data').textContent);
const [view, move, tip, code] = ['view', 'move', 'tip', 'code'].map(id => document.getElementById(id));
const svg = document.querySelector('[data-drawing=folds] svg');
const shut = new Set();

// Everything of the folding drawing, with the place it has when all stages are unfolded.
const numbers = (e, ...names) => names.map(name => parseFloat(e.getAttribute(name)) || 0);
const whole = numbers(svg, 'height')[0] / svg.viewBox.baseVal.height;
const tall = svg.viewBox.baseVal.height;
const things = [...svg.children].filter(e => /^(g|rect|text|circle|path)$/.test(e.tagName)).map(e => {
  if (e.tagName === 'path') {
    const ys = [...e.getAttribute('d').matchAll(/-?[\d.]+[ ,](-?[\d.]+)/g)].map(m => +m[1]);
    return {e, kind: 'path', d: e.getAttribute('d'), top: Math.min(...ys), end: Math.max(...ys)};
  }
  if (e.tagName === 'rect') {
    const [y, h] = numbers(e, 'y', 'height');
    return {e, kind: 'rect', top: y, end: y + h};
  }
  const first = e.tagName === 'g' ? e.querySelector('rect,text,circle') : e;
  const y = numbers(first, first.tagName === 'circle' ? 'cy' : 'y')[0];
  return {e, kind: 'rigid', top: y, end: y};
});
for (const title of svg.parentNode.parentNode.querySelectorAll('g>title')) title.remove();

// The rows of stages that are shut take the height of one box; all below moves up.
const warp = y => {
  let up = 0;
  for (const i of shut) {
    const [a, b, h] = folds[i];
    up += y >= b ? b - a - h : y > a ? (y - a) * (1 - h / (b - a)) : 0;
  }
  return y - up;
};
const inside = thing => [...shut].some(i => thing.top > folds[i][0] - .3 && thing.end < folds[i][1] + .3);
const place = thing => {
  const {e, kind, top, end} = thing;
  const row = folds.findIndex(([a, b]) => top >= a - .3 && top <= b);
  if (e.classList.contains('d-fold')) e.classList.toggle('shut', shut.has(row));
  const hidden = e.classList.contains('d-whole') ? !shut.has(row) : !/d-fold|d-gutter/.test(e.getAttribute('class')) && inside(thing);
  e.style.display = hidden ? 'none' : '';
  if (kind === 'path') {
    e.setAttribute('d', thing.d.replace(/(-?[\d.]+) (-?[\d.]+)/g, (_, px, py) => `${px} ${+warp(+py).toFixed(2)}`));
  } else if (kind === 'rect') {
    e.setAttribute('y', warp(top));
    e.setAttribute('height', warp(end) - warp(top));
  } else {
    const anchor = e.matches('.d-whole,.d-fold') ? folds[row][0] : top;
    e.setAttribute('transform', `translate(0 ${warp(anchor) - anchor})`);
  }
};
const fold = () => {
  things.forEach(place);
  const h = warp(tall);
  svg.setAttribute('viewBox', `0 0 ${svg.viewBox.baseVal.width} ${h}`);
  svg.setAttribute('height', h * whole);
};
const turn = row => {
  if (!shut.delete(row)) shut.add(row);
  fold();
  press();
};
const rowOf = e => folds.findIndex(([a, b]) => { const t = things.find(t => t.e === e); return t.top >= a && t.top <= b; });

// What is seen: pathways, all stages shut, or all open.
let x = 12, y = 12, zoom = 1, held = null, dragged = false;
const put = () => { move.style.transform = `translate(${x}px,${y}px) scale(${zoom})`; };
const shown = () => move.querySelector('div:not([hidden]) svg');
const fit = () => {
  const [w, h] = [shown().width.baseVal.value, shown().height.baseVal.value];
  zoom = Math.min(1.4, (view.clientWidth - 24) / w, Math.max((view.clientHeight - 24) / h, .55));
  x = Math.max(12, (view.clientWidth - w * zoom) / 2); y = 12; put();
};
const press = () => {
  const pathways = !move.querySelector('[data-drawing=pathway]').hidden;
  const level = pathways ? 'pathway' : shut.size === folds.length ? 'stage' : shut.size ? '' : 'block';
  for (const b of document.querySelectorAll('[data-show]')) b.setAttribute('aria-pressed', b.dataset.show === level);
};
const show = level => {
  for (const d of move.children) d.hidden = (d.dataset.drawing === 'pathway') !== (level === 'pathway');
  shut.clear();
  if (level === 'stage') folds.forEach((_, i) => shut.add(i));
  fold(); press(); fit();
};

// What is picked: marked in the drawing and in the list, its code below the list.
const near = (address, known) => { while (address && !(address in known)) address = address.replace(/\.?[^.]*$/, ''); return address; };
const pick = address => {
  for (const e of document.querySelectorAll('.picked')) e.classList.remove('picked');
  for (const e of document.querySelectorAll(`[data-address="${CSS.escape(address)}"]`)) {
    e.classList.add('picked');
    if (e.closest('aside')) {
      for (let d = e.parentElement.closest('details'); d; d = d.parentElement.closest('details')) d.open = true;
      e.scrollIntoView({block: 'nearest'});
    }
  }
  const at = near(address, made);
  code.hidden = !at;
  if (at) {
    const [expression, text] = made[at];
    code.querySelector('b').textContent = at;
    code.querySelector('pre').textContent = expression + (text < 0 ? '' : '\n\n\n' + classes[text]);
    code.scrollTop = 0;
  }
};

for (const b of document.querySelectorAll('[data-show]')) b.onclick = () => show(b.dataset.show);
document.getElementById('heat').onclick = e => {
  e.currentTarget.setAttribute('aria-pressed', !move.classList.toggle('plain'));
};
document.getElementById('fit').onclick = fit;
view.onpointerdown = e => { held = [e.clientX - x, e.clientY - y]; dragged = false; };
addEventListener('pointermove', e => {
  if (held) {
    const [nx, ny] = [e.clientX - held[0], e.clientY - held[1]];
    dragged = dragged || Math.hypot(nx - x, ny - y) > 3;
    if (dragged) { x = nx; y = ny; put(); }
  }
  const at = e.target.closest && e.target.closest('[data-address]');
  const text = at && !(held && dragged) && facts[at.dataset.address];
  tip.style.display = text ? 'block' : 'none';
  if (text) {
    tip.textContent = at.dataset.address + '\n' + text;
    tip.style.left = Math.min(e.clientX + 14, innerWidth - tip.offsetWidth - 8) + 'px';
    tip.style.top = Math.min(e.clientY + 14, innerHeight - tip.offsetHeight - 8) + 'px';
  }
});
for (const kind of ['pointerup', 'pointercancel']) addEventListener(kind, () => { held = null; });
view.addEventListener('wheel', e => {
  e.preventDefault();
  const box = view.getBoundingClientRect(), px = e.clientX - box.left, py = e.clientY - box.top;
  const next = Math.min(8, Math.max(0.1, zoom * Math.exp(-e.deltaY * 0.0015)));
  x = px - (px - x) * next / zoom; y = py - (py - y) * next / zoom; zoom = next; put();
}, {passive: false});
document.addEventListener('click', e => {
  const at = e.target.closest('[data-address]');
  if (!at || dragged && view.contains(at)) return;
  if (at.matches('.d-fold,.d-whole')) turn(rowOf(at));
  if (!at.matches('.d-fold')) pick(at.dataset.address);
});
for (const mark of document.querySelectorAll('.d-fold')) {
  mark.setAttribute('tabindex', '0');
  mark.setAttribute('role', 'button');
  mark.onkeydown = e => { if (e.key === 'Enter' || e.key === ' ') { e.preventDefault(); turn(rowOf(mark)); } };
}
addEventListener('resize', fit);
show(document.body.dataset.level);
