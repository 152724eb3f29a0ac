"""Throughput of a run: clips per second, time spent waiting for data, model FLOP utilisation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from time import perf_counter

import torch

from archdsl.training.processes import World

DATA_BOUND = 0.3
"""Share of time spent waiting for data above which a run is called data-bound."""


class Meter:
    """Clips, seconds and waiting since it was last read."""

    def __init__(self, macs: int, peak: float, world: World) -> None:
        self.macs, self.peak, self.world = macs, peak, world
        self.reset()

    def reset(self) -> None:
        """Start a new interval."""
        self.begun, self.clips, self.waited = perf_counter(), 0, 0.0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Time until the next clips are ready: read, moved to the device, augmented."""
        begun = perf_counter()
        yield
        self.waited += perf_counter() - begun

    def add_step(self, clips: int) -> None:
        """Count a step of this process."""
        self.clips += clips

    def read(self) -> dict[str, float]:
        """Figures of all processes since the last reading.

        Model FLOP utilisation: 3 forward passes' multiply-adds (one of them forward, two backward) against the peak.
        """
        took = perf_counter() - self.begun
        rate = self.clips / took
        figures = {
            "clips_per_s": round(rate * self.world.size, 3),
            "waiting": round(self.waited / took, 4),
            "mfu": round(3 * self.macs * rate / self.peak, 4),
        }
        self.reset()
        return figures


@cache
def peak_macs_per_second(device: torch.device, dtype: torch.dtype) -> float:
    """Multiply-adds per second of a large product of random matrices, in the precision of convolutions: the best of 5.

    Matrices of one number would need less power, and so run at a higher clock.
    """
    side = 8192 if device.type == "cuda" else 1024
    a, b = torch.randn(2, side, side, device=device).to(dtype)
    with precision_of_convolutions(device):
        return side**3 / min(matmul_seconds(a, b) for _ in range(5))


@contextmanager
def precision_of_convolutions(device: torch.device) -> Iterator[None]:
    """Products of fp32 matrices use TF32 where convolutions do: on GPUs unless a person says otherwise (2.13)."""
    before = torch.get_float32_matmul_precision()
    if device.type == "cuda" and torch.backends.cudnn.allow_tf32:
        torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def matmul_seconds(a: torch.Tensor, b: torch.Tensor) -> float:
    """Seconds of one matrix product."""
    if a.is_cuda:
        torch.cuda.synchronize(a.device)
    begun = perf_counter()
    a @ b
    if a.is_cuda:
        torch.cuda.synchronize(a.device)
    return perf_counter() - begun
