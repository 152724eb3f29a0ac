"""Networks with weights of a file, of a checkpoint's folder, or of a run's last checkpoint."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from archdsl.backend import build
from archdsl.backend.passes import Lower
from archdsl.backend.weights import (
    Ways,
    adapted,
    copy_weights,
    describe,
    expected_input,
    local_weights,
    raise_for,
    read_weights,
    translated,
    weight_faults,
)
from archdsl.compiler import Plan
from archdsl.errors import Fault, SpecError
from archdsl.language.recipes.clips import Values
from archdsl.language.recipes.recipe import Recipe
from archdsl.training.state.checkpoints import CHECKPOINT_NAME, STATE, locked_checkpoint, read_facts, tensor_specs
from archdsl.training.state.records import WeightsOrigin
from archdsl.training.state.run_reader import classes_of_weights, read_run
from archdsl.training.state.snapshot import checkpoint_weights
from archdsl.training.state.snapshot import read_checkpoint_weights as read_checkpoint

HEAD_PREFIX = "head."
"""How addresses begin that may differ between what was learnt and what is trained on."""


class StoredWeights(NamedTuple):
    """Weights on disk."""

    path: Path
    """A file, or a checkpoint's folder."""
    shapes: dict[str, tuple[int, ...]]
    tensors: dict[str, Tensor]
    """Those of a file; a checkpoint's are read into their network, or `in_memory` where they do not fit it."""

    def translated(self, network: nn.Module) -> StoredWeights:
        """Those of a file under the network's addresses, where a dialect is known that fits."""
        if not self.tensors:
            return self
        tensors = translated(self.tensors, network.state_dict()).tensors
        return self.of(tensors)

    def adapted(self, network: nn.Module) -> tuple[StoredWeights, dict[str, str]]:
        """(those of a file fitted to a network that differs a little, address -> what was done)."""
        tensors, done = adapted(self.tensors, network.state_dict(), Ways())
        return (self.of(tensors) if done else self), done

    def of(self, tensors: dict[str, Tensor]) -> StoredWeights:
        """The same place with other tensors."""
        return self._replace(tensors=tensors, shapes={name: tuple(tensor.shape) for name, tensor in tensors.items()})

    def copy_into(self, network: nn.Module, but: Collection[str] = ()) -> None:
        """Into a network that they fit, but for some addresses; a checkpoint's average where its recipe kept one."""
        if self.tensors:
            taken = {name: tensor for name, tensor in self.tensors.items() if name not in but}
            copy_weights(network, taken, str(self.path))
        else:
            read_checkpoint(network, self.path, but)

    def in_memory(self) -> StoredWeights:
        """The same with its tensors."""
        return self if self.tensors else self.of(checkpoint_weights(self.path))


@contextmanager
def locked_weights(path: Path) -> Iterator[Path]:
    """A file, or a checkpoint that stays meanwhile: of a run's folder its last. Raises SpecError for other folders."""
    path = local_weights(path)
    if path.is_dir() and not (path / STATE).exists() and not CHECKPOINT_NAME.fullmatch(path.name):
        read_run(path)
    with locked_checkpoint(path) if path.is_dir() else nullcontext(path) as found:
        yield found


@contextmanager
def open_weights(path: Path) -> Iterator[StoredWeights]:
    """What is at a path, to be read within. Raises SpecError where there are no weights."""
    with locked_weights(path) as found:
        if found.is_dir():
            read_facts(found)
            kinds = tensor_specs(found).items()
            shapes = {name.removeprefix("network."): kind.shape for name, kind in kinds if name.startswith("network.")}
            yield StoredWeights(found, shapes, {})
        else:
            tensors = read_weights(found)
            yield StoredWeights(found, {name: tuple(tensor.shape) for name, tensor in tensors.items()}, tensors)


def network_with_weights(plan: Plan, path: Path, lower: Lower = "none") -> nn.Module:
    """A plan's network with weights of its own. Raises SpecError for weights of another network."""
    with open_weights(path) as found:
        return network_of_stored(plan, found, lower)


def network_of_stored(plan: Plan, found: StoredWeights, lower: Lower = "none") -> nn.Module:
    """A plan's network with weights that were found. Raises SpecError for those of another network."""
    network = build(plan, lower)
    found = found.translated(network)
    faults = list(weight_faults(network.state_dict(), found.shapes, str(found.path)))
    rows = {found.shapes.get(fault.at or "", ())[:1] for fault in faults}
    if len(rows) == 1 and (*rows,) != ((),) and all((fault.at or "").startswith(HEAD_PREFIX) for fault in faults):
        faults[0] = replace(faults[0], fix=f"--classes {rows.pop()[0]}")
    raise_faults(faults, network, found)
    found.copy_into(network)
    return network


