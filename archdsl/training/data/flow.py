"""Optical flow between frames of a video, computed once and cached on disk."""

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
from archdsl.training.data.reader.watchdog import restart_watchdog
from archdsl.training.data.sources.shard_member import ShardMember
from archdsl.training.data.tvl1 import TvL1, tvl1_flow

FLOW_SETTINGS = TvL1()


@dataclass(frozen=True)
class Flows:
    """The cached flows of one file, shard member or folder of pictures; a changed file has a new cache."""

    folder: Path
    """Folder of the cache."""

    @classmethod
    def of(cls, video: Path | ShardMember) -> Flows:
        """Below ARCHDSL_CACHE, or the user's cache folder."""
        file, place = (video.file, f" {video.start}") if isinstance(video, ShardMember) else (video, "")
        about = file.stat()
        key = sha256(
            os.fsencode(f"{file.resolve()}{place} {about.st_size} {about.st_mtime_ns} {FLOW_SETTINGS}")
        ).hexdigest()
        return cls(cache_folder() / "flow" / key[:2] / key)

    def between(self, place: tuple[int, int], now: Tensor, after: Tensor) -> Tensor:
        """Flow in pixels per frame, as half precision, cached or not.  (3, h, w) uint8 twice -> (2, h, w)

        `place` are the numbers of both frames. A damaged file is recomputed.
        """
        if place[0] == place[1]:
            return torch.zeros(2, *now.shape[1:])  # nothing follows the last frame of a video
        path = self.folder / "-".join(map(str, place))
        shape = (2, *now.shape[1:])
        cached = read_cached_flow(path, shape)
        if cached is not None:
            return cached.float()
        restart_watchdog()  # a pair may take seconds
        flow = tvl1_flow(torch.stack((now, after), dim=1)[None], FLOW_SETTINGS)[0, :, 0].half()
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, zlib.compress(flow.numpy().tobytes(), 1))
        return flow.float()


def read_cached_flow(path: Path, shape: tuple[int, ...]) -> Tensor | None:
    """Cached flow; None where it is missing, damaged (zlib's checksum) or of another size."""
    try:
        unpack = zlib.decompressobj()
        size = 2 * torch.Size(shape).numel()
        data = unpack.decompress(path.read_bytes(), size + 1)
    except (OSError, zlib.error):
        return None
    if len(data) != size or not unpack.eof:
        return None
    return torch.frombuffer(bytearray(data), dtype=torch.float16).view(shape)
