"""Heads of networks that are trained by hiding most of what they see: what stands in the hidden parts."""

from __future__ import annotations

from math import prod
from typing import Literal

from pydantic import Field

from archdsl import ops
from archdsl.blocks.base import Norm, NormField
from archdsl.blocks.masks import masked_rows
from archdsl.graph import Builder
from archdsl.language.clip import CHANNELS
from archdsl.language.heads.base import Head
from archdsl.language.heads.dense import the_end
from archdsl.spec.scalars import Count, Sizes


def predicted(
    g: Builder, ends: dict[str, str], norm: Norm, channels: int, init: Literal["trunc_normal", "xavier"]
) -> str:
    """Norm and linear layer of the mask tokens of the one pathway that is read."""
    x = norm.add(g, "norm", masked_rows(g, the_end(ends)))
    return g.add("classifier", ops.Linear(out_features=channels, init=init), x)


class MaskedPixels(Head):
    """The pixels of each hidden patch (arXiv:2203.12602).  end -> (3 kt kh kw, t, n h, w)

    Of a patch its frames, rows and columns in turn, each pixel red, green, blue. A patch of fewer frames than its
    element spans shows the first of these.
    """

    patch: Sizes = Field((2, 16, 16), description="patch (t, h, w)")
    norm: NormField = Field(Norm(kind="layer", eps=1e-6), description="layer, rms, none, or a mapping with eps")

    @property
    def task(self) -> str:
        return "masked_pixels"

    def build(self, g: Builder, ends: dict[str, str]) -> dict[str, str]:
        return {"pixels": predicted(g, ends, self.norm, CHANNELS["rgb"] * prod(self.patch), "xavier")}


class MaskedFeatures(Head):
    """The features of each hidden part (arXiv:2506.09985).  end -> (channels, t, n h, w)"""

    channels: Count = Field(description="channels of the features")
    norm: NormField = Field(Norm(kind="layer", eps=1e-6), description="layer, rms, none, or a mapping with eps")

    @property
    def task(self) -> str:
        return "masked_features"

    def build(self, g: Builder, ends: dict[str, str]) -> dict[str, str]:
        return {"features": predicted(g, ends, self.norm, self.channels, "trunc_normal")}
