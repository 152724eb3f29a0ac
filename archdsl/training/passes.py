"""Which passes a run's network is lowered by; a resumed run keeps those that it was trained with."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from archdsl.backend import build
from archdsl.backend.inference import frozen_if_foldable
from archdsl.backend.passes import PASSES, passes_at_work, passes_taken
from archdsl.compiler import Plan
from archdsl.errors import SpecError
from archdsl.language.recipes.recipe import Recipe
from archdsl.report.lowering_policy import PassChoices
from archdsl.training.data.transforms.augment import Clips
from archdsl.training.processes import gather_objects
from archdsl.training.state.records import CheckpointFacts, LoweredFrom
from archdsl.training.tasks.base import Task

FOR_INFERENCE = {one.name for one in PASSES if not one.trains}
"""Passes after which training would leave other running statistics."""

LARGEST_WEIGHT = 1e15
"""Weights above overflow in a product or two of float32."""


def training_passes(recipe: Recipe, device: torch.device, facts: CheckpointFacts | None) -> PassChoices:
    """The passes to train with: those of the checkpoint where the recipe asks for the same, else what the recipe says.

    The same in every process. Raises SpecError for names that are no pass, and for passes that are for inference only.
    """
    try:
        taken = passes_taken(recipe.lower, train=True, device=device.type)
    except SpecError as error:
        raise error.placed("recipe.lower", recipe.written) from None
    idle = [name for name in taken if name in FOR_INFERENCE]
    if idle and recipe.lower != "auto":
        rest = [name for name in taken if name not in FOR_INFERENCE]
        raise SpecError(
            "a lowering for inference only",
            at="recipe.lower",
            written=recipe.written,
            got=", ".join(idle),
            want="passes that leave the running statistics of every norm as they are",
            fix=f"lower: [{', '.join(rest)}]" if rest else "lower: none",
        )
    if recipe.lower == "auto" and facts and facts.recipe.get("lower", "auto") == "auto":
        last = facts.lowered[-1] if facts.lowered else LoweredFrom(step=0, device=device.type, passes={})
        if last.device == device.type:
            taken = last.passes
    return gather_objects({name: choice for name, choice in taken.items() if name not in FOR_INFERENCE})[0]


def passes_text(plan: Plan, passes: PassChoices) -> str:
    """The passes that change something in a network."""
    found = passes_at_work(plan.of_frames_read.graph, passes)
    return f"lowered by {', '.join(found)}" if found else "the literal network: no lowering"


def inference_passes(recipe: Recipe, device: torch.device) -> PassChoices:
    """The passes to test with: what pays on the device, unless the recipe asks for the literal network."""
    return {} if recipe.lower == "none" else passes_taken("auto", device=device.type)


def inference_text(plan: Plan, recipe: Recipe, device: torch.device) -> str:
    """How a network is tested, in a line."""
    passes = inference_passes(recipe, device)
    return passes_text(plan, passes) + (", frozen" if passes and recipe.precision == "fp32" else "")


def prepared_for_inference(network: nn.Module, recipe: Recipe, device: torch.device) -> nn.Module:
    """A network with its weights, on its device, frozen where that computes in the recipe's precision.

    Packed weights are float32 whatever autocast says. oneDNN's ReLU makes 0 of NaN (torch 2.13), so that scores of
    weights that are not finite, or overflow, would look sound: those are not frozen.
    """
    network.to(device).eval()
    weights = [x for x in network.state_dict().values() if x.is_floating_point() and x.numel()]
    sound = all(bool(x.abs().amax() < LARGEST_WEIGHT) for x in weights)
    return frozen_if_foldable(network) if recipe.precision == "fp32" and sound else network


def testing_copy(plan: Plan, recipe: Recipe, network: nn.Module, device: torch.device) -> nn.Module:
    """A network for inference with the weights of one that is trained."""
    copy = build(plan.of_frames_read, inference_passes(recipe, device))
    copy.load_state_dict(network.state_dict())
    return prepared_for_inference(copy, recipe, device)


class AsTested(nn.Module):
    """A network in training, given what a test has."""

    def __init__(self, network: nn.Module, task: Task) -> None:
        super().__init__()
        self.network, self.task = network, task

    def forward(self, clips: Clips) -> Any:
        return self.network(self.task.inputs(clips))
