"""Channels chosen and put into another order. Nothing is computed."""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.ops.base import Op, Shape, require


@dataclass(frozen=True, kw_only=True)
class TakeChannels(Op):
    """A run of channels.  (c, t, h, w) -> (count, t, h, w)"""

    start: int
    count: int

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(
            self.start >= 0 and self.count >= 1 and self.start + self.count <= x.c,
            "channels that are not there",
            got=f"{self.count} from {self.start} on",
            want=f"some of {x.c}",
        )
        return Shape(self.count, *x[1:])


@dataclass(frozen=True, kw_only=True)
class PickChannels(Op):
    """Single channels, in the order given.  (c, t, h, w) -> (number of channels, t, h, w)"""

    channels: tuple[int, ...]

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        there = self.channels and all(0 <= channel < x.c for channel in self.channels)
        require(bool(there), "channels that are not there", got=list(self.channels), want=f"0 to {x.c - 1}")
        return Shape(len(self.channels), *x[1:])


@dataclass(frozen=True, kw_only=True)
class ChannelShuffle(Op):
    """The channels of several groups dealt out in turn: g0, g1, ..., g0, g1, ...  (c, t, h, w) -> (c, t, h, w)"""

    groups: int

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(self.groups >= 1, "no groups", got=self.groups, want="at least 1")
        got = f"{x.c}, groups={self.groups}"
        require(x.c % self.groups == 0, "channels that do not fall into groups", got=got, want="no rest")
        return x


@dataclass(frozen=True, kw_only=True)
class RepeatChannels(Op):
    """Every channel several times in a row.  (c, t, h, w) -> (c times, t, h, w)"""

    times: int

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(self.times >= 1, "channels repeated less than once", got=self.times, want="at least 1")
        return x._replace(c=x.c * self.times)


@dataclass(frozen=True, kw_only=True)
class PadChannels(Op):
    """Channels of zeros behind the map's own.  (c, t, h, w) -> (channels, t, h, w)"""

    channels: int

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(self.channels >= x.c, "fewer channels than there are", got=self.channels, want=f"at least {x.c}")
        return x._replace(c=self.channels)
