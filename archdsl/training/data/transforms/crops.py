"""Crops of a video's frames: random in training, one of several fixed ones in tests."""

from __future__ import annotations

from math import ceil, exp, log, sqrt
from random import Random

from archdsl.errors import SpecError
from archdsl.language import Clip
from archdsl.language.recipes.clips import Corners, Crop, Jitter, Middle, Resized
from archdsl.training.data.random_numbers import random_below
from archdsl.training.data.transforms.geometry import Cut, cut_of_part, cut_of_resized, fitted_cut, with_short_side

Size = tuple[int, int]
"""(height, width)"""
CROP_TRIES = 10
"""Attempts at a random rectangle before the centre crop, as in torchvision and mmaction2."""


def training_crop(crop: Crop, frame: Size, out: Size, rng: Random) -> Cut:
    """The recipe's crop, of size `out`, of frames of size `frame`."""
    match crop:
        case Jitter():
            return jitter_crop(crop, frame, out, rng)
        case Corners():
            return corner_crop(crop, frame, out, rng)
        case Resized():
            return resized_crop(crop, frame, out, rng)
        case Middle():
            return view_crop(0, 1, frame, crop.short_side, out)


def jitter_crop(crop: Jitter, frame: Size, out: Size, rng: Random) -> Cut:
    """A random crop of a frame resized to a random short side."""
    low, high = crop.short_side or (short_side_of(None, out), round(min(out) * 320 / 224))
    u = rng.random()
    short = round(1 / (1 / high + u * (1 / low - 1 / high)) if crop.inverse else low + u * (high - low))
    resized = with_short_side(frame, short, out)
    at = (random_below(resized[0] - out[0] + 1, rng), random_below(resized[1] - out[1] + 1, rng))
    return cut_of_resized(frame, resized, at, out)


def corner_crop(crop: Corners, frame: Size, out: Size, rng: Random) -> Cut:
    """A random corner or centre, at a random pair of scales."""
    pairs = [
        (high, wide)
        for i, high in enumerate(crop.scales)
        for j, wide in enumerate(crop.scales)
        if abs(i - j) <= crop.apart
    ]
    scales = pairs[random_below(len(pairs), rng)]
    high, wide = (max(1, int(min(frame) * scale)) for scale in scales)
    quarters = (FIVE if crop.places == 5 else THIRTEEN)[random_below(crop.places, rng)]
    steps = ((frame[0] - high) // 4, (frame[1] - wide) // 4)
    return cut_of_part((high, wide), (quarters[0] * steps[0], quarters[1] * steps[1]), out)


FIVE = ((0, 0), (0, 4), (4, 0), (4, 4), (2, 2))
"""Corners and centre, in quarters of the way down and right: TSN's order."""
THIRTEEN = (*FIVE, (2, 0), (2, 4), (4, 2), (0, 2), (1, 1), (1, 3), (3, 1), (3, 3))


def resized_crop(crop: Resized, frame: Size, out: Size, rng: Random) -> Cut:
    """A rectangle of random area and aspect, resized."""
    height, width = frame
    for _ in range(CROP_TRIES):
        area = height * width * (crop.area[0] + rng.random() * (crop.area[1] - crop.area[0]))
        aspect = exp(log(crop.aspect[0]) + rng.random() * (log(crop.aspect[1]) - log(crop.aspect[0])))
        part = (max(1, round(sqrt(area / aspect))), max(1, round(sqrt(area * aspect))))
        if part[0] <= height and part[1] <= width:
            at = (random_below(height - part[0] + 1, rng), random_below(width - part[1] + 1, rng))
            return cut_of_part(part, at, out)
    aspect = min(max(width / height, crop.aspect[0]), crop.aspect[1])
    part = (min(height, max(1, round(width / aspect))), min(width, max(1, round(height * aspect))))
    return cut_of_part(part, ((height - part[0]) // 2, (width - part[1]) // 2), out)


def view_crop(crop: int, crops: int, frame: Size, short: int | str | None, out: Size) -> Cut:
    """One of 1, 3, 5 or 10 crops of a test.

    3 lie along the long side (PySlowFast): left, middle, right, or top, middle, bottom. 5 are the corners and the
    centre, 10 those and their mirror images (TSN). Frames that are fitted have one view, in 10 its mirror image too.
    """
    if short == "fit":
        cut = fitted_cut(frame, out)
        return cut.flipped() if crop >= 5 else cut
    resized = with_short_side(frame, short_side_of(short, out), out)
    room = (resized[0] - out[0], resized[1] - out[1])
    at = (ceil(room[0] / 2), ceil(room[1] / 2))
    if crops == 3:
        along = 0 if frame[0] > frame[1] else 1
        place = (0, at[along], room[along])[crop]
        at = (place, at[1]) if along == 0 else (at[0], place)
    elif crops > 3:
        down, right = FIVE[crop % 5]
        at = (room[0] // 4 * down, room[1] // 4 * right)  # whole quarters, as TSN's and mmaction2's code counts them
    cut = cut_of_resized(frame, resized, at, out)
    return cut.flipped() if crop >= 5 else cut


def short_side_of(short: int | str | None, out: Size) -> int:
    """The recipe's short side: pixels, the crop's own, or by default 256/224 of the crop."""
    if short == "crop":
        return min(out)
    return int(short) if short else round(min(out) * 256 / 224)


def check_fits(what: str, short: int | str | None, name: str, clip: Clip, written: str | None) -> None:
    """Raises SpecError for a short side smaller than the crop."""
    need = min(clip.shape.h, clip.shape.w)
    if isinstance(short, int) and short < need:
        raise SpecError(
            "a crop larger than the frame",
            at=f"recipe.{what}",
            written=written,
            got=f"short side {short}, clip {name} of {clip.shape.h} x {clip.shape.w}",
            want=f"a short side of at least {need}",
            fix=f"{need}, or --size {short}",
        )
