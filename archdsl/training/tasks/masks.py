"""What tasks of masked pre-training share: clips of any data with masks, errors of hidden parts, pictures."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from archdsl.backend.runtime.attention.masks import kept_units
from archdsl.errors import SpecError, printable
from archdsl.language.recipes.recipe import Recipe
from archdsl.training.data.clips import Batch, Videos
from archdsl.training.data.masks import MaskedDigits, MaskedFiles, MaskKind, Masks, masked_files
from archdsl.training.data.modalities import check_modalities
from archdsl.training.data.picture_files import encode_png
from archdsl.training.data.sources.built_in import moving_digits
from archdsl.training.data.sources.one_video import one_video
from archdsl.training.data.targets import Targets
from archdsl.training.data.transforms.normalisation import raw_pixels
from archdsl.training.evaluation.prediction import Prediction, ViewOutput
from archdsl.training.evaluation.results import Results
from archdsl.training.evaluation.scores import check_finite
from archdsl.training.evaluation.top_classes import minutes_seconds
from archdsl.training.tasks.base import Outputs, Task, TaskOptions

FRAMES_SHOWN = 8
"""Frames of a clip in a picture."""
HIDDEN_GRAY = 128
"""Pixels of what the network does not see."""


class MaskedOptions(TaskOptions):
    """How masks are drawn."""

    masks: MaskKind | None = Field(
        None,
        description="parts at random, cells (tubes, and half of all places filled in) or blocks; by default as the "
        "network needs",
    )


class MaskedTask(Task):
    """Targets come from the clips alone; a mask is drawn beside each, in tests always the same."""

    options_kind: ClassVar[type[TaskOptions]] = MaskedOptions

    @cached_property
    def masks(self) -> Masks:
        """Those of the network. Raises SpecError for a network without."""
        masks = Masks.of(self.plan, self.options.masks)
        masks.check()
        return masks

    @property
    def pictured(self) -> str:
        """The clip that is looked at: the first beside the mask."""
        return next(name for name in self.plan.arch.clips if name != self.masks.clip)

    # data

    def built_in(self, data: str, split: str) -> Videos:
        self.check_clip()
        clips = {self.pictured: self.plan.arch.clips[self.pictured]}
        return MaskedDigits(moving_digits(data, split, clips), self.masks)

    def files(self, data: str, split: str) -> Videos:
        self.check_clip()
        return masked_files(data, split, self.plan, self.recipe, self.masks)

    def check_clip(self) -> None:
        """Raises SpecError where the network reads more than frames of rgb and a mask of them."""
        clips = {name: clip for name, clip in self.plan.arch.clips.items() if name != self.masks.clip}
        if [clip.modality for clip in clips.values()] != ["rgb"] or self.plan.inputs[self.pictured][0] != 3:
            raise SpecError(
                f"{self.plan.name} does not read frames alone",
                at="clips",
                written=self.plan.arch.written,
                got=", ".join(f"{name} of {clip.modality}" for name, clip in clips.items()),
                want="one clip of rgb of 3 channels, and a mask",
            )

    def check_classes(self, classes: tuple[str, ...], *, of_run: bool = False, learnt: bool = False) -> None:
        """Any data will do."""
        self.check_clip()

    def blank(self, videos: Videos) -> Targets:
        return torch.tensor(0)

    # hidden parts

    def filled(self, whole: Tensor, batch: Batch) -> Tensor:
        """Of a map the parts that the network fills in.  (n, c, t, h, w) -> (n, c, t', count h', w')"""
        size = (whole.shape[2], whole.shape[3], whole.shape[4])
        return kept_units(whole, self.mask_of(batch), size, (self.masks.filled,), first=1)

    def mask_of(self, batch: Batch) -> Tensor:
        """(n, channels, t, h, w)"""
        assert not isinstance(batch.clips, Tensor)
        return batch.clips[self.masks.clip]

    def hidden(self, batch: Batch) -> Tensor:
        """1 for each part that is filled in and that the encoder does not see.  (n, count)"""
        unseen = (self.mask_of(batch)[:, :1] <= 0).float()
        return self.filled(unseen, batch)[:, 0, 0, :, 0]

    def amounts(self, batch: Batch) -> Tensor:
        """Hidden parts."""
        return self.hidden(batch).sum(1)

    def loss(self, outputs: Outputs, batch: Batch, totals: Tensor) -> Tensor:
        """The mean over all hidden parts of the step."""
        return (self.errors(outputs, batch) * self.hidden(batch)).sum(1) / totals.clamp(min=1)

    @abstractmethod
    def errors(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Of each part that is filled in.  (n, count)"""

    @abstractmethod
    def shown(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Each part that is filled in, as a prediction shows it.  (n, 3 or 1, t', count h', w')"""

    def by_part(self, errors: Tensor) -> Tensor:
        """The mean of each part.  (n, c, t', count h', w') -> (n, count)"""
        return errors.unflatten(3, (self.masks.filled, -1)).mean(dim=(1, 2, 4, 5))

    # evaluation

    def said(self, outputs: Outputs) -> list[Any]:
        raise NotImplementedError("what is said hangs on the clips")

    def said_of(self, outputs: Outputs, batch: Batch) -> list[Any]:
        """The errors of each clip, and what stands in its hidden parts."""
        hidden, errors = self.hidden(batch), self.errors(outputs, batch)
        shown, sums, parts = self.shown(outputs, batch).cpu(), (errors * hidden).sum(1).tolist(), hidden.sum(1).tolist()
        return [FilledClip(one, ErrorSum(*both)) for one, *both in zip(shown, sums, parts)]

    def judged(self, said: FilledClip, target: Targets) -> ErrorSum:
        return said.error

    def joined(self, one: ErrorSum, other: ErrorSum) -> ErrorSum:
        return ErrorSum(one.total + other.total, one.parts + other.parts)

    def results(self, found: Mapping[int, ErrorSum], videos: Videos, skipped: tuple[str, ...]) -> MaskedErrors:
        names = tuple(map(videos.name, found))
        check_finite({name: torch.tensor(one.total) for name, one in zip(names, found.values())})
        return MaskedErrors(names, tuple(found.values()), skipped=skipped)

    # predictions

    def check_inputs(self) -> None:
        check_modalities({self.pictured: self.plan.arch.clips[self.pictured]})

    def alone(self, path: Path) -> tuple[Recipe, Videos]:
        clips = {self.pictured: self.plan.arch.clips[self.pictured]}
        recipe, files = one_video(path, self.plan.arch.model_copy(update={"clips": clips}), self.recipe)
        return recipe, MaskedFiles(**vars(files), masks=self.masks)

    def prediction(self, path: Path, views: Sequence[ViewOutput], names: tuple[str, ...], top: int) -> FilledClips:
        """The first crop of each window."""
        windows = tuple(views[:: self.recipe.views.crops])
        check_finite({f"{path} at {one.start:g} s": one.said.shown for one in windows})
        return FilledClips(path, windows, tuple(self.picture(one) for one in windows))

    def picture(self, view: ViewOutput) -> Tensor:
        """The frames of a clip, what the network sees of them, what it puts there, one below the other.  (3, h, w)"""
        pixels = raw_pixels(view.clips[self.pictured].float(), self.recipe.values)
        mask = view.clips[self.masks.clip]
        seen = at_size(mask[:1] > 0, pixels)
        masked = torch.where(seen, pixels, HIDDEN_GRAY)
        rebuilt = torch.where(seen, pixels, self.put_back(view.said.shown, mask, pixels))
        step = -(-pixels.shape[1] // FRAMES_SHOWN)
        rows = [torch.cat([*x[:, ::step].unbind(1)], dim=2) for x in (pixels, masked, rebuilt)]
        return torch.cat(rows, dim=1).clamp(0, 255).to(torch.uint8)

    def put_back(self, shown: Tensor, mask: Tensor, pixels: Tensor) -> Tensor:
        """What is filled in, where it belongs, gray elsewhere, at the clip's size.  (3, t, h, w)"""
        parts = shown.unflatten(2, (self.masks.filled, -1))  # (c, t', count, h', w')
        c, t, _, h, w = parts.shape
        units = torch.full(
            (self.masks.size[0] * self.masks.size[1] * self.masks.size[2], c, t, h, w), HIDDEN_GRAY / 255
        )
        numbers = torch.arange(len(units), dtype=torch.float32).view(1, 1, *self.masks.size)
        places = kept_units(numbers, mask[None], self.masks.size, (self.masks.filled,), first=1).flatten().long()
        units[places] = parts.permute(2, 0, 1, 3, 4)
        whole = units.unflatten(0, self.masks.size).permute(3, 0, 4, 1, 5, 2, 6)
        return 255 * at_size(whole.flatten(5, 6).flatten(3, 4).flatten(1, 2), pixels).expand_as(pixels)


def only_output(outputs: Outputs) -> Tensor:
    """The network's one output, in float32."""
    return (outputs if isinstance(outputs, Tensor) else next(iter(outputs.values()))).float()


def at_size(x: Tensor, like: Tensor) -> Tensor:
    """A map whose elements stand for parts of another, at the other's size.  (c, t, h, w)"""
    for axis in (1, 2, 3):
        x = x.repeat_interleave(like.shape[axis] // x.shape[axis], dim=axis)
    return x


class ErrorSum(NamedTuple):
    """The errors of hidden parts."""

    total: float
    parts: float

    @property
    def mean(self) -> float | None:
        """None where nothing is hidden."""
        return self.total / self.parts if self.parts else None


class FilledClip(NamedTuple):
    """What a network puts into a clip's hidden parts, and how far that is off."""

    shown: Tensor
    error: ErrorSum


@dataclass(frozen=True)
class MaskedErrors(Results):
    """The errors of all clips."""

    errors: tuple[ErrorSum, ...]

    @property
    def figures(self) -> dict[str, float]:
        """The mean over all hidden parts of all clips."""
        return {"masked_loss": sum(one.total for one in self.errors) / max(sum(one.parts for one in self.errors), 1)}

    def lines(self) -> Iterator[dict[str, Any]]:
        for name, one in zip(self.names, self.errors):
            yield {"name": name, "masked_loss": one.mean, "parts": int(one.parts)}


@dataclass(frozen=True)
class FilledClips(Prediction):
    """The clips of a video with their hidden parts filled in."""

    windows: tuple[ViewOutput, ...]
    shown: tuple[Tensor, ...]

    def record(self) -> dict[str, Any]:
        return {"path": str(self.path), "clips": [window_record(one) for one in self.windows]}

    def text(self) -> str:
        lines = [str(self.path)]
        for one in map(window_record, self.windows):
            times = f"{minutes_seconds(one['start'])} to {minutes_seconds(one['end'])}"
            lines.append(printable(f"  {times}  masked loss {one['masked_loss']:.4g}"))
        return "\n".join(lines)

    def pictures(self) -> Iterator[tuple[str, bytes]]:
        """For each clip its frames, what is seen of them, and what the network puts into the rest."""
        for i, one in enumerate(self.shown):
            yield f"{i:05d}.masked.png", encode_png(one)


def window_record(view: ViewOutput) -> dict[str, Any]:
    """Its times in seconds and its error."""
    return {"start": view.start, "end": view.end, "masked_loss": view.said.error.mean}
