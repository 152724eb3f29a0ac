"""The machine that measures: its device, what it calls itself, and the most it was seen to do."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time

import torch

from archdsl.measuring.timer import StepFunction

GEMM_SIZE = 2048
"""Rows and columns of the matrices whose product is the yardstick: 17 GFLOP, 50 MB."""


def synchronizer(device: torch.device) -> StepFunction:
    """What waits until the device has done what it was given."""
    if device.type == "cuda":
        return lambda: torch.cuda.synchronize(device)
    return lambda: None


def gemm_step(device: torch.device, dtype: torch.dtype = torch.float32) -> StepFunction:
    """The yardstick: a product of square matrices."""
    a, b = torch.randn(2, GEMM_SIZE, GEMM_SIZE, device=device).to(dtype)
    out = torch.empty_like(a)
    return lambda: torch.mm(a, b, out=out)


def gigaflops(seconds: float) -> float:
    """GFLOP/s of a yardstick that took so long; 2 for each multiply-add."""
    return 2 * GEMM_SIZE**3 / seconds / 1e9


def machine_name(device: torch.device) -> str:
    """The machine in words, and the precision where autocast is on."""
    half = f", {str(working_type(device)).removeprefix('torch.')}" * torch.is_autocast_enabled(device.type)
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}{half}"
    return f"{processor()}, {torch.get_num_threads()} threads, torch {torch.__version__}{half}"


def working_type(device: torch.device) -> torch.dtype:
    """The type of maps: autocast's where it is on."""
    return torch.get_autocast_dtype(device.type) if torch.is_autocast_enabled(device.type) else torch.float32


def processor() -> str:
    """The processor's name, as Linux has it, or its kind."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        text = ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, flags=re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()


def busy_seconds() -> float | None:
    """Seconds in which any processor of the machine worked, since it started; None where Linux does not tell."""
    try:
        line = Path("/proc/stat").read_text(encoding="utf-8").split("\n", 1)[0]
    except OSError:
        return None
    user, nice, system, _, _, irq, soft, steal = map(int, line.split()[1:9])
    return (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK")


def watch_others() -> Callable[[], float | None]:
    """Begin to watch; what is given tells which share of the machine's processors other processes had since."""
    busy, own, wall = busy_seconds(), process_time(), perf_counter()

    def share() -> float | None:
        now = busy_seconds()
        if busy is None or now is None:
            return None
        spent = (perf_counter() - wall) * (os.cpu_count() or 1)
        return min(1.0, max(0.0, (now - busy) - (process_time() - own)) / spent)

    return share
