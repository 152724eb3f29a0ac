"""Parts of a map that a mask chooses, learnt tokens in place of the others, and where both lie."""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.ops.autograd import INDEX, NOTHING, Keeps
from archdsl.ops.base import Beside, Op, require
from archdsl.ops.example import Draw, Example
from archdsl.ops.grid import Grid
from archdsl.ops.layer import Argument, Layer, Weights, changed_keywords, runtime
from archdsl.ops.receptive_field import Seen, everything
from archdsl.ops.shape import Shape


def parts_of_mask(x: Shape, mask: Shape) -> tuple[int, int, int]:
    """The part (t, h, w) of a map that each element of a mask stands for."""
    odd = [axis for axis, n, units in zip("thw", x[1:4], mask[1:4]) if n % units]
    require(
        bool(mask.t) and not odd,
        f"a mask whose elements do not part the map along {', '.join(odd)}",
        got=f"a map {x} and a mask {mask}",
        want="a map of as many elements as the mask, or a multiple",
    )
    return x.t // mask.t, x.h // mask.h, x.w // mask.w


@dataclass(frozen=True, kw_only=True)
class KeepUnits(Op):
    """The parts of a map that a mask chooses, one below the other.  (c, t, h, w), (k, T, H, W) -> (c, t', n h', w')

    Each element of the mask stands for a part of t' = t / T, h' = h / H, w' = w / W elements: a mask of one frame
    chooses tubes, and frames stay frames. Channel `first` of the mask chooses `counts[0]` parts, the next one
    `counts[1]` more: where it is above 0, in the order of the map. Of more the last are left out; of fewer the first
    of the others fill up. Tokens beside the map stay.
    """

    reads = 2
    passes_extra = True
    first: int = 0
    """The channel of the mask that chooses first."""
    counts: tuple[int, ...] = (1,)
    """Parts that this channel chooses, and the next ones."""

    def out(self, *xs: Shape) -> Shape:
        x, mask = xs
        t, h, w = parts_of_mask(x, mask)
        units = mask.t * mask.h * mask.w
        odd = [n for n in self.counts if not 1 <= n <= units]
        require(bool(self.counts) and not odd, "parts that the mask lacks", got=list(self.counts), want=f"1 to {units}")
        last = self.first + len(self.counts)
        what = "a mask of too few channels"
        require(self.first >= 0 and last <= mask.c, what, got=f"channel {last - 1} of {mask}", want=f"below {mask.c}")
        return x._replace(t=t, h=sum(self.counts) * h, w=w)

    def gradients(self, *xs: Shape) -> tuple[bool, ...]:
        return True, False

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        """Along time where the mask has one frame; else each part may lie anywhere."""
        x, mask = xs
        t, h, w = (axis._replace(span=axis.span + axis.step * (n - 1)) for axis, n in zip(grids[0][:3], x[1:4]))
        return Grid(grids[0].t if mask.t == 1 else t, h, w, grids[0].tick)

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return seen[0] if xs[1].t == 1 else everything(seen[:1], y.t)

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """The index of each element; in backward a map of zeros that the gradient is written into."""
        index = INDEX * (y.positions + xs[1].positions)
        return Keeps(own_bytes=index, passing=y.elements * bool(y.extra), passing_back=y.elements)

    def label(self, x: Shape, y: Shape) -> str:
        return f"keep {' + '.join(map(str, self.counts))}"

    def row(self, x: Shape | None = None) -> str:
        return f"kept parts {' + '.join(map(str, self.counts))}"

    def torch(self, *xs: Shape) -> Layer:
        x = xs[0]
        rest = changed_keywords(first=(self.first, 0), extra=(x.extra, 0))
        call = f"kept_units({{0}}, {{1}}, {tuple(x[1:4])}, {self.counts}{rest})"
        return Layer(call, needs=runtime("attention.masks", "chosen_units", "places_of_units", "kept_units"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        x, mask = masked_map(draw)
        first = draw.integer(0, mask.c - 1)
        counts = tuple(draw.integer(1, mask.positions) for _ in range(draw.integer(1, mask.c - first)))
        return cls(first=first, counts=counts), (x._replace(extra=draw.integer(0, 2)), mask)


def masked_map(draw: Draw) -> tuple[Shape, Shape]:
    """A map and a mask of it."""
    mask = draw.shape(3, 2, 3)
    sizes = {axis: n * draw.integer(1, 2) for axis, n in zip("thw", mask[1:4])}
    return Shape(draw.integer(1, 4), *sizes.values()), mask


@dataclass(frozen=True, kw_only=True)
class MaskTokens(Op):
    """Learnt tokens below the kept parts of a map, in place of others.  (c, t, n h, w) -> (c, t, (n + count) h, w)

    `parts` are there. Of several `kinds` the mask, read too, says which one stands for each of `count` parts that
    its `channel` chooses: 1 for the first. They start at N(0, std^2).
    """

    may_read = 1
    passes_extra = True
    parts: int = 1
    """Kept ones, which are there."""
    count: int = 1
    """Parts for which tokens stand."""
    kinds: int = 1
    """Of tokens."""
    channel: int = 1
    """Of the mask, which says the kind of each."""
    std: float = 0.02
    """Standard deviation at the start; 0 for zeros."""

    def out(self, *xs: Shape) -> Shape:
        x, *masks = xs
        require(self.count >= 1 and self.kinds >= 1, "no tokens", got=f"{self.count} of {self.kinds} kinds", want="1")
        what = "parts that do not make the map along h"
        require(self.parts >= 1 and x.h % self.parts == 0, what, got=f"{x}, parts: {self.parts}", want="a divisor of h")
        what, got = "several kinds of tokens go with a mask", f"kinds: {self.kinds}, {len(masks)} masks"
        require((self.kinds > 1) == bool(masks), what, got=got, want="a mask, or one kind")
        for mask in masks:
            require(0 <= self.channel < mask.c, "no such channel", got=self.channel, want=f"below {mask.c}")
            units = mask.t * mask.h * mask.w
            require(self.count <= units, "more tokens than parts", got=self.count, want=f"at most {units}")
        return x._replace(h=x.h + self.count * (x.h // self.parts))

    def gradients(self, *xs: Shape) -> tuple[bool, ...]:
        return True, *[False] * (len(xs) - 1)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return grids[0]

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return seen[0]

    def weights(self, *xs: Shape) -> Weights:
        return {"weight": (self.kinds, xs[0].c)}

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """The index of each token where there are several kinds."""
        index = INDEX * (self.count + xs[1].positions) if self.kinds > 1 else 0
        places = y.c * (y.positions - y.extra) * bool(y.extra)
        tokens = (y.elements - xs[0].elements) * (self.kinds > 1 and xs[0].h > self.parts)
        return Keeps(own_bytes=index, gradient="part", passing=places + tokens)

    def label(self, x: Shape, y: Shape) -> str:
        return f"{self.count} mask tokens"

    def row(self, x: Shape | None = None) -> str:
        return f"{self.count} mask tokens"

    def torch(self, *xs: Shape) -> Layer:
        x, *masks = xs
        args = (
            Argument("channels", x.c),
            Argument("size", (x.t, self.count * (x.h // self.parts), x.w)),
            Argument("count", self.count),
            Argument("kinds", self.kinds, 1),
            Argument("channel", self.channel, 1),
            Argument("extra", x.extra, 0),
            Argument("std", self.std, 0.02),
        )
        needs = runtime("attention.masks", "chosen_units", "MaskTokens")
        return Layer("{m}({0}, {1})" if masks else "{m}({0})", "MaskTokens", args, needs=needs)

    @classmethod
    def example(cls, draw: Draw) -> Example:
        _, mask = masked_map(draw)
        kinds, parts, x = draw.integer(1, 3), draw.integer(1, 3), draw.shape()
        count = draw.integer(1, mask.positions)
        channel, std = draw.integer(0, mask.c - 1), draw.choice((0.0, 0.02))
        op = cls(parts=parts, count=count, kinds=kinds, channel=channel, std=std)
        x = x._replace(h=parts * draw.integer(1, 2), extra=draw.integer(0, 2))
        return op, (x, mask) if kinds > 1 else (x,)


@dataclass(frozen=True, kw_only=True)
class LastUnits(Op):
    """The last rows of a map, without tokens beside it.  (c, t, h, w) -> (c, t, rows, w)"""

    causality = "frame"
    passes_extra = True
    kept = Keeps(view=True)
    rows: int = 1
    """Along h."""

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(1 <= self.rows <= x.h, "rows that the map lacks", got=self.rows, want=f"1 to {x.h}")
        return x._replace(h=self.rows, extra=0)

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return seen[0]

    def label(self, x: Shape, y: Shape) -> str:
        return f"last {self.rows}"

    def torch(self, *xs: Shape) -> Layer:
        (x,) = xs
        whole = f"{{0}}[..., {x.extra}:].unflatten(-1, {tuple(x[1:4])})[:, :, 0, 0]" if x.extra else "{0}"
        return Layer(f"{whole}[:, :, :, -{self.rows}:]")

    @classmethod
    def example(cls, draw: Draw) -> Example:
        x = draw.shape()._replace(extra=draw.integer(0, 2))
        return cls(rows=draw.integer(1, x.h)), (x,)


@dataclass(frozen=True, kw_only=True)
class Hide(Op):
    """A map, 0 where the mask does not choose it.  (c, t, h, w), (k, T, H, W) -> (c, t, h, w)"""

    reads = 2
    channel: int = 0
    """Of the mask."""

    def out(self, *xs: Shape) -> Shape:
        x, mask = xs
        parts_of_mask(x, mask)
        require(0 <= self.channel < mask.c, "no such channel", got=self.channel, want=f"below {mask.c}")
        return x

    def gradients(self, *xs: Shape) -> tuple[bool, ...]:
        return True, False

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return grids[0]

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return seen[0]

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """The mask at the size of the map."""
        one = y.elements // y.c
        return Keeps(own=one, passing=one)

    def torch(self, *xs: Shape) -> Layer:
        needs = runtime("attention.masks", "hidden")
        return Layer(f"hidden({{0}}, {{1}}, {parts_of_mask(*xs)}, {self.channel})", needs=needs)

    @classmethod
    def example(cls, draw: Draw) -> Example:
        x, mask = masked_map(draw)
        return cls(channel=draw.integer(0, mask.c - 1)), (x, mask)


@dataclass(frozen=True, kw_only=True)
class Blank(Beside):
    """Zeros at another size, for tables of positions to be added to.  (c, t, h, w, k) -> (c, *size, k)"""

    passes_extra = True
    reads_size = True
    kept = NOTHING
    shown = "never"
    size: tuple[int, int, int] = (1, 1, 1)
    """Elements (t, h, w)."""

    def out(self, *xs: Shape) -> Shape:
        require(min(self.size) >= 1, "`size` below 1", got=list(self.size), want="at least 1")
        return Shape(xs[0].c, *self.size, xs[0].extra)

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return (0,) * y.t

    def torch(self, *xs: Shape) -> Layer:
        return Layer(f"{{0}}.new_zeros({{0}}.shape[0], {', '.join(map(str, self.out(*xs).tensor))})")

    @classmethod
    def example(cls, draw: Draw) -> Example:
        size = (draw.integer(1, 3), draw.integer(1, 3), draw.integer(1, 3))
        return cls(size=size), (draw.shape()._replace(extra=draw.integer(0, 2)),)
