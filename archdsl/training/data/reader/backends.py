"""Decoder backends: PyAV, or torchcodec where it is selected and installed."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from archdsl.errors import SpecError
from archdsl.training.data.clips import Unreadable
from archdsl.training.data.reader.decoder import VideoFile, ffmpeg_error, open_source
from archdsl.training.data.reader.frame_index import FrameIndex
from archdsl.training.data.reader.limits import check_memory
from archdsl.training.data.sources.shard_member import ShardMember

Decoder = Literal["pyav", "torchcodec"]


def decode_clip(
    path: Path | ShardMember, name: str, wanted: Any, decoder: Decoder = "pyav", known: FrameIndex | None = None
) -> tuple[Tensor, FrameIndex]:
    """Frames of a file and its index. `wanted` maps the index, `known` or read here, to frame numbers.

    (3, frames, height, width) uint8. Raises Unreadable.
    """
    with VideoFile(path, name) as video:
        index = known or video.index()
        frames = wanted(index)
        if decoder == "pyav":
            return video.frames(index, frames), index
    return decode_with_torchcodec(path, name, frames), index


def decode_with_torchcodec(path: Path | ShardMember, name: str, frames: Sequence[int]) -> Tensor:
    """The same frames, decoded by torchcodec."""
    decoders = import_module("torchcodec.decoders")
    try:
        with open_source(path, name) as file:
            decoder = decoders.VideoDecoder(file, num_ffmpeg_threads=1)
            check_memory(name, len(frames), decoder.metadata.width or 0, decoder.metadata.height or 0)
            data: Tensor = decoder.get_frames_at(list(frames)).data
    except (RuntimeError, ValueError, IndexError) as error:
        raise Unreadable(name, f"cannot be decoded: {ffmpeg_error(error)}") from None
    return data.transpose(0, 1)


def available_decoders() -> tuple[Decoder, ...]:
    """The decoders installed here."""
    if find_spec("torchcodec") is None:
        return ("pyav",)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import_module("torchcodec.decoders")
    except (ImportError, OSError, RuntimeError):
        return ("pyav",)  # installed for another torch or ffmpeg
    return ("pyav", "torchcodec")


def decoder_named(name: str | None) -> Decoder:
    """The decoder of that name; by default that of ARCHDSL_DECODER, else PyAV."""
    selected = name or os.environ.get("ARCHDSL_DECODER") or "pyav"
    for decoder in available_decoders():
        if decoder == selected:
            return decoder
    raise SpecError(
        "decoder not available", got=selected, want=", ".join(available_decoders()), fix="pip install torchcodec"
    )
