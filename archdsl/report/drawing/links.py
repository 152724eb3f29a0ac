"""Draws what goes between the boxes: the main flow, the laterals, the way into the head."""

from __future__ import annotations

from functools import cached_property

from archdsl.ops import Shape
from archdsl.report.drawing.grid import LateralSlot, Layout
from archdsl.report.drawing.labels import MERGE_SIGNS, shape_label
from archdsl.report.drawing.parts import DrawingBox, LateralArrow
from archdsl.report.drawing.sizes import DETOUR_HEIGHT, LINE_HEIGHT, PANEL_PADDING, SMALL_FONT, lateral_caption
from archdsl.report.drawing.svg import Canvas
from archdsl.report.number_format import amount


class LinkPainter:
    """Draws the lines of one grid on one canvas."""

    def __init__(self, grid: Layout, canvas: Canvas) -> None:
        self.grid, self.canvas, self.parts = grid, canvas, grid.parts

    def draw(self) -> None:
        self.flows()
        for row, (slots, _) in enumerate(self.grid.zones):
            for slot in slots:
                self.lateral(slot, row)
        if self.parts.level == "pathway":
            self.side_laterals()

    def flows(self) -> None:
        """Every arrow of the main flow, with the shape that goes along it."""
        for k, lane in enumerate(self.parts.lanes):
            for above, below in zip(lane.items, lane.items[1:]):
                self.flow(k, above, below)
            if lane.after:
                self.branch(lane.after, lane.items[0].key)
        for key in self.parts.head_reads:
            self.to_head(key)

    @cached_property
    def unread(self) -> set[str]:
        """Keys of the last items of lanes that only laterals read: these begin at the box."""
        after = {lane.after for lane in self.parts.lanes}
        return {lane.items[-1].key for lane in self.parts.lanes} - after - set(self.parts.head_reads)

    def zone_end(self, key: str) -> float:
        """Below an item's merges."""
        _, zone = self.grid.zones[self.grid.rows[key]]
        return self.grid.bottom(key) + zone - 24.0

    def merged(self, key: str) -> Shape:
        """The shape that leaves an item, after what is merged into it."""
        into = [edge for edge in self.parts.laterals if edge.target == key]
        if not into or self.parts.level == "pathway":
            return self.grid.items[key].shape
        return self.parts.plan.graph.shapes[f"{into[-1].address}.merge"]

    def shape(self, key: str) -> None:
        """The shape beside an item's outgoing arrow."""
        self.canvas.text(
            self.grid.middle(key) + 5, self.zone_end(key) + 14.5, shape_label(self.merged(key)), SMALL_FONT, "d-soft"
        )

    def flow(self, lane: int, above: DrawingBox, below: DrawingBox) -> None:
        """From one box of a lane to the next, maybe at the top of the next column."""
        grid = self.grid
        start, end = (
            (grid.middle(above.key), grid.bottom(above.key)),
            (grid.middle(below.key), grid.tops[grid.rows[below.key]] - 0.5),
        )
        bands = grid.band_of[grid.rows[above.key]], grid.band_of[grid.rows[below.key]]
        self.canvas.route([start, *self.detours(lane, *bands), end], "d-flow", "flow")
        self.shape(above.key)

    def detours(self, lane: int, first: int, last: int) -> list[tuple[float, float]]:
        """Corners of a line that goes on at the top of the next column; lines of several lanes do not cross."""
        corners = []
        grid, lanes = self.grid, len(self.parts.lanes)
        for band in range(first, last):
            end = grid.bands[band][-1]
            down = grid.tops[end] + grid.heights[end] + 5 + 7.0 * (lanes - 1 - lane)
            aside = grid.lane_left(0, band) + grid.band_width(band) + 14 + 7.0 * (lanes - 1 - lane)
            up = grid.lanes_top - 7 - 7.0 * lane
            corners += [
                (grid.lane_middle(lane, band), down),
                (aside, down),
                (aside, up),
                (grid.lane_middle(lane, band + 1), up),
            ]
        return corners

    def branch(self, source: str, target: str) -> None:
        """From an item into the first box of another lane."""
        grid = self.grid
        y, above = self.zone_end(source) + 3, grid.tops[grid.rows[target]] - PANEL_PADDING - 6
        a, b = grid.middle(source), grid.middle(target)
        side = grid.lane_left(grid.parts.lane_of[source], grid.band_of[grid.rows[source]])
        x = side - 6 if b < a else side + grid.lane_width + 6
        start = grid.bottom(source) if source == self.parts.lanes[self.parts.lane_of[source]].items[-1].key else y
        self.canvas.route(
            [(a, start), (a, y), (x, y), (x, above), (b, above), (b, grid.tops[grid.rows[target]] - 0.5)],
            "d-flow",
            "flow",
        )
        self.canvas.circle(a, y, 1.6, "d-tip")

    def to_head(self, key: str) -> None:
        """From a lane's end straight down; from within a lane, down beside it."""
        grid = self.grid
        k = self.parts.lane_of[key]
        band, last = grid.band_of[grid.rows[key]], len(grid.bands) - 1
        end = grid.head_top - 0.5
        if key == self.parts.lanes[k].items[-1].key:
            self.canvas.route(
                [(grid.middle(key), grid.bottom(key)), *self.detours(k, band, last), (grid.lane_middle(k, last), end)],
                "d-flow",
                "flow",
            )
            self.shape(key)
            return
        y, x = self.zone_end(key) + 3, grid.lane_left(k, last) + grid.lane_width + 5
        self.canvas.route([(grid.middle(key), y), (x, y), (x, end)], "d-flow", "flow")
        self.canvas.circle(grid.middle(key), y, 1.6, "d-tip")

    def lateral(self, slot: LateralSlot, row: int) -> None:
        """One fusion: from its source's line across to a merge on its target's."""
        grid, edge = self.grid, slot.lateral
        source, target = self.parts.lane_of[edge.source], self.parts.lane_of[edge.target]
        y, x = grid.bottom(edge.target) + slot.y, grid.middle(edge.target)
        toward = 1 if target > source else -1
        band = grid.band_of[row]
        points = [(grid.middle(edge.source), y)]
        if grid.bent(edge):
            away = 5.0 + 4.0 * grid.turns[edge.address]
            side = grid.lane_left(source, band) + (grid.lane_width + away if target >= source else -away)
            top = grid.bottom(edge.source) + 6
            points = [(grid.middle(edge.source), top), (side, top), (side, y)]
        tip = x + 6 if source == target else x - 6 * toward
        start = [(grid.middle(edge.source), grid.bottom(edge.source))] if edge.source in self.unread else []
        self.lateral_line([*start, *points, (tip, y)])
        if not start:
            self.canvas.circle(*points[0], 1.8, "d-dot")
        self.merge(edge, x, y)
        k = grid.corridor(edge)
        left = grid.lane_left(k, band) + grid.lane_width
        aside = 0.0 if not grid.bent(edge) else 4.0 if toward > 0 or source == target else -4.0
        self.words(edge, left + grid.corridors[k] / 2 + aside, y)

    def lateral_line(self, points: list[tuple[float, float]]) -> None:
        self.canvas.route(points, "d-halo")
        self.canvas.route(points, "d-lateral", "lateral")

    def merge(self, edge: LateralArrow, x: float, y: float) -> None:
        """A circle with the sign of the merge."""
        self.canvas.circle(x, y, 5.2, "d-merge")
        self.canvas.text(x, y + 2.7, MERGE_SIGNS[edge.merge], 8.5, "d-side", "middle")

    def words(self, edge: LateralArrow, x: float, y: float) -> None:
        """The transform above the line, what it brings below."""
        cost = self.parts.plan.cost_of(edge.address)
        self.canvas.open(
            "d-edge",
            edge.address,
            f"{edge.address}\n{amount(cost.params)} params, {amount(cost.macs)} macs\n{edge.merge}",
        )
        for i, line in enumerate(reversed(edge.lines)):
            self.canvas.text(x, y - 4 - i * LINE_HEIGHT, line, SMALL_FONT, "d-side", "middle")
        for i, line in enumerate(lateral_caption(self.parts, edge)):
            self.canvas.text(x, y + 9.5 + i * LINE_HEIGHT, line, SMALL_FONT, "d-side", "middle")
        self.canvas.close()

    def side_laterals(self) -> None:
        """At pathway level an edge runs from the side of one box to the side of the other."""
        grid = self.grid
        used: dict[int, float] = {}
        for edge in self.parts.laterals:
            k, row = grid.corridor(edge), grid.rows[edge.target]
            mine = [grid.words_height(other) for other in self.parts.laterals if grid.corridor(other) == k]
            top = used.get(k, grid.tops[row] + (grid.boxes[row] - sum(mine)) / 2)
            used[k] = top + grid.words_height(edge)
            y = top + len(edge.lines) * LINE_HEIGHT + 2
            self.lateral_line(self.side_route(edge, y))
            within = 4.0 if edge.source == edge.target else 0.0
            self.words(edge, grid.lane_left(k, 0) + grid.lane_width + grid.corridors[k] / 2 + within, y)

    def side_route(self, edge: LateralArrow, y: float) -> list[tuple[float, float]]:
        """The corners of a lateral at pathway level, which arrives at height y."""
        grid = self.grid
        source, target = self.parts.lane_of[edge.source], self.parts.lane_of[edge.target]
        half, toward = grid.box_width / 2, 1 if target > source else -1
        a, b = grid.middle(edge.source) + half * toward, grid.middle(edge.target) - half * toward
        if source == target:
            right, out = grid.middle(edge.source) + half, PANEL_PADDING + 5
            return [(right, y - 12), (right + out, y - 12), (right + out, y + 12), (right, y + 12)]
        first = min(y, grid.bottom(edge.source) - 8)
        side = a + toward * (PANEL_PADDING + 6)
        if edge in grid.far:
            turn = grid.far.index(edge)
            first, below = (
                grid.bottom(edge.source) - 8 - 6 * turn,
                grid.bottom(edge.target) + 3 + DETOUR_HEIGHT * (turn + 1),
            )
            near = b - toward * (PANEL_PADDING + 6 + 4 * turn)
            side += toward * 4 * turn
            return [(a, first), (side, first), (side, below), (near, below), (near, y), (b, y)]
        return [(a, first), (side, first), (side, y), (b, y)] if first != y else [(a, y), (b, y)]
