"""Maps as tokens: patches, positions, learnt tokens beside them, and what is taken from them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from archdsl import ops
from archdsl.blocks.base import Block, Norm, NormField, Pad, Width
from archdsl.blocks.masks import add_positions
from archdsl.errors import SpecError
from archdsl.graph import Builder
from archdsl.ops.positions import TableAxes
from archdsl.spec.scalars import Count, Real, Sizes, Spread, Whole


class Patches(Block):
    """Windows side by side, each one element: patches, tubelets.  (c, t, h, w) -> (channels, t / kt, h / kh, w / kw)

    With a `stride` below the kernel they overlap.
    """

    channels: Width = Field(description="output channels")
    kernel: Sizes = Field((1, 16, 16), description="patch (t, h, w)")
    stride: Sizes | None = Field(None, description="stride (t, h, w); by default the kernel")
    pad: Pad = Field("valid", description="valid, same (floor-symmetric), tf_same, or numbers per axis")
    bias: bool = Field(True, description="whether there is a bias")
    norm: NormField = Field(Norm(kind="none"), description="none, layer, or a mapping with eps")

    def build(self, g: Builder, x: str) -> str:
        stride, size = self.stride or self.kernel, g.shape(x)[1:4]
        odd = [axis for axis, n, k in zip("thw", size, self.kernel) if n % k]
        if odd and stride == self.kernel and self.pad == "valid":
            got, want = " x ".join(map(str, size)), f"multiples of {' x '.join(map(str, self.kernel))}"
            raise SpecError(f"patches that do not fill the map along {', '.join(odd)}", got=got, want=want)
        conv = ops.Conv(
            out_channels=self.channels,
            kernel=self.kernel,
            stride=stride,
            pad=self.pad,
            bias=self.bias,
            init="default",
        )
        return self.norm.add(g, "norm", g.add("conv", conv, x))


class ClassToken(Block):
    """Learnt tokens in front of all there is: a class token, registers.  (c, t, h, w, k) -> (c, t, h, w, k + count)"""

    count: Count = Field(1, description="how many")
    std: Spread = Field(0.02, description="standard deviation at the start; 0 for zeros")

    def build(self, g: Builder, x: str) -> str:
        return g.add("token", ops.LearntTokens(count=self.count, std=self.std), x)


class Queries(Block):
    """Learnt tokens without a map, as wide as what it reads.  (c, t, h, w) -> (c, count tokens)"""

    count: Count = Field(1, description="how many")
    std: Spread = Field(0.02, description="standard deviation at the start; 0 for zeros")

    def build(self, g: Builder, x: str) -> str:
        return g.add("queries", ops.Queries(count=self.count, std=self.std), x)


def several(value: Any) -> Any:
    """One word stands for a list of one."""
    return (value,) if isinstance(value, str) else value


Tables = Annotated[
    tuple[TableAxes, ...], BeforeValidator(several, json_schema_input_type=TableAxes | tuple[TableAxes, ...])
]


class Positions(Block):
    """Learnt tables added to the map, each over some of its axes.  (c, t, h, w, k) -> (c, t, h, w, k)

    The first has entries for the tokens that stand beside the map here, too: write it behind `class_token` for these.
    """

    over: Tables = Field(("thw",), min_length=1, description="axes of each table: thw, or several such as [hw, t]")
    tokens: bool = Field(True, description="whether tokens beside the map have entries in the first table")
    std: Spread = Field(0.02, description="standard deviation at the start; 0 for zeros")
    entries: Count | None = Field(
        None, description="of a single table that is longer than the map, whose first are used; by default as the map"
    )

    def build(self, g: Builder, x: str) -> str:
        op = ops.Positions(over=self.over, tokens=self.tokens, std=self.std, entries=self.entries)
        return add_positions(g, op, x)


class SinePositions(Block):
    """Fixed sines and cosines of positions added to the map (arXiv:1706.03762).  (c, t, h, w, k) -> (c, t, h, w, k)

    VideoMAE's count along all axes at once, `over: thw`; MAE's are `over: [w, h], halves: true`.
    """

    over: Tables = Field(
        ("thw",), min_length=1, description="axes that positions are counted along: thw, or several such as [t, h, w]"
    )
    shares: tuple[Count, ...] = Field((), description="shares of the channels for each; by default equal")
    halves: bool = Field(False, description="whether all sines stand before all cosines")
    counted: bool = Field(False, description="whether the table is a parameter that is not trained, else a buffer")

    def build(self, g: Builder, x: str) -> str:
        op = ops.SinePositions(over=self.over, shares=self.shares, halves=self.halves, counted=self.counted)
        return add_positions(g, op, x)


class TakeMap(Block):
    """The map without the tokens beside it.  (c, t, h, w, k) -> (c, t, h, w)"""

    def build(self, g: Builder, x: str) -> str:
        return g.add("map", ops.TakeMap(), x)


class TakeToken(Block):
    """One of the tokens beside a map, as what stands for the clip.  (c, t, h, w, k) -> (c, 1, 1, 1)"""

    index: Whole = Field(0, description="which one")

    def build(self, g: Builder, x: str) -> str:
        return g.add("token", ops.TakeToken(index=self.index), x)


class FrameRows(Block):
    """Each frame a row with tokens of its own in front: copies of those beside the map.  -> (c, t, k + h w, 1)"""

    def build(self, g: Builder, x: str) -> str:
        return g.add("rows", ops.FrameRows(), x)


class FrameToken(Block):
    """One token of each frame's row.  (c, t, k + h w, 1) -> (c, t, 1, 1)"""

    index: Whole = Field(0, description="which one")

    def build(self, g: Builder, x: str) -> str:
        return g.add("token", ops.FrameToken(index=self.index), x)


