"""An op of one's own: a class with fields and answers, its torch in the same file. Here a selective scan over time."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archdsl import Arch, Clip, Pathway, Stage, ops
from archdsl.backend.runtime.stream import Held
from archdsl.blocks import Block, Conv
from archdsl.graph import Builder
from archdsl.language import Classifier
from archdsl.ops import Cost, Layer, Shape


class SelectiveScanLayer(Held):
    """h <- exp(-step a) h + step u b, y = h c over the frames; step, b and c are read off each frame."""

    def __init__(self, channels: int, states: int) -> None:
        super().__init__()
        self.states = states
        self.a = nn.Parameter(torch.arange(1.0, states + 1).log().repeat(channels, 1))
        self.select = nn.Linear(channels, channels + 2 * states)

    def forward(self, x: Tensor) -> Tensor:
        frames = x.movedim(1, -1).unbind(1)  # (n, h, w, c) each
        state = self.before[0] if self.before else frames[0].new_zeros(*frames[0].shape, self.states)
        given = []
        for frame in frames:
            step, b, c = self.select(frame).split([frame.shape[-1], self.states, self.states], dim=-1)
            step = F.softplus(step)[..., None]
            state = torch.exp(-step * self.a.exp()) * state + step * frame[..., None] * b[..., None, :]
            given.append((state * c[..., None, :]).sum(-1))
        if self.streaming:
            self.after = (state,)
        return torch.stack(given, dim=1).movedim(-1, 1)


@dataclass(frozen=True, kw_only=True)
class SelectiveScan(ops.Op):
    """A state space model over time whose steps the frames choose (arXiv:2312.00752).  (c, t, h, w) -> (c, t, h, w)"""

    stateful = True  # it sees the past only, and holds its state between the frames of a stream
    states: int = 8

    def weights(self, x: Shape) -> dict[str, tuple[int, ...]]:
        wide = x.c + 2 * self.states
        return {"a": (x.c, self.states), "select.weight": (wide, x.c), "select.bias": (wide,)}

    def cost(self, x: Shape) -> Cost:
        """The linear layer; of the scan three multiply-adds for each number of the state."""
        wide = x.c + 2 * self.states
        params = x.c * self.states + wide * (x.c + 1)
        scan = 3 * self.states * x.elements
        return Cost(params=params, linear_macs=wide * x.elements, matmul_macs=scan, activations=x.elements)

    def held(self, x: Shape) -> int:
        return self.states * x.c * x.h * x.w

    def torch(self, x: Shape) -> Layer:
        return Layer.of_module(SelectiveScanLayer, channels=x.c, states=self.states)


class Mixed(Block):
    """Frames mixed over time, beside a shortcut."""

    def build(self, g: Builder, x: str) -> str:
        return g.add("sum", ops.Add(), x, g.add("scan", SelectiveScan(states=4), x))


stem = Stage(Conv(channels=16, kernel=(1, 3, 3), stride=(1, 2, 2)))
arch = Arch(
    name="own_op",
    clip=Clip(frames=4, size=16, fps=15),
    pathways=dict(main=Pathway(stages=dict(stem=stem, mixed=Stage(Mixed())))),
    head=Classifier(classes=5),
    causal=True,
)
