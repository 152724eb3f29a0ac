"""One input of a network."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field

from archdsl.errors import SpecError
from archdsl.ops import UNIT, Grid, Shape
from archdsl.spec.base import Written
from archdsl.spec.budget import LARGEST_AXIS, MOST_FRAMES
from archdsl.spec.scalars import Count, Ratio

CHANNELS = {"rgb": 3, "gray": 1, "flow": 2, "rgb_diff": 3, "audio": 1, "boxes": 4, "heatmaps": 17}
FLAT = {"audio": "height: 1", "boxes": "size: 1", "features": "size: 1"}
"""How the size of what is no picture is written."""
Extent = Annotated[Count, Field(le=LARGEST_AXIS)]
Modality = Literal["rgb", "gray", "flow", "rgb_diff", "heatmaps", "audio", "boxes", "features"]


class Clip(Written):
    """A clip as the user hands it over: (n, channels, frames, height, width).

    `frames` counts raw frames, before a pathway chooses among them.
    """

    modality: Modality = Field(
        "rgb",
        description="rgb, gray, flow (x, y), rgb_diff, heatmaps (one per joint), audio (time, 1, bands), "
        "boxes or features (t, 1, 1)",
    )
    frames: Count = Field(le=MOST_FRAMES, description="raw frames")
    size: Extent | None = Field(None, description="height and width in pixels, where they are equal")
    height: Extent | None = Field(None, description="height in pixels")
    width: Extent | None = Field(None, description="width in pixels")
    channels: Extent | None = Field(None, description="channels; by default those of the modality")
    fps: Annotated[Ratio, Field(gt=0)] | None = Field(
        None, description="frames per second, so that tables can speak of seconds"
    )

    def model_post_init(self, context: object, /) -> None:
        if (self.size is None) == (self.height is None) or (self.height is None) != (self.width is None):
            got = ", ".join(f"{k}={v}" for k in ("size", "height", "width") if (v := getattr(self, k)) is not None)
            raise SpecError(
                "clip size missing, incomplete or given twice",
                got=got or "neither",
                want="size, or height and width together",
                fix=FLAT.get(self.modality),
            )
        if self.modality == "features" and self.channels is None:
            raise SpecError("features without channels", got="no channels", want="channels: how many there are")

    @property
    def shape(self) -> Shape:
        """(c, t, h, w)"""
        return Shape(
            self.channels or CHANNELS[self.modality],
            self.frames,
            self.height or self.size or 0,
            self.width or self.size or 0,
        )

    @property
    def grid(self) -> Grid:
        """Every frame and pixel, at its own place."""
        return Grid(UNIT, UNIT, UNIT, 1 / self.fps if self.fps else Fraction(0))
