"""The network that is looked at: its weights, how pixels become its numbers, values from its inside, its clips."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from archdsl.backend import build
from archdsl.backend.devices import device_of
from archdsl.backend.features import FeatureReader
from archdsl.backend.weights import local_weights
from archdsl.catalog import load
from archdsl.compiler import Plan, compile
from archdsl.compiler.inner_values import value_at, values_of_head
from archdsl.errors import SpecError
from archdsl.language import Arch, Clip
from archdsl.language.recipes.recipe import Recipe
from archdsl.ops import Source
from archdsl.recipes import recipe as recipe_of
from archdsl.training.batches import blank_clips
from archdsl.training.data.clips import ClipRequest, Unreadable, Videos
from archdsl.training.data.modalities import check_modalities
from archdsl.training.data.sources.built_in import is_built_in, moving_digits
from archdsl.training.data.sources.one_video import one_video
from archdsl.training.data.transforms.augment import make_view
from archdsl.training.data.transforms.normalisation import FRAMELESS
from archdsl.training.evaluation.predict import videos_in
from archdsl.training.state.initial_weights import network_with_weights, with_expected_values
from archdsl.training.state.run_reader import classes_of_weights
from archdsl.training.tasks.choice import TASKS, default_recipe, task_for

WITHOUT_TASK = "smoke"
"""The recipe whose normalisation networks without a task have, where none is named."""
FIXED = ("boxes", "mask", "text")
"""Modalities that are not looked for: clips of them stay as they are, and no gradient is shown."""


class ShownClip(NamedTuple):
    """A clip as the network takes it."""

    name: str
    clips: dict[str, Tensor]
    """(1, c, t, h, w) by the name of the arch's clip, normalised."""
    label: str = ""
    """Its class, where that is known."""


@dataclass
class Subject:
    """A network in evaluation mode, literal and in float32, whose weights have no gradient."""

    plan: Plan
    network: nn.Module
    recipe: Recipe
    """How pixels become numbers, and what a test sees of a video."""
    device: torch.device
    weights: str
    """Where they are from."""
    known: tuple[str, ...] | None = None
    """Classes of its run."""

    @cached_property
    def reader(self) -> Any:
        """What gives values of its inside."""
        return FeatureReader(self.plan, build, beside=True)

    @property
    def clips(self) -> Mapping[str, Clip]:
        """What the network takes, by name."""
        return self.plan.arch.clips

    @cached_property
    def free(self) -> tuple[str, ...]:
        """Clips that a gradient can change."""
        return tuple(name for name, clip in self.clips.items() if clip.modality not in FIXED and not clip.ids)

    @cached_property
    def scores(self) -> str:
        """The address of the first output."""
        return next(iter(self.plan.graph.outputs.values()))

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Names of the channels of the first output: of the run's classes, or numbers."""
        count = self.plan.tensor_shape(self.scores)[0]
        if self.known and len(self.known) == count:
            return self.known
        return tuple(f"class {i}" for i in range(count))

    def videos(self, data: str, split: str) -> Videos:
        """Data as its task reads them; of a network without a task built-in scenes alone. Raises SpecError."""
        if has_task(self.plan.arch) or not is_built_in(data):
            return task_for(self.plan, self.recipe).videos(data, split)
        return moving_digits(data, split, {name: clip for name, clip in self.clips.items() if not clip.ids})

    def values(self, clips: Mapping[str, Tensor], at: Sequence[str]) -> dict[str, Tensor]:
        """The values at addresses, with tokens beside maps, all of one pass.

        Raises SpecError for addresses that there are not.
        """
        given = dict(clips) if len(self.clips) > 1 else clips[next(iter(self.clips))]
        found: dict[str, Tensor] = self.reader.read(self.network, given, tuple(dict.fromkeys(at)))
        return found

    def map_of(self, value: Tensor, at: str) -> Tensor:
        """The map at an address without the tokens beside it.  (n, c, 1, 1, tokens + t * h * w) -> (n, c, t, h, w)"""
        shape = self.plan.shapes[at]
        return value[..., shape.extra :].reshape(len(value), *shape[:4]) if shape.extra else value

    def is_map(self, at: str) -> bool:
        """Whether the value at an address lies in space or time."""
        shape = self.plan.shapes[at]
        return len(self.plan.tensor_shape(value_at(self.plan, at))) == 4 and shape.t * shape.h * shape.w > 1

    def clip_under(self, at: str) -> str:
        """The clip that a value lies over: that of its main branch."""
        address = value_at(self.plan, at)
        while not isinstance((node := self.plan.graph.nodes[address]).op, Source):
            address = node.reads[0]
        return address

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """Where maps are shown by default: what the head reads; where it reads no map, the last map before it."""
        ends = [self.last_map(end) for end in values_of_head(self.plan)]
        return tuple(dict.fromkeys(end for end in ends if end and self.clip_under(end) in self.free))

    def last_map(self, at: str) -> str:
        """The address itself, or the nearest map that its main branch is made from; empty where there is none."""
        nodes = self.plan.graph.nodes
        while not isinstance(nodes[at].op, Source):
            if self.is_map(at):
                return at
            at = nodes[at].reads[0]
        return ""


