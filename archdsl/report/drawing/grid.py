"""Where everything of a drawing lies: lanes beside each other, rows below each other, long drawings in columns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from archdsl.report.drawing.parts import DrawingBox, DrawingParts, Lane, LateralArrow
from archdsl.report.drawing.rows import box_rows, split_into_columns, uncut_spans
from archdsl.report.drawing.sizes import (
    ARROW_HEIGHT,
    DETOUR_HEIGHT,
    HEADER_HEIGHT,
    LANE_GAP,
    LINE_HEIGHT,
    MARGIN,
    MAX_HEIGHT,
    PANEL_PADDING,
    SMALL_FONT,
    TEXT_FONT,
    box_height,
    lateral_caption,
    overlaps_in,
    preferred_width,
)
from archdsl.report.drawing.svg import text_width, wrapped_lines


@dataclass(frozen=True)
class LateralSlot:
    """A lateral's place below its target's row: the height of its line, and of the words above and below it."""

    lateral: LateralArrow
    y: float


@dataclass
class Layout:
    """The places of a drawing."""

    parts: DrawingParts
    columns: bool = True
    """Whether a long drawing is cut into columns."""
    wholes: tuple[DrawingBox, ...] = ()
    """Further boxes that must fit: stages in one box, where the drawing folds."""

    @cached_property
    def rows(self) -> dict[str, int]:
        """Item key -> row."""
        return box_rows(self.parts)

    @cached_property
    def count(self) -> int:
        """Rows, without the head."""
        return max(self.rows.values()) + 1

    @cached_property
    def items(self) -> dict[str, DrawingBox]:
        """Item key -> item."""
        return {item.key: item for lane in self.parts.lanes for item in lane.items}

    @cached_property
    def box_width(self) -> float:
        """One width for every box: what the widest needs, within reason."""
        least = 132.0 if len(self.parts.lanes) == 1 else 104.0
        return min(max([least, *map(preferred_width, [*self.items.values(), *self.wholes])]), 168.0)

    @cached_property
    def boxes(self) -> list[float]:
        """Height of the boxes of each row."""
        heights = [0.0] * self.count
        for key, item in self.items.items():
            heights[self.rows[key]] = max(heights[self.rows[key]], box_height(item))
        if self.parts.level == "pathway":
            for k in range(len(self.parts.lanes)):
                beside = [edge for edge in self.parts.laterals if self.corridor(edge) == k]
                row = max((self.rows[edge.target] for edge in beside), default=0)
                heights[row] = max(heights[row], sum(map(self.words_height, beside)))
        return heights

    def words_height(self, edge: LateralArrow) -> float:
        """The height of a lateral's words, above and below its line."""
        return (len(edge.lines) + len(lateral_caption(self.parts, edge))) * LINE_HEIGHT + 10

    @cached_property
    def far(self) -> list[LateralArrow]:
        """At pathway level, the laterals with other lanes between their ends: they go round below the boxes."""
        lane = self.parts.lane_of
        far = [edge for edge in self.parts.laterals if abs(lane[edge.source] - lane[edge.target]) > 1]
        return far if self.parts.level == "pathway" else []

    def slots_of(self, row: int) -> list[LateralArrow]:
        """The laterals that are merged below a row, in the order of the merges."""
        if self.parts.level == "pathway":
            return []
        return [edge for edge in self.parts.laterals if self.rows[edge.target] == row]

    def bent(self, edge: LateralArrow) -> bool:
        """Whether a lateral leaves its source above the place where it is merged."""
        if self.parts.level == "pathway":
            return False
        if self.rows[edge.source] != self.rows[edge.target] or edge.source == edge.target:
            return True
        before = self.slots_of(self.rows[edge.target])
        return any(other.target == edge.source for other in before[: before.index(edge)])

    @cached_property
    def turns(self) -> dict[str, int]:
        """Address of a bent lateral -> how far out it runs: what leaves a lane on one side keeps beside each other."""
        turns: dict[str, int] = {}
        done: list[tuple[int, bool, range, int]] = []
        for edge in filter(self.bent, self.parts.laterals):
            lane = self.parts.lane_of[edge.source]
            right = self.parts.lane_of[edge.target] >= lane
            rows = range(self.rows[edge.source], self.rows[edge.target] + 1)
            met = {turn for other, side, its, turn in done if (other, side) == (lane, right) and overlaps_in(rows, its)}
            turns[edge.address] = next(turn for turn in range(len(met) + 1) if turn not in met)
            done.append((lane, right, rows, turns[edge.address]))
        return turns

    @cached_property
    def zones(self) -> list[tuple[list[LateralSlot], float]]:
        """For each row, its slots (y from the boxes' lower edge) and the height of the zone below the boxes."""
        made = []
        for row in range(self.count):
            y = 7.0 if any(self.rows[edge.source] == row and self.bent(edge) for edge in self.parts.laterals) else 0.0
            y += sum(DETOUR_HEIGHT for edge in self.far if self.rows[edge.target] == row)
            slots: list[LateralSlot] = []
            for edge in self.slots_of(row):
                above = 9.0 if not slots else max(12.0, len(edge.lines) * LINE_HEIGHT + LINE_HEIGHT + 5)
                y += above
                slots.append(LateralSlot(edge, y))
            made.append((slots, y + (8.0 if slots else 0.0) + ARROW_HEIGHT))
        return made

    @cached_property
    def heights(self) -> list[float]:
        """Row heights, boxes and what is below them."""
        return [box + zone for box, (_, zone) in zip(self.boxes, self.zones)]

    @cached_property
    def bands(self) -> list[range]:
        """Rows of each column of the drawing."""
        if not self.columns:
            return [range(self.count)]
        limit = MAX_HEIGHT if len(self.parts.lanes) > 1 else MAX_HEIGHT * 0.6
        return split_into_columns(self.heights, limit, uncut_spans(self.parts, self.rows))

    @cached_property
    def band_of(self) -> list[int]:
        """Row -> column."""
        return [b for b, rows in enumerate(self.bands) for _ in rows]

    def corridor(self, edge: LateralArrow) -> int:
        """Where a lateral's words stand: k is right of lane k, beside the target."""
        source, target = self.parts.lane_of[edge.source], self.parts.lane_of[edge.target]
        return target - 1 if source < target else target

    @cached_property
    def corridors(self) -> list[float]:
        """Widths right of each lane."""
        last = len(self.parts.lanes) - 1
        widths = [0.0 if k == last else LANE_GAP for k in range(last + 1)]
        for edge in self.parts.laterals:
            k = self.corridor(edge)
            words = max(text_width(line, SMALL_FONT) for line in (*edge.lines, *lateral_caption(self.parts, edge)))
            widths[k] = max(widths[k], words + 18)
        bends = 1 + max(self.turns.values(), default=-1)
        return [w + (4.5 * bends if w > LANE_GAP else 0.0) for w in widths]

    @property
    def lane_width(self) -> float:
        """A lane with its panel."""
        return self.box_width + 2 * PANEL_PADDING

    @cached_property
    def lanes_of(self) -> list[list[int]]:
        """For each column the lanes that have a box in it or pass through it."""
        found = []
        for rows in self.bands:
            last = rows[-1] == self.count - 1
            lanes = []
            for k, lane in enumerate(self.parts.lanes):
                first, end = self.rows[lane.items[0].key], self.rows[lane.items[-1].key]
                if (first <= rows[-1] and (end >= rows[0] or lane.items[-1].key in self.parts.head_reads)) or last:
                    lanes.append(k)
            found.append(lanes)
        return found

    def band_width(self, band: int) -> float:
        """The lanes of a column beside each other, and the words right of the last."""
        lanes = self.lanes_of[band]
        return sum(self.lane_width + self.corridors[k] for k in lanes[:-1]) + self.lane_width + self.outer(lanes[-1])

    def outer(self, lane: int) -> float:
        """Room right of a column's last lane: for words of laterals there."""
        return self.corridors[lane] if self.corridors[lane] > LANE_GAP or lane == len(self.parts.lanes) - 1 else 0.0

    @property
    def band_gap(self) -> float:
        """Between two columns of the drawing: room for the lines that go on."""
        return 22.0 + 7.0 * len(self.parts.lanes)

    @cached_property
    def across(self) -> float:
        """All columns."""
        return sum(map(self.band_width, range(len(self.bands)))) + (len(self.bands) - 1) * self.band_gap

    @cached_property
    def width(self) -> float:
        """The whole drawing."""
        return max(self.across, 262.0) + 2 * MARGIN

    @cached_property
    def band_lefts(self) -> list[float]:
        """Where each column begins, from the first."""
        return [*accumulate((self.band_width(b) + self.band_gap for b in range(len(self.bands))), initial=0.0)]

    def lane_left(self, lane: int, band: int) -> float:
        """The left edge of a lane's panel. A narrow drawing stands in the middle."""
        x = (self.width - self.across) / 2 + self.band_lefts[band]
        return x + sum(self.lane_width + self.corridors[k] for k in self.lanes_of[band] if k < lane)

    def middle(self, key: str) -> float:
        """The x of an item's flow."""
        return self.lane_middle(self.parts.lane_of[key], self.band_of[self.rows[key]])

    def lane_middle(self, lane: int, band: int) -> float:
        return self.lane_left(lane, band) + self.lane_width / 2

    @cached_property
    def title_lines(self) -> list[str]:
        """The second line of the title, in as many as it needs."""
        return wrapped_lines(self.parts.title[1].split(" · "), " · ", TEXT_FONT, self.width - 2 * MARGIN)

    @cached_property
    def lanes_top(self) -> float:
        """Where the first row's panels begin."""
        return self.clips_top + 42.0 + 15.0

    @property
    def clips_top(self) -> float:
        """The upper edge of the clips."""
        return MARGIN + 14 + LINE_HEIGHT * len(self.title_lines) + 8

    @cached_property
    def tops(self) -> list[float]:
        """The upper edge of each row's boxes."""
        tops = []
        for rows in self.bands:
            y = self.lanes_top + PANEL_PADDING
            for row in rows:
                tops.append(y)
                y += self.heights[row]
        return tops

    def bottom(self, key: str) -> float:
        """The lower edge of an item's box."""
        return self.tops[self.rows[key]] + self.boxes[self.rows[key]]

    @cached_property
    def head_top(self) -> float:
        """The upper edge of the head's box."""
        return self.tops[-1] + self.heights[-1]

    @cached_property
    def head_lines(self) -> list[str]:
        """The head's ops in lines of its width."""
        words = [line for group in self.parts.head.groups for line in group.lines]
        lines = wrapped_lines(words, " → ", TEXT_FONT, self.head_width - 26)
        return [lines[0], *(f"→ {line}" for line in lines[1:])]

    @property
    def head_width(self) -> float:
        """As wide as the lanes above it."""
        return self.band_width(len(self.bands) - 1) - self.corridors[-1]

    @property
    def head_height(self) -> float:
        return HEADER_HEIGHT + LINE_HEIGHT * len(self.head_lines) + 4

    @cached_property
    def lanes_bottom(self) -> float:
        """The lowest edge of all lanes and the head."""
        ends = [self.tops[rows[-1]] + self.heights[rows[-1]] + 7.0 * len(self.parts.lanes) for rows in self.bands[:-1]]
        return max([self.head_top + self.head_height + 22, *ends])


__all__ = ["Lane", "LateralSlot", "Layout"]
