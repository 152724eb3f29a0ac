"""Flow stored as pictures beside the frames of a video: flow_x_00001.jpg, flow_y_00001.jpg (TSN's dense_flow)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from archdsl.training.data.clips import Unreadable
from archdsl.training.data.sources.pictures import PICTURE_SUFFIXES, read_picture

FLOW_AXES = ("x", "y")


def stored_flow(folder: Path) -> tuple[list[Path], list[Path]] | None:
    """The pictures of x and of y in the order of their names; None where a folder has none."""
    names = sorted(one.name for one in os.scandir(folder) if one.name.lower().endswith(PICTURE_SUFFIXES))
    found = [[folder / name for name in names if name.startswith(f"flow_{axis}_")] for axis in FLOW_AXES]
    return (found[0], found[1]) if any(found) else None


def read_stored_flow(files: tuple[list[Path], list[Path]], name: str, frames: Sequence[int]) -> Tensor:
    """Flow from each frame to the next, at rest at 127.5; behind the last one that again.  (2, n, h, w) uint8

    Raises Unreadable.
    """
    x, y = files
    if [one.name[7:] for one in x] != [one.name[7:] for one in y]:
        odd = sorted({one.name[7:] for one in x} ^ {one.name[7:] for one in y})[0]
        raise Unreadable(name, f"flow of one axis alone: flow_x_{odd} or flow_y_{odd} is missing")
    read: dict[int, Tensor] = {}
    for frame in frames:
        place = min(frame, len(x) - 1)
        if place not in read:
            parts = [read_picture(axis[place], name, len(frames))[0] for axis in files]
            if parts[0].shape != parts[1].shape:
                raise Unreadable(name, f"{x[place].name} and {y[place].name} have different sizes")
            read[place] = torch.stack(parts)
    shapes = {one.shape for one in read.values()}
    if len(shapes) > 1:
        raise Unreadable(name, "pictures of flow of different sizes")
    return torch.stack([read[min(frame, len(x) - 1)] for frame in frames], dim=1)
