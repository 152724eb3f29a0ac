"""The drawing of a web page: every block in one column, and every stage also as one box, to fold and unfold."""

from __future__ import annotations

from archdsl.compiler import Plan
from archdsl.report.drawing.grid import Grid
from archdsl.report.drawing.lanes import SCALE, Lanes
from archdsl.report.drawing.legend import legend
from archdsl.report.drawing.parts import Item
from archdsl.report.drawing.reader import parts
from archdsl.report.drawing.rows import ranges_of, stage_rows
from archdsl.report.drawing.sizes import EDGE, PANEL, height
from archdsl.report.drawing.svg import Canvas, number

Fold = tuple[float, float, float]
"""Upper and lower edge of a row of stages block by block, and its height with one box for each."""


def folding(plan: Plan) -> tuple[str, list[Fold]]:
    """The drawing as SVG text, all unfolded, and its folds from top to bottom."""
    shown = parts(plan, "block")
    stages = {item.key: item for lane in parts(plan, "stage").lanes for item in lane.items[1:]}
    grid, canvas = Grid(shown, columns=False, wholes=tuple(stages.values())), Canvas()
    lanes = Lanes(grid, canvas)
    lanes.draw()
    folds = [fold(lanes, rows, mine) for rows, mine in rows_of_stages(grid, stages)]
    bottom = legend(grid, canvas, grid.lanes_bottom + 12)
    title = f"{shown.title[0]}: {shown.title[1]}"
    return canvas.document(grid.width, bottom + EDGE, title, SCALE), folds


def rows_of_stages(grid: Grid, stages: dict[str, Item]) -> list[tuple[range, dict[int, Item]]]:
    """For each row of stages its rows of boxes, and the stage of every lane that has one there."""
    found = [(rows, dict[int, Item]()) for rows in ranges_of(grid.parts)]
    row_of = stage_rows(grid.parts)
    for k, lane in enumerate(grid.parts.lanes):
        for item in lane.items[1:]:
            found[row_of[item.key]][1][k] = stages[item.address.rpartition(".")[0]]
    return [(rows, mine) for rows, mine in found if mine]


def fold(lanes: Lanes, rows: range, stages: dict[int, Item]) -> Fold:
    """Draws the boxes that stand for a row of stages, and the marks that fold it."""
    grid, canvas = lanes.grid, lanes.canvas
    top, end = grid.tops[rows.start], grid.tops[rows.stop - 1] + grid.boxes[rows.stop - 1]
    tall = max(map(height, stages.values()))
    for k, item in stages.items():
        left = grid.lane_left(k, 0)
        lanes.box(item, left + PANEL, top, tall, "d-item d-whole")
        x, y = left + PANEL / 2, top + 5
        canvas.path(f"M{number(x)} {number(top)}L{number(x)} {number(end)}", "d-gutter")
        canvas.open("d-fold", item.address, f"fold or unfold {item.name}")
        canvas.circle(x, y, 3, "d-knob")
        canvas.path(f"M{number(x - 1.7)} {number(y)}h3.4", "d-sign")
        canvas.path(f"M{number(x)} {number(y - 1.7)}v3.4", "d-sign d-plus")
        canvas.close()
    return top, end, tall


__all__ = ["Fold", "folding"]
