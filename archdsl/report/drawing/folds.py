"""The drawing of a web page: every block in one column, and every stage also as one box, to fold and unfold."""

from __future__ import annotations

from archdsl.compiler import Plan
from archdsl.report.drawing.grid import Layout
from archdsl.report.drawing.lanes import PIXELS_PER_UNIT, LanePainter
from archdsl.report.drawing.legend import draw_legend
from archdsl.report.drawing.parts import DrawingBox
from archdsl.report.drawing.reader import drawing_parts
from archdsl.report.drawing.rows import row_ranges, stage_rows
from archdsl.report.drawing.sizes import MARGIN, PANEL_PADDING, box_height
from archdsl.report.drawing.svg import Canvas, coord

Fold = tuple[float, float, float]
"""Upper and lower edge of a row of stages block by block, and its height with one box for each."""


def folding(plan: Plan) -> tuple[str, list[Fold]]:
    """The drawing as SVG text, all unfolded, and its folds from top to bottom."""
    shown = drawing_parts(plan, "block")
    stages = {item.key: item for lane in drawing_parts(plan, "stage").lanes for item in lane.items[1:]}
    grid, canvas = Layout(shown, columns=False, wholes=tuple(stages.values())), Canvas()
    lanes = LanePainter(grid, canvas)
    lanes.draw()
    folds = [draw_fold(lanes, rows, mine) for rows, mine in rows_of_stages(grid, stages)]
    bottom = draw_legend(grid, canvas, grid.lanes_bottom + 12)
    title = f"{shown.title[0]}: {shown.title[1]}"
    return canvas.document(grid.width, bottom + MARGIN, title, PIXELS_PER_UNIT), folds


def rows_of_stages(grid: Layout, stages: dict[str, DrawingBox]) -> list[tuple[range, dict[int, DrawingBox]]]:
    """For each row of stages its rows of boxes, and the stage of every lane that has one there."""
    found = [(rows, dict[int, DrawingBox]()) for rows in row_ranges(grid.parts)]
    row_of = stage_rows(grid.parts)
    for k, lane in enumerate(grid.parts.lanes):
        for item in lane.items[1:]:
            found[row_of[item.key]][1][k] = stages[item.address.rpartition(".")[0]]
    return [(rows, mine) for rows, mine in found if mine]


def draw_fold(lanes: LanePainter, rows: range, stages: dict[int, DrawingBox]) -> Fold:
    """Draws the boxes that stand for a row of stages, and the marks that fold it."""
    grid, canvas = lanes.grid, lanes.canvas
    top, end = grid.tops[rows.start], grid.tops[rows.stop - 1] + grid.boxes[rows.stop - 1]
    tall = max(map(box_height, stages.values()))
    for k, item in stages.items():
        left = grid.lane_left(k, 0)
        lanes.box(item, left + PANEL_PADDING, top, tall, "d-item d-whole")
        x, y = left + PANEL_PADDING / 2, top + 5
        canvas.path(f"M{coord(x)} {coord(top)}L{coord(x)} {coord(end)}", "d-gutter")
        canvas.open("d-fold", item.address, f"fold or unfold {item.name}")
        canvas.circle(x, y, 3, "d-knob")
        canvas.path(f"M{coord(x - 1.7)} {coord(y)}h3.4", "d-sign")
        canvas.path(f"M{coord(x)} {coord(y - 1.7)}v3.4", "d-sign d-plus")
        canvas.close()
    return top, end, tall


__all__ = ["Fold", "folding"]
