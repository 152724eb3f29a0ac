"""Weights put into a network: what fits, what differs, what no network can hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from archdsl.backend.weights.files import FLOATS, storage_kind, unusable_tensor
from archdsl.errors import Fault, SpecError

FAULTS_SHOWN = 12
"""Differences that are told."""
COUNTER = "num_batches_tracked"
"""Batch norm counts batches; files older than torch 0.4.1 do not have it, and in tests it is not read."""


def put_weights(network: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Put tensors into a network, in its own precision. Raises SpecError where they are another network's."""
    check_names(network.state_dict(), {name: tuple(tensor.shape) for name, tensor in tensors.items()}, source)
    copy_weights(network, tensors, source)


def copy_weights(network: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Put tensors that fit into a network, which may have more.

    Raises SpecError for numbers that it cannot hold: integers for weights, NaN, infinity, fractions for counters.
    """
    own = network.state_dict()
    taken = {name: cast(name, tensor, own[name].dtype, source) for name, tensor in tensors.items()}
    with torch.no_grad():
        for name, tensor in taken.items():
            own[name].copy_(tensor)


def cast(name: str, tensor: Tensor, kind: torch.dtype, source: str) -> Tensor:
    """A tensor's numbers in a network's kind. Raises SpecError where they would become others."""
    if kind.is_floating_point and tensor.dtype not in FLOATS:
        fix = "the weights before they were quantised, or multiplied by their scale"
        raise unusable_tensor(name, source, storage_kind(tensor), "numbers of 16, 32 or 64 bits with a point", fix)
    if not tensor.isfinite().all():
        raise unusable_tensor(
            name, source, "NaN or infinity", "finite numbers", "a file from before the training diverged"
        )
    made = tensor.to(kind)
    if kind.is_floating_point and not made.isfinite().all():
        raise unusable_tensor(
            name, source, f"{tensor.abs().max().item():.3g}", f"numbers that {storage_kind(made)} holds"
        )
    if not kind.is_floating_point and not torch.equal(made.to(tensor.dtype), tensor):
        raise unusable_tensor(
            name, source, f"{storage_kind(tensor)} with fractions", f"whole numbers, as {storage_kind(made)}"
        )
    return made


def check_names(own: Mapping[str, Tensor], found: Mapping[str, tuple[int, ...]], source: str) -> None:
    """Raises SpecError where names or shapes of weights differ from the network's."""
    raise_for(list(weight_faults(own, found, source)), own, found)


def raise_for(faults: list[Fault], own: Mapping[str, Tensor], found: Mapping[str, tuple[int, ...]]) -> None:
    """Raises SpecError with these faults; where there are many, with one that sums them up."""
    if faults:
        raise SpecError(faults if len(faults) <= FAULTS_SHOWN else [weight_mismatch(faults[0], own, found)])


def weight_mismatch(first: Fault, own: Mapping[str, Tensor], found: Mapping[str, tuple[int, ...]]) -> Fault:
    """One fault for weights of quite another network: how many names are shared, and the first that differ."""
    shared = [name for name in own if name in found]
    reshaped = [name for name in shared if found[name] != tuple(own[name].shape)]
    others = [name for name in found if name not in own]
    got = [f"{len(shared)} of {len(own)} names shared"]
    if reshaped:
        got.append(f"{len(reshaped)} of them with other shapes, such as {reshaped[0]} {found[reshaped[0]]}")
    if others:
        got.append(f"{len(others)} other names, such as {others[0]}")
    want = f"{first.at} {first.want}" if first.at in own else "no other names"
    return replace(first, at=None, got="; ".join(got), want=want)


def weight_faults(own: Mapping[str, Tensor], found: Mapping[str, tuple[int, ...]], source: str) -> Iterator[Fault]:
    """What differs, by address, in the network's order."""
    what = "weights of another network"
    shared = {memory_location(own[name]) for name in found if name in own}
    for name, tensor in own.items():
        shape = tuple(tensor.shape)
        if name in found and found[name] != shape:
            yield Fault(what=what, at=name, written=source, got=str(found[name]), want=str(shape))
        elif name not in found and not name.endswith(COUNTER) and memory_location(tensor) not in shared:
            yield Fault(what=what, at=name, written=source, got="nothing of that name", want=str(shape))
    for name, shape in found.items():
        if name not in own:
            yield Fault(what=what, at=name, written=source, got=str(shape), want="nothing here")


def memory_location(tensor: Tensor) -> tuple[int, ...]:
    """Where in memory a tensor lies: parts that share their weights have one place."""
    return (tensor.data_ptr(), *tensor.shape) if tensor.numel() and not tensor.is_meta else (id(tensor),)
