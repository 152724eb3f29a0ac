"""A head that classifies every pixel of every frame."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from archdsl import ops
from archdsl.errors import SpecError
from archdsl.graph import Builder
from archdsl.language.heads.base import Head
from archdsl.ops.conv import Init
from archdsl.spec.scalars import Count, Whole


class Dense(Head):
    """What each pixel shows: a convolution, then linearly up to the clip's size.  end -> (classes, t, h, w)

    `act: softmax` gives chances, which are then enlarged as DeepLab's are; without it scores leave, or the two numbers
    of a flow. A pathway that ends in scores has `kernel: 0`; one that has enlarged them beyond the clip, `crop`.
    """

    classes: Count = Field(description="classes, or numbers said of each element")
    kernel: Whole = Field(1, description="side of the convolution's window; 0: none, the pathway ends in scores")
    bias: bool = Field(True, description="whether the convolution has a bias")
    init: Init = Field("normal", description="how the convolution's weights are drawn")
    enlarge: bool = Field(True, description="whether the map is enlarged; without it, it leaves as it is")
    crop: Whole | None = Field(
        None, description="instead of enlarged, cut to the clip's size: rows and columns left out before it"
    )
    predicts: Literal["classes", "flow"] = Field("classes", description="classes, or flow: x and y in pixels")
    act: Literal["none", "softmax"] = Field("none", description="activation before the map is enlarged")

    @property
    def task(self) -> str:
        return "segmentation" if self.predicts == "classes" else "flow"

    def build(self, g: Builder, ends: dict[str, str]) -> dict[str, str]:
        x, clip = self.classified(g, the_end(ends)), g.clips[0]
        x = g.add("act", ops.Softmax(), x) if self.act == "softmax" else x
        if self.crop is not None:
            return {"scores": g.add("scores", ops.CropTo(offset=self.crop), x, clip)}
        return {"scores": g.add("scores", ops.ResizeTo(mode="trilinear", onto=True), x, clip) if self.enlarge else x}

    def classified(self, g: Builder, x: str) -> str:
        """What is said of each element of the map."""
        if self.kernel:
            window = (1, self.kernel, self.kernel)
            return g.add(
                "classifier", ops.Conv(out_channels=self.classes, kernel=window, bias=self.bias, init=self.init), x
            )
        if g.shape(x).c != self.classes:
            got, want = f"{g.shape(x).c} channels", f"{self.classes}, one for each class"
            raise SpecError("a pathway that ends in another number of scores", got=got, want=want, fix="kernel: 1")
        return x


def the_end(ends: dict[str, str]) -> str:
    """The end of the one pathway that is read."""
    if len(ends) != 1:
        raise SpecError(
            "a head that reads one pathway", got=", ".join(ends), want="one", fix=f"reads: [{next(iter(ends))}]"
        )
    return next(iter(ends.values()))
