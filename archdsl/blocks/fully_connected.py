"""Fully connected layers, and what stands around them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from archdsl import ops
from archdsl.blocks.base import Act, Block, Width, add_act
from archdsl.graph import Builder
from archdsl.spec.scalars import Real


class Flatten(Block):
    """All elements as channels, ordered c, t, h, w.  (c, t, h, w) -> (c t h w, 1, 1, 1)"""

    def build(self, g: Builder, x: str) -> str:
        return g.add("flatten", ops.Flatten(), x)


class FlattenSpace(Block):
    """The elements of each frame as channels, ordered c, h, w.  (c, t, h, w) -> (c h w, t, 1, 1)"""

    def build(self, g: Builder, x: str) -> str:
        return g.add("flatten", ops.FlattenSpace(), x)


class Linear(Block):
    """A fully connected layer at every position, and its activation.  (c, t, h, w) -> (channels, t, h, w)"""

    channels: Width = Field(description="output channels")
    bias: bool = Field(True, description="whether there is a bias")
    act: Act = Field("relu", description="activation, or none")
    init: Literal["normal", "trunc_normal", "xavier", "default"] = Field(
        "normal",
        description="normal: N(0, 0.01^2); trunc_normal: N(0, 0.02^2), cut off; xavier: by the widths before and "
        "behind; default: torch's",
    )

    def build(self, g: Builder, x: str) -> str:
        linear = ops.Linear(out_features=self.channels, bias=self.bias, init=self.init)
        return add_act(g, "act", self.act, g.add("linear", linear, x))


class Dropout(Block):
    """Drops elements in training, the rest scaled up.  (c, t, h, w) -> (c, t, h, w)"""

    p: Annotated[Real, Field(ge=0, lt=1)] = Field(0.5, description="share of elements dropped")

    def build(self, g: Builder, x: str) -> str:
        return g.add("dropout", ops.Dropout(p=self.p), x)
