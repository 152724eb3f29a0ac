"""What must survive a crash: step, weights, optimiser, scaler, average, best. Nothing else changes as training goes on.

Order of clips, rates and dice are functions of (recipe, step), so they are not here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer

from archdsl.training.optimizer import Average, slots_of
from archdsl.training.state.checkpoints import Kind, read_tensors
from archdsl.training.state.records import Best, Facts, Scaler


@dataclass
class State:
    """Training between two steps."""

    network: nn.Module
    optimizer: Optimizer
    scaler: GradScaler
    average: Average | None
    step: int = 0
    """Steps done."""
    best: Best | None = None

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor by name: network.*, optimizer.*, average.*."""
        kept = {f"network.{name}": tensor for name, tensor in tensors_of(self.network).items()}
        names: dict[Tensor, str] = {weights: name for name, weights in self.network.named_parameters()}
        for weights, slots in self.optimizer.state.items():
            for slot, value in slots.items():
                if isinstance(value, Tensor):
                    kept[f"optimizer.{names[weights]}.{slot}"] = value
        if self.average:
            kept |= {f"average.{name}": tensor for name, tensor in self.average.weights.items()}
        return kept

    def not_finite(self) -> list[str]:
        """Names of the tensors, here, in which not every number is finite."""
        here = {k: x.to_local() if isinstance(x, DTensor) else x for k, x in self.tensors().items()}
        return [name for name, x in here.items() if x.is_floating_point() and not x.isfinite().all()]

    def facts(self) -> dict[str, Any]:
        """What is no tensor."""
        return {"step": self.step, "scaler": self.scaler.state_dict(), "best": self.best}

    @torch.no_grad()
    def restore(self, checkpoint: Path, facts: Facts) -> None:
        """Take everything from a checkpoint. Raises SpecError for tensors of others than these names, shapes, types."""
        read_tensors(checkpoint, self.places, whole=True)
        self.step, self.best = facts.step, facts.best
        if isinstance(facts.scaler, Scaler):  # a recipe that was in another precision before has none
            self.scaler.load_state_dict(facts.scaler.model_dump(by_alias=True))

    def places(self, found: Mapping[str, Kind]) -> dict[str, Tensor]:
        """The tensors that a checkpoint's are read into; an optimiser's are made, for a new one has none."""
        slots = slots_of(self.optimizer)
        for name, weights in self.network.named_parameters():
            if any(f"optimizer.{name}.{slot}" in found for slot in slots):
                self.optimizer.state[weights] = {
                    slot: torch.zeros_like(weights) if value is None else value.clone() for slot, value in slots.items()
                }
        return self.tensors()


def tensors_of(network: nn.Module) -> dict[str, Tensor]:
    """Parameters and lasting buffers by address, shared ones once."""
    lasting = network.state_dict().keys()
    found = dict(network.named_parameters()) | {k: v for k, v in network.named_buffers() if k in lasting}
    return {name: tensor.detach() for name, tensor in found.items()}


def fingerprint(network: nn.Module) -> str:
    """SHA-256 of a network's weights, the same on every device."""
    sums = sha256()
    for name, tensor in tensors_of(network).items():
        sums.update(name.encode())
        sums.update(tensor.cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return sums.hexdigest()


def read_weights(network: nn.Module, checkpoint: Path, but: Collection[str] = ()) -> None:
    """A checkpoint's weights for a network of its arch, but for some: the average where the recipe kept one."""
    own = {name: tensor for name, tensor in tensors_of(network).items() if name not in but}

    def places(found: Mapping[str, Kind]) -> dict[str, Tensor]:
        averaged = {name for name in own if f"average.{name}" in found}
        return {f"average.{name}" if name in averaged else f"network.{name}": own[name] for name in own}

    with torch.no_grad():
        read_tensors(checkpoint, places, whole=False)
