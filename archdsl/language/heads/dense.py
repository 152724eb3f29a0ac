"""A head that classifies every pixel of every frame."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from archdsl import ops
from archdsl.errors import SpecError
from archdsl.graph import Builder
from archdsl.language.heads.base import Head
from archdsl.spec.scalars import Count


class Dense(Head):
    """What each pixel shows: a convolution, then linearly up to the clip's size.  end -> (classes, t, h, w)

    `act: softmax` gives chances, which are then enlarged as DeepLab's are; without it scores leave, or the two numbers
    of a flow.
    """

    classes: Count = Field(description="classes, or numbers said of each element")
    kernel: Count = Field(1, description="side of the convolution's window")
    bias: bool = Field(True, description="whether the convolution has a bias")
    enlarge: bool = Field(True, description="whether the map is enlarged; without it, it leaves as it is")
    predicts: Literal["classes", "flow"] = Field("classes", description="classes, or flow: x and y in pixels")
    act: Literal["none", "softmax"] = Field("none", description="activation before the map is enlarged")

    @property
    def task(self) -> str:
        return "segmentation" if self.predicts == "classes" else "flow"

    def build(self, g: Builder, ends: dict[str, str]) -> dict[str, str]:
        x, clip = the_end(ends), g.clips[0]
        window = (1, self.kernel, self.kernel)
        conv = ops.Conv(out_channels=self.classes, kernel=window, bias=self.bias, init="normal")
        x = g.add("classifier", conv, x)
        x = g.add("act", ops.Softmax(), x) if self.act == "softmax" else x
        return {"scores": g.add("scores", ops.ResizeTo(mode="trilinear", onto=True), x, clip) if self.enlarge else x}


def the_end(ends: dict[str, str]) -> str:
    """The end of the one pathway that is read."""
    if len(ends) != 1:
        raise SpecError(
            "a head that reads one pathway", got=", ".join(ends), want="one", fix=f"reads: [{next(iter(ends))}]"
        )
    return next(iter(ends.values()))
