"""A drawing as one web page: stages that fold, pan and zoom, figures under the pointer, the code of a block."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path

from archdsl.compiler import Plan
from archdsl.report.drawing.folds import folding
from archdsl.report.drawing.labels import full_op_label, shape_label
from archdsl.report.drawing.lanes import svg_drawing
from archdsl.report.drawing.reader import drawing_parts
from archdsl.report.number_format import amount, share_text

PAGE_CSS = Path(__file__).with_name("page.css")
PAGE_JS = Path(__file__).with_name("page.js")
BUTTONS = (("pathway", "pathways"), ("stage", "stages"), ("block", "blocks"))

PartSources = Mapping[str, tuple[str, str]]
"""Address -> how the part is made, and its class: what `archdsl.backend.part_sources` gives."""


def page(plan: Plan, level: str = "stage", sources: PartSources | None = None) -> str:
    """The drawing of a plan as one HTML file that loads nothing. It opens at a level; op opens as block."""
    level = "block" if level == "op" else level
    pathways = svg_drawing(drawing_parts(plan, "pathway"))
    title, facts_line = drawing_parts(plan, level).title
    blocks, folds = folding(plan)
    buttons = "".join(f'<button data-show="{name}">{words}</button>' for name, words in BUTTONS)
    data = json.dumps({"facts": dict(facts_of(plan)), "folds": folds, **code_of(sources or {})}, ensure_ascii=False)
    data = data.replace("<", "\\u003c")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<title>{escape(title)}</title><meta name="viewport" content="width=device-width">'
        f'<style>{PAGE_CSS.read_text(encoding="utf-8")}</style></head><body data-level="{level}">'
        f'<header><b>{escape(title)}</b><span class="soft">{escape(facts_line)}</span>{buttons}'
        '<button id="heat" aria-pressed="true">cost colours</button><button id="fit">fit</button></header>'
        f'<main id="view"><div id="move"><div data-drawing="pathway" hidden>{unique_ids(pathways, "pathway")}</div>'
        f'<div data-drawing="folds">{unique_ids(blocks, "folds")}</div></div></main>'
        f'<aside><div id="list">{"".join(address_tree(plan))}</div>'
        '<div id="code" hidden><b></b><pre></pre></div></aside><div id="tip"></div>'
        f'<script type="application/json" id="data">{data}</script>'
        f"<script>{PAGE_JS.read_text(encoding='utf-8')}</script></body></html>\n"
    )


def unique_ids(drawing: str, name: str) -> str:
    """A drawing whose ids are its own, so that several fit one page."""
    return drawing.replace("archdsl-flow", f"flow-{name}").replace("archdsl-lateral", f"side-{name}")


def code_of(sources: PartSources) -> dict[str, object]:
    """Sources with every class once: address -> (how it is made, index of its class)."""
    classes = list(dict.fromkeys(text for _, text in sources.values() if text))
    index = {text: i for i, text in enumerate(classes)}
    return {"made": {at: (made, index.get(text, -1)) for at, (made, text) in sources.items()}, "classes": classes}


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
        share = share_text(cost.macs / plan.macs) if plan.macs else "0%"
        yield (
            address,
            f"output {plan.graph.shapes[end]}\n{cost.params:,} params\n{cost.macs:,} macs ({share})\n"
            f"sees {float(grid.t.span):g} frames{seconds}, one every {float(grid.t.step):g}",
        )


def address_tree(plan: Plan) -> Iterator[str]:
    """Pathways, stages, blocks and ops as a list that opens and closes."""
    order = list_order(plan)
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
        words = f"{name} <span class=soft>{escape(full_op_label(node.op, x, y))} → {shape_label(y)}</span>"
        yield f'<div class="op" data-address="{escape(node.address)}">{words}</div>'
    yield "</details>" * len(open_scopes)


def list_order(plan: Plan) -> dict[str, int]:
    """Clips, pathways, edges, head: the order of the list."""
    names = [*plan.arch.clips, *plan.arch.pathways, "edges", "head"]
    return {name: n for n, name in enumerate(names)}


__all__ = ["page"]
