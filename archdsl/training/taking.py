"""Networks with weights of a file, of a checkpoint's folder, or of a run's last checkpoint."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from torch import Tensor, nn

from archdsl.backend import build
from archdsl.backend.weights import check_names, copy_weights, differences, raise_for, read_weights
from archdsl.compiler import Plan
from archdsl.training.checkpoints import STATE, read_facts, shapes_in
from archdsl.training.ran import ran
from archdsl.training.state import read_weights as read_checkpoint

HEAD = "head."
"""How addresses begin that may differ between what was learnt and what is trained on."""


class Weights(NamedTuple):
    """Weights on disk."""

    path: Path
    """A file, or a checkpoint's folder."""
    shapes: dict[str, tuple[int, ...]]
    tensors: dict[str, Tensor]
    """Those of a file; a checkpoint's are read into their network."""

    def put(self, network: nn.Module, but: Collection[str] = ()) -> None:
        """Into a network that they fit, but for some addresses; a checkpoint's average where its recipe kept one."""
        if self.path.is_dir():
            read_checkpoint(network, self.path, but)
        else:
            taken = {name: tensor for name, tensor in self.tensors.items() if name not in but}
            copy_weights(network, taken, str(self.path))


def weights_at(path: Path) -> Weights:
    """What is at a path. Raises SpecError where there are no weights."""
    if not path.is_dir():
        tensors = read_weights(path)
        return Weights(path, {name: tuple(tensor.shape) for name, tensor in tensors.items()}, tensors)
    if not (path / STATE).exists():
        path = ran(path).checkpoint
    read_facts(path)
    found = shapes_in(path).items()
    return Weights(path, {k.removeprefix("network."): shape for k, shape in found if k.startswith("network.")}, {})


def with_weights(plan: Plan, path: Path) -> nn.Module:
    """A plan's network with weights of its own. Raises SpecError for weights of another network."""
    network, found = build(plan), weights_at(path)
    check_names(network.state_dict(), found.shapes, str(found.path))
    found.put(network)
    return network


def begun_from(network: nn.Module, path: Path) -> dict[str, str]:
    """Put weights into a network that is to be trained; its head may be another. Gives what was not taken, and why.

    Raises SpecError where anything but the head differs.
    """
    found = weights_at(path)
    faults = list(differences(network.state_dict(), found.shapes, str(found.path)))
    wrong = [fault for fault in faults if not (fault.at or "").startswith(HEAD)]
    if wrong:
        fix = f"weights of this arch: nothing but what is under {HEAD.rstrip('.')} may differ"
        raise_for([replace(wrong[0], fix=fix), *wrong[1:]], str(found.path))
    left = {str(fault.at): f"got {fault.got}, want {fault.want}" for fault in faults}
    found.put(network, left)
    return left
