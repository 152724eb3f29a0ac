"""Mamba's block, whose state runs along all positions (arXiv:2312.00752), here from both ends (arXiv:2403.06977)."""

from __future__ import annotations

from pydantic import Field

from archdsl import ops
from archdsl.blocks.base import Block, Norm, NormField
from archdsl.graph import UNKNOWN, Builder
from archdsl.spec.scalars import Count, Share


class Mamba(Block):
    """A gated scan along all positions, added to what it reads.  (c, t, h, w, k) -> (c, t, h, w, k)

    Tokens come first, then the map frame by frame in rows. A linear layer gives what is scanned, behind a depthwise
    convolution along the sequence, and a gate; a scan from the last position to the first has weights of its own.
    """

    states: Count = Field(16, description="numbers in the state of each channel")
    kernel: Count = Field(4, description="positions that the convolution sees")
    expand: Count = Field(2, description="channels that are scanned, in channels")
    rank: Count | None = Field(None, description="channels that steps are made of; by default a sixteenth, rounded up")
    both: bool = Field(True, description="whether a second scan runs from the last position to the first")
    norm: NormField = Field(Norm(kind="rms"), description="layer, rms, none, or a mapping with eps")
    drop_path: Share | None = Field(None, description="probability that it is dropped; see a pathway's drop_path")

    def summary(self, channels: int) -> tuple[str, ...]:
        return f"selective scan{' both ways' * self.both}, {self.expand * channels}", f"{self.states} states"

    def build(self, g: Builder, x: str) -> str:
        c = g.shape(x).c
        inner = self.expand * c
        both = g.add(
            "enter", ops.Linear(out_features=2 * inner, bias=False, init="trunc_normal"), self.norm.add(g, "norm", x)
        )
        y = g.add("scanned", ops.TakeChannels(start=0, count=inner), both)
        gate = g.add("gate", ops.Silu(), g.add("gating", ops.TakeChannels(start=inner, count=inner), both))
        ways = [self.way(g, name, y, self.rank or -(-c // 16)) for name in ("ahead", "back")[: 1 + self.both]]
        gated = [g.add(f"gated_{i}", ops.Mul(), way, gate) for i, way in enumerate(ways)]
        y = g.add("ways", ops.Add(), *gated) if self.both else gated[0]
        y = g.add("leave", ops.Linear(out_features=c, bias=False, init="default"), y)
        y = g.add("drop_path", ops.DropPath(p=self.drop_path), y) if self.drop_path is not None else y
        return g.add("sum", ops.Add(), x, y)

    def way(self, g: Builder, name: str, x: str, rank: int) -> str:
        """One direction: convolution, what the scan depends on, the scan. Steps start at about a hundredth."""
        y, n, reverse = UNKNOWN, self.states, name == "back"
        with g.inside(name, "Scan"):
            y = g.add("act", ops.Silu(), g.add("conv", ops.SequenceConv(kernel=self.kernel, reverse=reverse), x))
            terms = g.add("terms", ops.Linear(out_features=rank + 2 * n, bias=False, init="trunc_normal"), y)
            step = g.add("step", ops.TakeChannels(start=0, count=rank), terms)
            step = g.add("steps", ops.Linear(out_features=g.shape(x).c, init="default", bias_start=-4.6), step)
            entries = g.add("entries", ops.TakeChannels(start=rank, count=n), terms)
            exits = g.add("exits", ops.TakeChannels(start=rank + n, count=n), terms)
            y = g.add("scan", ops.SelectiveScan(reverse=reverse), y, step, entries, exits)
        return y
