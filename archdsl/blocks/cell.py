"""A cell of a searched network: a small graph over the outputs of the two cells before (NASNet, arXiv:1707.07012)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from archdsl import ops
from archdsl.blocks.base import Block, Norm, NormField, Width
from archdsl.errors import SpecError
from archdsl.graph import Builder
from archdsl.spec.scalars import Count

CellStep = Literal["same", "max_3", "average_3", "separable_3", "separable_5", "separable_7"]
Pair = tuple[CellStep, str, CellStep, str]


class Cell(Block):
    """Pairs of steps whose results are added; some of the sums, put together, leave.

    A step reads `now`, the cell before after a 1x1x1 convolution to `channels`; `before`, the cell before that; or an
    earlier sum by its number. `before` is carried in the map's last `channels` channels, where an edge put it (see the
    transform `fit`); without `carried` it is the map itself. A stride is taken by the steps that read now and before.
    """

    channels: Width = Field(description="channels of every sum")
    pairs: tuple[Pair, ...] = Field(min_length=1, description="[step, what it reads, step, what it reads] for each sum")
    leave: tuple[str, ...] = Field(min_length=1, description="what leaves, put together: sums by number, now, before")
    stride: Count = Field(1, description="spatial stride of the steps that read now and before")
    carried: bool = Field(True, description="whether the map carries the output of the cell before the one before")
    norm: NormField = Field(Norm(), description="batch, group, layer, none, or a mapping with eps and momentum")

    @model_validator(mode="after")
    def _reads_known(self) -> Cell:
        known = ["now", "before"]
        for i, (_, left, _, right) in enumerate(self.pairs):
            for name in (left, right):
                if name not in known:
                    raise SpecError(
                        f"pair {i} reads unknown {name!r}", at=f"pairs.{i}", got=name, want=", ".join(known)
                    )
            known.append(str(i))
        for name in self.leave:
            if name not in known:
                raise SpecError(f"unknown output {name!r}", at="leave", got=name, want=", ".join(known))
        return self

    def build(self, g: Builder, x: str) -> str:
        now, before = x, x
        if self.carried:
            c = g.shape(x).c - self.channels
            now = g.add("take_now", ops.TakeChannels(start=0, count=c), x)
            before = g.add("take_before", ops.TakeChannels(start=c, count=self.channels), x)
        now = self.pointwise(g, "now", g.add("relu_now", ops.Relu(), now))
        made = {"now": now, "before": before}
        for i, (left, reads, right, also) in enumerate(self.pairs):
            a = self.step(g, f"left_{i}", left, made[reads], self.stride_of(reads))
            b = self.step(g, f"right_{i}", right, made[also], self.stride_of(also))
            made[str(i)] = g.add(f"sum_{i}", ops.Add(), a, b)
        ends = [made[name] for name in self.leave]
        return ends[0] if len(ends) == 1 else g.add("join", ops.Concat(), *ends)

    def stride_of(self, name: str) -> int:
        """The stride of a step, by what it reads."""
        return self.stride if name in ("now", "before") else 1

    def pointwise(self, g: Builder, name: str, x: str) -> str:
        """A 1x1x1 convolution to the cell's width, with norm."""
        conv = ops.Conv(out_channels=self.channels, kernel=(1, 1, 1), bias=self.norm.kind == "none")
        return self.norm.add(g, f"norm_{name}", g.add(f"conv_{name}", conv, x))

    def step(self, g: Builder, name: str, step: CellStep, x: str, stride: int) -> str:
        """One step, its padding TensorFlow's SAME."""
        if step == "same":
            return x
        kind, side = step.split("_")
        if kind == "separable":
            return self.separable(g, name, int(side), x, stride)
        window = dict(kernel=(1, int(side), int(side)), stride=(1, stride, stride))
        if kind == "max":
            return g.add(name, ops.MaxPool(**window, pad="tf_same"), x)  # type: ignore[arg-type]
        return g.add(name, ops.AvgPool(**window, pad="tf_same", count_pad=False), x)  # type: ignore[arg-type]

    def separable(self, g: Builder, name: str, side: int, x: str, stride: int) -> str:
        """Twice: ReLU, a kernel for each channel, a 1x1x1 convolution, norm. The first kernel strides."""
        for i, s in enumerate((stride, 1)):
            x = g.add(f"{name}_relu{i}", ops.Relu(), x)
            c = g.shape(x).c
            deep = ops.Conv(out_channels=c, kernel=(1, side, side), stride=(1, s, s), pad="tf_same", groups=c)
            x = self.pointwise(g, f"{name}_{i}", g.add(f"{name}_deep{i}", deep, x))
        return x
