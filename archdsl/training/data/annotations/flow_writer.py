"""Built-in pairs of frames with their flow, as FlyingChairs has them."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

from torch import Tensor

from archdsl.spec.files import make_folder, write_whole
from archdsl.training.data.clips import ClipRequest
from archdsl.training.data.sources.flow_pairs import FLO_MAGIC, PARTS
from archdsl.training.data.synthetic.scenes import Scenes

SPLIT_FILE = "FlyingChairs_train_val.txt"


def write_pairs(out: Path, scenes: Mapping[str, Scenes]) -> Iterator[Path]:
    """Pairs of every split, numbered from 1 on, and the list of splits; yields the path of every flow.

    Flow goes from the first picture to the second: the scenes' frames are in the order (second, first).
    """
    make_folder(out / "data")
    digits: list[str] = []
    for split, made in scenes.items():
        for index in range(len(made)):
            sample = made.read(index, ClipRequest(0))
            (clip,) = sample.frames.values()
            digits.append("1\n" if split == "train" else "2\n")
            files = [out / "data" / f"{len(digits):05d}_{part}" for part in PARTS]
            for file, frame in zip(files, (1, 0)):
                write_whole(file, encode_ppm(clip[:, frame]))
            write_whole(files[2], encode_flo(sample.targets))
            yield files[2]
    write_whole(out / SPLIT_FILE, "".join(digits))


def encode_ppm(picture: Tensor) -> bytes:
    """A picture as a PPM file.  (3, h, w) uint8"""
    _, height, width = picture.shape
    return f"P6\n{width} {height}\n255\n".encode() + picture.permute(1, 2, 0).contiguous().numpy().tobytes()


def encode_flo(flow: Tensor) -> bytes:
    """Flow (x, y) as a .flo file.  (2, h, w)"""
    head = struct.pack("<fii", FLO_MAGIC, flow.shape[2], flow.shape[1])
    return head + flow.permute(1, 2, 0).contiguous().float().numpy().tobytes()
