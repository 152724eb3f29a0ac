"""The most memory that one side has, in a process where nothing else was made."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from archdsl.backend.devices import device_of
from archdsl.compiler import Plan
from archdsl.errors import SpecError
from archdsl.measuring.comparison import BenchSetup, clips_for, prepare_contestant
from archdsl.measuring.contestants import Contestant, timed_step

STEPS_RUN = 2
"""The second step has what the first left: gradients, momenta, packed weights."""


def peak_alone(plan: Plan, side: Contestant, setup: BenchSetup) -> dict[str, Any]:
    """Run a side and nothing else in this process, and say the most bytes it had: resident, or of the GPU."""
    device = device_of(setup.device)
    network, _ = prepare_contestant(side, setup)
    step = timed_step(side, network, clips_for(plan, setup), setup.train, setup.precision)
    for _ in range(STEPS_RUN):
        step()
    on_gpu = device.type == "cuda"
    return {"side": side.name, "peak_bytes": torch.cuda.max_memory_allocated(device) if on_gpu else peak_resident()}


def peak_resident() -> int:
    """The most bytes that this process had resident, since it was started."""
    try:  # a process inherits ru_maxrss from the one that started it; Linux's own high-water mark is its alone
        text = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        text = ""
    found = re.search(r"^VmHWM:\s*(\d+) kB$", text, flags=re.MULTILINE)
    if found:
        return int(found[1]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def peak_of_command(command: Sequence[str]) -> int:
    """The figure that a command says, which runs a side alone. Raises SpecError where it fails."""
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        told = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise SpecError("a side that does not run alone", got=told, want="a run whose memory is measured")
    return int(json.loads(done.stdout.strip().splitlines()[-1])["peak_bytes"])
