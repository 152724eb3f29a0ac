"""Optical flow between pictures, computed once and cached on disk."""

from __future__ import annotations

import zlib
from hashlib import sha256
from pathlib import Path

import torch
from torch import Tensor

from archdsl.report.latency.machine import cache_folder
from archdsl.spec.files import write_whole
from archdsl.training.data.reader.watchdog import restart_watchdog
from archdsl.training.data.tvl1 import TvL1, tvl1_flow

FLOW_SETTINGS = TvL1()


def flow_of_pictures(now: Tensor, after: Tensor) -> Tensor:
    """Flow in pixels per frame, as half precision, cached or not.  (3, h, w) uint8 twice -> (2, h, w)

    The cache lies below ARCHDSL_CACHE, or in the user's cache folder. Its key is the pixels of both pictures, wherever
    they were read; a damaged file is recomputed.
    """
    shape = (2, *now.shape[1:])
    if torch.equal(now, after):
        return torch.zeros(shape)  # nothing follows the last frame of a video
    path = cache_path(now, after)
    cached = read_cached_flow(path, shape)
    if cached is not None:
        return cached.float()
    restart_watchdog()  # a pair may take seconds
    flow = tvl1_flow(torch.stack((now, after), dim=1)[None], FLOW_SETTINGS)[0, :, 0].half()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, zlib.compress(flow.numpy().tobytes(), 1))
    return flow.float()


def cache_path(now: Tensor, after: Tensor) -> Path:
    """Where the flow between two pictures is cached."""
    key = sha256(f"{tuple(now.shape)} {FLOW_SETTINGS}".encode())
    for picture in (now, after):
        key.update(picture.contiguous().numpy().tobytes())
    return cache_folder() / "flow" / key.hexdigest()[:2] / key.hexdigest()


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
