"""What a run says of itself when it begins: its first lines, and run.json."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from archdsl.backend.passes import passes_at_work
from archdsl.language.recipes.recipe import Recipe
from archdsl.language.recipes.unread import unread_settings
from archdsl.training.data.sources.videos import Files
from archdsl.training.passes import passes_text
from archdsl.training.precision import emulation_warning
from archdsl.training.run import Run
from archdsl.training.state.compatibility import recipe_changes
from archdsl.training.state.records import RunInfo


def opening_lines(run: Run) -> Iterator[str]:
    """How the network runs, what the rate was scaled by, what is recomputed."""
    yield passes_text(run.plan, run.lowered[-1].passes)
    if len(run.lowered) > 1 and run.lowered[-1].step == run.step:
        yield "other lowerings than before: losses agree with those of an unbroken run to rounding only"
    recipe = run.recipe
    if changes := recipe_changes(recipe):
        told = ", ".join(f"{at} {before} -> {after}" for at, (before, after) in changes.items())
        yield f"recipe {recipe.name}, changed: {told}"
    kinds = [recipe.precision, *(name for name in ("channels_last", "compiled") if getattr(recipe, name))]
    yield f"{', '.join(kinds)} on {run.world.device}"
    if scaled := scaled_rate(recipe):
        where = f", run on {recipe.hardware}" if recipe.hardware else ""
        yield (
            f"rate {scaled['used']:.4g} for a batch of {recipe.batch:,}, in proportion: "
            f"{scaled['stated']:.4g} is for {scaled['stated_batch']:,} clips{where}"
        )
    if run.memory.setup.budget:
        yield str(run.memory)


def warn_at_start(run: Run) -> None:
    """Warn of videos that are left out, of settings that nothing reads, and of a precision that is emulated."""
    for use, videos in (("train", run.videos), ("test", run.tests)):
        for remark in videos.remarks() if isinstance(videos, Files) else ():
            run.progress.say(f"{use} videos: {remark}")
    if unread := unread_settings(run.recipe, run.task.reads_of_scores):
        run.progress.warn(f"settings of the recipe that are not read: {'; '.join(unread)}", "leave them out")
    if slow := emulation_warning(run.recipe, run.world.device):
        run.progress.warn(*slow)


def scaled_rate(recipe: Recipe) -> dict[str, Any] | None:
    """The rate as stated and as used; None where the batch is the one that it is stated for."""
    stated = recipe.optimizer.rate_batch
    if stated is None or stated == recipe.batch:
        return None
    used = recipe.optimizer.rate_for(recipe.batch)
    return {"stated": recipe.optimizer.rate, "stated_batch": stated, "used": used}


def run_record(run: Run) -> RunInfo:
    """What run.json says, but for versions."""
    passes = run.lowered[-1].passes
    about = {"arch": run.plan.arch.name, "recipe": run.recipe.name, "processes": run.world.size, "steps": run.steps}
    about |= {"device": str(run.world.device), "workers": run.workers, "weights": run.origin}
    about |= {"lowered": run.lowered, "lowerings": passes_at_work(run.plan.of_frames_read.graph, passes)}
    about |= {"hardware": run.recipe.hardware, "rate": scaled_rate(run.recipe)}
    about |= {"task": run.task.name, "changed": recipe_changes(run.recipe)}
    about |= {"again": list(run.memory.recomputed), "memory": run.memory.peak}
    return RunInfo(classes=list(run.videos.classes), data=run.data, **about)
