"""Convolutions with the norm, the gate and the activation behind them, read off a series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from archdsl import ops
from archdsl.backend.migration.regions import ParallelPart, SeriesPart
from archdsl.blocks.base import ACTS, Norm
from archdsl.blocks.squeeze import SqueezeExcite
from archdsl.graph import Graph
from archdsl.ops import Op

NONE = Norm(kind="none")
ACT_WORDS = {op: word for word, op in ACTS.items() if op is not None}


@dataclass(frozen=True)
class ConvUnit:
    """A convolution and what follows it."""

    conv: ops.Conv
    channels_in: int
    norm: Norm = NONE
    gate: SqueezeExcite | None = None
    """Between norm and activation."""
    act: str = "none"
    late_gate: SqueezeExcite | None = None
    """Behind the activation."""

    @property
    def point(self) -> bool:
        """Whether it sees each position alone."""
        return self.conv.kernel == (1, 1, 1)

    @property
    def groups(self) -> int | str:
        """Its groups as blocks write them."""
        deep = self.channels_in == self.conv.groups == self.conv.out_channels > 1
        return "depthwise" if deep else self.conv.groups

    @property
    def bias(self) -> bool | None:
        """Its bias as blocks write it: None where it is as the norm has it."""
        return None if self.conv.bias == (self.norm.kind == "none") else self.conv.bias


class UnitReader:
    """Reads units of a graph whose batch norms have this momentum."""

    def __init__(self, graph: Graph, momentum: float | None) -> None:
        self.graph, self.momentum = graph, momentum

    def op(self, part: SeriesPart | None) -> Op | None:
        """The op of a part that is one."""
        return self.graph.nodes[part].op if isinstance(part, str) else None

    def unit(self, parts: Sequence[SeriesPart]) -> tuple[ConvUnit | None, int]:
        """(the unit that parts begin with, how many of them it has)."""
        x = self.graph.shapes[self.graph.nodes[parts[0]].reads[0]] if isinstance(parts[0], str) else None
        conv = self.as_conv(self.op(parts[0]))
        if conv is None or x is None:
            return None, 0
        rest = list(parts[1:])
        norm, n = self.norm(rest)
        gate, m = self.gate(rest[n:])
        act, k = self.act(rest[n + m :])
        late, j = (None, 0) if gate else self.gate(rest[n + k :])
        return ConvUnit(conv, x.c, norm or NONE, gate, act, late), 1 + n + m + k + j

    def units(self, parts: Sequence[SeriesPart]) -> list[ConvUnit] | None:
        """Parts that are units, all of them; else None."""
        found: list[ConvUnit] = []
        at = 0
        while at < len(parts):
            unit, count = self.unit(parts[at:])
            if unit is None:
                return None
            found.append(unit)
            at += count
        return found

    def as_conv(self, op: Op | None) -> ops.Conv | None:
        """A convolution, or a linear layer as one."""
        if isinstance(op, ops.Linear):
            return ops.Conv(out_channels=op.out_features, kernel=(1, 1, 1), bias=op.bias)
        return op if isinstance(op, ops.Conv) else None

    def norm(self, parts: Sequence[SeriesPart]) -> tuple[Norm | None, int]:
        """(the norm that parts begin with, 1), or (None, 0)."""
        op = self.op(parts[0]) if parts else None
        if isinstance(op, ops.BatchNorm):
            known: dict[str, Any] = {} if self.momentum is None else {"momentum": self.momentum}
            return Norm(kind="batch", eps=op.eps, shift=op.affine, scale=op.scale, **known), 1
        if isinstance(op, ops.GroupNorm) and op.affine:
            return Norm(kind="group", eps=op.eps, groups=op.groups), 1
        if isinstance(op, ops.LayerNorm) and op.affine:
            return Norm(kind="layer", eps=op.eps), 1
        return None, 0

    def act(self, parts: Sequence[SeriesPart]) -> tuple[str, int]:
        """(the activation that parts begin with, 1), or ("none", 0)."""
        word = ACT_WORDS.get(op) if parts and (op := self.op(parts[0])) else None
        return (word, 1) if word else ("none", 0)

    def gate(self, parts: Sequence[SeriesPart]) -> tuple[SqueezeExcite | None, int]:
        """(the squeeze and excitation that parts begin with, 1), or (None, 0)."""
        part = parts[0] if parts else None
        if not isinstance(part, ParallelPart) or not isinstance(self.graph.nodes[part.join].op, ops.Mul):
            return None, 0
        longer = max(part.branches, key=len)
        if min(map(len, part.branches)) or len(longer) < 4 or not isinstance(longer[0], str):
            return None, 0
        mean, layers = self.graph.nodes[longer[0]], self.units(longer[1:])
        if not isinstance(mean.op, ops.Mean | ops.AdaptiveAvgPool) or not layers or len(layers) != 2:
            return None, 0
        squeeze, excite = layers
        x, y = self.graph.shapes[mean.reads[0]], self.graph.shapes[longer[0]]
        over = "thw" if y.positions == 1 else "hw"
        ratio = Fraction(squeeze.conv.out_channels, x.c)
        return SqueezeExcite(ratio=ratio, over=over, act=squeeze.act, gate=excite.act), 1
