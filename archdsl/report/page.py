"""A drawing as one web page: levels to switch, pan and zoom, figures under the pointer, stages that open."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape

from archdsl.compiler import Plan
from archdsl.report.drawing_lanes import svg
from archdsl.report.drawing_read import parts
from archdsl.report.drawing_words import amount, in_full, percent, size

SHOWN = ("pathway", "stage", "block")
"""Levels of the page; ops are in the list beside the drawing."""

STYLE = """
:root{color-scheme:light dark;--ink:#16202a;--soft:#566370;--line:#d5dbe1;--ground:#fff;--pick:#c8590f}
@media (prefers-color-scheme:dark){
:root{--ink:#e6edf3;--soft:#9aa7b4;--line:#2c3640;--ground:#11161c;--pick:#f08a43}}
*{box-sizing:border-box}
body{margin:0;height:100vh;display:grid;grid-template:auto 1fr/1fr 23rem;overflow:hidden;
font:14px/1.45 Helvetica,Arial,sans-serif;color:var(--ink);background:var(--ground)}
header{grid-column:1/3;display:flex;gap:.6rem;align-items:center;padding:.5rem .8rem}
header{border-bottom:1px solid var(--line)}header b{font-size:16px}header .soft{margin-right:auto}
button{font:inherit;color:inherit;background:none;border:1px solid var(--line);border-radius:5px;padding:.15rem .6rem}
button{cursor:pointer}button[aria-pressed=true]{border-color:var(--pick);color:var(--pick)}
#view{overflow:hidden;cursor:grab;position:relative;touch-action:none}#move{transform-origin:0 0;position:absolute}
#move>div[hidden]{display:none}
aside{border-left:1px solid var(--line);overflow:auto;padding:.6rem .8rem}
summary,.op{padding:.08rem 0;cursor:pointer;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
details details,details .op{margin-left:.9rem}.soft{color:var(--soft);font-size:12px}
#tip{position:fixed;pointer-events:none;background:var(--ground);border:1px solid var(--line);border-radius:6px}
#tip{padding:.4rem .6rem;white-space:pre;font-size:12px;box-shadow:0 2px 10px #0003;display:none;z-index:2}
.plain .d-item>.d-box{fill:var(--ground)}[data-address]{cursor:pointer}
.picked>.d-box{stroke:var(--pick);stroke-width:2}.picked>summary,.op.picked{color:var(--pick)}
@media (max-width:60rem){
body{grid-template:auto 1fr 40vh/1fr}header{grid-column:1}aside{border-left:0;border-top:1px solid var(--line)}}
"""

SCRIPT = """
const facts = JSON.parse(document.getElementById('facts').textContent);
const [view, move, tip] = ['view', 'move', 'tip'].map(id => document.getElementById(id));
let x = 12, y = 12, zoom = 1, held = null, dragged = false;
const place = () => { move.style.transform = `translate(${x}px,${y}px) scale(${zoom})`; };
const fit = () => {
  const svg = move.querySelector('div:not([hidden]) svg');
  zoom = Math.min(1.4, (view.clientWidth - 24) / svg.width.baseVal.value);
  x = Math.max(12, (view.clientWidth - svg.width.baseVal.value * zoom) / 2); y = 12; place();
};
const show = level => {
  for (const d of move.children) d.hidden = d.dataset.level !== level;
  for (const b of document.querySelectorAll('[data-show]')) b.setAttribute('aria-pressed', b.dataset.show === level);
  fit();
};
const pick = address => {
  for (const e of document.querySelectorAll('.picked')) e.classList.remove('picked');
  for (const e of document.querySelectorAll(`[data-address="${CSS.escape(address)}"]`)) {
    e.classList.add('picked');
    if (e.closest('aside')) {
      for (let d = e.parentElement.closest('details'); d; d = d.parentElement.closest('details')) d.open = true;
      e.scrollIntoView({block: 'nearest'});
    }
  }
};
for (const b of document.querySelectorAll('[data-show]')) b.onclick = () => show(b.dataset.show);
document.getElementById('heat').onclick = e => {
  e.target.setAttribute('aria-pressed', !move.classList.toggle('plain'));
};
document.getElementById('fit').onclick = fit;
view.onpointerdown = e => { held = [e.clientX - x, e.clientY - y]; dragged = false; };
addEventListener('pointermove', e => {
  if (held) {
    const [nx, ny] = [e.clientX - held[0], e.clientY - held[1]];
    dragged = dragged || Math.hypot(nx - x, ny - y) > 3;
    if (dragged) { x = nx; y = ny; place(); }
  }
  const at = e.target.closest && e.target.closest('[data-address]');
  const text = at && !(held && dragged) && facts[at.dataset.address];
  tip.style.display = text ? 'block' : 'none';
  if (text) {
    tip.textContent = at.dataset.address + '\\n' + text;
    tip.style.left = Math.min(e.clientX + 14, innerWidth - tip.offsetWidth - 8) + 'px';
    tip.style.top = Math.min(e.clientY + 14, innerHeight - tip.offsetHeight - 8) + 'px';
  }
});
addEventListener('pointerup', () => { held = null; });
view.addEventListener('wheel', e => {
  e.preventDefault();
  const box = view.getBoundingClientRect(), px = e.clientX - box.left, py = e.clientY - box.top;
  const next = Math.min(8, Math.max(0.1, zoom * Math.exp(-e.deltaY * 0.0015)));
  x = px - (px - x) * next / zoom; y = py - (py - y) * next / zoom; zoom = next; place();
}, {passive: false});
document.addEventListener('click', e => {
  const at = e.target.closest('[data-address]');
  if (at && !dragged) {
    const listed = document.querySelector(`aside details[data-address="${CSS.escape(at.dataset.address)}"]`);
    if (listed && !at.closest('aside')) listed.open = !(listed.open && at.classList.contains('picked'));
    pick(at.dataset.address);
  }
});
addEventListener('resize', fit);
show(document.body.dataset.level);
"""


def page(plan: Plan, level: str = "stage") -> str:
    """The drawing of a plan as one HTML file that loads nothing. It opens at a level; op opens as block."""
    level = "block" if level == "op" else level
    title, facts_line = parts(plan, level).title
    drawings = "".join(f'<div data-level="{name}" hidden>{drawing(plan, name)}</div>' for name in SHOWN)
    buttons = "".join(f'<button data-show="{name}">{name}</button>' for name in SHOWN)
    facts = json.dumps(dict(facts_of(plan)), ensure_ascii=False).replace("<", "\\u003c")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<title>{escape(title)}</title><meta name="viewport" content="width=device-width">'
        f'<style>{STYLE}</style></head><body data-level="{level}">'
        f'<header><b>{escape(title)}</b><span class="soft">{escape(facts_line)}</span>{buttons}'
        '<button id="heat" aria-pressed="true">cost colours</button><button id="fit">fit</button></header>'
        f'<main id="view"><div id="move">{drawings}</div></main>'
        f'<aside>{"".join(tree(plan))}</aside><div id="tip"></div>'
        f'<script type="application/json" id="facts">{facts}</script><script>{SCRIPT}</script></body></html>\n'
    )


def drawing(plan: Plan, level: str) -> str:
    """A drawing whose ids are its own, so that several fit one page."""
    return svg(parts(plan, level)).replace("archdsl-flow", f"flow-{level}").replace("archdsl-lateral", f"side-{level}")


def facts_of(plan: Plan) -> Iterator[tuple[str, str]]:
    """Address -> shape, cost and span, of every op and of every stage, block and edge."""
    ends = {}
    for address in plan.graph.nodes:
        scope = address
        while scope:
            ends[scope] = address
            scope = scope.rpartition(".")[0]
    for address, end in ends.items():
        cost, grid = plan.cost_of(address), plan.graph.grids[end]
        seconds = f" = {float(grid.t.span * grid.tick):.3g} s" if grid.tick else ""
        share = percent(cost.macs / plan.macs) if plan.macs else "0%"
        yield (
            address,
            f"output {plan.graph.shapes[end]}\n{cost.params:,} params\n{cost.macs:,} macs ({share})\n"
            f"sees {float(grid.t.span):g} frames{seconds}, one every {float(grid.t.step):g}",
        )


def tree(plan: Plan) -> Iterator[str]:
    """Pathways, stages, blocks and ops as a list that opens and closes."""
    order = places(plan)
    open_scopes: list[str] = []
    for node in sorted(plan.nodes, key=lambda node: order[node.address.partition(".")[0]]):
        scopes = [node.address[:i] for i, sign in enumerate(node.address) if sign == "."]
        while open_scopes and open_scopes[-1] not in scopes:
            open_scopes.pop()
            yield "</details>"
        for scope in scopes[len(open_scopes) :]:
            open_scopes.append(scope)
            cost = plan.cost_of(scope)
            words = f"{escape(scope.rpartition('.')[2])} <span class=soft>{amount(cost.macs)} macs</span>"
            yield f'<details data-address="{escape(scope)}"{" open" * ("." not in scope)}><summary>{words}</summary>'
        y = plan.graph.shapes[node.address]
        x = plan.graph.shapes[node.reads[0]] if node.reads else y
        name = escape(node.address.rpartition(".")[2])
        words = f"{name} <span class=soft>{escape(in_full(node, x, y))} → {size(y)}</span>"
        yield f'<div class="op" data-address="{escape(node.address)}">{words}</div>'
    yield "</details>" * len(open_scopes)


def places(plan: Plan) -> dict[str, int]:
    """Clips, pathways, edges, head: the order of the list."""
    names = [*plan.arch.clips, *plan.arch.pathways, "edges", "head"]
    return {name: n for n, name in enumerate(names)}


__all__ = ["page"]
