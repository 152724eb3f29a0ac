"""What must survive a crash: step, weights, optimiser, scaler, average, best. Nothing else changes in training.

Order of clips, rates and random numbers are functions of (recipe, step), so they are not saved.
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

from archdsl.training.optimizer import MovingAverage, state_slots
from archdsl.training.state.checkpoints import TensorSpec, read_tensors
from archdsl.training.state.records import BestEvaluation, CheckpointFacts, Scaler


@dataclass
class TrainState:
    """Training between two steps."""

    network: nn.Module
    optimizer: Optimizer
    scaler: GradScaler
    average: MovingAverage | None
    step: int = 0
    """Steps done."""
    best: BestEvaluation | None = None

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor by name: network.*, optimizer.*, average.*."""
        kept = {f"network.{name}": tensor for name, tensor in network_tensors(self.network).items()}
        names: dict[Tensor, str] = {weights: name for name, weights in self.network.named_parameters()}
        for weights, slots in self.optimizer.state.items():
            for slot, value in slots.items():
                if isinstance(value, Tensor):
                    kept[f"optimizer.{names[weights]}.{slot}"] = value
        if self.average:
            kept |= {f"average.{name}": tensor for name, tensor in self.average.weights.items()}
        return kept

    def tested_weights(self) -> dict[str, Tensor]:
        """Address -> the weights that are tested: the moving average where one is kept."""
        return self.average.weights if self.average else dict(self.network.named_parameters())

    def not_finite(self) -> list[str]:
        """Names of this process's tensors with NaN or infinity."""
        here = {k: x.to_local() if isinstance(x, DTensor) else x for k, x in self.tensors().items()}
        return [name for name, x in here.items() if x.is_floating_point() and not x.isfinite().all()]

    def facts(self) -> dict[str, Any]:
        """The state that is not tensors."""
        return {"step": self.step, "scaler": self.scaler.state_dict(), "best": self.best}

    @torch.no_grad()
    def restore(self, checkpoint: Path, facts: CheckpointFacts) -> None:
        """Load a checkpoint. Raises SpecError where names, shapes or types of tensors differ."""
        read_tensors(checkpoint, self.destinations, whole=True)
        self.step, self.best = facts.step, facts.best
        if isinstance(facts.scaler, Scaler):  # empty after a run in another precision
            self.scaler.load_state_dict(facts.scaler.model_dump(by_alias=True))

    def destinations(self, found: Mapping[str, TensorSpec]) -> dict[str, Tensor]:
        """The tensors to read a checkpoint into; optimiser state is allocated first."""
        slots = state_slots(self.optimizer)
        for name, weights in self.network.named_parameters():
            if any(f"optimizer.{name}.{slot}" in found for slot in slots):
                self.optimizer.state[weights] = {
                    slot: torch.zeros_like(weights) if value is None else value.clone() for slot, value in slots.items()
                }
        return self.tensors()


def network_tensors(network: nn.Module) -> dict[str, Tensor]:
    """Parameters and persistent buffers by address, tied ones once."""
    persistent = network.state_dict().keys()
    found = dict(network.named_parameters()) | {k: v for k, v in network.named_buffers() if k in persistent}
    return {name: tensor.detach() for name, tensor in found.items()}


def fingerprint(network: nn.Module) -> str:
    """SHA-256 of a network's weights, equal on every device."""
    sums = sha256()
    for name, tensor in network_tensors(network).items():
        sums.update(name.encode())
        sums.update(tensor.cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return sums.hexdigest()


def checkpoint_weights(checkpoint: Path) -> dict[str, Tensor]:
    """A checkpoint's weights by address: the average where the recipe kept one."""
    made: dict[str, Tensor] = {}

    def destinations(found: Mapping[str, TensorSpec]) -> dict[str, Tensor]:
        for name, kind in found.items():
            part, _, address = name.partition(".")
            if part == "average" or (part == "network" and f"average.{address}" not in found):
                made[address] = torch.empty(kind.shape, dtype=kind.dtype)
        return {f"average.{x}" if f"average.{x}" in found else f"network.{x}": made[x] for x in made}

    read_tensors(checkpoint, destinations, whole=False)
    return made


def read_checkpoint_weights(network: nn.Module, checkpoint: Path, but: Collection[str] = ()) -> None:
    """Load a checkpoint's weights, except some, into a network of its arch: the average where the recipe kept one."""
    own = {name: tensor for name, tensor in network_tensors(network).items() if name not in but}

    def destinations(found: Mapping[str, TensorSpec]) -> dict[str, Tensor]:
        averaged = {name for name in own if f"average.{name}" in found}
        return {f"average.{name}" if name in averaged else f"network.{name}": own[name] for name in own}

    with torch.no_grad():
        read_tensors(checkpoint, destinations, whole=False)
