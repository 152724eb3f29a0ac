"""Channels chosen and put into another order. Nothing is computed."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

from archdsl.ops.autograd import COPIED, INDEX, NOTHING, RESHAPED, Keeps
from archdsl.ops.base import Op, require
from archdsl.ops.example import Draw, Example, integers
from archdsl.ops.layer import CONSTANTS, Argument, Layer, runtime
from archdsl.ops.shape import Shape


@dataclass(frozen=True, kw_only=True)
class ChannelMove(Op):
    """Moves channels, within each frame."""

    causality = "frame"
    kept = NOTHING
    passes_extra = True


@dataclass(frozen=True, kw_only=True)
class TakeChannels(ChannelMove):
    """A run of channels.  (c, t, h, w) -> (count, t, h, w)"""

    kept = RESHAPED
    passes_extra = True
    widths = ("start", "count")
    start: int
    """The first channel taken, from 0."""
    count: int
    """How many channels are taken."""

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(
            self.start >= 0 and self.count >= 1 and self.start + self.count <= x.c,
            "channels out of range",
            got=f"{self.count} from {self.start} on",
            want=f"some of {x.c}",
        )
        return Shape(self.count, *x[1:])

    def torch(self, *xs: Shape) -> Layer:
        return Layer(f"{{0}}[:, {self.start}:{self.start + self.count}]")

    @classmethod
    def example(cls, draw: Draw) -> Example:
        return cls(start=draw.integer(0, 3), count=draw.integer(1, 4)), (draw.shape(),)


@dataclass(frozen=True, kw_only=True)
class PickChannels(ChannelMove):
    """Single channels, in the order given.  (c, t, h, w) -> (number of channels, t, h, w)"""

    channels: tuple[int, ...]
    """Numbers of the channels taken, from 0, in the order of the result."""

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        there = self.channels and all(0 <= channel < x.c for channel in self.channels)
        require(bool(there), "channels out of range", got=list(self.channels), want=f"0 to {x.c - 1}")
        return Shape(len(self.channels), *x[1:])

    def buffers(self, *xs: Shape) -> int:
        return INDEX * len(self.channels)

    def torch(self, *xs: Shape) -> Layer:
        chosen = (Argument("numbers", self.channels),)
        return Layer("{m}({0})", "ChosenChannels", chosen, needs=CONSTANTS + runtime("chosen", "ChosenChannels"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        return cls(channels=integers(draw, 0, 2, count=draw.integer(1, 4))), (draw.shape(),)


@dataclass(frozen=True, kw_only=True)
class ChannelShuffle(ChannelMove):
    """The channels of several groups dealt out in turn: g0, g1, ..., g0, g1, ...  (c, t, h, w) -> (c, t, h, w)"""

    groups: int
    """Groups dealt out in turn; channels are a multiple of it."""

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(self.groups >= 1, "groups below 1", got=self.groups, want="at least 1")
        got, want = f"{x.c}, groups={self.groups}", f"a multiple of {self.groups}"
        fix = f"groups: {gcd(x.c, self.groups)}"
        require(x.c % self.groups == 0, "channels not divisible by groups", got=got, want=want, fix=fix)
        return x

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """Nothing moves in one group, nor in groups of one channel."""
        return RESHAPED if self.groups in (1, xs[0].c) else NOTHING

    def torch(self, *xs: Shape) -> Layer:
        return Layer(f"{{0}}.unflatten(1, ({self.groups}, -1)).transpose(1, 2).flatten(1, 2)")


@dataclass(frozen=True, kw_only=True)
class RepeatChannels(ChannelMove):
    """Every channel several times in a row.  (c, t, h, w) -> (c times, t, h, w)"""

    kept = COPIED
    times: int
    """How many times each channel stands in a row."""

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(self.times >= 1, "channel repeats below 1", got=self.times, want="at least 1")
        return x._replace(c=x.c * self.times)

    def torch(self, *xs: Shape) -> Layer:
        return Layer(f"{{0}}.repeat_interleave({self.times}, dim=1)")


@dataclass(frozen=True, kw_only=True)
class PadChannels(ChannelMove):
    """Channels of zeros behind the map's own.  (c, t, h, w) -> (channels, t, h, w)"""

    widths = ("channels",)
    channels: int
    """Channels of the result, zeros included."""

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(
            self.channels >= x.c,
            "padding to fewer channels than the map has",
            got=self.channels,
            want=f"at least {x.c}",
        )
        return x._replace(c=self.channels)

    def torch(self, *xs: Shape) -> Layer:
        return Layer(f"F.pad({{0}}, (0, 0, 0, 0, 0, 0, 0, {self.channels - xs[0].c}))")

    @classmethod
    def example(cls, draw: Draw) -> Example:
        return cls(channels=draw.integer(1, 9)), (draw.shape(),)
