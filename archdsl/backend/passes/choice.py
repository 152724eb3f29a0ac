"""What `auto` takes: the passes that were measured to pay, by device and mode."""

from __future__ import annotations

import json
from pathlib import Path

import torch

MEASURED = Path(__file__).with_name("measured.json")
"""{device: {mode: {pass: whether it pays}}}. Devices: cpu, cuda; modes: infer, train."""


def chosen(*, train: bool, device: str | None = None) -> tuple[str, ...]:
    """The passes that pay on a device (by default CUDA where there is one) for inference or for training."""
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    pays = json.loads(MEASURED.read_text(encoding="utf-8"))[device]["train" if train else "infer"]
    return tuple(name for name, does in pays.items() if does)
