"""A head that tells where along time actions start and end, and which they are."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated

from pydantic import Field

from archdsl import ops
from archdsl.blocks.base import add_block
from archdsl.blocks.tower import SegmentTower
from archdsl.graph import Builder
from archdsl.language.heads.base import Head
from archdsl.spec.scalars import Count, Distinct, Ratio, Real


class SegmentDetector(Head):
    """Proposals along time, then their classes and ends (TAL-Net, arXiv:1804.07667): Faster R-CNN on a line.

    ends -> anchors (4 k, t), proposals (2, top), scores (classes + 1, top), ends (2 classes, top)

    Every pathway has a tower for each of the k `scales`; a position's four channels for one are scores of nothing and
    of an action, shift of the middle and growth of the length. They choose the proposals (see ops.SegmentProposals).
    Of each the largest elements of `bins` parts are taken, `extend` lengths on both sides too, and two layers read
    them. Scores are logits, 0 that of no action; `ends` are shift and growth again, for each class. Several pathways
    are fused late: their logits and shifts are averaged, before the proposals are chosen and after they are read.
    """

    classes: Count = Field(description="classes, without that of no action")
    scales: Annotated[tuple[Count, ...], Distinct] = Field(
        min_length=1, description="lengths of segments, in elements of the pathways' map"
    )
    channels: Count = Field(256, description="channels of the towers")
    context: bool = Field(False, description="towers that see half a segment more on both sides")
    top: Count = Field(300, description="proposals kept")
    overlap: Annotated[Real, Field(gt=0, le=1)] = Field(0.7, description="overlap at which a proposal is a double")
    bins: Count = Field(7, description="parts of each proposal")
    extend: Annotated[Ratio, Field(ge=0)] = Field(
        Fraction(1, 2), description="lengths read before and behind a proposal"
    )
    hidden: tuple[Count, ...] = Field((1024, 1024), description="widths of the layers that read a proposal")
    dropout: Annotated[Real, Field(ge=0, lt=1)] = Field(0.0, description="share of features dropped in training")

    @property
    def task(self) -> str:
        return "localisation"

    def build(self, g: Builder, ends: dict[str, str]) -> dict[str, str]:
        lines = {name: self.line(g, name, x) for name, x in ends.items()}
        anchors = self.fused(g, "anchors", [self.towers(g, name, x) for name, x in lines.items()])
        chosen = g.add(
            "proposals", ops.SegmentProposals(scales=self.scales, top=self.top, overlap=self.overlap), anchors
        )
        read = [self.second(g, name, x, chosen) for name, x in lines.items()]
        found = {"anchors": anchors, "proposals": chosen}
        found |= {key: self.fused(g, key, [one[key] for one in read]) for key in ("scores", "ends")}
        return {name: g.add(f"{name}_out", ops.Series(), x) for name, x in found.items()}

    def line(self, g: Builder, name: str, x: str) -> str:
        """A pathway's end without space: its mean over height and width."""
        flat = g.shape(x).h == g.shape(x).w == 1
        return x if flat else g.add(f"pool_{name}", ops.AdaptiveAvgPool(size=(0, 1, 1)), x)

    def towers(self, g: Builder, name: str, x: str) -> str:
        """What one pathway says of every segment: (c, t, 1, 1) -> (4 k, t, 1, 1)."""
        said = []
        four = ops.Conv(out_channels=4, kernel=(1, 1, 1), bias=True, init="normal")
        with g.inside(f"towers_{name}", "SegmentTowers", written=self.written):
            for scale in self.scales:
                tower = SegmentTower(scale=scale, channels=self.channels, context=self.context)
                y = add_block(g, f"scale_{scale}", tower, x)
                said.append(g.add(f"anchor_{scale}", four, y))
            y = said[0] if len(said) == 1 else g.add("join", ops.Concat(), *said)
        return y

    def second(self, g: Builder, name: str, x: str, proposals: str) -> dict[str, str]:
        """What one pathway says of every proposal."""
        with g.inside(f"second_{name}", "SegmentReader", written=self.written):
            x = g.add("pool", ops.SoiPool(bins=self.bins, extend=Fraction(self.extend)), x, proposals)
            x = g.add("flat", ops.FlattenSpace(), x)
            for i, width in enumerate(self.hidden):
                x = g.add(f"relu_{i}", ops.Relu(), g.add(f"hidden_{i}", ops.Linear(out_features=width), x))
            x = g.add("dropout", ops.Dropout(p=self.dropout), x) if self.dropout else x
            widths = {"scores": self.classes + 1, "ends": 2 * self.classes}
            read = {key: g.add(key, ops.Linear(out_features=width), x) for key, width in widths.items()}
        return read

    def fused(self, g: Builder, name: str, said: list[str]) -> str:
        """The mean of what pathways say."""
        return said[0] if len(said) == 1 else g.add(name, ops.Average(), *said)
