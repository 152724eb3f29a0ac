"""Clips as the network takes them, from decoded frames: cropped, augmented in training, normalised.

All randomness of a clip comes from the seed of its request: not from its place in the batch, the device, the number of
processes or of workers. All frames of a clip, and all clips of a video, are augmented alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from archdsl.errors import SpecError
from archdsl.language import Clip
from archdsl.language.recipes.clips import Jitter, Middle
from archdsl.language.recipes.recipe import Recipe
from archdsl.training.data.clips import ClipRequest, Sample
from archdsl.training.data.random_numbers import rng_for
from archdsl.training.data.transforms.colours import jitter_colours
from archdsl.training.data.transforms.crops import check_fits, view_crop
from archdsl.training.data.transforms.geometry import Cut
from archdsl.training.data.transforms.noise import erase
from archdsl.training.data.transforms.normalisation import FRAMELESS, normalise
from archdsl.training.data.transforms.rand_augment import rand_augment
from archdsl.training.data.transforms.reader_crops import ReaderCrop, moves_with, resize_frames, rounds

Clips = Tensor | dict[str, Tensor]
"""What a network requests: one clip, or several by name."""


def augment_batch(
    samples: Sequence[Sample],
    requests: Sequence[ClipRequest],
    recipe: Recipe,
    clips: Mapping[str, Clip],
    device: torch.device,
) -> Clips:
    """The clips of a batch for training.  videos of any sizes -> (n, c, t, h, w) for each

    Raises SpecError where recipe and clips do not fit each other.
    """
    check_augment(recipe, clips)
    crop = ReaderCrop(recipe, clips)
    made = [
        augment_sample(sample if sample.cuts else crop(sample, request), request.seed, recipe, clips, device)
        for sample, request in zip(samples, requests, strict=True)
    ]
    return stack_clips(made)


def make_view(sample: Sample, recipe: Recipe, clips: Mapping[str, Clip], crop: int, device: torch.device) -> Clips:
    """One crop of a test view, with a batch axis.  (1, c, t, h, w) for each clip"""
    views = recipe.views
    made = {}
    for name, clip in clips.items():
        check_fits("views.short_side", views.short_side, name, clip, views.written)
        frames = sample.frames[name].to(device)
        cut = view_cut(name, sample, crop, recipe, clips)
        part = frames if clip.modality in FRAMELESS else cut.part(frames)
        x = resize_frames(part, cut, clip)
        x = x.round() if rounds(part, clip, recipe.values) else x
        x = normalise(x, clip, recipe.values, stored=not frames.is_floating_point())
        made[name] = x if clip.modality in FRAMELESS else cut.without_bars(x)
    return stack_clips([made])


def view_cut(name: str, sample: Sample, crop: int, recipe: Recipe, clips: Mapping[str, Clip]) -> Cut:
    """One of the crops of a test; boxes move with the first pictures."""
    name = moves_with(name, clips)
    height, width = sample.frames[name].shape[-2:]
    shape, views = clips[name].shape, recipe.views
    out = (shape.h, shape.w)
    return view_crop(crop, views.crops, (height, width), views.short_side, out)


def stack_clips(made: Sequence[Mapping[str, Tensor]]) -> Clips:
    """Stack clips of several videos: a tensor where the arch has one clip, else by name."""
    stacked = {name: torch.stack([clips[name] for clips in made]) for name in made[0]}
    return next(iter(stacked.values())) if len(stacked) == 1 else stacked


def augment_sample(
    sample: Sample, seed: int, recipe: Recipe, clips: Mapping[str, Clip], device: torch.device
) -> dict[str, Tensor]:
    """The clips of one video, of what its reader cropped: resized, mirrored, recoloured, in values, partly erased."""
    augment, sample = recipe.augment, sample.mapped(lambda x: x.to(device))
    cuts, erased = sample.cuts or {}, sample.erased or {}
    made = {}
    for name, clip in clips.items():
        frames = sample.frames[name]
        stored = not frames.is_floating_point()
        x = frames.float() if name in sample.resized else resize_frames(frames, cuts[name], clip)
        if clip.modality in ("rgb", "gray"):
            x = jitter_colours(x, augment.colour, rng_for(seed, "colour"))
            x = rand_augment(x, augment.rand_augment, augment.magnitude, rng_for(seed, "rand_augment"))
        x = normalise(x, clip, recipe.values, stored=stored)
        x = cuts[name].without_bars(x) if name in cuts and clip.modality not in FRAMELESS else x
        made[name] = erase(x, erased.get(name))
    return made


def check_augment(recipe: Recipe, clips: Mapping[str, Clip]) -> None:
    """Raises SpecError where recipe and clips do not fit each other."""
    crop, augment = recipe.augment.crop, recipe.augment
    for name, clip in clips.items():
        if isinstance(crop, Jitter | Middle) and crop.short_side and clip.modality not in FRAMELESS:
            short = crop.short_side if isinstance(crop, Middle) else crop.short_side[0]
            check_fits("augment.crop.short_side", short, name, clip, crop.written)
        if clip.modality not in ("rgb", "gray", *FRAMELESS) and (augment.rand_augment or augment.colour):
            raise SpecError(
                f"colour augmentation of {clip.modality}",
                at="recipe.augment",
                written=augment.written,
                got=f"rand_augment: {augment.rand_augment}, colour: {augment.colour:g}, clip {name} of {clip.modality}",
                want="rand_augment: 0, colour: 0, or clips of rgb and gray alone",
            )
