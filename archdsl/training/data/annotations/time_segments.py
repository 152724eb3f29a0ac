"""What happens when in a video, in seconds, and as the targets of a window of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from archdsl.training.data.targets import Targets

LEAST_INSIDE = 0.5
"""Share of a segment within a window from which on it is one of the window's."""


class TimedSegment(NamedTuple):
    """Something that happens, in seconds; `label` is a class's number, -1 where it does not count (THUMOS'14)."""

    start: float
    end: float
    label: int


class TrueSegments(NamedTuple):
    """What happens in one video, in the order of its file."""

    segments: Tensor
    """(k, 2) in seconds"""
    labels: Tensor
    """(k,)"""
    ambiguous: Tensor
    """(a, 2): detections that touch one are no errors (THUMOS'14)"""


def window_targets(segments: tuple[TimedSegment, ...], start: float, seconds: float) -> Targets:
    """`segments`, a list of one (k, 2), in shares of the window; `labels`, of one (k,); `window`, start and seconds."""
    kept = []
    for one in segments:
        inside = min(one.end, start + seconds) - max(one.start, start)
        if one.label >= 0 and inside > 0 and inside >= LEAST_INSIDE * (one.end - one.start):
            kept.append(one)
    return {
        "segments": [((ends_of(kept) - start) / seconds).clamp(0, 1).float()],
        "labels": [torch.tensor([one.label for one in kept], dtype=torch.long)],
        "window": torch.tensor([start, seconds], dtype=torch.float64),
    }


def true_segments(segments: tuple[TimedSegment, ...]) -> TrueSegments:
    """What counts, and what does not."""
    counted = [one for one in segments if one.label >= 0]
    labels = torch.tensor([one.label for one in counted], dtype=torch.long)
    return TrueSegments(ends_of(counted), labels, ends_of([one for one in segments if one.label < 0]))


def ends_of(segments: Sequence[TimedSegment]) -> Tensor:
    """Starts and ends.  (k, 2)"""
    return torch.tensor([[one.start, one.end] for one in segments], dtype=torch.float64).view(-1, 2)