def raise_faults(faults: list[Fault], network: nn.Module, found: StoredWeights) -> None:
    """Raises SpecError with these faults, and what the file looks like where no name is shared."""
    try:
        raise_for(faults, network.state_dict(), found.shapes)
    except SpecError as error:
        if not found.tensors or found.shapes.keys() & network.state_dict().keys():
            raise
        raise looks_like(error, found.path) from None


def looks_like(error: SpecError, path: Path) -> SpecError:
    """The error of a foreign file, with the model that it fits."""
    known = describe(path)
    if not known.best:
        return error
    first, best = error.faults[0], known.best[0]
    got = f"{first.got}; this looks like {best.title}, {known.matched} of {known.total} names and shapes"
    return SpecError([replace(first, got=got, fix=f"use {best.model}; archdsl weights show {path.name} says more")])


def with_expected_values(recipe: Recipe, plan: Plan, path: Path) -> Recipe:
    """The recipe with pixels normalised as the weights of a file expect, unless it says how."""
    found = None if "values" in recipe.model_fields_set else expected_values(plan, path)
    return recipe.but(values=found) if found else recipe


def expected_values(plan: Plan, path: Path) -> Values | None:
    """How the weights of a file expect pixels to be normalised, where that is known."""
    if not path.is_file():
        return None
    with torch.device("meta"):
        own = build(plan).state_dict()
    expected = expected_input(path, own)
    return Values(mean=expected.mean, std=expected.std) if expected else None


def load_initial_weights(network: nn.Module, path: Path, classes: Sequence[str] = ()) -> WeightsOrigin:
    """Put weights into a network that is to be trained; its head may be another. Gives what was not taken or adapted.

    Rows of the head whose class names a run has too are taken. Of pre-training whole parts may differ: its decoder is
    left out. Raises SpecError where anything else differs.
    """
    with open_weights(path) as found:
        found, done, own = found.translated(network), dict[str, str](), network.state_dict()
        if [*weight_faults(own, found.shapes, str(found.path))]:
            found, done = found.in_memory().adapted(network)
            found, rows = with_rows_of_classes(found, network, classes_of_weights(path) or (), classes)
            done |= rows
        faults = list(weight_faults(own, found.shapes, str(found.path)))
        free = (HEAD_PREFIX, *parts_of_one(own, found.shapes))
        wrong = [fault for fault in faults if not (fault.at or "").startswith(free)]
        if wrong:
            fix = f"use weights of this arch: only those under {HEAD_PREFIX.rstrip('.')} may differ"
            raise_faults([replace(wrong[0], fix=fix), *wrong[1:]], network, found)
        not_taken = {str(fault.at): f"got {fault.got}, want {fault.want}" for fault in faults}
        found.copy_into(network, not_taken)
        spare = [name for name in not_taken if name not in own and not name.startswith(HEAD_PREFIX)]
        not_taken = {name: why for name, why in not_taken.items() if name not in spare}
        for part in dict.fromkeys(name.partition(".")[0] for name in spare):
            count = sum(name.startswith(f"{part}.") for name in spare)
            done = done | {part: f"left out, {count} tensors that {type(network).__name__} has no place for"}
        return WeightsOrigin(path=str(path), not_taken=not_taken, adapted=done)


def parts_of_one(own: Collection[str], found: Collection[str]) -> tuple[str, ...]:
    """Where weights have a pathway more than the network, as those of pre-training do: the parts that one of them has.

    Prefixes of addresses: pathways and edges of the weights, stages of either. None for any other weights.
    """
    ours, theirs = ({name.partition(".")[0] for name in names} for names in (own, found))
    spare = theirs - ours - {"head", "edges"}
    if not spare or not ours & theirs - {"head", "edges"}:
        return ()
    stages = [{".".join(name.split(".")[:2]) for name in names} for names in (own, found)]
    whole = spare | ({"edges"} & theirs - ours) | (stages[0] ^ stages[1])
    return tuple(f"{part}." for part in sorted(whole))


def with_rows_of_classes(
    found: StoredWeights, network: nn.Module, known: Sequence[str], classes: Sequence[str]
) -> tuple[StoredWeights, dict[str, str]]:
    """(weights whose head has the network's rows, address -> what was done): by name, the others as initialised."""
    shared = [name for name in classes if name in known]
    if not shared or [*known] == [*classes]:
        return found, {}
    tensors, done = dict(found.tensors), {}
    for name, own in network.state_dict().items():
        tensor = tensors.get(name)
        if tensor is None or not name.startswith(HEAD_PREFIX) or tensor.shape[1:] != own.shape[1:]:
            continue
        if (len(tensor), len(own)) == (len(known), len(classes)):
            made = own.detach().clone()
            made[[classes.index(one) for one in shared]] = tensor[[known.index(one) for one in shared]].to(own.dtype)
            tensors[name], done[name] = made, f"{len(shared)} of {len(classes)} rows by the names of classes"
    return found.of(tensors), done
