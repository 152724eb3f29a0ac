"""Maps of joints, (c, t, joints, persons): what passes along the bones of a skeleton."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from archdsl.errors import SpecError
from archdsl.ops.autograd import Keeps
from archdsl.ops.base import Cost, Op, require
from archdsl.ops.example import Draw, Example
from archdsl.ops.grid import Grid
from archdsl.ops.layer import CONSTANTS, Argument, Layer, Weights, runtime
from archdsl.ops.norm import Norm
from archdsl.ops.shape import Shape

Partition = Literal["distance", "direction"]
NEIGHBOUR_KINDS = 3
"""Parts that the neighbours of a joint fall into."""


def parted(x: Shape) -> int:
    """Channels of each of the three parts."""
    require(x.c % NEIGHBOUR_KINDS == 0, "channels that make no three parts", got=x.c, want="a multiple of 3")
    return x.c // NEIGHBOUR_KINDS


@dataclass(frozen=True, kw_only=True)
class GraphMix(Op):
    """Each joint a sum over its neighbours, of three kinds with channels of their own.  (3 c, t, v, m) -> (c, t, v, m)

    `distance` has itself, neighbours as far from the centre or farther, and nearer ones (ST-GCN, arXiv:1801.07455,
    section 3.4); `direction` itself, those that bones lead to, and those they come from. Means start as averages.
    """

    causality = "frame"
    autocast = "half"
    bones: tuple[tuple[int, int], ...]
    """Pairs of joints, that nearer to the centre second."""
    centre: int = 0
    """The joint that distances are counted from."""
    partition: Partition = "distance"
    """What the three kinds of neighbours are."""
    learnt: Literal["mask", "matrix"] = "mask"
    """Whether a mask of the means is learnt, which starts at 1, or the means themselves."""

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        most = max((max(bone) for bone in (*self.bones, (self.centre,))), default=0)
        require(most < x.h, "bones of joints that the map does not have", got=f"joint {most}", want=f"0 to {x.h - 1}")
        return x._replace(c=parted(x))

    def weights(self, *xs: Shape) -> Weights:
        return {"weight": (NEIGHBOUR_KINDS, xs[0].h, xs[0].h)}

    def buffers(self, *xs: Shape) -> int:
        return 4 * NEIGHBOUR_KINDS * xs[0].h ** 2 * (self.learnt == "mask")

    def cost(self, *xs: Shape) -> Cost:
        return super().cost(*xs)._replace(matmul_macs=xs[0].elements * xs[0].h)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return joints_seen(xs[0], grids[0])

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        return Keeps(own=xs[0].elements)

    def label(self, x: Shape, y: Shape) -> str:
        return f"graph {self.partition}"

    def row(self, x: Shape | None = None) -> str:
        return f"graph mix, {self.partition}, learnt {self.learnt}"

    def torch(self, *xs: Shape) -> Layer:
        args = (
            Argument("joints", xs[0].h),
            Argument("bones", self.bones),
            Argument("centre", self.centre),
            Argument("partition", self.partition),
            Argument("learnt", self.learnt),
        )
        names = ("bones_matrix", "by_distance", "by_direction", "GraphMix")
        return Layer("{m}({0})", "GraphMix", args, needs=CONSTANTS + runtime("skeleton", *names))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        x = draw.shape()
        x = x._replace(c=3 * x.c, h=draw.integer(3, 5))
        bones = draw.choice((((1, 0),), ((1, 0), (2, 1))))
        kinds: tuple[Partition, ...] = ("distance", "direction")
        learnt: tuple[Literal["mask", "matrix"], ...] = ("mask", "matrix")
        return cls(bones=bones, centre=draw.integer(0, 2), partition=draw.choice(kinds), learnt=draw.choice(learnt)), (
            x,
        )


@dataclass(frozen=True, kw_only=True)
class ChannelGraphMix(Op):
    """Each joint a sum over all, in each channel by relations of its own (CTR-GCN, arXiv:2107.12213, section 3.3).

    (3 c, t, v, m), relations (3 c, v, v, m) -> (c, t, v, m): y_u = sum over v of (a R_uv + A_uv) x_v, over three
    parts; A and a are learnt and start as the means by `direction` and as 0.
    """

    reads = 2
    autocast = "half"
    bones: tuple[tuple[int, int], ...]
    """Pairs of joints, that nearer to the centre second."""

    def out(self, *xs: Shape) -> Shape:
        x, relations = xs
        want = (x.c, x.h, x.h, x.w)
        require(tuple(relations) == want, "relations that are not those of the joints", got=relations, want=want)
        return x._replace(c=parted(x))

    def weights(self, *xs: Shape) -> Weights:
        return {"weight": (NEIGHBOUR_KINDS, xs[0].h, xs[0].h), "alpha": (1,)}

    def cost(self, *xs: Shape) -> Cost:
        return super().cost(*xs)._replace(matmul_macs=xs[0].elements * xs[0].h)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return joints_seen(xs[0], super().place(xs, grids))

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        return Keeps(reads=(0, 1), own=xs[1].elements, passing=xs[0].elements)

    def torch(self, *xs: Shape) -> Layer:
        args = (Argument("joints", xs[0].h), Argument("bones", self.bones))
        names = ("bones_matrix", "by_direction", "ChannelGraphMix")
        return Layer("{m}({0}, {1})", "ChannelGraphMix", args, needs=runtime("skeleton", *names))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        x = draw.shape(c=3)
        x = x._replace(c=3 * x.c, h=draw.integer(3, 5))
        return cls(bones=draw.choice((((1, 0),), ((1, 0), (2, 1))))), (x, Shape(x.c, x.h, x.h, x.w))


@dataclass(frozen=True, kw_only=True)
class AdaptiveGraphMix(Op):
    """Each joint three sums over all, by learnt means and by likeness (2s-AGCN, arXiv:1805.07694, section 4.1).

    x (c, t, v, m), one (3 e, t, v, m), other (3 e, t, v, m) -> (3 c, t, v, m): part k is x (A + a tanh(one^T other /
    e t)), with that part of both, whose products sum over e and t. A starts as the means by `direction`, a as 0.
    """

    reads = 3
    autocast = "half"
    bones: tuple[tuple[int, int], ...]
    """Pairs of joints, that nearer to the centre second."""

    def out(self, *xs: Shape) -> Shape:
        x, one, other = xs
        parted(one)
        require(one == other, "joints that are compared with others", got=f"{one} and {other}", want="equal shapes")
        require(one[1:] == x[1:], "joints of other maps", got=f"{x} and {one}", want="equal t, h, w")
        return x._replace(c=NEIGHBOUR_KINDS * x.c)

    def weights(self, *xs: Shape) -> Weights:
        return {"weight": (NEIGHBOUR_KINDS, xs[0].h, xs[0].h), "alpha": (1,)}

    def cost(self, *xs: Shape) -> Cost:
        x, one, _ = xs
        return super().cost(*xs)._replace(matmul_macs=(NEIGHBOUR_KINDS * x.elements + one.elements) * x.h)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        """What joints are like is of all the time there is."""
        return joints_seen(xs[0], super().place(xs, grids))

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """What it reads by persons, likenesses and means."""
        x, one, _ = xs
        likeness = NEIGHBOUR_KINDS * x.h * x.h * x.w
        return Keeps(own=x.elements + 2 * one.elements + 2 * likeness, passing=y.elements, passing_back=y.elements)

    def torch(self, *xs: Shape) -> Layer:
        args = (Argument("joints", xs[0].h), Argument("bones", self.bones))
        names = ("bones_matrix", "by_direction", "AdaptiveGraphMix")
        return Layer("{m}({0}, {1}, {2})", "AdaptiveGraphMix", args, needs=runtime("skeleton", *names))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        x = draw.shape(c=3)
        x = x._replace(h=draw.integer(3, 5))
        one = x._replace(c=NEIGHBOUR_KINDS * draw.integer(1, 3))
        return cls(bones=draw.choice((((1, 0),), ((1, 0), (2, 1))))), (x, one, one)


@dataclass(frozen=True, kw_only=True)
class JointDifference(Op):
    """Every joint of the first map minus every joint of the second.  (c, 1, v, m), (c, 1, v, m) -> (c, v, v, m)"""

    reads = 2
    call = "{0}.transpose(2, 3) - {1}"

    def out(self, *xs: Shape) -> Shape:
        x, other = xs
        require(x == other and x.t == 1, "not joints of one time", got=f"{x} and {other}", want="equal, t = 1")
        return x._replace(t=x.h)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return grids[0]._replace(t=grids[0].h)

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """In backward the gradient with its sign changed, before it is summed over the first map's joints."""
        return Keeps(passing_back=y.elements if xs[0].h > 1 else 0)

    def causal(self, *xs: Shape) -> tuple[Op, ...]:
        raise SpecError("relations of joints over all of a clip", got="a causal network", want="ops of each frame")

    @classmethod
    def example(cls, draw: Draw) -> Example:
        x = draw.shape()._replace(t=1)
        return cls(), (x, x)


