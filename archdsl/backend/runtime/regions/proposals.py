"""Proposals of a sequence, in torch. The source is put into the emitted file."""

from __future__ import annotations

import torch
from torch import Tensor

from archdsl.backend.runtime.constants import Constants


class BoundaryMatch(Constants):
    """Samples of every proposal, by a fixed matrix (positions, samples, durations, starts) that is no parameter."""

    matrix: Tensor

    def __init__(self, positions: int, durations: int, samples: int, per_bin: int, margin: float) -> None:
        super().__init__()
        with torch.device("cpu"):
            starts = torch.arange(positions, dtype=torch.float64)
            reach = torch.arange(durations, dtype=torch.float64)[:, None]
            margins = margin * (reach + 1)
            steps = (reach + 2 * margins) / (samples * per_bin - 1)
            places = starts - margins + steps * torch.arange(samples * per_bin)[:, None, None]
            places = places.where((places <= -1) | (places >= 0), 0.0)  # just before the sequence: its first element
            below = places.floor()
            matrix = torch.zeros(positions, samples, durations, positions)
            for index, share in ((below, 1 - (places - below)), (below + 1, places - below)):
                inside = (reach + starts < positions) & (index >= 0) & (index < positions)
                weights = (share * inside / per_bin).float()[None]
                rows = index.clamp(0, positions - 1).long()[None]
                for k in range(per_bin):
                    matrix.scatter_add_(0, rows[:, k::per_bin], weights[:, k::per_bin])
        self.constant("matrix", matrix)

    def forward(self, x: Tensor) -> Tensor:
        return (x.flatten(2) @ self.matrix.flatten(1)).reshape(*x.shape[:2], *self.matrix.shape[1:])


def valid_proposals(x: Tensor) -> Tensor:
    """Zero where duration and start add up to the sequence's length or more."""
    durations, starts = (torch.arange(n, device=x.device) for n in x.shape[3:])
    return x.masked_fill(durations[:, None] + starts >= x.shape[4], 0)
