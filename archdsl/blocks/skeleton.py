"""Blocks over joints of persons, (c, t, joints, persons): graphs of a skeleton in space, kernels in time."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from archdsl import ops
from archdsl.blocks.base import Block, Width
from archdsl.errors import SpecError
from archdsl.graph import Builder, Joints
from archdsl.ops.skeleton import NEIGHBOUR_KINDS
from archdsl.spec.scalars import Count

LIKENESS_CHANNELS = 4
"""Of 2s-AGCN: joints are compared in as many channels as the block has over this."""
RELATION_CHANNELS = 8
"""Of CTR-GCN: a relation has as many channels as the map over this, and of coordinates this many."""


def joints_of(g: Builder, x: str) -> Joints:
    """The joints of the skeleton clip that a map is made from. Raises SpecError where it is made from another."""
    clip = g.source_of(x)
    if clip not in g.skeletons:
        what, want = "joints of what is no skeleton", "a map made from a skeleton clip"
        raise SpecError(what, got=f"made from clip {clip}", want=want, fix="modality: skeleton")
    return g.skeletons[clip]


class JointNorm(Block):
    """Each channel of each joint normalised over batch, time and persons.  (c, t, v, m) -> (c, t, v, m)"""

    persons: bool = Field(False, description="whether persons are told apart")

    def build(self, g: Builder, x: str) -> str:
        joints_of(g, x)
        return g.add("norm", ops.JointNorm(persons=self.persons), x)


class GraphBlock(Block):
    """A graph convolution over joints, then kernels in time, around a shortcut.  (c, t, v, m) -> (channels, t', v, m)

    `masked` is ST-GCN's graph (arXiv:1801.07455), by distance to the centre; `learnt` that of ST-GCN++
    (arXiv:2205.09443); `adaptive` that of 2s-AGCN, by how alike joints are (arXiv:1805.07694); `channels` CTR-GCN's,
    in each channel by differences between joints (arXiv:2107.12213).
    """

    first_only = ("stride_t",)

    channels: Width = Field(description="output channels")
    stride_t: Count = Field(1, description="stride in time")
    graph: Literal["masked", "learnt", "adaptive", "channels"] = Field(
        "masked", description="masked, learnt, adaptive or channels"
    )
    kernel_t: Count = Field(9, description="kernel in time")
    dilations: tuple[Count, ...] = Field(
        (),
        description="of kernels in time side by side, with a max pool and a point; by default one kernel",
    )
    mixed: bool = Field(False, description="whether a norm and a pointwise convolution follow those side by side")
    shortcut: bool = Field(True, description="whether there is a shortcut around the whole")

    def summary(self, channels: int) -> tuple[str, ...]:
        kernels = (
            f"{self.kernel_t}×1² and {len(self.dilations) + 1} beside it" if self.dilations else f"{self.kernel_t}×1²"
        )
        return f"graph, {self.graph}, {self.channels}", f"{kernels}, {self.channels}"

    def build(self, g: Builder, x: str) -> str:
        joints = joints_of(g, x)
        y = self.space(g, joints, x)
        y = self.time(g, y)
        if self.shortcut:
            changed = g.shape(x).c != self.channels or self.stride_t > 1
            strided = ops.Conv(out_channels=self.channels, kernel=(1, 1, 1), stride=(self.stride_t, 1, 1), bias=True)
            x = g.add("shortcut_norm", ops.BatchNorm(), g.add("shortcut", strided, x)) if changed else x
            y = g.add("sum", ops.Add(), y, x)
        return g.add("act", ops.Relu(), y)

    def point(self, g: Builder, name: str, x: str, channels: int, groups: int = 1) -> str:
        """A pointwise convolution with a bias."""
        return g.add(name, ops.Conv(out_channels=channels, kernel=(1, 1, 1), groups=groups, bias=True), x)

    def space(self, g: Builder, joints: Joints, x: str) -> str:
        """The graph convolution, its norm, its own shortcut but for `masked`, and an activation."""
        if self.graph == "adaptive":
            y = self.adaptive(g, joints, x)
        else:
            y = self.point(g, "parts", x, NEIGHBOUR_KINDS * self.channels)
        if self.graph == "channels":
            y = g.add("graph", ops.ChannelGraphMix(bones=joints.bones), y, self.relations(g, x))
        elif self.graph == "masked":
            y = g.add("graph", ops.GraphMix(bones=joints.bones, centre=joints.centre), y)
        elif self.graph == "learnt":
            y = g.add("graph", ops.GraphMix(bones=joints.bones, partition="direction", learnt="matrix"), y)
        y = g.add("graph_norm", ops.BatchNorm(zero_init=self.graph in ("adaptive", "channels")), y)
        if self.graph != "masked":
            same = g.shape(x).c == self.channels
            down = x if same else g.add("down_norm", ops.BatchNorm(), self.point(g, "down", x, self.channels))
            y = g.add("graph_sum", ops.Add(), y, down)
        return g.add("graph_act", ops.Relu(), y)

    def adaptive(self, g: Builder, joints: Joints, x: str) -> str:
        """2s-AGCN's three parts, each mixed and then convolved, and their sum."""
        inner = NEIGHBOUR_KINDS * max(self.channels // LIKENESS_CHANNELS, 1)
        reads = (x, *(self.point(g, name, x, inner) for name in ("one", "other")))
        y = g.add("graph", ops.AdaptiveGraphMix(bones=joints.bones), *reads)
        y = self.point(g, "parts", y, NEIGHBOUR_KINDS * self.channels, groups=NEIGHBOUR_KINDS)
        starts = [i * self.channels for i in range(NEIGHBOUR_KINDS)]
        parts = [g.add(f"part{i}", ops.TakeChannels(start=n, count=self.channels), y) for i, n in enumerate(starts)]
        return g.add("parts_sum", ops.Add(), *parts)

    def relations(self, g: Builder, x: str) -> str:
        """CTR-GCN's relations of every two joints: differences of means over time.  -> (3 channels, v, v, m)"""
        c = g.shape(x).c
        inner = NEIGHBOUR_KINDS * (max(c // RELATION_CHANNELS, 1) if c > 9 else RELATION_CHANNELS)
        ends = [g.add(f"{name}_mean", ops.Mean(over="t"), self.point(g, name, x, inner)) for name in ("one", "other")]
        y = g.add("relation_act", ops.Tanh(), g.add("difference", ops.JointDifference(), *ends))
        return self.point(g, "relation", y, NEIGHBOUR_KINDS * self.channels, groups=NEIGHBOUR_KINDS)

    def time(self, g: Builder, x: str) -> str:
        """One kernel in time, or several side by side."""
        if not self.dilations:
            return g.add("time_norm", ops.BatchNorm(), self.kernel(g, "time", x, self.channels, self.kernel_t, 1))
        count = len(self.dilations) + 2
        width = self.channels // count
        if not width:
            got = f"{self.channels} channels, {count} branches"
            raise SpecError("fewer channels than branches in time", got=got, want=f"at least {count}")
        first = self.channels - width * (count - 1)
        ends = [
            self.branch(g, f"time{i + 1}", x, first if i == 0 else width, dilation)
            for i, dilation in enumerate((*self.dilations, None))
        ]
        ends.append(self.ended(g, "point", self.kernel(g, "point", x, width, 1, 1)))
        y = g.add("join", ops.Concat(), *ends)
        if not self.mixed:
            return y
        y = g.add("join_act", ops.Relu(), g.add("join_norm", ops.BatchNorm(), y))
        return g.add("mix_norm", ops.BatchNorm(), self.point(g, "mix", y, self.channels))

    def kernel(self, g: Builder, name: str, x: str, channels: int, size: int, dilation: int) -> str:
        """A convolution over time."""
        conv = ops.Conv(
            out_channels=channels,
            kernel=(size, 1, 1),
            stride=(self.stride_t, 1, 1),
            dilation=(dilation, 1, 1),
            bias=True,
        )
        return g.add(name, conv, x)

    def branch(self, g: Builder, name: str, x: str, width: int, dilation: int | None) -> str:
        """To few channels, then a kernel in time; a max pool where there is no dilation."""
        y = g.add(f"{name}_reduce_norm", ops.BatchNorm(), self.point(g, f"{name}_reduce", x, width))
        y = g.add(f"{name}_act", ops.Relu(), y)
        if dilation is None:
            y = g.add(name, ops.MaxPool(kernel=(3, 1, 1), stride=(self.stride_t, 1, 1)), y)
        else:
            y = self.kernel(g, name, y, width, self.kernel_t, dilation)
        return self.ended(g, name, y)

    def ended(self, g: Builder, name: str, y: str) -> str:
        """The norm at the end of a branch, unless one follows the join."""
        return y if self.mixed else g.add(f"{name}_norm", ops.BatchNorm(), y)
