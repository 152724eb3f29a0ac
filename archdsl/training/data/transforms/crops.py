"""Which crop of a video's frames: drawn in training, one of several in a test."""

from __future__ import annotations

from math import ceil, exp, log, sqrt
from random import Random

from archdsl.errors import SpecError
from archdsl.language import Clip
from archdsl.language.recipes.clips import Corners, Crop, Jitter, Middle, Resized
from archdsl.training.data.transforms.geometry import Cut, cut_of_part, cut_of_resized, with_short_side

Size = tuple[int, int]
"""(height, width)"""
TRIES = 10
"""Draws of a rectangle before the middle is taken, as in torchvision and mmaction2."""


def drawn_cut(crop: Crop, frame: Size, out: Size, dice: Random) -> Cut:
    """A crop of size `out` of frames of a size."""
    match crop:
        case Jitter():
            return jittered(crop, frame, out, dice)
        case Corners():
            return cornered(crop, frame, out, dice)
        case Resized():
            return rectangle(crop, frame, out, dice)
        case Middle():
            return placed_cut(0, 1, frame, short_of(crop.short_side, out), out)


def jittered(crop: Jitter, frame: Size, out: Size, dice: Random) -> Cut:
    """A square anywhere in a frame whose short side was drawn."""
    low, high = crop.short_side or (short_of(None, out), round(min(out) * 320 / 224))
    u = dice.random()
    short = round(1 / (1 / high + u * (1 / low - 1 / high)) if crop.inverse else low + u * (high - low))
    resized = with_short_side(frame, short, out)
    at = (below(resized[0] - out[0] + 1, dice), below(resized[1] - out[1] + 1, dice))
    return cut_of_resized(frame, resized, at, out)


def cornered(crop: Corners, frame: Size, out: Size, dice: Random) -> Cut:
    """One of the places, at a drawn pair of scales."""
    pairs = [
        (high, wide)
        for i, high in enumerate(crop.scales)
        for j, wide in enumerate(crop.scales)
        if abs(i - j) <= crop.apart
    ]
    scales = pairs[below(len(pairs), dice)]
    high, wide = (max(1, int(min(frame) * scale)) for scale in scales)
    quarters = (FIVE if crop.places == 5 else THIRTEEN)[below(crop.places, dice)]
    steps = ((frame[0] - high) // 4, (frame[1] - wide) // 4)
    return cut_of_part((high, wide), (quarters[0] * steps[0], quarters[1] * steps[1]), out)


FIVE = ((0, 0), (0, 4), (4, 0), (4, 4), (2, 2))
"""Corners and centre, in quarters of the way down and right: TSN's order."""
THIRTEEN = (*FIVE, (2, 0), (2, 4), (4, 2), (0, 2), (1, 1), (1, 3), (3, 1), (3, 3))


def rectangle(crop: Resized, frame: Size, out: Size, dice: Random) -> Cut:
    """A rectangle of a drawn area and aspect."""
    height, width = frame
    for _ in range(TRIES):
        area = height * width * (crop.area[0] + dice.random() * (crop.area[1] - crop.area[0]))
        aspect = exp(log(crop.aspect[0]) + dice.random() * (log(crop.aspect[1]) - log(crop.aspect[0])))
        part = (max(1, round(sqrt(area / aspect))), max(1, round(sqrt(area * aspect))))
        if part[0] <= height and part[1] <= width:
            at = (below(height - part[0] + 1, dice), below(width - part[1] + 1, dice))
            return cut_of_part(part, at, out)
    aspect = min(max(width / height, crop.aspect[0]), crop.aspect[1])
    part = (min(height, max(1, round(width / aspect))), min(width, max(1, round(height * aspect))))
    return cut_of_part(part, ((height - part[0]) // 2, (width - part[1]) // 2), out)


def placed_cut(crop: int, crops: int, frame: Size, short: int, out: Size) -> Cut:
    """One of 1, 3, 5 or 10 crops of a test.

    3 lie along the long side (PySlowFast): left, middle, right, or top, middle, bottom. 5 are the corners and the
    centre, 10 those and their mirror images (TSN).
    """
    resized = with_short_side(frame, short, out)
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


def short_of(short: int | str | None, out: Size) -> int:
    """The short side that a recipe states: pixels, or the crop's own; or 256 for a crop of 224 and in proportion."""
    if short == "crop":
        return min(out)
    return int(short) if short else round(min(out) * 256 / 224)


def below(n: int, dice: Random) -> int:
    """A whole number from 0 to n - 1."""
    return int(dice.random() * n)


def check_fits(what: str, short: int | str | None, name: str, clip: Clip, written: str | None) -> None:
    """Raises SpecError for a short side that a crop does not fit into."""
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
