"""Flow between frames of a video, found once and kept on disk."""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import torch
from torch import Tensor

from archdsl.report.latency.machine import cache_folder
from archdsl.spec.files import write_whole
from archdsl.training.data.reader.watchdog import alive
from archdsl.training.data.sources.shard_member import Part
from archdsl.training.data.tvl1 import TvL1, tvl1_flow

HOW = TvL1()


@dataclass(frozen=True)
class Flows:
    """The flows of one file, part of a file or folder of pictures, as it is now: changed, it has others."""

    folder: Path
    """Where they are kept."""

    @classmethod
    def of(cls, video: Path | Part) -> Flows:
        """In the folder that the variable ARCHDSL_CACHE names, else among the user's caches."""
        file, place = (video.file, f" {video.start}") if isinstance(video, Part) else (video, "")
        about = file.stat()
        key = sha256(os.fsencode(f"{file.resolve()}{place} {about.st_size} {about.st_mtime_ns} {HOW}")).hexdigest()
        return cls(cache_folder() / "flow" / key[:2] / key)

    def between(self, place: tuple[int, int], now: Tensor, after: Tensor) -> Tensor:
        """Pixels per frame, of half precision on disk and off it.  (3, h, w) uint8 twice -> (2, h, w)

        `place` are the numbers of both frames. A file that is damaged is made anew.
        """
        if place[0] == place[1]:
            return torch.zeros(2, *now.shape[1:])  # the last frame of a video stays
        path = self.folder / "-".join(map(str, place))
        shape = (2, *now.shape[1:])
        kept = read(path, shape)
        if kept is not None:
            return kept.float()
        alive()  # a pair may take seconds
        flow = tvl1_flow(torch.stack((now, after), dim=1)[None], HOW)[0, :, 0].half()
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, zlib.compress(flow.numpy().tobytes(), 1))
        return flow.float()


def read(path: Path, shape: tuple[int, ...]) -> Tensor | None:
    """What was kept; None where there is nothing, or something else. zlib's checksum tells damage."""
    try:
        unpack = zlib.decompressobj()
        size = 2 * torch.Size(shape).numel()
        data = unpack.decompress(path.read_bytes(), size + 1)
    except (OSError, zlib.error):
        return None
    if len(data) != size or not unpack.eof:
        return None
    return torch.frombuffer(bytearray(data), dtype=torch.float16).view(shape)
