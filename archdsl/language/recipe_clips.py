"""Which frames of a video make a clip, what is done to them in training, and which views are tested."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from archdsl.written import Count, Positive, Real, Whole, Written


class Sampling(Written):
    """Which frames of a video make a clip. How many comes from the arch.

    `dense` takes frames `every` apart around one place, at random in training. `segments` takes one frame, at random
    in training, of each of as many equal parts (TSN, arXiv:1608.00859). `centre` is dense around a given time (AVA).
    """

    kind: Literal["dense", "segments", "centre"] = Field("dense", description="dense, segments or centre")
    every: Count = Field(1, description="source frames between two frames of a dense clip")
    fps: Positive | None = Field(None, description="frame rate that a video is brought to before `every` counts")
    snippet: Count = Field(1, description="of segments: frames in a row that are taken of each part")


class Jitter(Written):
    """The short side is drawn from a range, then a square is cut at random (arXiv:1409.1556)."""

    short_side: tuple[Count, Count] = Field((256, 320), description="smallest and largest short side, in pixels")
    inverse: bool = Field(False, description="whether 1 / short side is drawn evenly, as in arXiv:1711.07971")


class Corners(Written):
    """One of four corners or the centre, at one of several scales of the short side (TSN's corner crop)."""

    scales: tuple[Positive, ...] = Field((1.0, 0.875, 0.75, 0.66), min_length=1, description="shares of the short side")
    apart: Whole = Field(1, description="how many places of the list height and width may differ by")


class Resized(Written):
    """A rectangle of a drawn area and aspect, resized (Inception crop)."""

    area: tuple[Positive, Positive] = Field((0.08, 1.0), description="shares of the frame's area")
    aspect: tuple[Positive, Positive] = Field((0.75, 1.3333333333333333), description="width over height")


class Augment(Written):
    """What is done to a clip in training, to all its frames alike."""

    crop: Jitter | Corners | Resized = Field(Jitter(), description="jitter, corners or resized")
    flip: Annotated[Real, Field(ge=0, le=1)] = Field(0.5, description="chance of a mirror image; flow's x changes sign")
    colour: Annotated[Real, Field(ge=0)] = Field(0.0, description="strength of brightness, contrast, saturation")
    rand_augment: Whole = Field(0, description="operations of RandAugment (arXiv:1909.13719)")
    magnitude: Annotated[Real, Field(ge=0, le=10)] = Field(7.0, description="of RandAugment, from 0 to 10")
    erasing: Annotated[Real, Field(ge=0, le=1)] = Field(0.0, description="chance of a rectangle of noise")
    mixup: Annotated[Real, Field(ge=0)] = Field(0.0, description="alpha of the Beta distribution; 0 for none")
    cutmix: Annotated[Real, Field(ge=0)] = Field(0.0, description="alpha of the Beta distribution; 0 for none")


class Views(Written):
    """Which views of a video are tested; their scores are averaged."""

    clips: Count = Field(1, description="clips along the video, evenly spread")
    crops: Literal[1, 3, 5, 10] = Field(
        1, description="1 centre; 3 along the long side; 5 corners and centre; 10 flipped too"
    )
    short_side: Count | None = Field(None, description="of the resized frame; by default 256/224 of the crop")
    scores: Literal["softmax", "logits", "sigmoid"] = Field("softmax", description="what is averaged")


class Values(Written):
    """How pixels become the network's numbers: value / 255, minus mean, over std."""

    mean: tuple[Real, ...] = Field((0.45, 0.45, 0.45), description="of each channel")
    std: tuple[Positive, ...] = Field((0.225, 0.225, 0.225), description="of each channel")
