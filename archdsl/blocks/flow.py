"""Representation flow (arXiv:1810.01455): what moves between frames, seen in features instead of pixels."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from archdsl import ops
from archdsl.blocks.base import POINT, SQUARE, Block, Norm, NormField, Width
from archdsl.errors import SpecError
from archdsl.graph import Builder
from archdsl.ops.flow import LEARNT, Learnt
from archdsl.spec.scalars import Count


class FlowBlock(Block):
    """Fields of a flow layer on few channels."""

    inner: Width = Field(32, description="channels whose flow is sought")
    iterations: Count = Field(10, description="iterations of TV-L1")
    kernels: Literal["channel", "dense"] = Field(
        "channel",
        description="channel: each is an image by itself (paper); dense: kernels sum over all (authors' code)",
    )
    gradient: Literal["central", "sobel"] = Field("central", description="kernels of the image's gradient")
    learn: tuple[Learnt, ...] = Field(LEARNT, description="what is learnt: gradient, divergence, theta, lambda, tau")
    normalise: Literal["clip", "batch"] = Field("clip", description="what is stretched to 0..255: a clip or the batch")
    norm: NormField = Field(Norm(), description="batch, group, layer, none, or a mapping with eps and momentum")

    def flow(self, g: Builder, name: str, x: str, frames: Literal["shrink", "repeat"] = "shrink") -> str:
        """Squeezed channels, and their flow."""
        y = g.add(f"{name}_squeeze", ops.Conv(out_channels=self.inner, kernel=POINT), x)
        layer = ops.TvL1Flow(
            iterations=self.iterations,
            kernels=self.kernels,
            gradient=self.gradient,
            learn=self.learn,
            frames=frames,
            normalise=self.normalise,
        )
        return g.add(name, layer, y)


class RepresentationFlow(FlowBlock):
    """Squeeze, TV-L1 flow, expand, norm; added to the map, ReLU.  (c, t, h, w) -> (c, t - 1, h, w)

    A flow lies between two frames. `frames: shrink` leaves one less, and `align` says what of the map it is added to:
    the first or the last of the two frames, or their mean. `frames: repeat` keeps t and needs no `align`.
    """

    frames: Literal["shrink", "repeat"] = Field("shrink", description="one frame less, or the last flow repeated")
    residual: bool = Field(True, description="whether the map is added to its flow")
    align: Literal["first", "last", "mean"] | None = Field(
        None, description="with shrink and residual: the frame of each pair that is added, first, last, or their mean"
    )
    zero_init: bool = Field(False, description="start the norm's scale at 0, so that the block begins as its shortcut")

    def build(self, g: Builder, x: str) -> str:
        shortcut = self.aligned(g, x)
        y = self.flow(g, "flow", x, self.frames)
        y = g.add("expand", ops.Conv(out_channels=g.shape(x).c, kernel=POINT, bias=self.norm.kind == "none"), y)
        y = self.norm.add(g, "norm", y, zero_init=self.zero_init)
        return g.add("act", ops.Relu(), g.add("sum", ops.Add(), y, shortcut) if shortcut else y)

    def aligned(self, g: Builder, x: str) -> str | None:
        """What of the map its flow is added to."""
        needed = self.residual and self.frames == "shrink"
        if needed and self.align is None:
            t = g.shape(x).t
            raise SpecError(
                "residual across a shortened time axis",
                got=f"{t} frames beside {t - 1} flows",
                want="align: first, last or mean",
                fix="align: first",
            )
        if self.align and not needed:
            got = f"align: {self.align}, frames: {self.frames}, residual: {str(self.residual).lower()}"
            raise SpecError("`align` without a shortened residual", got=got, want="no align")
        match self.align:
            case "first":
                return g.add("align", ops.DropFrames(back=1), x)
            case "last":
                return g.add("align", ops.DropFrames(front=1), x)
            case "mean":
                return g.add("align", ops.AvgPool(kernel=(2, 1, 1), pad="valid"), x)
            case _:
                return x if self.residual else None


class FlowConvFlow(FlowBlock):
    """The flow of a convolved flow, added to means of three frames, ReLU.  (c, t, h, w) -> (c, t - 2, h, w)

    Flow of flow alone breaks the brightness constancy that TV-L1 rests on; the convolution between mends it.
    """

    iterations: Count = Field(3, description="iterations of TV-L1, in each of the two layers")
    zero_init: bool = Field(True, description="start the norm's scale at 0, so that the block begins as its shortcut")

    def build(self, g: Builder, x: str) -> str:
        c = g.shape(x).c
        y = self.flow(g, "flow", x)
        y = g.add("middle", ops.Conv(out_channels=2 * self.inner, kernel=SQUARE), y)
        y = self.flow(g, "again", y)
        y = g.add("expand", ops.Conv(out_channels=c, kernel=SQUARE, bias=self.norm.kind == "none"), y)
        y = self.norm.add(g, "norm", y, zero_init=self.zero_init)
        shortcut = g.add("align", ops.AvgPool(kernel=(3, 1, 1), pad="valid"), x)
        return g.add("act", ops.Relu(), g.add("sum", ops.Add(), y, shortcut))