class FrameClassToken(Block):
    """Learnt tokens in front of each frame's row, other ones for each frame.  (c, t, r, 1) -> (c, t, count + r, 1)"""

    count: Count = Field(1, description="how many for each")
    std: Spread = Field(0.02, description="standard deviation at the start; 0 for zeros")

    def build(self, g: Builder, x: str) -> str:
        return g.add("token", ops.LearntFrameTokens(count=self.count, std=self.std), x)


class FramesToRows(Block):
    """The rows of neighbouring frames as those of one frame.  (c, factor t, h, w) -> (c, t, factor h, w)"""

    factor: Count = Field(description="frames that become one")

    def build(self, g: Builder, x: str) -> str:
        return g.add("group", ops.FramesToRows(factor=self.factor), x)


class RowsToFrames(Block):
    """The way back: rows of each frame as those of several.  (c, t, factor h, w) -> (c, factor t, h, w)"""

    factor: Count = Field(description="frames that each becomes")

    def build(self, g: Builder, x: str) -> str:
        return g.add("part", ops.RowsToFrames(factor=self.factor), x)


class TakeRows(Block):
    """Tokens of each frame's row, by default those behind the first.  (c, t, r, 1) -> (c, t, count, 1)

    With a `height` they are a map.
    """

    start: Whole = Field(1, description="the first that is taken")
    count: Count | None = Field(None, description="how many; by default all that follow")
    height: Count | None = Field(None, description="height of the map that they fill; by default they stay a row")

    def build(self, g: Builder, x: str) -> str:
        x = g.add("rows", ops.TakeRows(start=self.start, count=self.count), x)
        return g.add("map", ops.RowsToMap(height=self.height), x) if self.height else x


class LayerNorm(Block):
    """The channels of each position to mean 0, variance 1.  (c, t, h, w, k) -> (c, t, h, w, k)"""

    eps: Annotated[Real, Field(gt=0)] = Field(1e-6, description="added to the variance")

    def build(self, g: Builder, x: str) -> str:
        return g.add("norm", ops.LayerNorm(eps=self.eps), x)
