"""Pictures as PNG and JPEG files."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
from torch import Tensor

QUALITY_SCALE = 2
"""Of JPEG's quantisation: 2 is the best, 31 the worst."""


def as_frame(picture: Tensor) -> av.VideoFrame:
    """One picture for the encoder, or a gray one.  (3 or 1, height, width) uint8"""
    channels, height, width = picture.shape
    frame = av.VideoFrame(width, height, "rgb24" if channels > 1 else "gray")
    plane = frame.planes[0]
    lines = picture.permute(1, 2, 0).reshape(height, width * channels)
    padded = lines.new_zeros(height, plane.line_size)
    padded[:, : width * channels] = lines
    plane.update(padded.numpy().tobytes())
    return frame


def encode_png(picture: Tensor) -> bytes:
    """A picture, or a mask, as a PNG file.  (3 or 1, h, w) uint8"""
    codec: Any = av.CodecContext.create("png", "w")
    frame = as_frame(picture)
    codec.width, codec.height, codec.pix_fmt = frame.width, frame.height, frame.format.name
    codec.time_base = Fraction(1)
    return b"".join(bytes(packet) for packet in (*codec.encode(frame), *codec.encode(None)))


def encode_jpeg(picture: Tensor) -> bytes:
    """A picture as a JPEG file of high quality.  (3, h, w) uint8"""
    codec: Any = av.CodecContext.create("mjpeg", "w")
    codec.width, codec.height, codec.pix_fmt = picture.shape[2], picture.shape[1], "yuvj444p"
    codec.time_base, codec.options = Fraction(1), {"qmin": str(QUALITY_SCALE), "qmax": str(QUALITY_SCALE)}
    frame = as_frame(picture).reformat(format="yuvj444p", dst_color_range="JPEG")
    return b"".join(bytes(packet) for packet in (*codec.encode(frame), *codec.encode(None)))
