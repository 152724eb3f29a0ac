"""Recurrence over time: LSTM and GRU, fully connected or convolutional."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from archdsl import ops
from archdsl.blocks.base import Block, Width
from archdsl.blocks.names import ClipName
from archdsl.errors import SpecError
from archdsl.graph import Builder
from archdsl.spec.scalars import Count


class Scanned(Block):
    """Fields of a recurrence over frames."""

    kernel: Count = Field(1, description="side of the kernel over the map and over the state, odd; 1: fully connected")
    reverse: bool = Field(False, description="from the last frame to the first")
    give: Literal["all", "last"] = Field("all", description="states after every step, or after the last alone")
    marks: ClipName | None = Field(
        None, description="the clip (1, t, 1, 1) whose numbers multiply the state before each step: 0 begins anew"
    )

    def scanned(self, g: Builder, scan: ops.Scan, terms: str) -> str:
        """The states that are given."""
        marks = [] if self.marks is None else [clip_named(g, self.marks)]
        y = g.add("scan", scan, terms, *marks)
        if self.give == "all":
            return y
        return g.add("last", ops.TakeEvery(step=g.shape(y).t) if self.reverse else ops.NewestFrame(), y)


class LstmScan(Scanned):
    """The part of an LSTM that reads its state; the map holds terms of i, f, g, o.  (4c, t, h, w) -> (c, t, h, w)"""

    bias: bool = Field(False, description="a bias beside that of the terms")

    def build(self, g: Builder, x: str) -> str:
        return self.scanned(g, ops.LstmScan(kernel=self.kernel, bias=self.bias, reverse=self.reverse), x)


class GruScan(Scanned):
    """The part of a GRU that reads its state; the map holds terms of r, z, n.  (3c, t, h, w) -> (c, t, h, w)"""

    bias: bool = Field(False, description="a bias beside that of the terms")
    reset: Literal["before", "after"] = Field(
        "before", description="r multiplies the state before its kernel (paper) or what that gives (torch)"
    )

    def build(self, g: Builder, x: str) -> str:
        scan = ops.GruScan(kernel=self.kernel, bias=self.bias, reverse=self.reverse, reset=self.reset)
        return self.scanned(g, scan, x)


class Recurrent(Scanned):
    """Fields of a recurrence that reads a map."""

    gates: ClassVar[int]

    hidden: Width = Field(description="channels of the state")
    biases: Literal[0, 1, 2] = Field(1, description="biases of each gate: none, one (Caffe), or two (torch)")

    def terms(self, g: Builder, x: str) -> str:
        """What every gate reads of the map, all frames at once."""
        conv = ops.Conv(
            out_channels=self.gates * self.hidden,
            kernel=(1, self.kernel, self.kernel),
            bias=self.biases > 0,
            init="default",
        )
        return g.add("terms", conv, x)


class Lstm(Recurrent):
    """A long short-term memory over frames, without peepholes.  (c, t, h, w) -> (hidden, t, h, w)

    At one position (h = w = 1) it is torch.nn.LSTM, at several it reads each by itself.
    """

    gates: ClassVar[int] = 4

    cell: bool = Field(False, description="whether cells are given instead of states")

    def build(self, g: Builder, x: str) -> str:
        scan = ops.LstmScan(kernel=self.kernel, bias=self.biases == 2, reverse=self.reverse, cell=self.cell)
        return self.scanned(g, scan, self.terms(g, x))


class ConvLstm(Lstm):
    """An LSTM whose gates are convolutions (arXiv:1506.04214), without peepholes.  (c, t, h, w) -> (hidden, t, h, w)"""

    kernel: Count = Field(3, description="side of the kernel over the map and over the state, odd")


class Gru(Recurrent):
    """A gated recurrent unit over frames.  (c, t, h, w) -> (hidden, t, h, w)

    An open update gate keeps the state, as torch.nn.GRU has it; papers that have it take the new one (GRU-RCN) negate
    the gate's weights.
    """

    gates: ClassVar[int] = 3

    reset: Literal["before", "after"] = Field(
        "before", description="r multiplies the state before its kernel (paper) or what that gives (torch)"
    )

    def build(self, g: Builder, x: str) -> str:
        scan = ops.GruScan(kernel=self.kernel, bias=self.biases == 2, reverse=self.reverse, reset=self.reset)
        return self.scanned(g, scan, self.terms(g, x))


class ConvGru(Gru):
    """A GRU whose gates are convolutions (arXiv:1511.06432).  (c, t, h, w) -> (hidden, t, h, w)"""

    kernel: Count = Field(3, description="side of the kernel over the map and over the state, odd")


def clip_named(g: Builder, name: str) -> str:
    """The address of a clip; SpecError where there is none of that name."""
    clips = g.clips
    if name not in clips:
        raise SpecError(
            f"no clip {name!r}",
            got=name,
            want=", ".join(clips),
            fix="a clip of modality features, size 1, 1 channel",
        )
    return name
