"""Clips as the network takes them, from frames as they were read: cropped, changed in training, in network values.

What is drawn for a clip depends on the seed of its take alone: not on its place in the batch, the device, the number of
processes or of readers. All frames of a clip, and all clips of a video, are treated alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

import torch
from torch import Tensor

from archdsl.errors import SpecError
from archdsl.language import Clip
from archdsl.language.recipes.clips import Jitter, Middle
from archdsl.language.recipes.recipe import Recipe
from archdsl.training.data.clips import Sample, Take
from archdsl.training.data.transforms.colours import coloured
from archdsl.training.data.transforms.crops import check_fits, drawn_cut, placed_cut, short_of
from archdsl.training.data.transforms.geometry import Cut
from archdsl.training.data.transforms.noise import erased
from archdsl.training.data.transforms.normalisation import FRAMELESS, in_values
from archdsl.training.data.transforms.rand_augment import rand_augmented

Clips = Tensor | dict[str, Tensor]
"""What a network takes: one clip, or several by name."""


def augmented(
    samples: Sequence[Sample], takes: Sequence[Take], recipe: Recipe, clips: Mapping[str, Clip], device: torch.device
) -> tuple[Clips, Tensor]:
    """A batch for training.  videos of any sizes -> (n, c, t, h, w) for each clip, labels (n,) or (n, classes)

    Raises SpecError where recipe and clips do not fit each other.
    """
    check_augment(recipe, clips)
    made = [changed(sample, take.seed, recipe, clips, device) for sample, take in zip(samples, takes, strict=True)]
    return batched(made), torch.stack([sample.label for sample in samples]).to(device)


def viewed(sample: Sample, recipe: Recipe, clips: Mapping[str, Clip], crop: int, device: torch.device) -> Clips:
    """One crop of a test, the batch axis first.  (1, c, t, h, w) for each clip"""
    views = recipe.views
    made = {}
    for name, clip in clips.items():
        check_fits("views.short_side", views.short_side, name, clip, views.written)
        frames = sample.frames[name].to(device)
        out = (clip.shape.h, clip.shape.w)
        cut = placed_cut(crop, views.crops, (frames.shape[-2], frames.shape[-1]), short_of(views.short_side, out), out)
        made[name] = in_values(taken(frames, cut, clip), clip, recipe.values, stored=not frames.is_floating_point())
    return batched([made])


def batched(made: Sequence[Mapping[str, Tensor]]) -> Clips:
    """Clips of several videos side by side: alone where the arch has one clip."""
    stacked = {name: torch.stack([clips[name] for clips in made]) for name in made[0]}
    return next(iter(stacked.values())) if len(stacked) == 1 else stacked


def changed(
    sample: Sample, seed: int, recipe: Recipe, clips: Mapping[str, Clip], device: torch.device
) -> dict[str, Tensor]:
    """The clips of one video, cropped, mirrored, recoloured, in values, with a rectangle erased."""
    augment = recipe.augment
    made = {}
    for name, clip in clips.items():
        frames = sample.frames[name].to(device)
        stored = not frames.is_floating_point()
        out = (clip.shape.h, clip.shape.w)
        # each clip begins with the same dice, so that flow is cut as its video is
        cut = drawn_cut(augment.crop, (frames.shape[-2], frames.shape[-1]), out, dice(seed, "crop"))
        cut = cut.flipped() if dice(seed, "flip").random() < augment.flip else cut
        x = taken(frames, cut, clip)
        if stored and clip.modality in ("rgb", "gray"):
            x = coloured(x, augment.colour, dice(seed, "colour"))
            x = rand_augmented(x, augment.rand_augment, augment.magnitude, dice(seed, "rand_augment"))
        x = in_values(x, clip, recipe.values, stored=stored)
        made[name] = x if clip.modality in FRAMELESS else erased(x, augment.erasing, dice(seed, "erasing"))
    return made


def dice(seed: int, what: str) -> Random:
    """The dice of one thing that is drawn, so that each keeps its draws when another is turned off."""
    return Random(f"{seed} {what}")


def taken(frames: Tensor, cut: Cut, clip: Clip) -> Tensor:
    """A crop of frames; of features nothing is cut. In a mirror image flow's x points the other way."""
    if clip.modality in FRAMELESS:
        return frames.float()
    x = cut.of(frames)
    if clip.modality == "flow" and cut.columns.mirrored:
        x[::2] = (0.0 if frames.is_floating_point() else 255.0) - x[::2]
    return x


def check_augment(recipe: Recipe, clips: Mapping[str, Clip]) -> None:
    """Raises SpecError where recipe and clips do not fit each other."""
    crop, augment = recipe.augment.crop, recipe.augment
    for name, clip in clips.items():
        if isinstance(crop, Jitter | Middle) and crop.short_side and clip.modality not in FRAMELESS:
            short = crop.short_side if isinstance(crop, Middle) else crop.short_side[0]
            check_fits("augment.crop.short_side", short, name, clip, crop.written)
        if clip.modality not in ("rgb", "gray") and (augment.rand_augment or augment.colour):
            raise SpecError(
                f"colours are changed, but {clip.modality} has none",
                at="recipe.augment",
                written=augment.written,
                got=f"rand_augment: {augment.rand_augment}, colour: {augment.colour:g}, clip {name} of {clip.modality}",
                want="rand_augment: 0, colour: 0, or clips of rgb and gray alone",
            )
