"""Moving pictures as bytes of PNG, GIF and MP4 files."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from io import BytesIO
from typing import Any

import av
from torch import Tensor

from archdsl.training.data.picture_files import as_frame, encode_png
from archdsl.training.data.synthetic.files import encode_mp4

SHOWN_FPS = 6
"""Frames per second at which clips are shown: slower than they are, so that the eye follows."""


def encoded(frames: Tensor) -> Iterator[tuple[str, bytes]]:
    """(suffix, file) of a moving picture, the first the one for a page; one frame is a PNG.  (3, t, h, w) uint8"""
    if frames.shape[1] == 1:
        yield "png", encode_png(frames[:, 0])
        return
    yield "gif", encode_gif(frames)
    yield "mp4", encode_mp4(frames, SHOWN_FPS)


def encode_gif(frames: Tensor) -> bytes:
    """A looping GIF with a palette of its own colours.  (3, t, h, w) uint8"""
    _, count, height, width = frames.shape
    tick, graph, colours = Fraction(1, SHOWN_FPS), av.filter.Graph(), av.VideoFormat("rgb24", width, height)
    source = graph.add_buffer(width=width, height=height, format=colours, time_base=tick)
    split, palette, use, sink = map(graph.add, ("split", "palettegen", "paletteuse", "buffersink"))
    source.link_to(split)
    split.link_to(palette, 0, 0)
    split.link_to(use, 1, 0)
    palette.link_to(use, 0, 1)
    use.link_to(sink)
    graph.configure()
    for i in range(count):
        frame = as_frame(frames[:, i])
        frame.pts, frame.time_base = i, tick
        source.push(frame)
    source.push(None)
    data = BytesIO()
    with av.open(data, "w", format="gif", options={"loop": "0"}) as file:
        stream: Any = file.add_stream("gif", rate=SHOWN_FPS)
        stream.width, stream.height, stream.pix_fmt = width, height, "pal8"
        for i in range(count):
            shown: Any = sink.pull()
            shown.pts, shown.time_base = i, tick
            file.mux(stream.encode(shown))
        file.mux(stream.encode(None))
    return data.getvalue()
