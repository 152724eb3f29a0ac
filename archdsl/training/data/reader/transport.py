"""Clips packed for the way from worker to trainer: one tensor for all, since each tensor costs an open file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from archdsl.training.data.clips import Sample, Unreadable

WORD = 8
"""Alignment of every tensor, in bytes."""


class TensorForm(NamedTuple):
    """Type and shape of a tensor."""

    dtype: torch.dtype
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Packed:
    """Clips whose data lies in one tensor."""

    numbers: Tensor
    """(bytes,) uint8"""
    forms: list[Any]
    """Samples with a form in place of each tensor, and unreadable ones."""

    def pin_memory(self) -> Packed:
        """In memory that a GPU reads while the processor goes on; torch's loader asks for it."""
        return replace(self, numbers=self.numbers.pin_memory())

    def to(self, device: torch.device) -> Packed:
        """On a device, by one copy that nothing waits for."""
        return replace(self, numbers=self.numbers.to(device, non_blocking=True))


def pack(found: list[Sample | Unreadable]) -> Packed:
    """Pack clips into one tensor."""
    numbers: list[Tensor] = []

    def packed(x: Tensor) -> TensorForm:
        numbers.append(as_bytes(x))
        return TensorForm(x.dtype, tuple(x.shape))

    forms = [one.mapped(packed) if isinstance(one, Sample) else one for one in found]
    return Packed(torch.cat(numbers) if numbers else torch.empty(0, dtype=torch.uint8), forms)


def unpack(pack: Packed) -> list[Sample | Unreadable]:
    """Unpack clips, as views of the tensor."""
    begin = 0

    def unpacked(form: TensorForm) -> Tensor:
        nonlocal begin
        size = torch.Size(form.shape).numel() * form.dtype.itemsize
        found = pack.numbers[begin : begin + size].view(form.dtype).view(form.shape)
        begin += size + -size % WORD
        return found

    return [one if isinstance(one, Unreadable) else one.mapped(unpacked) for one in pack.forms]


def as_bytes(x: Tensor) -> Tensor:
    """A tensor's bytes, padded to whole words."""
    flat = x.contiguous().reshape(-1).view(torch.uint8)
    return pad(flat, (0, -len(flat) % WORD))
