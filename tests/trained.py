"""A small network and a short recipe for the tests of training; as a script, a run that tests interrupt."""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

import archdsl
from archdsl.blocks import Basic, Conv, Norm
from archdsl.language import Arch, Classifier, Clip, Pathway, Stage, change
from archdsl.language.recipes.recipe import Recipe
from archdsl.recipes import recipe
from archdsl.training import MovingDigits
from archdsl.training.tasks.base import Task
from archdsl.training.tasks.choice import task_for

DATA = MovingDigits(count=64, seed=0, frames=4, size=32), MovingDigits(count=32, seed=1, frames=4, size=32)
GROUPS = Norm(kind="group", groups=4)


def small(norm: str | Norm = "batch", name: str = "small", channels: int = 8, dropout: float = 0.0) -> Arch:
    """One residual stage for clips of 4 x 32 x 32."""
    norm = Norm(kind=norm) if isinstance(norm, str) else norm
    stages = dict(
        stem=Stage(Conv(channels=channels, kernel=(3, 5, 5), stride=(1, 4, 4), norm=norm)),
        res2=Stage(Basic(channels=2 * channels, kernel_t=3, stride=2, norm=norm)),
    )
    head = Classifier(classes=8, dropout=dropout)
    return Arch(name=name, clip=Clip(frames=4, size=32), pathways=dict(main=Pathway(stages=stages)), head=head)


def classifying(recipe: Recipe) -> Task:
    """The task of classification by a recipe, for networks that are no plan's."""
    return task_for(archdsl.compile(small()), recipe)


def short(steps: int = 6, **changes: Any) -> Recipe:
    """A few steps of 8 clips; keys with __ for dots."""
    made = recipe("smoke", steps=steps, batch=8)
    for path, value in {"log_every": 1, "save_every": 2, **changes}.items():
        made = change(made, path.replace("__", "."), value)
    return made


def entries(out: Path) -> list[dict[str, Any]]:
    """The log of a run."""
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def losses(out: Path) -> dict[int, float]:
    """Step -> loss."""
    return {entry["step"]: entry["loss"] for entry in entries(out) if "loss" in entry}


def ending(out: Path, run: Any) -> dict[str, Any]:
    """What a run in a folder ended with: its figures, and its losses by step."""
    return {"figures": run.figures, "losses": losses(out)}


def main(out: str, settings: str) -> None:
    """Train; write the indices that each step sees beside the run, as they are taken."""
    import archdsl.training.run as module

    torch.set_num_threads(1)
    given = json.loads(settings)
    real = module.train_batches

    def noted(*args: Any, **options: Any) -> Any:
        for step, batch in enumerate(real(*args, **options), options["start"]):
            with Path(f"{out}.indices.{options['rank']}").open("a") as file:
                file.write(json.dumps([step, list(batch.indices)]) + "\n")
            yield batch

    destroy = dist.destroy_process_group

    def last() -> None:
        assert all(type(thing) is not DistributedDataParallel for thing in gc.get_objects()), "DDP outlives its group"
        destroy()

    module.train_batches, dist.destroy_process_group = noted, last
    norm = GROUPS if given.pop("groups", False) else "batch"
    options = {key: given.pop(key) for key in ("shard", "workers", "resume") if key in given}
    arch = small(norm, dropout=given.pop("dropout", 0.0))
    run = archdsl.train(arch, short(**given), DATA, out=out, device="cpu", quiet=True, **options)
    sys.exit(128 + run.signal if run.stopped else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
