"""Frames and channels by number, in torch. The source is put into the emitted file."""

from __future__ import annotations

import torch
from torch import Tensor

from archdsl.backend.runtime.constants import Constants


class ChosenFrames(Constants):
    """Frames by their numbers, which lie where the network is: a list would be copied to a GPU in every forward."""

    numbers: Tensor

    def __init__(self, numbers: tuple[int, ...]) -> None:
        super().__init__()
        self.constant("numbers", torch.tensor(numbers, device="cpu"))

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, self.numbers]


class ChosenChannels(Constants):
    """Channels by their numbers, which lie where the network is."""

    numbers: Tensor

    def __init__(self, numbers: tuple[int, ...]) -> None:
        super().__init__()
        self.constant("numbers", torch.tensor(numbers, device="cpu"))

    def forward(self, x: Tensor) -> Tensor:
        return x[:, self.numbers]
