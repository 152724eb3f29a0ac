"""Several maps into one. They must agree in size and in grid; the builder checks the grid."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from archdsl.errors import SpecError
from archdsl.ops.autograd import Keeps
from archdsl.ops.base import Op, require
from archdsl.ops.example import Draw, Example
from archdsl.ops.layer import Argument, Layer, Weights, placeholders, runtime
from archdsl.ops.shape import Shape

MERGED_AXES = ("c", "t", "h", "w", "extra")
"""What maps may differ in."""


@dataclass(frozen=True, kw_only=True)
class Merge(Op):
    """Several maps on one grid. The result lies where the first one does and sees as far as the one that sees most."""

    reads: ClassVar[int | None] = None
    merges = True
    causality = "frame"
    passes_extra = True


@dataclass(frozen=True, kw_only=True)
class Concat(Merge):
    """Channels side by side.  (c1, t, h, w), (c2, t, h, w) -> (c1 + c2, t, h, w)"""

    kept = Keeps(gradient="part")
    joins_branches = True

    def out(self, *xs: Shape) -> Shape:
        first = xs[0]
        for x in xs[1:]:
            if x[1:] != first[1:]:
                raise cannot_merge("concat", first, x, axes=MERGED_AXES[1:])
        return Shape(sum(x.c for x in xs), *first[1:])

    def torch(self, *xs: Shape) -> Layer:
        return Layer(f"torch.cat([{placeholders(len(xs))}], dim=1)")

    @classmethod
    def example(cls, draw: Draw) -> Example:
        """Maps that differ in channels only."""
        x = draw.shape()
        return cls(), tuple(x._replace(c=draw.integer(1, 6)) for _ in range(draw.integer(2, 4)))


@dataclass(frozen=True, kw_only=True)
class Add(Merge):
    """The sum of maps of one shape.  (c, t, h, w), (c, t, h, w) -> (c, t, h, w)"""

    shown = "in heads"

    def out(self, *xs: Shape) -> Shape:
        return common_shape("sum", xs)

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        return Keeps(passing=y.elements * (len(xs) > 2), gradient="same")

    def torch(self, *xs: Shape) -> Layer:
        return Layer(placeholders(len(xs), " + "))


@dataclass(frozen=True, kw_only=True)
class Average(Merge):
    """The mean of maps of one shape.  (c, t, h, w), (c, t, h, w) -> (c, t, h, w)"""

    def out(self, *xs: Shape) -> Shape:
        return common_shape("average", xs)

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """In backward one quotient is the gradient of all."""
        return Keeps(passing=y.elements, passing_back=y.elements, gradient="same")

    def torch(self, *xs: Shape) -> Layer:
        return Layer(f"({placeholders(len(xs), ' + ')}) / {len(xs)}")


@dataclass(frozen=True, kw_only=True)
class Mix(Merge):
    """`share` of the second map and the rest of the first.  (c, t, h, w), (c, t, h, w) -> (c, t, h, w)"""

    reads = 2
    share: Fraction = Fraction(1, 2)
    """Share of the second map, 0 to 1."""

    def out(self, *xs: Shape) -> Shape:
        require(0 < self.share < 1, "`share` out of range", got=self.share, want="a share between 0 and 1")
        return common_shape("mix", xs)

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        return Keeps(passing=2 * y.elements)

    def torch(self, *xs: Shape) -> Layer:
        return Layer(f"{float(1 - self.share)} * {{0}} + {float(self.share)} * {{1}}")


@dataclass(frozen=True, kw_only=True)
class LearntMix(Merge):
    """A learnt share of each channel of the second map and the rest of the first.  Two of (c, t, h, w, k) -> the same

    Shares are sigmoids of weights that start at 0: one half.
    """

    reads = 2

    def out(self, *xs: Shape) -> Shape:
        return common_shape("mix", xs)

    def weights(self, *xs: Shape) -> Weights:
        return {"weight": (xs[0].c,)}

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        return Keeps(reads=(0, 1), passing=2 * y.elements)

    def torch(self, *xs: Shape) -> Layer:
        args = (Argument("channels", xs[0].c),)
        return Layer("{m}({0}, {1})", "LearntMix", args, needs=runtime("gain", "LearntMix"))


@dataclass(frozen=True, kw_only=True)
class MeanJoin(Merge):
    """The mean of maps of one shape. In training each is left out with probability `drop`, never all (drop-path).

    (c, t, h, w), (c, t, h, w) -> (c, t, h, w)
    """

    joins_branches = True
    drop: float = 0.15
    """Probability in training that a map is left out."""

    def out(self, *xs: Shape) -> Shape:
        require(0 <= self.drop < 1, "`drop` out of range", got=self.drop, want="0 <= drop < 1")
        return common_shape("mean", xs)

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """All maps in one, and in training once more, weighted."""
        return Keeps(passing=((2 * len(xs) - 1) if training and self.drop else len(xs)) * y.elements)

    def torch(self, *xs: Shape) -> Layer:
        args = (Argument("drop", self.drop),)
        return Layer(f"{{m}}({placeholders(len(xs))})", "MeanJoin", args, needs=runtime("join", "MeanJoin"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        return cls(drop=draw.choice((0.0, 0.15, 0.5))), (draw.shape(),) * draw.integer(2, 4)


@dataclass(frozen=True, kw_only=True)
class Mul(Merge):
    """The product, an axis of size 1 stretched to the other.  (c, t, h, w), (c, 1, 1, 1) -> (c, t, h, w)"""

    call = "{0} * {1}"
    shown = "in heads"
    reads = 2

    def out(self, *xs: Shape) -> Shape:
        return stretched("product", *xs)

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """In backward a product is summed where an axis was stretched."""
        return Keeps(reads=(0, 1), passing_back=0 if xs[0] == xs[1] else y.elements)

    @classmethod
    def example(cls, draw: Draw) -> Example:
        return cls(), stretching(draw)


@dataclass(frozen=True, kw_only=True)
class StretchedAdd(Merge):
    """The sum, an axis of size 1 stretched to the other.  (c, t, h, w), (c, t, 1, 1) -> (c, t, h, w)"""

    kept = Keeps(gradient="same")
    call = "{0} + {1}"
    reads = 2

    def out(self, *xs: Shape) -> Shape:
        return stretched("sum", *xs)

    @classmethod
    def example(cls, draw: Draw) -> Example:
        return cls(), stretching(draw)


def common_shape(verb: str, xs: tuple[Shape, ...]) -> Shape:
    """The shape that all maps have."""
    for x in xs[1:]:
        if x != xs[0]:
            raise cannot_merge(verb, xs[0], x, axes=MERGED_AXES)
    return xs[0]


def stretched(verb: str, x: Shape, y: Shape) -> Shape:
    """The larger size along each axis, where the smaller is 1; beside tokens only a single position is stretched."""
    single, tokens = 1 in (x.positions, y.positions), x.extra or y.extra
    fixed = ("c",) if single else MERGED_AXES if tokens else MERGED_AXES[:4]
    free = "c" if tokens else "cthw"
    axes = [axis for axis in fixed if not (axis in free and 1 in (getattr(x, axis), getattr(y, axis)))]
    if any(getattr(x, axis) != getattr(y, axis) for axis in axes):
        raise cannot_merge(verb, x, y, axes=axes)
    larger = y if y.positions > x.positions else x
    return larger._replace(c=max(x.c, y.c)) if tokens else Shape(*map(max, x, y))


def stretching(draw: Draw) -> tuple[Shape, Shape]:
    """Two maps, some axes of the second being 1."""
    x = draw.shape()
    return x, Shape(*(draw.choice((1, n)) for n in x))


def cannot_merge(verb: str, x: Shape, y: Shape, *, axes: Iterable[str]) -> SpecError:
    """The error for two maps that cannot be merged, naming the axes in which they differ."""
    named = {"tokens" if axis == "extra" else axis: axis for axis in axes if getattr(x, axis) != getattr(y, axis)}
    sizes = [", ".join(f"{name}={getattr(shape, axis)}" for name, axis in named.items()) for shape in (x, y)]
    names = ", ".join(named)
    return SpecError(f"{verb} of maps that differ in {names}", got=f"{sizes[0]} and {sizes[1]}", want=f"equal {names}")
