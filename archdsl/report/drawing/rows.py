"""Which row every item of a drawing stands in, and where a long drawing is cut into columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate, groupby

from archdsl.report.drawing.parts import DrawingParts


def box_rows(parts: DrawingParts) -> dict[str, int]:
    """Item key -> row. A stage's boxes take rows of their own; where laterals end, its last box the last of them."""
    stages, ranges = stage_rows(parts), row_ranges(parts)
    linked = {key for edge in parts.laterals for key in (edge.source, edge.target)}
    rows: dict[str, int] = {}
    for lane in parts.lanes:
        for row, mine in groupby(lane.items, key=lambda item: stages[item.key]):
            keys = [item.key for item in mine]
            rows |= {key: ranges[row].start + i for i, key in enumerate(keys)}
            if keys[-1] in linked:
                rows[keys[-1]] = ranges[row].stop - 1
    return rows


def row_ranges(parts: DrawingParts) -> list[range]:
    """For each row of stages its rows of boxes: as many as its largest stage has."""
    stages = stage_rows(parts)
    many = Counter((k, stages[item.key]) for k, lane in enumerate(parts.lanes) for item in lane.items)
    sizes = [max(n for (_, row), n in many.items() if row == r) for r in range(max(stages.values()) + 1)]
    ends = list(accumulate(sizes))
    return [range(end - size, end) for end, size in zip(ends, sizes)]


def stage_rows(parts: DrawingParts) -> dict[str, int]:
    """Item key -> row of its stage. Stages of one name stand side by side; what is read, above what reads it."""
    shared = {item.key: item.row for lane in parts.lanes for item in lane.items}
    apart = {item.key: f"{k} {item.row}" for k, lane in enumerate(parts.lanes) for item in lane.items}
    # two pathways in a box each may feed each other
    return least_rows(parts, shared) or least_rows(parts, apart) or least_rows(parts, apart, laterals=False) or {}


def least_rows(parts: DrawingParts, group: dict[str, str], *, laterals: bool = True) -> dict[str, int] | None:
    """The least rows that keep every order, or None where the groups contradict each other."""
    rows = dict.fromkeys(group.values(), 0)
    orders = [
        (group[a.key], group[b.key], 1)
        for lane in parts.lanes
        for a, b in zip(lane.items, lane.items[1:])
        if a.row != b.row
    ]
    orders += [(group[edge.source], group[edge.target], 0) for edge in parts.laterals if laterals]
    orders += [(group[lane.after], group[lane.items[0].key], 1) for lane in parts.lanes if lane.after]
    for _ in range(len(rows) + 1):
        moved = False
        for above, below, gap in orders:
            if rows[below] < rows[above] + gap:
                rows[below], moved = rows[above] + gap, True
        if not moved:
            used = sorted(set(rows.values()))
            return {key: used.index(rows[name]) for key, name in group.items()}
    return None


def uncut_spans(parts: DrawingParts, rows: dict[str, int]) -> list[tuple[int, int]]:
    """(row above, row below) of what cannot be cut: links that are drawn beside the lanes, and stages."""
    last = max(rows.values())
    links = [(stage.start, stage.stop - 1) for stage in row_ranges(parts)]
    links += [(rows[edge.source], rows[edge.target]) for edge in parts.laterals]
    links += [(rows[lane.after], rows[lane.items[0].key]) for lane in parts.lanes if lane.after]
    ends = {lane.items[-1].key for lane in parts.lanes}
    return links + [(rows[key], last + 1) for key in parts.head_reads if key not in ends]


def split_into_columns(heights: Sequence[float], limit: float, beside: Sequence[tuple[int, int]]) -> list[range]:
    """Rows in columns of about equal height, none much above `limit` where a cut is possible."""
    total = sum(heights)
    columns = max(1, -(-int(total) // int(limit)))
    bands: list[range] = []
    start, done = 0, 0.0
    for row, height in enumerate(heights[:-1]):
        done += height
        free = not any(above <= row < below for above, below in beside)
        wanted = total * (len(bands) + 1) / columns
        worth = row >= start + 1 and total - done >= total / columns / 2  # else a column of a box or two
        if free and worth and len(bands) < columns - 1 and done + heights[row + 1] / 2 >= wanted:
            bands.append(range(start, row + 1))
            start = row + 1
    return [*bands, range(start, len(heights))]
