"""Each frame as a row of tokens, so that each has tokens of its own; and back."""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.ops.autograd import COPIED, RESHAPED, Keeps
from archdsl.ops.base import Beside, Op, require
from archdsl.ops.example import Draw, Example
from archdsl.ops.grid import Grid
from archdsl.ops.layer import Argument, Layer, Weights, runtime
from archdsl.ops.pool import pooled_to
from archdsl.ops.receptive_field import Seen
from archdsl.ops.rows import check_rows
from archdsl.ops.shape import Shape


@dataclass(frozen=True, kw_only=True)
class FrameRows(Op):
    """Each frame as one row, with copies of the tokens in front.  (c, t, h, w, k) -> (c, t, k + h w, 1)

    So each frame has tokens of its own, and what looks along a row or at each frame alone sees them.
    """

    causality = "frame"
    passes_extra = True

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(x.t >= 1, "rows of no map", got=x, want="a map")
        return Shape(x.c, x.t, x.extra + x.h * x.w, 1)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return grids[0]

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return seen[0]

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        return COPIED if xs[0].extra else RESHAPED

    def torch(self, *xs: Shape) -> Layer:
        (x,) = xs
        if not x.extra:
            return Layer("{0}.flatten(3)[..., None]")
        return Layer(
            f"rows_by_frame({{0}}, {x.t}, {x.extra})", needs=runtime("attention.tokens", "token_rows", "rows_by_frame")
        )

    @classmethod
    def example(cls, draw: Draw) -> Example:
        return cls(), (draw.shape()._replace(extra=draw.integer(0, 2)),)


@dataclass(frozen=True, kw_only=True)
class FromFrameRows(Op):
    """Rows back into a map of a second value's size; of a token's copies the mean (arXiv:2102.05095, section 3).

    (c, t, k + h w, 1), (c', t, h, w, k) -> (c, t, h, w, k)
    """

    reads = 2
    reads_size = True
    passes_extra = True

    def out(self, *xs: Shape) -> Shape:
        rows, like = xs
        want = (like.t, like.extra + like.h * like.w, 1)
        require(rows[1:] == want, "rows that are not those of the map", got=rows, want=Shape(rows.c, *want))
        return like._replace(c=rows.c)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        t, h, w = (there._replace(span=here.span) for here, there in zip(grids[0][:3], grids[1][:3]))
        return Grid(t, h, w, grids[1].tick)

    @property
    def each_frame(self) -> bool:
        return False

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return seen[0]

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        return Keeps(passing_back=y.elements) if y.extra else RESHAPED

    def torch(self, *xs: Shape) -> Layer:
        _, like = xs
        if not like.extra:
            return Layer(f"{{0}}.reshape(*{{0}}.shape[:3], {like.h}, {like.w})")
        return Layer(f"from_frame_rows({{0}}, {like.extra})", needs=runtime("attention.tokens", "from_frame_rows"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        like = draw.shape()._replace(extra=draw.integer(0, 2))
        return cls(), (Shape(like.c, like.t, like.extra + like.h * like.w, 1), like)


@dataclass(frozen=True, kw_only=True)
class FrameToken(Op):
    """One token of each frame's row.  (c, t, r, 1) -> (c, t, 1, 1)"""

    causality = "frame"
    kept = Keeps(view=True)
    index: int = 0
    """Which token of the row, from 0."""

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        check_rows(x)
        require(0 <= self.index < x.h, "`index` of no token", got=self.index, want=f"0 to {x.h - 1}")
        return Shape(x.c, x.t, 1, 1)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return pooled_to(self.out(*xs), xs[0], grids[0])

    def row(self, x: Shape | None = None) -> str:
        return f"token {self.index} of each frame"

    def torch(self, *xs: Shape) -> Layer:
        return Layer(f"{{0}}[:, :, :, {self.index}:{self.index + 1}]")

    @classmethod
    def example(cls, draw: Draw) -> Example:
        x = draw.shape()._replace(w=1)
        return cls(index=draw.integer(0, x.h - 1)), (x,)


@dataclass(frozen=True, kw_only=True)
class LearntFrameTokens(Beside):
    """Learnt tokens in front of each frame's row, other ones for each.  (c, t, r, 1) -> (c, t, count + r, 1)

    They start at N(0, std^2).
    """

    kept = Keeps(gradient="part")
    count: int = 1
    """Tokens of each frame."""
    std: float = 0.02
    """Standard deviation that they start with."""

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(self.count >= 1, "`count` below 1", got=self.count, want="at least 1")
        check_rows(x)
        return x._replace(h=self.count + x.h)

    @property
    def each_frame(self) -> bool:
        return False

    def causal(self, *xs: Shape) -> tuple[Op, ...]:
        return (self,)

    def weights(self, *xs: Shape) -> Weights:
        return {"weight": (xs[0].t, self.count, xs[0].c)}

    def label(self, x: Shape, y: Shape) -> str:
        return "frame tokens" if self.count == 1 else f"{self.count} frame tokens"

    def row(self, x: Shape | None = None) -> str:
        return f"{self.count} learnt token{'s' * (self.count > 1)} for each frame"

    def torch(self, *xs: Shape) -> Layer:
        (x,) = xs
        sizes = (Argument("frames", x.t), Argument("count", self.count), Argument("channels", x.c))
        args = (*sizes, Argument("std", self.std, 0.02))
        return Layer("{m}({0})", "LearntFrameTokens", args, needs=runtime("attention.rows", "LearntFrameTokens"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        return cls(count=draw.integer(1, 3), std=draw.choice((0.0, 0.02))), (draw.shape()._replace(w=1),)
