"""What `auto` takes: the passes that were measured to pay, by device and mode."""

from __future__ import annotations

import json
from pathlib import Path

from archdsl.backend.devices import device_of
from archdsl.report.machine import AGAIN, own_file, own_machine

MEASURED = Path(__file__).with_name("measured.json")
"""{device: {mode: {pass: whether it pays}}}. Devices: cpu, cuda; modes: infer, train."""


def chosen(*, train: bool, device: str | None = None) -> tuple[str, ...]:
    """The passes that pay on a device (by default CUDA where there is one) for inference or for training.

    What was measured on the user's machine goes before what comes along.
    """
    device, mode = device or device_of(None).type, "train" if train else "infer"
    pays = json.loads(MEASURED.read_text(encoding="utf-8"))[device][mode]
    own = own_machine()
    if own is not None:
        pays |= own.pays.get(device, {}).get(mode, {})
    return tuple(name for name, does in pays.items() if does)


def whence() -> str:
    """Where it was measured what pays."""
    device, own = device_of(None).type, own_machine()
    if own is not None and device in own.pays:
        return f"what pays on {device} was measured on this machine: {own_file()}"
    again = AGAIN if device == "cpu" else f"{AGAIN} --device {device}"
    if not any(chosen(train=train, device=device) for train in (False, True)):
        return f"nothing was measured on {device}, so auto takes no pass; `{again}` measures it"
    return f"what pays on {device} was measured on another machine; `{again}` measures this one"
