"""What a run tells of its speed: clips per second, time spent waiting for data, share of the machine's peak."""

from __future__ import annotations

from functools import cache
from time import perf_counter

import torch

from archdsl.training.distributed import World

DECODE_BOUND = 0.3
"""Share of the time waiting for data from which on a run is called bound by it."""


class Meter:
    """Clips, seconds and waiting since it was last read."""

    def __init__(self, macs: int, peak: float, world: World) -> None:
        self.macs, self.peak, self.world = macs, peak, world
        self.begin()

    def begin(self) -> None:
        """From now on."""
        self.begun, self.clips, self.waited = perf_counter(), 0, 0.0

    def saw(self, clips: int, waited: float) -> None:
        """A step of this process."""
        self.clips += clips
        self.waited += waited

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
        self.begin()
        return figures


@cache
def peak_of(device: torch.device, dtype: torch.dtype) -> float:
    """Multiply-adds per second that a large product of matrices reaches on a device: the best of several."""
    side = 8192 if device.type == "cuda" else 1024
    a, b = (torch.ones(side, side, device=device, dtype=dtype) for _ in range(2))
    return side**3 / min(timed(a, b) for _ in range(5))


def timed(a: torch.Tensor, b: torch.Tensor) -> float:
    """Seconds of one product."""
    if a.is_cuda:
        torch.cuda.synchronize(a.device)
    begun = perf_counter()
    a @ b
    if a.is_cuda:
        torch.cuda.synchronize(a.device)
    return perf_counter() - begun