@dataclass(frozen=True, kw_only=True)
class JointNorm(Norm):
    """Each channel of each joint to mean 0, variance 1 over batch, time and persons.  (c, t, v, m) -> (c, t, v, m)

    With `persons` each of them has a scale and a shift of its own. fvcore counts 2 per element in eval mode.
    """

    causality = "frame"
    batch_statistics = True
    persons: bool = False
    """Whether persons are told apart."""

    def features(self, x: Shape) -> int:
        """How many numbers are normalised apart."""
        return x.c * x.h * (x.w if self.persons else 1)

    def cost(self, *xs: Shape) -> Cost:
        n = xs[0].elements
        return Cost(params=2 * self.features(xs[0]), norm_elements=n, fvcore_extra=2 * n, activations=n)

    def weights(self, *xs: Shape) -> Weights:
        return {"weight": (self.features(xs[0]),), "bias": (self.features(xs[0]),)}

    def buffers(self, *xs: Shape) -> int:
        return 8 * self.features(xs[0]) + 8

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        return Keeps(own=y.elements)

    def torch(self, *xs: Shape) -> Layer:
        args = (Argument("num_features", self.features(xs[0])),)
        call = f"{{m}}({{0}}, {self.persons})"
        return Layer(call, "JointNorm", args, needs=runtime("skeleton", "JointNorm"))


def joints_seen(x: Shape, grid: Grid) -> Grid:
    """The place of a map each of whose joints sees all others."""
    h = grid.h
    return grid._replace(h=h._replace(span=h.span + h.step * (x.h - 1)))
