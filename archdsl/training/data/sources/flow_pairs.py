"""Pairs of pictures with their flow, as FlyingChairs has them: 00001_img1.ppm, 00001_img2.ppm, 00001_flow.flo."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from archdsl.errors import Fault, SpecError, excerpt
from archdsl.spec.files import read_text
from archdsl.training.data.clips import ClipRequest, Sample, Unreadable
from archdsl.training.data.reader.decoder import open_video_file
from archdsl.training.data.sources.pictures import read_picture
from archdsl.training.data.sources.splits import SPLITS

PARTS = ("img1.ppm", "img2.ppm", "flow.flo")
PAIR_NAMES = ", ".join(f"00001_{part}" for part in PARTS)
PAIR_FILE = re.compile(r"(.+)_(?:img1\.ppm|img2\.ppm|flow\.flo)")
SPLIT_LIST = "*train_val*.txt"
"""Name of the list with a digit for each pair: 1 to train on, 2 to test on."""
MAX_SPLIT_BYTES = 1 << 24
SPLIT_FAULTS = 5
FLO_MAGIC = 202021.25
LONGEST_FLOW = 1e9
"""Longer flow is unknown, as in Middlebury's files."""


@dataclass(frozen=True)
class FlowPairs:
    """Pairs of a folder. Their flow goes from the first picture to the second, so the clip's frames are (2nd, 1st)."""

    folder: Path
    stems: tuple[str, ...]
    clip: str
    """Name of the arch's clip."""
    classes: tuple[str, ...] = ()
    multi_label: bool = False

    def __len__(self) -> int:
        return len(self.stems)

    def name(self, index: int) -> str:
        """What its files begin with."""
        return self.stems[index]

    def read(self, index: int, request: ClipRequest) -> Sample:
        """A pair with its flow; the request's seed changes nothing. Raises Unreadable."""
        name = self.stems[index]
        files = [self.folder / f"{name}_{part}" for part in PARTS]
        if missing := [file.name for file in files if not file.is_file()]:
            raise Unreadable(name, f"no file {missing[0]}")
        first, second = (read_picture(file, name, 2) for file in files[:2])
        if first.shape != second.shape:
            sizes = " and ".join(f"{x.shape[2]}x{x.shape[1]}" for x in (first, second))
            raise Unreadable(name, f"pictures of {sizes}")
        flow = read_flo(files[2], name, (first.shape[1], first.shape[2]))
        return Sample({self.clip: torch.stack([second, first], 1)}, flow, name, 0.0, 0.0, decoded=2)


def read_flo(path: Path, name: str, size: tuple[int, int]) -> Tensor:
    """Flow (x, y) for pictures of (height, width); NaN where it is unknown.  (2, h, w). Raises Unreadable."""
    height, width = size
    with open_video_file(path, name) as file:
        head, body = file.read(12), file.read(8 * height * width + 1)
    magic, wide, high = struct.unpack("<fii", head.ljust(12, b"\0"))
    if magic != FLO_MAGIC:
        raise Unreadable(name, f"{path.name} is not a .flo file: it does not begin with {FLO_MAGIC}")
    if (wide, high) != (width, height):
        raise Unreadable(name, f"{path.name} says {wide}x{high}, its pictures are {width}x{height}")
    if len(body) != 8 * height * width:
        more = "fewer" if len(body) < 8 * height * width else "more"
        raise Unreadable(name, f"{path.name} has {more} than {8 * height * width} bytes of flow")
    flow = torch.frombuffer(bytearray(body), dtype=torch.float32).view(height, width, 2).permute(2, 0, 1)
    return torch.where(flow.abs() <= LONGEST_FLOW, flow, torch.nan)


def flow_pairs(data: str, split: str, clip: str) -> FlowPairs:
    """The pairs of a split: of a folder `train` or `val`, or as the list beside the pairs says. Raises SpecError."""
    folder = Path(data)
    if not folder.is_dir():
        raise SpecError(
            "no such folder", got=excerpt(data), want=f"motion, or a folder of 00001_{', 00001_'.join(PARTS)}"
        )
    for name in SPLITS[split]:
        if (folder / name).is_dir():
            return FlowPairs(folder / name, stems_in(folder / name), clip)
    found = folder / "data" if (folder / "data").is_dir() else folder
    stems = stems_in(found)
    lists = [*sorted(found.glob(SPLIT_LIST)), *sorted(found.parent.glob(SPLIT_LIST))]
    if not lists:
        want = f"{found / 'FlyingChairs_train_val.txt'} (1 to train on, 2 to test on), or folders train and val"
        raise SpecError("no list says which pairs to train on", got=str(folder), want=want)
    wanted = "1" if split == "train" else "2"
    chosen = tuple(stem for stem, digit in zip(stems, split_digits(lists[0], len(stems))) if digit == wanted)
    if not chosen:
        raise SpecError(f"no pairs for {split}", got=str(lists[0]), want=f"lines of {wanted}")
    return FlowPairs(found, chosen, clip)


def stems_in(folder: Path) -> tuple[str, ...]:
    """What the files of each pair begin with, also of pairs that lack a file. Raises SpecError for none."""
    found = (PAIR_FILE.fullmatch(file.name) for file in folder.iterdir())
    stems = sorted({match[1] for match in found if match})
    if not stems:
        raise SpecError("no pairs of pictures with flow", got=str(folder), want=PAIR_NAMES)
    return tuple(stems)


def split_digits(path: Path, count: int) -> list[str]:
    """The digit of each pair. Raises SpecError for another number of lines, and for lines that are not 1 or 2."""
    digits = [line.strip() for line in read_text(path, MAX_SPLIT_BYTES).splitlines()]
    odd = [(number, line) for number, line in enumerate(digits, 1) if line not in ("1", "2")]
    faults = [
        Fault(what="no split", written=f"{path}:{number}", got=excerpt(line) or "an empty line", want="1 or 2")
        for number, line in odd[:SPLIT_FAULTS]
    ]
    if len(digits) != count:
        lines = f"{len(digits)} lines"
        faults.append(
            Fault(what="a list needs a line for each pair", written=str(path), got=lines, want=f"{count} lines")
        )
    if faults:
        raise SpecError(faults)
    return digits
