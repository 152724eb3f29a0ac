"""Weights under others' names brought to ours, and ours to theirs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from archdsl.backend.weights.files import metadata_of, read_weights
from archdsl.backend.weights.fit import COUNTER, put_weights
from archdsl.catalog.dialects import Input, Naming, TensorLayout, namings

LEAST_SHARE = 0.5
"""Share of a network's tensors that a file must have under a naming, for it to be the file's."""
Shapes = Mapping[str, tuple[int, ...]]


def load_weights(network: nn.Module, path: str | Path) -> Translation:
    """Put the weights of a file into a network, whatever their dialect; gives where they come from.

    Raises SpecError with every address that differs.
    """
    found = translated(read_weights(path), network.state_dict())
    put_weights(network, found.tensors, str(path))
    return found


class Translation(NamedTuple):
    """A file's tensors under our addresses."""

    tensors: dict[str, Tensor]
    naming: Naming | None
    """None where they already were."""
    extra: tuple[str, ...] = ()
    """Names in the file that have no counterpart and need none."""
    filled: tuple[str, ...] = ()
    """Addresses that the file lacks, and that have the value they would have there."""


def translated(found: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> Translation:
    """A file's tensors under the addresses of a network, by the naming that fits best; as they are where none does."""
    naming = best_naming(own, found)
    if naming is None:
        return Translation(dict(found), None)
    shapes = {name: tuple(tensor.shape) for name, tensor in own.items()}
    tensors: dict[str, Tensor] = {}
    read: set[str] = set()
    filled = []
    for address, layout in naming.layouts(own).items():
        if all(name in found for name in layout.names if name):
            tensors[address] = shaped(laid_out(layout, found, shapes), shapes[address])
            read.update(layout.names)
        elif layout.missing is not None:
            tensors[address] = torch.full(shapes[address], layout.missing)
            filled.append(address)
    unread = [name for name in found if name not in read]
    extra = tuple(name for name in unread if naming.ignores(name))
    tensors |= {name: found[name] for name in unread if name not in extra}
    return Translation(tensors, naming, extra, tuple(filled))


def expected_input(path: Path, own: Mapping[str, Tensor]) -> Input | None:
    """What a file's weights expect of pixels: as it was written beside them, or as their source has it."""
    about = metadata_of(path)
    if about:
        return Input(**about["input"]) if isinstance(about.get("input"), dict) else None
    naming = best_naming(own, read_weights(path))
    return naming.input if naming else None


def best_naming(own: Iterable[str], found: Iterable[str]) -> Naming | None:
    """The naming under which most of our addresses are in the file; None where most are there as they are.

    Of several the one that leaves fewest of its names unread.
    """
    names, addresses = set(found), [name for name in own if not name.endswith(COUNTER)]
    most = sum(address in names for address in addresses)
    if most == len(addresses):
        return None
    best: Naming | None = None
    fewest = len(names) + 1
    for naming in namings():
        layouts = [one for one in naming.layouts(addresses).values() if names.issuperset(filter(None, one.names))]
        if len(layouts) < max(most, LEAST_SHARE * len(addresses)):
            continue
        read = {name for layout in layouts for name in layout.names}
        unread = sum(name not in read and not naming.ignores(name) for name in names)
        if len(layouts) > most or (best and unread < fewest):
            most, best, fewest = len(layouts), naming, unread
    return best


def laid_out(layout: TensorLayout, found: Mapping[str, Tensor], shapes: Shapes) -> Tensor:
    """One tensor of ours from those of a file."""
    parts = [found[name] for name in layout.names if name]
    if len(layout.names) > 1:
        parts = [found[name] if name else torch.zeros_like(parts[0]) for name in layout.names]
    tensor = joined(parts, layout.leading) if len(parts) > 1 else parts[0]
    if layout.permute and tensor.ndim == len(layout.permute):
        tensor = tensor.permute(layout.permute)
    if layout.part and tensor.ndim and tensor.shape[0] % layout.part[1] == 0:
        tensor = tensor.chunk(layout.part[1])[layout.part[0]]
    if layout.first and layout.first in shapes and tensor.ndim > 1:
        tensor = tensor.roll(-shapes[layout.first][0], dims=1)
    return tensor if layout.flip is None or layout.flip >= tensor.ndim else tensor.flip(layout.flip)


def joined(parts: list[Tensor], leading: int) -> Tensor:
    """Several tensors joined by rows; the last one where they cannot be, so that its shape is told."""
    if leading:  # tables, under axes of size 1 or none
        parts = [part.reshape(-1, part.shape[-1]) if part.ndim and part.numel() else part for part in parts]
    alike = all(part.ndim and part.shape[1:] == parts[0].shape[1:] for part in parts)
    return torch.cat(parts) if alike else parts[-1]


def shaped(tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A tensor in another number of axes, where only axes of size 1 come or go, or lead a table of another size."""
    more = tensor.ndim - len(shape)
    same = [n for n in tensor.shape if n != 1] == [n for n in shape if n != 1]
    if same and more:
        return tensor.reshape(shape)
    return tensor.flatten(0, more) if more > 0 and shape and tensor.shape[:more].numel() == 1 else tensor


def exported(tensors: Mapping[str, Tensor], naming: Naming) -> dict[str, Tensor]:
    """Our tensors under the names of a source, in its layout; axes of size 1 stay as ours."""
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    made: dict[str, Tensor] = {}
    parts: dict[str, dict[int, Tensor]] = {}
    for address, layout in naming.layouts(tensors).items():
        tensor = tensors[address]
        if layout.flip is not None and layout.flip < tensor.ndim:
            tensor = tensor.flip(layout.flip)
        if layout.first and layout.first in shapes and tensor.ndim > 1:
            tensor = tensor.roll(shapes[layout.first][0], dims=1)
        if layout.permute and tensor.ndim == len(layout.permute):
            tensor = tensor.permute([layout.permute.index(axis) for axis in range(tensor.ndim)])
        if layout.part:
            parts.setdefault(layout.names[0], {})[layout.part[0]] = tensor
        else:
            pieces = parts_of_rows(tensor, layout)
            made |= {name: piece.contiguous() for name, piece in zip(layout.names, pieces) if name}
    made |= {name: torch.cat([rows[k] for k in sorted(rows)]) for name, rows in parts.items()}
    return made


def parts_of_rows(tensor: Tensor, layout: TensorLayout) -> tuple[Tensor, ...]:
    """A tensor of ours by the names that theirs are joined from."""
    if len(layout.names) == 1:
        return (tensor,)
    if layout.leading:
        return tensor.split([layout.leading, len(tensor) - layout.leading])
    return tensor.chunk(len(layout.names))
