"""What `auto` takes: the passes that were measured to pay, by device and mode."""

from __future__ import annotations

from archdsl.backend.devices import device_of
from archdsl.report.latency.machine import calibrate_command, passes_on, user_machine, user_table_file
from archdsl.report.lowering_policy import PassChoices


def passes_that_pay(*, train: bool, device: str | None = None) -> PassChoices:
    """The passes that pay on a device (by default CUDA where there is one) for inference or for training.

    What was measured on the user's machine goes before what comes along.
    """
    choices = passes_on(device or device_of(None).type, "train" if train else "infer")
    return {name: choice for name, choice in choices.items() if choice}


def policy_origin() -> str:
    """Where it was measured what pays."""
    device = device_of(None).type
    if user_machine(device):
        return f"what pays on {device} was measured on this machine: {user_table_file(device)}"
    if not any(passes_that_pay(train=train, device=device) for train in (False, True)):
        return f"nothing was measured on {device}, so auto takes no pass; `{calibrate_command(device)}` measures it"
    return f"what pays on {device} was measured on another machine; `{calibrate_command(device)}` measures this one"
