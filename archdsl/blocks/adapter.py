"""Adapters: few weights that learn beside frozen ones (arXiv:1902.00751, arXiv:2206.13559, arXiv:2302.03024)."""

from __future__ import annotations

from math import isqrt

from pydantic import Field

from archdsl import ops
from archdsl.blocks.base import Act, Block, Width, add_act
from archdsl.errors import SpecError
from archdsl.graph import Builder
from archdsl.spec.scalars import Count, Positive, Sizes, Whole


class Adapter(Block):
    """A linear layer to few channels, a depthwise convolution or an activation, and one back, added to the map.

    (c, t, h, w, k) -> (c, t, h, w, k). It starts as what it reads: the convolution at 0, or else the last layer.
    """

    channels: Width = Field(description="channels between the two layers")
    act: Act = Field("gelu", description="activation between them, or none")
    kernel: Sizes | None = Field(None, description="depthwise kernel (t, h, w) between them; by default none")
    skip: bool = Field(True, description="whether what is read is added")
    scale: Positive = Field(1.0, description="what the result is multiplied by before that")
    tokens: Whole = Field(0, description="first tokens of each frame's row that pass unchanged")
    height: Count | None = Field(
        None, description="of a kernel over rows of tokens: height of the map they fill; by default it is square"
    )

    def build(self, g: Builder, x: str) -> str:
        rest = g.add("rest", ops.TakeRows(start=self.tokens), x) if self.tokens else x
        y = self.bottleneck(g, rest)
        y = g.add("scale", ops.Affine(scale=float(self.scale)), y) if self.scale != 1 else y
        y = g.add("sum", ops.Add(), rest, y) if self.skip else y
        if not self.tokens:
            return y
        return g.add("join", ops.JoinRows(), g.add("first", ops.TakeRows(count=self.tokens), x), y)

    def bottleneck(self, g: Builder, x: str) -> str:
        """Down, between, and up."""
        c, starts = g.shape(x).c, "trunc_normal" if self.kernel else "zeros"
        y = g.add("down", ops.Linear(out_features=self.channels, init="trunc_normal"), x)
        y = self.convolved(g, y) if self.kernel else y
        y = add_act(g, "act", self.act, y)
        return g.add("up", ops.Linear(out_features=c, init=starts), y)  # type: ignore[arg-type]

    def convolved(self, g: Builder, x: str) -> str:
        """The depthwise convolution; rows of tokens become a map where it looks along height or width."""
        kernel = self.kernel or (1, 1, 1)
        conv = ops.Conv(out_channels=self.channels, kernel=kernel, groups=self.channels, bias=True, init="zeros")
        tokens = g.shape(x).h
        if kernel[1:] == (1, 1) or g.shape(x).w > 1:
            return g.add("conv", conv, x)
        height = self.height or isqrt(tokens)
        if tokens % height or (self.height is None and height * height != tokens):
            what, got = "rows of tokens that fill no map", f"{tokens} tokens, height {self.height or 'not given'}"
            fits = next(n for n in range(isqrt(tokens), 0, -1) if tokens % n == 0)
            raise SpecError(what, got=got, want="a height that divides them", fix=f"height: {fits}")
        y = g.add("conv", conv, g.add("map", ops.RowsToMap(height=height), x))
        return g.add("rows", ops.FrameRows(), y)
