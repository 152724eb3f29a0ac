"""One input of a network."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field

from archdsl.errors import SpecError
from archdsl.language.skeleton import SkeletonField
from archdsl.ops import UNIT, Axis, Grid, Shape
from archdsl.spec.base import Written
from archdsl.spec.budget import LARGEST_AXIS, MOST_FRAMES
from archdsl.spec.scalars import Count, Ratio

CHANNELS = {"rgb": 3, "gray": 1, "flow": 2, "rgb_diff": 3, "audio": 1, "boxes": 4, "heatmaps": 17}
CHANNELS |= {"text": 1, "mask": 1, "skeleton": 3}
FLAT = {"audio": "height: 1", "boxes": "size: 1", "features": "size: 1", "text": "size: 1"}
"""How the size of what is no picture is written."""
Extent = Annotated[Count, Field(le=LARGEST_AXIS)]
CLIP_VOCABULARY = 49408
"""Ids of CLIP's tokens (arXiv:2103.00020); the largest of them ends a text."""
Modality = Literal[
    "rgb", "gray", "flow", "rgb_diff", "heatmaps", "audio", "boxes", "features", "text", "mask", "skeleton"
]


class Clip(Written):
    """A clip as the user hands it over: (n, channels, frames, height, width).

    `frames` counts raw frames, before a pathway chooses among them.
    """

    modality: Modality = Field(
        "rgb",
        description="rgb, gray, flow (x, y), rgb_diff, heatmaps (one per joint), audio (time, 1, bands), "
        "boxes or features (t, 1, 1), text (ids of tokens, texts, 1), mask (an element for each part of a map), "
        "or skeleton (t, joints, persons)",
    )
    frames: Count = Field(le=MOST_FRAMES, description="raw frames")
    size: Extent | None = Field(None, description="height and width in pixels, where they are equal")
    height: Extent | None = Field(None, description="height in pixels")
    width: Extent | None = Field(None, description="width in pixels")
    channels: Extent | None = Field(None, description="channels; by default those of the modality")
    vocabulary: Count | None = Field(None, description="of text: ids of tokens that there are; by default CLIP's")
    skeleton: SkeletonField | None = Field(
        None, description="of skeleton: coco, openpose, ntu, or a mapping of joints, bones and centre"
    )
    persons: Extent | None = Field(None, description="of skeleton: how many persons; by default 1")
    pixel: Annotated[Ratio, Field(gt=0)] = Field(
        Fraction(1), description="side of its pixels in those of the other clips, where all show one scene"
    )
    fps: Annotated[Ratio, Field(gt=0)] | None = Field(
        None, description="frames per second, so that tables can speak of seconds"
    )

    def model_post_init(self, context: object, /) -> None:
        self._check_skeleton()
        wrong = (self.size is None) == (self.height is None) or (self.height is None) != (self.width is None)
        if wrong and self.modality != "skeleton":
            got = ", ".join(f"{k}={v}" for k in ("size", "height", "width") if (v := getattr(self, k)) is not None)
            raise SpecError(
                "clip size missing, incomplete or given twice",
                got=got or "neither",
                want="size, or height and width together",
                fix=FLAT.get(self.modality),
            )
        if self.modality == "features" and self.channels is None:
            raise SpecError("features without channels", got="no channels", want="channels: how many there are")
        if self.modality == "text" and self.channels not in (None, 1):
            got, fix = f"channels: {self.channels}", "channels: 1"
            raise SpecError("a text of several ids at each place", at="channels", got=got, want="one", fix=fix)
        if self.vocabulary and self.modality != "text":
            got, fix = f"modality: {self.modality}", "modality: text"
            raise SpecError("`vocabulary` of what is no text", at="vocabulary", got=got, want="modality: text", fix=fix)

    def _check_skeleton(self) -> None:
        """A skeleton has joints and persons in place of a height and a width."""
        if self.modality == "skeleton":
            if self.skeleton is None:
                want = "skeleton: coco, openpose, ntu, or {joints: 3, bones: [[1, 0], [2, 0]]}"
                raise SpecError("a skeleton clip without a skeleton", got="no skeleton", want=want)
            if given := [name for name in ("size", "height", "width") if getattr(self, name) is not None]:
                got, want = f"{given[0]}: {getattr(self, given[0])}", f"{self.skeleton.joints} joints, as skeleton says"
                raise SpecError("a skeleton clip with a size", at=given[0], got=got, want=want, fix=f"no {given[0]}")
        elif self.skeleton or self.persons:
            name = "skeleton" if self.skeleton else "persons"
            got, fix = f"modality: {self.modality}", "modality: skeleton"
            raise SpecError(f"`{name}` of what is no skeleton", at=name, got=got, want="modality: skeleton", fix=fix)

    def varies(self, axis: str) -> bool:
        """Whether other frames or another size of a network mean this clip: sound, boxes, texts and masks do not."""
        return self.modality not in ("audio", "boxes", "text", "mask") and (
            self.modality not in ("features", "skeleton") or axis == "frames"
        )

    @property
    def ids(self) -> int:
        """How many ids of tokens there are; 0 where it is no text."""
        return (self.vocabulary or CLIP_VOCABULARY) if self.modality == "text" else 0

    @property
    def shape(self) -> Shape:
        """(c, t, h, w)"""
        if self.skeleton:
            return Shape(self.channels or CHANNELS["skeleton"], self.frames, self.skeleton.joints, self.persons or 1)
        return Shape(
            self.channels or CHANNELS[self.modality],
            self.frames,
            self.height or self.size or 0,
            self.width or self.size or 0,
        )

    @property
    def grid(self) -> Grid:
        """Every frame and pixel, at its own place."""
        side = Axis(self.pixel, (self.pixel - 1) / 2, self.pixel) if self.pixel != 1 else UNIT
        return Grid(UNIT, side, side, 1 / self.fps if self.fps else Fraction(0))
