"""What a task answers. Loop, feed, evaluation and commands ask it, and know none by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from archdsl.compiler import Plan
from archdsl.errors import SpecError
from archdsl.language import Arch
from archdsl.language.recipes.recipe import Recipe
from archdsl.spec.base import Written
from archdsl.training.data.clips import Batch, Videos
from archdsl.training.data.modalities import check_modalities
from archdsl.training.data.sources.built_in import built_in_scenes, is_built_in
from archdsl.training.data.sources.lines import VIDEO_SUFFIXES
from archdsl.training.data.sources.one_video import one_video
from archdsl.training.data.synthetic.scenes import Scenes
from archdsl.training.data.synthetic.truth import Truth
from archdsl.training.data.targets import Targets, stack_targets
from archdsl.training.data.transforms.augment import Clips
from archdsl.training.data.transforms.geometry import Cut
from archdsl.training.evaluation.prediction import Prediction, ViewOutput
from archdsl.training.evaluation.results import Results

Outputs = Tensor | dict[str, Tensor]
"""What a network gives: a tensor where it has one output, else by name."""


class TaskOptions(Written):
    """Fields of a task that a recipe may set: `task: {NAME: {field: value}}`."""


class Task(ABC):
    """What a network is for: targets, loss, metric, files. One for each training and evaluation."""

    name: ClassVar[str]
    """In a recipe and of a head: `task: NAME`."""
    suffixes: ClassVar[tuple[str, ...]] = VIDEO_SUFFIXES
    """Endings of the files that a prediction reads of a folder."""
    options_kind: ClassVar[type[TaskOptions]] = TaskOptions
    reads_of_scores: ClassVar[tuple[str, ...]] = ()
    """Which of a recipe's settings of class scores it reads (OF_CLASS_SCORES); others are warned of."""

    def __init__(self, plan: Plan, recipe: Recipe, options: Any = None) -> None:
        self.plan, self.recipe = plan, recipe
        self.options: Any = options or self.options_kind()

    @classmethod
    @abstractmethod
    def default_recipe(cls, arch: Arch, *, built_in: bool) -> str:
        """The recipe to train an arch by when none is named, on built-in data or on a person's own."""

    @classmethod
    def fitting(cls, plan: Plan) -> type[Task]:
        """The form of the task that a network is for. Raises SpecError."""
        return cls

    @property
    def frames(self) -> int:
        """Of the first clip."""
        return next(iter(self.plan.arch.clips.values())).frames

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the first clip."""
        shape = next(iter(self.plan.arch.clips.values())).shape
        return shape.h, shape.w

    # data

    def videos(self, data: str, split: str) -> Videos:
        """The data of a split: built in, or of files. Raises SpecError."""
        return self.built_in(data, split) if is_built_in(data) else self.files(data, split)

    @abstractmethod
    def built_in(self, data: str, split: str) -> Videos:
        """Scenes of moving digits with this task's target: see `scenes`."""

    @abstractmethod
    def files(self, data: str, split: str) -> Videos:
        """What a folder or a list holds, in the task's formats. Raises SpecError with every fault, by file and line."""

    def write_built_in(self, out: Path, counts: Mapping[str, int]) -> Iterator[Path]:
        """Write built-in scenes of each split in this task's formats; yields a path for each. Raises SpecError."""
        raise SpecError(f"no files of built-in data for {self.name}", got=self.name, fix="leave out --net")

    def scenes(
        self,
        data: str,
        split: str,
        target: Callable[[Truth], Targets],
        classes: tuple[str, ...],
        *,
        digits: tuple[int, int] = (1, 3),
    ) -> Scenes:
        """Built-in scenes for the network's clips; `target` is a function of a module, `motion:still` stands still."""
        return built_in_scenes(data, split, self.plan.arch.clips, target, classes, digits=digits)

    @abstractmethod
    def check_classes(self, classes: tuple[str, ...], *, of_run: bool = False, learnt: bool = False) -> None:
        """Raises SpecError where the network's outputs do not fit the classes of the data, or of its run.

        Weights that are `learnt` cannot take another number of classes.
        """

    def columns(self, known: tuple[str, ...], classes: tuple[str, ...]) -> dict[str, int]:
        """Class -> its place among the `known` ones of a run, for data of other `classes`. Raises SpecError."""
        if known != classes:
            raise SpecError(
                "data has other classes than the run",
                got=", ".join(classes[:4]) or "none",
                want=", ".join(known[:4]) or "none",
            )
        return {name: i for i, name in enumerate(known)}

    def prepare(self, videos: Videos, device: torch.device) -> None:  # noqa: B027  most tasks need nothing
        """What training needs beside the network, from the videos to train on. Raises SpecError."""

    def drawn_evenly(self, videos: Videos) -> list[list[int]] | None:
        """The videos of each class where all classes are drawn equally often; None where each video is drawn."""
        return None

    def attach(self, weights: Callable[[], Mapping[str, Tensor]]) -> None:  # noqa: B027  most tasks need none
        """The weights that are tested, by address, where targets come from them: in training the moving average."""

    # targets, on their way from the file to the loss

    def moved(self, targets: Targets, cut: Cut) -> Targets:
        """A sample's targets after its frames are cropped and mirrored."""
        return targets

    def collated(self, samples: Sequence[Targets]) -> Targets:
        """Targets of several clips as those of a batch."""
        return stack_targets(samples)

    def mixed(
        self, clips: Clips, targets: Targets, readable: Sequence[bool], videos: Videos, seed: str
    ) -> tuple[Clips, Targets]:
        """Clips of a batch mixed with each other, those that were read, as the recipe's mixup and cutmix say."""
        return clips, targets

    @abstractmethod
    def blank(self, videos: Videos) -> Targets:
        """The targets of a clip of zeros, in place of one that cannot be read."""

    def target_bytes(self) -> int:
        """Memory of a clip's targets on the device."""
        return 8

    # loss

    @property
    def trained(self) -> Plan:
        """What is trained: the plan, and what training alone reads; the weights are the same."""
        return self.plan

    def inputs(self, clips: Clips, batch: Batch | None = None) -> Clips:
        """What that is given: clips, and what training alone reads of a batch; without one it is said to be absent."""
        return clips

    def amounts(self, batch: Batch) -> Tensor:
        """How much each clip counts in the loss: (n,), or (n, k) for k counts of its own."""
        return batch.weights.new_ones(len(batch.weights))

    @abstractmethod
    def loss(self, outputs: Outputs, batch: Batch, totals: Tensor) -> Tensor:
        """What each clip adds to the loss of the step.  (n,)

        `totals` are the amounts of all readable clips of the step, over micro-batches and processes. The loop adds up
        what readable clips give: the mean over clips is `losses / totals`.
        """

    # evaluation

    def outputs(self, network: nn.Module, clips: Any) -> Outputs:
        """What a network gives in a test: by default of its clips at once."""
        given: Outputs = network(clips)
        return given

    @abstractmethod
    def said(self, outputs: Outputs) -> list[Any]:
        """What the network says of each clip of a batch, on the CPU."""

    def said_of(self, outputs: Outputs, batch: Batch) -> list[Any]:
        """The same where that hangs on the clips too; by default `said`."""
        return self.said(outputs)

    @abstractmethod
    def judged(self, said: Any, target: Targets) -> Any:
        """What an evaluation keeps of one view of a video. It is pickled between processes."""

    @abstractmethod
    def joined(self, one: Any, other: Any) -> Any:
        """Two views of a video as one."""

    @abstractmethod
    def results(self, found: Mapping[int, Any], videos: Videos, skipped: tuple[str, ...]) -> Results:
        """The results of all videos, which stand under their index. Raises SpecError."""

    # predictions

    def check_inputs(self) -> None:
        """Raises SpecError where a file alone does not have what the network reads."""
        check_modalities(self.plan.arch.clips)

    def alone(self, path: Path) -> tuple[Recipe, Videos]:
        """(the recipe whose views cover a file, the file). Raises Unreadable, and SpecError."""
        return one_video(path, self.plan.arch, self.recipe)

    def class_names(self, names: Sequence[str] | None) -> tuple[str, ...]:
        """A name for every class that is predicted; numbers where no names are known. Raises SpecError."""
        return tuple(names or ())

    @abstractmethod
    def prediction(self, path: Path, views: Sequence[ViewOutput], names: tuple[str, ...], top: int) -> Prediction:
        """What is written of a video, from all its views, in order."""


def check_one_view(recipe: Recipe, noun: str) -> None:
    """Raises SpecError for a recipe of several views, of which what is found would have to be joined."""
    views = recipe.views
    if views.clips * views.crops > 1:
        raise SpecError(
            f"{noun} of several views",
            at="recipe.views",
            written=views.written,
            got=f"{views.clips} clips of {views.crops} crops",
            want=f"one view: its {noun} are those of the frame",
            fix="--views 1x1",
        )
