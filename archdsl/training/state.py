"""What must survive a crash: step, weights, optimiser, scaler, average, best. Nothing else changes as training goes on.

Order of clips, rates and dice are functions of (recipe, step), so they are not here.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer

from archdsl.training.checkpoints import Facts, read_tensors
from archdsl.training.optimizing import Average


@dataclass
class State:
    """Training between two steps."""

    network: nn.Module
    optimizer: Optimizer
    scaler: GradScaler
    average: Average | None
    step: int = 0
    """Steps done."""
    best: dict[str, Any] | None = None
    """`step` and figures of the best evaluation so far."""

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

    def facts(self) -> Facts:
        """What is no tensor."""
        return {"step": self.step, "scaler": self.scaler.state_dict(), "best": self.best}

    @torch.no_grad()
    def restore(self, checkpoint: Path, facts: Facts) -> None:
        """Take everything from a checkpoint."""
        read_tensors(checkpoint, self.places)
        self.step, self.best = facts["step"], facts["best"]
        self.scaler.load_state_dict(facts["scaler"])

    def places(self, shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
        """The tensors that a checkpoint's are read into; an optimiser's are made, for a new one has none."""
        parameters = dict(self.network.named_parameters())
        for name, shape in shapes.items():
            kind, _, rest = name.partition(".")
            if kind == "optimizer":
                owner, _, slot = rest.rpartition(".")
                weights = parameters[owner]
                made = torch.zeros_like(weights) if shape == tuple(weights.shape) else torch.zeros(shape)
                self.optimizer.state[weights][slot] = made
        places = self.tensors()
        assert places.keys() == shapes.keys(), places.keys() ^ shapes.keys()
        return places


def tensors_of(network: nn.Module) -> dict[str, Tensor]:
    """Parameters and lasting buffers by address, shared ones once."""
    lasting = network.state_dict().keys()
    found = dict(network.named_parameters()) | {k: v for k, v in network.named_buffers() if k in lasting}
    return {name: tensor.detach() for name, tensor in found.items()}


def read_weights(network: nn.Module, checkpoint: Path, but: Collection[str] = ()) -> None:
    """A checkpoint's weights for a network of its arch, but for some: the average where the recipe kept one."""
    own = {name: tensor for name, tensor in tensors_of(network).items() if name not in but}

    def places(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
        averaged = {name for name in own if f"average.{name}" in shapes}
        return {f"average.{name}" if name in averaged else f"network.{name}": own[name] for name in own}

    with torch.no_grad():
        read_tensors(checkpoint, places)