def subject_of(
    arch: Arch | str | Path,
    recipe: Recipe | str | Path | None = None,
    weights: str | Path | None = None,
    *,
    device: str | None = None,
    seed: int = 0,
) -> Subject:
    """A run's network, or an arch with weights of a file or as initialised. Raises SpecError where they do not fit."""
    plan = compile(load(arch))
    where = device_of(device)
    if recipe is None:
        recipe = default_recipe(plan.arch, "" if weights else "motion") if has_task(plan.arch) else WITHOUT_TASK
    made = recipe_of(recipe)
    known = None
    if weights is None:
        torch.manual_seed(seed)
        network, said = build(plan), f"as initialised by seed {seed}: nothing is learnt"
    else:
        path = local_weights(weights)
        made = with_expected_values(made, plan, path)
        network, said, known = network_with_weights(plan, path), str(weights), classes_of_weights(path)
    network.to(where).eval().requires_grad_(False)
    return Subject(plan, network, made, where, said, known)


def clips_of_videos(subject: Subject, paths: Sequence[str | Path]) -> Iterator[ShownClip]:
    """A clip from the middle of each video. Raises SpecError for files that cannot be read."""
    check_modalities(subject.clips)
    for path in videos_in(paths)[0]:
        try:
            recipe, videos = one_video(path, subject.plan.arch, subject.recipe)
            yield seen(subject, videos, 0, path.stem, recipe)
        except Unreadable as missing:
            raise SpecError(f"{path} cannot be read", got=missing.reason, want="a video") from None


def clips_of_data(subject: Subject, data: Videos, count: int) -> Iterator[ShownClip]:
    """The first clips of labelled videos; those that cannot be read are passed over."""
    for index in range(min(count, len(data))):
        try:
            yield seen(subject, data, index, data.name(index), subject.recipe)
        except Unreadable:
            continue


def seen(subject: Subject, videos: Videos, index: int, name: str, recipe: Recipe) -> ShownClip:
    """The middle clip of a video, cropped in the middle, as a test sees it. Raises Unreadable."""
    sample = videos.read(index, ClipRequest(0))
    read = {name: clip for name, clip in subject.clips.items() if name in sample.frames}
    made = make_view(sample, recipe.but(views=recipe.views.but(crops=1)), read, 0, subject.device)
    clips = made if isinstance(made, dict) else {next(iter(read)): made}
    clips |= blank_clips({name: clip for name, clip in subject.clips.items() if name not in read}, subject.device)
    target = sample.targets
    labelled = isinstance(target, Tensor) and target.ndim == 0 and not target.is_floating_point()
    label = videos.classes[int(target)] if labelled and int(target) < len(videos.classes) else ""
    return ShownClip(name, clips, label)


def has_task(arch: Arch) -> bool:
    """Whether a task knows what its head gives."""
    return arch.head.task in {kind.name for kind in TASKS}


def pictures_clip(subject: Subject) -> str:
    """The clip that pictures are drawn on where nothing says which: the first with frames, else the first."""
    framed = [name for name, clip in subject.clips.items() if clip.modality not in FRAMELESS]
    return (framed or [*subject.free, *subject.clips])[0]
