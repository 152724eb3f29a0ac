"""The paper's Table 1: what every stage of every pathway is made of, writes, costs and sees."""

from __future__ import annotations

from archdsl.compiler import Plan, plan_of
from archdsl.language import Arch
from archdsl.ops.notation import number
from archdsl.report.number_format import fraction, percent, shape_lines, shapes_text, short, size_text, span_text, whole
from archdsl.report.parts import TablePart, table_parts
from archdsl.report.table.formats import in_format
from archdsl.report.table.sheet import Column, Row, Table, TableCell

FIGURE_COLUMNS = (
    Column("output T×S²"),
    Column("params", right=True),
    Column("macs", right=True),
    Column("share", right=True),
    Column("span in frames", right=True),
)


def figures_of(part: TablePart, total: int) -> tuple[str, ...]:
    """Output, params, macs, share and span of a part."""
    costs = (
        (short(part.cost.params), short(part.cost.macs), percent(part.cost.macs, total))
        if part.cost.params or part.cost.macs
        else ("", "", "")
    )
    span = span_text(part.span, part.tick) if part.kind in ("stage", "lateral") else ""
    return (size_text(part.shape), *costs, span)


def side_by_side(plan: Plan, parts: tuple[TablePart, ...]) -> Table:
    """Stages as rows, pathways as columns, as the paper has it; figures of several pathways stand under each other."""
    pathways = list(plan.arch.pathways)
    rows: dict[object, list[TablePart]] = {}
    for part in parts:
        rows.setdefault(part.address if part.kind in ("clip", "lateral") else part.stage, []).append(part)
    made = [Row(row_cells(group, pathways, plan.macs), group[0].kind) for group in rows.values()]
    total = Row(
        ("total", *("" for _ in pathways), "", short(plan.params), short(plan.macs), "100.0%" if plan.macs else "", ""),
        "total",
    )
    columns = (Column("stage"), *(Column(name) for name in pathways), *FIGURE_COLUMNS)
    return with_title(plan, columns, (*made, total), parts)


def row_cells(group: list[TablePart], pathways: list[str], total: int) -> tuple[TableCell, ...]:
    """The cells of one stage, or of one lateral."""
    by_pathway = {part.pathway or pathways[0]: part for part in group}
    layers: list[TableCell] = [by_pathway[name].layers if name in by_pathway else "" for name in pathways]
    figures = [figures_of(part, total) for part in group]
    if len(group) > 1:
        figures = [(f"{part.pathway} {first}", *rest) for part, (first, *rest) in zip(group, figures)]
    output, *rest = (stacked_figures(column) for column in zip(*figures))
    return (group[0].stage, *layers, group[0].leaving or output, *rest)


def stacked_figures(column: tuple[str, ...]) -> TableCell:
    """Several figures under each other; nothing where all are empty."""
    return column if any(column) else ""


def one_row_each(plan: Plan, parts: tuple[TablePart, ...]) -> Table:
    """One row for each part, by address."""
    rows = [
        Row((part.address, part.layers, *figures_of(part, plan.macs)[:4], number(part.span)), part.kind)
        for part in parts
    ]
    total = Row(("total", "", "", short(plan.params), short(plan.macs), "100.0%" if plan.macs else "", ""), "total")
    return with_title(plan, (Column("address"), Column("layers"), *FIGURE_COLUMNS), (*rows, total), parts)


def with_title(plan: Plan, columns: tuple[Column, ...], rows: tuple[Row, ...], parts: tuple[TablePart, ...]) -> Table:
    """The table with its input and totals above it."""
    title = f"{plan.name}: {clips_text(plan)} → {shapes_text(plan.outputs)}"
    costs = f"{whole(plan.params)} params, {whole(plan.macs)} macs (1 per multiply-add)"
    note = f"{costs} for one clip of {shapes_text(plan.inputs)}"
    if frame := plan.one_frame:
        note += f"; as a stream {whole(frame.macs)} macs a frame, {whole(plan.held)} numbers held between frames"
    elif plan.held and not plan.schedule and not plan.whole_clips:
        note += f"; {whole(plan.held)} numbers held from clip to clip of a stream"
    if each := plan.frame_costs():
        note += f"; as a stream {whole(each.key)} macs a key frame, {whole(each.current)} a frame between, "
        note += f"{fraction(each.mean)} on average (1 in {each.every} is a key frame), "
        note += f"{whole(plan.held)} numbers held between frames"
    if plan.whole_clips:
        note += f"; takes whole clips only: {plan.whole_clips}"
    return Table(title, columns, rows, tuple(part.record(plan.macs) for part in parts), note)


def clips_text(plan: Plan) -> str:
    """The clips with their frame rates; a rate that all share is told once."""
    rates = [f" at {number(clip.fps)} fps" if clip.fps else "" for clip in plan.arch.clips.values()]
    if len(set(rates)) == 1:
        return shapes_text(plan.inputs) + rates[0]
    return ", ".join(shape + rate for shape, rate in zip(shape_lines(plan.inputs), rates))


def table_of(arch_or_plan: Arch | Plan, level: str = "stage") -> Table:
    """The table of a plan. Raises SpecError for an unknown level."""
    plan = plan_of(arch_or_plan)
    parts = table_parts(plan, level)
    return side_by_side(plan, parts) if level == "stage" else one_row_each(plan, parts)


def table(arch_or_plan: Arch | Plan, level: str = "stage", format: str = "text") -> str:  # noqa: A002 - the known word
    """The table of a plan as text, md, csv, html, latex or json, for each stage, block or op."""
    return in_format(table_of(arch_or_plan, level), format)
