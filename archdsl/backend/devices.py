"""Devices by name."""

from __future__ import annotations

import torch

from archdsl.errors import SpecError

LONGEST_REASON = 120
"""Letters of torch's reason that are worth reading."""


def device_of(name: str | None, *, touch: bool = True) -> torch.device:
    """The device of that name; of None CUDA where there is one, else the CPU.

    Raises SpecError where torch has none, which is tried on it unless it is not to be touched yet.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        if touch:
            torch.empty(1, device=device).add_(1)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise no_device(name, torch_reason(str(error))) from None
    if device.type == "meta":
        raise no_device(name, "nothing runs on the meta device")
    return device


def torch_reason(said: str) -> str:
    """What torch says of a device, where it says it in few words; it may list all that it knows (2.13)."""
    line = said.splitlines()[0] if said else ""
    return line if 0 < len(line) <= LONGEST_REASON else f"torch {torch.__version__} is built without it"


def no_device(name: str, why: str) -> SpecError:
    """The error of a name that is no device here."""
    return SpecError(f"no device {name!r}", got=why, want="cpu, or cuda where there is a GPU", fix="--device cpu")
