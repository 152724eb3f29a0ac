"""Boxes of single-shot detectors and region proposals: what is said of anchors as rows, moved, and the best of them.

Rows lie along h: (c, t, n, 1). Corners are x1, y1, x2, y2 in pixels of the clip; a box from 0 to 1 is one pixel wide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from archdsl.ops.autograd import NOTHING, Keeps
from archdsl.ops.base import Op, require
from archdsl.ops.example import Draw, Example, random_fields
from archdsl.ops.grid import Axis, Grid
from archdsl.ops.layer import CONSTANTS, Argument, Layer, placeholders, runtime
from archdsl.ops.rcnn import anywhere
from archdsl.ops.shape import Shape

Sides = tuple[tuple[float, float], ...]
"""Widths and heights."""
MOST_LEVELS = 12
EXAMPLE_DEVIATIONS = ((1.0, 1.0, 1.0, 1.0), (0.1, 0.1, 0.2, 0.2))


@dataclass(frozen=True, kw_only=True)
class AnchorRows(Op):
    """What maps say of the anchors of their elements, one row an anchor.  (a c, t, h, w)... -> (c, t, n, 1)

    The channels of an anchor lie side by side. Rows go map by map, then along h, w and the anchors of an element.
    """

    causality = "frame"
    kept = NOTHING
    may_read = MOST_LEVELS
    channels: int
    """Numbers said of each anchor."""

    def out(self, *xs: Shape) -> Shape:
        for x in xs:
            require(
                self.channels >= 1 and x.c % self.channels == 0,
                "channels not divisible among anchors",
                got=f"{x.c} for {self.channels} each",
                want=f"a multiple of {self.channels}",
            )
            require(x.t == xs[0].t, "maps of different frames", got=f"{x.t} and {xs[0].t}", want="equal t")
        return Shape(self.channels, xs[0].t, sum(x.elements // x.t for x in xs) // self.channels, 1)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return anywhere(xs[0], grids[0], self.out(*xs).h, 1)

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """Rows of each map are copied, and copied once more where they are joined."""
        return Keeps(passing=y.elements if len(xs) > 1 else 0)

    def label(self, x: Shape, y: Shape) -> str:
        return f"{y.h} anchors"

    def torch(self, *xs: Shape) -> Layer:
        call = f"anchor_rows([{placeholders(len(xs))}], {self.channels})"
        return Layer(call, needs=runtime("regions.anchors", "anchor_rows"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        channels, t = draw.integer(1, 3), draw.integer(1, 3)
        maps = [draw.shape(c=3, s=5) for _ in range(draw.integer(1, 3))]
        return cls(channels=channels), tuple(x._replace(c=x.c * channels, t=t) for x in maps)


@dataclass(frozen=True, kw_only=True)
class Anchors(Op):
    """Boxes around the elements of maps, the same in every frame that is read.  (c, t, h, w) -> (4, t, n, 1)

    `sides`: widths and heights of the anchors of each map; `sizes`: its height and width; `steps`: pixels between its
    rows and between its columns. Around the first element they lie `offset` steps from the clip's corner.
    """

    reads_size = True
    causality = "frame"
    kept = NOTHING
    sides: tuple[Sides, ...]
    """Widths and heights of the anchors of each map, in pixels."""
    sizes: tuple[tuple[int, int], ...]
    """Height and width of each map."""
    steps: tuple[tuple[float, float], ...]
    """Pixels between the rows, and between the columns, of each map."""
    offset: float = 0.0
    """How many steps the first element lies from the corner of the clip."""

    def out(self, *xs: Shape) -> Shape:
        maps = len(self.sides) == len(self.sizes) == len(self.steps)
        got = f"{len(self.sides)}, {len(self.sizes)} and {len(self.steps)}"
        require(maps and all(self.sides), "sides, sizes and steps of different maps", got=got, want="of each map")
        return Shape(4, xs[0].t, sum(h * w * len(sides) for (h, w), sides in zip(self.sizes, self.sides)), 1)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        t = grids[0].t
        return anywhere(xs[0], grids[0], self.out(*xs).h, 1)._replace(t=Axis(t.step, t.start, t.span))

    def buffers(self, *xs: Shape) -> int:
        return 16 * self.out(*xs).h

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """The same boxes for every frame: nothing is copied, but told so."""
        return Keeps(gradient="part")

    def label(self, x: Shape, y: Shape) -> str:
        return f"{y.h} anchors"

    def torch(self, *xs: Shape) -> Layer:
        args = (
            Argument("sides", self.sides),
            Argument("sizes", self.sizes),
            Argument("steps", self.steps),
            Argument("offset", self.offset, 0.0),
        )
        return Layer(
            "{m}({0})", "Anchors", args, needs=CONSTANTS + runtime("regions.anchors", "anchor_boxes", "Anchors")
        )

    @classmethod
    def example(cls, draw: Draw) -> Example:
        levels = range(draw.integer(1, 3))
        sides = tuple(tuple((4.0 * (i + 1), 8.0) for i in range(draw.integer(1, 2))) for _ in levels)
        sizes = tuple((draw.integer(1, 3), draw.integer(1, 3)) for _ in levels)
        steps = tuple((draw.choice((4.0, 8.0)), 8.0) for _ in levels)
        return cls(sides=sides, sizes=sizes, steps=steps, offset=draw.choice((0.0, 0.5))), (draw.shape(),)


@dataclass(frozen=True, kw_only=True)
class MoveBoxes(Op):
    """Boxes moved and stretched.  shifts (4k, t, n, 1), boxes (4, t, n, 1) -> (4k, t, n, 1): corners, for each of k

    Shifts (x, y, width, height), times `deviations`, move a box's centre by widths and heights, and stretch its sides
    by exp, at most `stretch` times. Boxes are cut to `size`, the clip's height and width, where it is given.
    """

    causality = "frame"
    reads = 2
    deviations: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    """What shifts (x, y, width, height) are multiplied by."""
    stretch: float | None = 62.5
    """The most that a side is stretched; None for no bound."""
    size: tuple[int, int] | None = None
    """Height and width of the clip, to which boxes are cut; None leaves them."""

    def out(self, *xs: Shape) -> Shape:
        shifts, boxes = xs
        fits = shifts.c % 4 == 0 and boxes == (4, *shifts[1:])
        require(
            fits, "shifts and boxes that do not match", got=f"{shifts} and {boxes}", want="(4k, t, n, 1), (4, t, n, 1)"
        )
        return shifts

    def gradients(self, *xs: Shape) -> tuple[bool, ...]:
        return True, False

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        return Keeps(own=3 * y.elements, passing=3 * y.elements, passing_back=2 * y.elements)

    def torch(self, *xs: Shape) -> Layer:
        call = f"shifted_boxes({{0}}, {{1}}, {tuple(map(float, self.deviations))}, {self.stretch}, {self.size})"
        return Layer(call, needs=runtime("regions.anchors", "shifted_boxes"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        boxes = Shape(4, draw.integer(1, 3), draw.integer(1, 9), 1)
        op = cls(
            deviations=draw.choice(EXAMPLE_DEVIATIONS),
            stretch=draw.choice((None, 62.5)),
            size=draw.choice((None, (9, 12))),
        )
        return op, (boxes._replace(c=4 * draw.integer(1, 3)), boxes)


@dataclass(frozen=True, kw_only=True)
class CellBoxes(Op):
    """Boxes said within the cells of a map (YOLO, arXiv:1612.08242).  (4, t, n, 1), anchors alike -> (4, t, n, 1)

    A sigmoid puts the centre into the anchor's cell, exp stretches the anchor's sides. `rows` are the anchors of each
    map, `steps` the sides of its cells.
    """

    causality = "frame"
    reads = 2
    rows: tuple[int, ...]
    """Anchors of each map."""
    steps: tuple[float, ...]
    """Sides of the cells of each map, in pixels."""

    def out(self, *xs: Shape) -> Shape:
        shifts, boxes = xs
        fits = shifts.c == 4 and shifts == boxes and shifts.h == sum(self.rows) and len(self.rows) == len(self.steps)
        require(fits, "rows that do not match", got=f"{shifts} and {boxes}", want=f"(4, t, {sum(self.rows)}, 1) twice")
        return shifts

    def gradients(self, *xs: Shape) -> tuple[bool, ...]:
        return True, False

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        return Keeps(own=2 * y.elements, passing=2 * y.elements, passing_back=y.elements)

    def torch(self, *xs: Shape) -> Layer:
        call = f"cell_boxes({{0}}, {{1}}, {self.rows}, {self.steps})"
        return Layer(call, needs=runtime("regions.anchors", "cell_boxes"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        rows = tuple(draw.integer(1, 4) for _ in range(draw.integer(1, 3)))
        boxes = Shape(4, draw.integer(1, 3), sum(rows), 1)
        return cls(rows=rows, steps=tuple(draw.choice((8.0, 16.0)) for _ in rows)), (boxes, boxes)


@dataclass(frozen=True, kw_only=True)
class BestBoxes(Op):
    """The best boxes of each frame after suppression.  (k, t, n, 1), (4 or 4k, t, n, 1) -> (6, t, count, 1)

    It reads chances and boxes. Each says its class, its chance and its corners, best first. Of boxes of one class, or
    of one map where `apart` is map, that overlap by more than `overlap` the best stays; of those not above `above`, or
    with a side below `least`, none. Before that only the best `candidates` of each class or each map go on; `rows` are
    the rows of each map. With `background` class 0 is none. Places that are left fill up with zeros. Nothing of it is
    learnt through.
    """

    causality = "frame"
    reads = 2
    rows: tuple[int, ...] = ()
    """Rows of each map."""
    count: int = 100
    """Boxes that are given."""
    overlap: float = 0.5
    """Overlap beyond which the better one alone stays."""
    above: float = 0.05
    """Chance that a box must have more than."""
    least: float = 0.0
    """Least side of a box, in pixels."""
    candidates: int | None = None
    """Best boxes of each part that go on; None for all."""
    per: Literal["class", "map"] = "class"
    """What candidates are counted by."""
    apart: Literal["class", "map"] = "class"
    """Whose boxes leave each other alone."""
    background: bool = False
    """Whether class 0 is none."""

    def out(self, *xs: Shape) -> Shape:
        chances, boxes = xs
        fits = boxes.c in (4, 4 * chances.c) and boxes[1:] == chances[1:] and chances.w == 1
        require(fits, "chances and boxes that do not match", got=f"{chances} and {boxes}", want="equal rows")
        require(self.count >= 1, "number of boxes below 1", got=self.count, want="at least 1")
        require(chances.c > self.background, "no class but the background", got=chances.c, want="at least 2")
        by_map = self.apart == "map" or (self.per == "map" and self.candidates is not None)
        require(
            not by_map or sum(self.rows) == chances.h,
            "rows of maps that do not add up",
            got=f"{self.rows}",
            want=f"{chances.h} in all",
        )
        return Shape(6, chances.t, self.count, 1)

    def gradients(self, *xs: Shape) -> tuple[bool, ...]:
        return False, False

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return anywhere(xs[0], grids[0], self.count, 1)

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        return Keeps(passing=12 * xs[0].elements)

    def label(self, x: Shape, y: Shape) -> str:
        return f"best {self.count} boxes"

    def torch(self, *xs: Shape) -> Layer:
        rows = self.rows or (xs[0].h,)
        groups = f'{self.candidates}, "{self.per}", "{self.apart}", {self.background}'
        limits = f"{self.count}, {float(self.overlap)}, {float(self.above)}, {float(self.least)}"
        call = f"best_boxes({{0}}, {{1}}, {rows}, {limits}, {groups})"
        return Layer(call, needs=runtime("regions.anchors", "shared_parts", "candidates_of", "best_boxes"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        rows = tuple(draw.integer(1, 5) for _ in range(draw.integer(1, 3)))
        k = draw.integer(2, 3)
        chances = Shape(k, draw.integer(1, 3), sum(rows), 1)
        known = dict(rows=rows, candidates=draw.choice((None, 3)), least=draw.choice((0.0, 0.1)))
        return cls(**random_fields(cls, draw, **known)), (chances, chances._replace(c=draw.choice((4, 4 * k))))
