"""Built-in data: `motion`, moving digits made in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from archdsl.errors import SpecError
from archdsl.language import Clip
from archdsl.training.data.synthetic.motion import MovingDigits
from archdsl.training.data.synthetic.scenes import Scenes, motion_of_first
from archdsl.training.data.synthetic.truth import MOTION_NAMES, Truth
from archdsl.training.data.targets import Targets

RGB = 3
"""Channels of one picture."""
BUILT_IN = {"train": (2400, 0), "val": (512, 1), "test": (512, 1)}
"""Split -> (clips, seed) of the moving digits."""
MOST_SCENES = 10**7
"""Clips of built-in data."""


def is_built_in(data: str) -> bool:
    """Whether `data` names the moving digits, made in memory."""
    return data.partition(":")[0] == "motion" and not Path(data).exists()


def moving_digits(data: str, split: str, clips: Mapping[str, Clip]) -> MovingDigits | Scenes:
    """The moving digits at the size of the arch's clip; for clips of other modalities or shapes, scenes of them."""
    name, clip = next(iter(clips.items()))
    if len(clips) > 1 or clip.modality != "rgb" or clip.shape.h != clip.shape.w or clip.shape.c > RGB:
        return replace(built_in_scenes(data, split, clips, motion_of_first, MOTION_NAMES), alike=True)
    count, seed, still = built_in_named(data, split)
    return MovingDigits(count, seed, frames=clip.frames, size=clip.shape.h, frozen=still, clip=name)


def built_in_scenes(
    data: str,
    split: str,
    clips: Mapping[str, Clip],
    target: Callable[[Truth], Targets],
    classes: tuple[str, ...],
    *,
    digits: tuple[int, int] = (1, 3),
) -> Scenes:
    """Scenes of moving digits of a split, with what a task wants to know of them."""
    count, seed, still = built_in_named(data, split)
    return Scenes(count, seed, clips, target, classes, digits, frozen=still)


def built_in_named(data: str, split: str) -> tuple[int, int, bool]:
    """(clips, seed, whether one frame is repeated) of `motion`, `motion:still`, `motion:64`, `motion:still:64`.

    Raises SpecError for what there is not.
    """
    kind = data.removeprefix("motion").removeprefix(":")
    still = kind.partition(":")[0] == "still"
    number = kind.removeprefix("still").removeprefix(":") if still else kind
    if number and not (number.isascii() and number.isdigit() and 0 < int(number) <= MOST_SCENES):
        want = "motion, motion:still, or a number of clips behind them: motion:64"
        raise SpecError("no such built-in data", got=data, want=want)
    count, seed = BUILT_IN[split]
    return int(number) if number else count, seed, still
