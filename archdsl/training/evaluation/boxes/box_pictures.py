"""Boxes over a frame as an SVG, with words that stay text."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from torch import Tensor

from archdsl.errors import printable
from archdsl.report.drawing.svg import cut_to_width, text_width
from archdsl.training.data.picture_files import encode_png

COLOURS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080", "#9a6324", "#808000")
LEAST_SIDE = 480
"""Pixels of a picture's shorter side; smaller frames are enlarged."""
FONT = 11.0
LINE = 14


class MarkedBox(NamedTuple):
    """A box in pixels of the frame, lines of words, and a number that chooses its colour."""

    box: tuple[float, float, float, float]
    words: Sequence[str]
    kind: int


def marked_frame(frame: Tensor, boxes: Sequence[MarkedBox]) -> bytes:
    """A frame with its boxes and words.  (3, h, w) uint8"""
    _, height, width = frame.shape
    scale = max(1.0, LEAST_SIDE / min(height, width))
    picture = b64encode(encode_png(frame)).decode()
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width * scale:g}" height="{height * scale:g}" '
        'font-family="Helvetica,Arial,sans-serif">',
        f'<image width="100%" height="100%" preserveAspectRatio="none" href="data:image/png;base64,{picture}"/>',
        *(drawn(one, scale, width * scale) for one in boxes),
        "</svg>",
    ]
    return "\n".join(parts).encode()


def drawn(one: MarkedBox, scale: float, width: float) -> str:
    """One box; its words begin at its top left corner, on its colour."""
    x1, y1, x2, y2 = (side * scale for side in one.box)
    colour = COLOURS[one.kind % len(COLOURS)]
    parts = [
        f'<rect x="{x1:.1f}" y="{y1:.1f}" width="{x2 - x1:.1f}" height="{y2 - y1:.1f}" fill="none" '
        f'stroke="{colour}" stroke-width="2"/>'
    ]
    for i, words in enumerate(one.words):
        shown = cut_to_width(printable(words), FONT, max(width - x1, 40))
        top = y1 + LINE * i
        parts.append(
            f'<rect x="{x1:.1f}" y="{top:.1f}" width="{text_width(shown, FONT) + 6:.1f}" height="{LINE}" '
            f'fill="{colour}" opacity=".8"/>'
            f'<text x="{x1 + 3:.1f}" y="{top + LINE - 3:.1f}" font-size="{FONT:g}" fill="#fff">{escape(shown)}</text>'
        )
    return "".join(parts)
