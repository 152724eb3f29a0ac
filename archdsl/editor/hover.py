"""What is told of the word under a cursor: what the field means, and the figures of the stage or block it stands in."""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.compiler import Plan
from archdsl.editor.findings import Reading
from archdsl.editor.outline import Outline, Path, Position, Range
from archdsl.editor.schema_paths import described, keys_of, schemas_at
from archdsl.graph import Node
from archdsl.ops import Cost
from archdsl.report.number_format import fraction, percent, shape_text, short, span_text, whole


def hover(read: Reading, position: Position, recipe: bool = False) -> tuple[str, Range] | None:
    """(Markdown, the characters it is about) of what stands at a position, or None."""
    place = read.outline.at(position)
    if place is None or not place.path:
        return None
    key = place.path[-1]
    schema = keys_of(schemas_at(place.path[:-1], read.outline, recipe)).get(key)
    told = [f"**{key}** {described(schema, recipe)}"] if schema and place.key else []
    if read.plan:
        told += figures(read.plan, read.outline, place.path)
    return ("\n\n".join(told), place.key or place.value) if told else None


def figures(plan: Plan, outline: Outline, path: Path) -> Iterator[str]:
    """The figures of the stage, block, edge or head that a path lies in."""
    for name, nodes in things_at(plan, outline, path):
        if nodes:
            yield f"{name}\n\n{figures_table(plan, nodes)}"


def things_at(plan: Plan, outline: Outline, path: Path) -> Iterator[tuple[str, list[Node]]]:
    """(name, ops) of what a path leads to: a block of a list and its stage, edges, the head."""
    match path:
        case ("pathways", pathway):
            yield f"pathway {pathway}", ops_within(plan, f"{pathway}.")
        case ("pathways", pathway, "stages", stage, *rest):
            if rest and rest[0].isdigit():
                first, count = blocks_before(outline, path[:4], int(rest[0])), repeats(outline, path[:5])
                nodes = [n for i in range(first, first + count) for n in ops_within(plan, f"{pathway}.{stage}.{i}.")]
                yield f"block {pathway}.{stage}.{first}" + (f" to {first + count - 1}" if count > 1 else ""), nodes
            yield f"stage {pathway}.{stage}", ops_within(plan, f"{pathway}.{stage}.")
        case ("edges", number, *_) if number.isdigit() and int(number) < len(plan.arch.edges):
            label = plan.arch.edges[int(number)].label
            stages = dict.fromkeys(
                n.address.split(".")[1] for n in ops_within(plan, "edges.") if f".{label}." in n.address
            )
            yield from ((f"edge {label} at {s}", ops_within(plan, f"edges.{s}.{label}.")) for s in stages)
        case ("head", *_):
            yield "head", ops_within(plan, "head.")


def ops_within(plan: Plan, prefix: str) -> list[Node]:
    """The ops of an address."""
    return [node for node in plan.nodes if node.address.startswith(prefix)]


def blocks_before(outline: Outline, stage: Path, number: int) -> int:
    """How many blocks the items of a stage's list make before one of them."""
    return sum(repeats(outline, (*stage, str(i))) for i in range(number))


def repeats(outline: Outline, item: Path) -> int:
    """How many blocks an item of a stage's list makes."""
    place = outline.place((*item, "repeat"))
    return int(place.text) if place and place.text and place.text.isdecimal() else 1


def figures_table(plan: Plan, nodes: list[Node]) -> str:
    """Shapes, place in time and space, and costs of some ops, as a table in Markdown."""
    own = {node.address for node in nodes}
    read = next((source for node in nodes for source in node.reads if source not in own), None)
    shapes, last = plan.graph.shapes, nodes[-1].address
    grid, cost = plan.grids[last], Cost(*map(sum, zip(*(plan.costs[node.address] for node in nodes))))
    rows = [
        ("shape", " → ".join(shape_text(shapes[address]) for address in (read, last) if address)),
        ("step", f"{fraction(grid.t.step)} frames, {fraction(grid.h.step)} pixels"),
        ("span", f"{span_text(grid.t.span, grid.tick)} in frames, {fraction(grid.h.span)} in pixels"),
        ("params", whole(cost.params)),
        ("macs", f"{short(cost.macs)} ({percent(cost.macs, plan.macs)})"),
    ]
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {text} |" for name, text in rows)])
