"""What `auto` takes: the passes that were measured to pay, by device and mode."""

from __future__ import annotations

from archdsl.backend.devices import device_of
from archdsl.report.latency.machine import again, choices_on, own_file, own_machine
from archdsl.report.lowering_policy import Choices


def chosen(*, train: bool, device: str | None = None) -> Choices:
    """The passes that pay on a device (by default CUDA where there is one) for inference or for training.

    What was measured on the user's machine goes before what comes along.
    """
    choices = choices_on(device or device_of(None).type, "train" if train else "infer")
    return {name: choice for name, choice in choices.items() if choice}


def whence() -> str:
    """Where it was measured what pays."""
    device = device_of(None).type
    if own_machine(device):
        return f"what pays on {device} was measured on this machine: {own_file(device)}"
    if not any(chosen(train=train, device=device) for train in (False, True)):
        return f"nothing was measured on {device}, so auto takes no pass; `{again(device)}` measures it"
    return f"what pays on {device} was measured on another machine; `{again(device)}` measures this one"
