"""Sampling of frames, augmentation, normalisation, and the views of a test."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from archdsl.blocks.single_key import keyed, kinds_by_key, unkeyed
from archdsl.errors import SpecError
from archdsl.spec.base import Written, check_kind_reads
from archdsl.spec.scalars import Count, Positive, Real, Whole

Chance = Annotated[Real, Field(ge=0, le=1)]
ShortSide = Count | Literal["crop", "fit"] | None
SHORT_SIDE = (
    "of the resized frame; `crop` for the crop's own, by default 256/224 of it; `fit`: the whole frame, as large as "
    "fits, the rest the mean"
)


class Sampling(Written):
    """Which frames of a video make a clip. How many comes from the arch.

    `dense` takes frames `every` apart around one place, at random in training. `segments` takes a snippet, at random
    in training, of each of equal parts (TSN, arXiv:1608.00859): of as many as the arch's pathways read, or as the clip
    has frames. `centre` is dense around a given time (AVA).
    """

    kind: Literal["dense", "segments", "centre"] = Field("dense", description="dense, segments or centre")
    every: Count = Field(1, description="source frames between two frames of a dense clip")
    fps: Positive | None = Field(None, description="frame rate that a video is shown at before `every` counts")
    snippet: Count = Field(1, description="of segments: frames in a row of each part, where the arch has none")

    def model_post_init(self, context: object, /) -> None:
        check_kind_reads(self, dict(every=("dense", "centre"), snippet=("segments",)))


class Jitter(Written):
    """The frame is resized so that its short side has a drawn length, then the clip's size is cut at random.

    PySlowFast's random_short_side_scale_jitter and random_crop; arXiv:1409.1556 drew the short side first.
    """

    short_side: tuple[Count, Count] | None = Field(
        None, description="smallest and largest short side, in pixels; by default 256/224 and 320/224 of the crop"
    )
    inverse: bool = Field(False, description="whether 1 / short side is uniform, as in arXiv:1711.07971")

    def model_post_init(self, context: object, /) -> None:
        check_range("short_side", self.short_side, self.written)


class Corners(Written):
    """A corner or the centre, at drawn shares of the short side, resized (arXiv:1507.02159).

    TSN's GroupMultiScaleCrop; mmaction2's MultiScaleCrop calls `apart` max_wh_scale_gap, `places` num_fixed_crops.
    """

    scales: tuple[Annotated[Real, Field(gt=0, le=1)], ...] = Field(
        (1.0, 0.875, 0.75, 0.66), min_length=1, description="shares of the short side; height and width draw one each"
    )
    apart: Whole = Field(1, description="how many places of the list height and width may differ by")
    places: Literal[5, 13] = Field(
        5, description="5 corners and centre; 13 also halves of the sides and quarters, as TSN's and TSM's code"
    )


class Resized(Written):
    """A rectangle of a drawn area and aspect, resized: the Inception crop (arXiv:1409.4842; torchvision, mmaction2).

    The logarithm of the aspect is drawn evenly. Where ten draws do not fit, the largest rectangle in the middle.
    """

    area: tuple[Positive, Annotated[Real, Field(gt=0, le=1)]] = Field(
        (0.08, 1.0), description="smallest and largest share of the frame's area"
    )
    aspect: tuple[Positive, Positive] = Field((0.75, 1.3333333333333333), description="width over height")

    def model_post_init(self, context: object, /) -> None:
        check_range("area", self.area, self.written)
        check_range("aspect", self.aspect, self.written)


class Middle(Written):
    """The centre crop, as in a test of one crop: nothing is random."""

    short_side: ShortSide = Field(None, description=SHORT_SIDE)


def check_range(name: str, ends: tuple[float, float] | None, written: str | None) -> None:
    """Raises SpecError for a range whose ends are in the wrong order."""
    if ends and ends[0] > ends[1]:
        raise SpecError(
            "a range in descending order",
            at=name,
            written=written,
            got=f"[{ends[0]}, {ends[1]}]",
            want="the smaller number first",
            fix=f"{name}: [{ends[1]}, {ends[0]}]",
        )


CROPS = (Jitter, Corners, Resized, Middle)
CROPS_BY_KEY = kinds_by_key(CROPS)
Crop = Annotated[
    Jitter | Corners | Resized | Middle,
    BeforeValidator(lambda value: unkeyed(value, CROPS_BY_KEY, "crop")),
    PlainSerializer(lambda crop: keyed(crop, CROPS_BY_KEY, "crop")),
    WithJsonSchema({"x-archdsl": "Crop"}),
]


class Augment(Written):
    """Augmentation in training, equal for all frames of a clip."""

    crop: Crop = Field(Jitter(), description="jitter, corners, resized or middle")
    flip: Chance = Field(0.5, description="probability of a mirror image; flow's x changes sign")
    colour: Annotated[Real, Field(ge=0, le=1)] = Field(
        0.0, description="brightness, contrast and saturation times 1 - colour to 1 + colour, in random order"
    )
    rand_augment: Whole = Field(0, description="operations of RandAugment (arXiv:1909.13719)")
    magnitude: Annotated[Real, Field(ge=0, le=10)] = Field(7.0, description="of RandAugment, from 0 to 10")
    erasing: Chance = Field(
        0.0, description="probability of a rectangle of noise through all frames (arXiv:1708.04896)"
    )
    repeats: Count = Field(
        1, description="clips of each drawn video in a batch, each with a time and a crop of its own (arXiv:1901.09335)"
    )
    mixup: Annotated[Real, Field(ge=0)] = Field(0.0, description="alpha of the Beta distribution (arXiv:1710.09412)")
    cutmix: Annotated[Real, Field(ge=0)] = Field(0.0, description="alpha of the Beta distribution (arXiv:1905.04899)")


class Views(Written):
    """The views of a video in a test, and how their scores are joined."""

    clips: Count = Field(1, description="clips along the video, evenly spread")
    crops: Literal[1, 3, 5, 10] = Field(
        1, description="1 centre; 3 along the long side; 5 corners and centre; 10 flipped too"
    )
    short_side: ShortSide = Field(None, description=SHORT_SIDE)
    scores: Literal["softmax", "logits", "sigmoid"] = Field("softmax", description="which scores are joined")
    join: Literal["mean", "max"] = Field("mean", description="mean, or each class's largest score")


class Values(Written):
    """How pixels become the network's numbers: value / 255, minus mean, over std. Features are left as they are.

    Gray takes the average of the means, differences of frames only the stds. Flow is cut at a bound, brought to
    -1/2 to 1/2 and divided by its std: 0.5 gives -1 to 1 (arXiv:1705.07750), 0.226 what TSN's code gives.
    """

    mean: tuple[Real, ...] = Field((0.45, 0.45, 0.45), min_length=1, description="of each channel")
    std: tuple[Positive, ...] = Field((0.225, 0.225, 0.225), min_length=1, description="of each channel")
    rounded: bool = Field(
        False, description="whether resized pixels are rounded to whole numbers, as OpenCV and PIL leave them"
    )
    flow_bound: Positive = Field(20.0, description="pixels per frame beyond which flow is cut")
    flow_std: Positive = Field(0.5, description="of flow")

    def model_post_init(self, context: object, /) -> None:
        if len(self.mean) != len(self.std):
            got = f"{len(self.mean)} means, {len(self.std)} stds"
            raise SpecError(
                "`mean` and `std` have different lengths", written=self.written, got=got, want="equal lengths"
            )
