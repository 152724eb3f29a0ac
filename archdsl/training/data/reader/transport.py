"""Clips packed for the way from worker to trainer: one tensor for all, since each tensor costs an open file."""

from __future__ import annotations

from collections.abc import Iterator
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


class Packed(NamedTuple):
    """Clips whose data lies in one tensor."""

    numbers: Tensor
    """(bytes,) uint8"""
    forms: list[Any]
    """Samples with a form in place of each tensor, and unreadable ones."""


def pack(found: list[Sample | Unreadable]) -> Packed:
    """Pack clips into one tensor."""
    numbers = [as_bytes(x) for one in found if isinstance(one, Sample) for x in (*one.frames.values(), one.label)]
    forms = [without_tensors(one) if isinstance(one, Sample) else one for one in found]
    return Packed(torch.cat(numbers) if numbers else torch.empty(0, dtype=torch.uint8), forms)


def unpack(pack: Packed) -> list[Sample | Unreadable]:
    """Unpack clips, as views of the tensor."""
    parts = unpacked_tensors(pack)
    return [one if isinstance(one, Unreadable) else with_tensors(one, parts) for one in pack.forms]


def as_bytes(x: Tensor) -> Tensor:
    """A tensor's bytes, padded to whole words."""
    flat = x.contiguous().reshape(-1).view(torch.uint8)
    return pad(flat, (0, -len(flat) % WORD))


def without_tensors(one: Sample) -> Any:
    """A sample with forms in place of tensors."""
    frames: Any = {name: TensorForm(x.dtype, tuple(x.shape)) for name, x in one.frames.items()}
    label: Any = TensorForm(one.label.dtype, tuple(one.label.shape))
    return one._replace(frames=frames, label=label)


def unpacked_tensors(pack: Packed) -> Iterator[Tensor]:
    """The tensors, in order."""
    begin = 0
    for one in pack.forms:
        if isinstance(one, Unreadable):
            continue
        for form in (*one.frames.values(), one.label):
            size = torch.Size(form.shape).numel() * form.dtype.itemsize
            yield pack.numbers[begin : begin + size].view(form.dtype).view(form.shape)
            begin += size + -size % WORD


def with_tensors(one: Any, parts: Iterator[Tensor]) -> Sample:
    """A sample with its tensors."""
    return one._replace(frames={name: next(parts) for name in one.frames}, label=next(parts))
