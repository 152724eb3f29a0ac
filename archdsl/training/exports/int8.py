"""A network in 8 bits, its ranges observed on videos, and what that costs on them."""

from __future__ import annotations

import torch
from torch import nn

from archdsl.backend.example_clips import random_clips
from archdsl.backend.export.int8 import observed, quantised
from archdsl.compiler import Plan
from archdsl.errors import SpecError
from archdsl.language.recipes.recipe import Recipe
from archdsl.report.figures import metric_text
from archdsl.training.evaluation.views import judge_videos
from archdsl.training.tasks.choice import task_for


def int8_network(network: nn.Module, plan: Plan, recipe: Recipe | None, data: str) -> tuple[nn.Module, tuple[str, ...]]:
    """(the network in 8 bits, its figures before and after) on the test videos of `data`, which set its ranges too.

    Raises SpecError where torch cannot quantise it.
    """
    if recipe is None:
        raise SpecError(
            "no recipe to read videos by", got=f"--int8 {data}", want="a run, or a network with --recipe and --weights"
        )
    task = task_for(plan, recipe)
    videos = task.videos(data, "val")
    task.check_classes(videos.classes, learnt=True)
    watched = observed(network, random_clips(plan, device="cpu"))
    clips, device = plan.arch.clips, torch.device("cpu")
    before = judge_videos(watched, task, videos, clips, device=device).figures
    made = quantised(watched)
    after = judge_videos(made, task, videos, clips, device=device).figures
    texts = (f"{name} {metric_text(name, value)} -> {metric_text(name, after[name])}" for name, value in before.items())
    return made, (f"int8 on {len(videos)} videos of {data}: {', '.join(texts)}",)
