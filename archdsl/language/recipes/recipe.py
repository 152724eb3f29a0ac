"""How a network is trained: how long, how fast, on what, from which seed. Independent of any network."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from archdsl.blocks.names import ArchName
from archdsl.errors import SpecError
from archdsl.language.amounts import Checkpoint
from archdsl.language.recipes.clips import Augment, Sampling, Values, Views
from archdsl.language.recipes.optimizer import Norms, Optimizer, Schedule
from archdsl.spec.base import Written
from archdsl.spec.scalars import Count, Distinct, Real, Share, Whole

PassName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=100)]


class Recipe(Written):
    """How a network is trained. Lengths of the schedule are in epochs, or in steps where the recipe counts steps."""

    name: ArchName = Field("recipe", description="a name")
    source: str | None = Field(None, description="where it was published, such as arXiv:1812.03982, section 4.1")
    hardware: str | None = Field(None, description="what it was run on, such as 128 GPUs of 8 clips")
    epochs: Count | None = Field(None, description="times every clip is seen; or steps")
    steps: Count | None = Field(None, description="optimiser steps; or epochs")
    batch: Count = Field(description="clips per step, over all processes")
    seed: Whole = Field(0, description="of all random numbers: weights, order, augmentation, dropout")

    task: ArchName | dict[str, dict[str, Any]] | None = Field(
        None, description="what the network is for, as {name: {field: value}} or a name; by default what its head is"
    )
    optimizer: Optimizer
    schedule: Schedule = Field(Schedule(), description="how the rate changes")
    norms: Norms = Field(Norms(), description="what becomes of batch norms")
    loss: Literal["cross_entropy", "binary"] = Field(
        "cross_entropy", description="cross_entropy, or binary for videos of several labels"
    )
    smoothing: Share = Field(0.0, description="label smoothing: share spread over all classes")
    average: Share = Field(0.0, description="decay of the moving average of weights, which is tested; 0 for none")

    sampling: Sampling = Field(Sampling(), description="which frames make a clip")
    augment: Augment = Field(Augment(), description="augmentation in training")
    values: Values = Field(Values(), description="normalisation of pixels")
    views: Views = Field(Views(), description="which views are tested")

    precision: Literal["fp32", "bf16", "fp16", "auto"] = Field(
        "fp32", description="fp32, torch.autocast to bf16 or fp16, or auto: bf16 on GPUs that have it, else fp32"
    )
    compiled: Literal["auto"] | bool = Field(False, description="torch.compile; auto: on GPUs that Triton is for")
    channels_last: Literal["auto"] | bool = Field(
        False, description="torch's memory format of maps and weights; auto: on GPUs with tensor cores"
    )
    lower: Literal["auto", "none"] | Annotated[tuple[PassName, ...], Distinct] = Field(
        "auto",
        description="passes that make the network quick, `archdsl lowerings`: auto for what pays on the device, their "
        "names, or none, which also tests the literal network",
    )
    checkpoint: Checkpoint = Field(
        "none",
        description="recomputed in backward: none, stage, block, or as little as fits a memory budget such as 24GB",
    )

    log_every: Count = Field(10, description="steps between two entries of the log")
    evaluate_every: Annotated[Real, Field(gt=0)] | None = Field(
        None, description="epochs (or steps) between two evaluations; by default only at the end"
    )
    best_by: ArchName | None = Field(
        None, description="metric by which the best checkpoint is told, such as mean_class; by default the first"
    )
    patience: Count | None = Field(
        None, description="evaluations in a row that are not better before training ends; by default it goes on"
    )
    save_every: Count = Field(500, description="steps between two checkpoints")
    keep: Count = Field(2, description="checkpoints kept beside the best")
    most_skipped: Share = Field(0.05, description="share of an epoch's videos that may be unreadable")

    def model_post_init(self, context: object, /) -> None:
        if (self.epochs is None) == (self.steps is None):
            got = "neither" if self.epochs is None else f"epochs: {self.epochs}, steps: {self.steps}"
            raise SpecError("recipe length missing or given twice", got=got, want="epochs, or steps")
        if isinstance(self.task, dict) and len(self.task) != 1:
            raise SpecError("one task is needed", at="task", got=", ".join(self.task) or "none", want="{name: {...}}")
        if self.batch % self.optimizer.accumulate:
            raise SpecError(
                "batch not divisible by `accumulate`",
                at="optimizer.accumulate",
                written=self.optimizer.written,
                got=f"{self.batch} clips in {self.optimizer.accumulate} parts",
                want=f"a multiple of {self.optimizer.accumulate}",
            )

        if self.batch % self.augment.repeats:
            raise SpecError(
                "batch not divisible by `repeats`",
                at="augment.repeats",
                written=self.augment.written,
                got=f"{self.batch} clips, {self.augment.repeats} of each video",
                want=f"a multiple of {self.augment.repeats}",
            )

    def task_and_options(self, default: str) -> tuple[str, dict[str, Any]]:
        """The name of its task, and what it sets of it."""
        if isinstance(self.task, dict):
            return next(iter(self.task.items()))
        return self.task or default, {}

    def lasting(self, unit: Literal["steps", "epochs"], length: int) -> Recipe:
        """The recipe over another length. Where the unit is another too, the whole schedule is stretched to it."""
        if getattr(self, unit):
            return self.but(**{unit: length})
        times = length / (self.steps or self.epochs or 1)
        schedule = self.schedule.stretched(times)
        every = self.evaluate_every and self.evaluate_every * times
        return self.but(**{"steps": None, "epochs": None, unit: length}, schedule=schedule, evaluate_every=every)

    def steps_for(self, count: int) -> int:
        """Optimiser steps for `count` videos an epoch."""
        return self.steps or -(-(self.epochs or 0) * count * self.augment.repeats // self.batch)

    def steps_of_epoch(self, count: int) -> float:
        """Steps in which each of `count` videos is drawn once; 1 where the recipe counts steps."""
        return 1 if self.steps else count * self.augment.repeats / self.batch

    def rate_at(self, step: int, count: int) -> float:
        """The learning rate of a step, counted from 0, for `count` videos an epoch."""
        per = self.steps_of_epoch(count)
        return self.optimizer.rate_for(self.batch) * self.schedule.share_at(step / per, self.steps or self.epochs or 1)

    def evaluates_after(self, step: int, count: int) -> bool:
        """Whether the network is tested after that many steps, for `count` videos an epoch."""
        if self.evaluate_every is None:
            return step == self.steps_for(count)
        every = self.evaluate_every * self.steps_of_epoch(count)
        return step // every > (step - 1) // every
