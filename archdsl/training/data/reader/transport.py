"""Clips on their way from the process that reads them: one tensor for all, since each tensor costs an open file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from archdsl.training.data.clips import Sample, Unreadable

WORD = 8
"""Bytes: every tensor begins at a multiple, as the widest numbers must."""


class Form(NamedTuple):
    """What a tensor was."""

    dtype: torch.dtype
    shape: tuple[int, ...]


class Packed(NamedTuple):
    """Clips whose numbers lie one after the other."""

    numbers: Tensor
    """(bytes,) uint8"""
    forms: list[Any]
    """Samples with a form in place of each tensor, and what could not be read."""


def packed(found: list[Sample | Unreadable]) -> Packed:
    """One tensor for all clips."""
    numbers = [as_bytes(x) for one in found if isinstance(one, Sample) for x in (*one.frames.values(), one.label)]
    forms = [form_of(one) if isinstance(one, Sample) else one for one in found]
    return Packed(torch.cat(numbers) if numbers else torch.empty(0, dtype=torch.uint8), forms)


def unpacked(pack: Packed) -> list[Sample | Unreadable]:
    """The clips again, as views of that tensor."""
    parts = iter_parts(pack)
    return [one if isinstance(one, Unreadable) else filled(one, parts) for one in pack.forms]


def as_bytes(x: Tensor) -> Tensor:
    """A tensor's memory, filled up to whole words."""
    flat = x.contiguous().reshape(-1).view(torch.uint8)
    return pad(flat, (0, -len(flat) % WORD))


def form_of(one: Sample) -> Any:
    """A sample without its numbers."""
    frames: Any = {name: Form(x.dtype, tuple(x.shape)) for name, x in one.frames.items()}
    label: Any = Form(one.label.dtype, tuple(one.label.shape))
    return one._replace(frames=frames, label=label)


def iter_parts(pack: Packed) -> Iterator[Tensor]:
    """Every tensor in turn."""
    begin = 0
    for one in pack.forms:
        if isinstance(one, Unreadable):
            continue
        for form in (*one.frames.values(), one.label):
            size = torch.Size(form.shape).numel() * form.dtype.itemsize
            yield pack.numbers[begin : begin + size].view(form.dtype).view(form.shape)
            begin += size + -size % WORD


def filled(one: Any, parts: Iterator[Tensor]) -> Sample:
    """A sample with its numbers."""
    return one._replace(frames={name: next(parts) for name in one.frames}, label=next(parts))
