"""Sizes of fonts, boxes and gaps in a drawing, in units of the SVG's viewBox.

The fonts are chosen so that two lanes fit one column of a two-column paper.
"""

from __future__ import annotations

from archdsl.report.drawing.parts import DrawingBox, DrawingParts, LateralArrow
from archdsl.report.drawing.svg import text_width
from archdsl.report.number_format import amount, share_text

NAME_FONT, TEXT_FONT, SMALL_FONT = 10.0, 8.6, 7.6
"""Font sizes."""
MARGIN, PANEL_PADDING, LANE_GAP = 12.0, 7.0, 16.0
"""The margin of the drawing, of a lane around its boxes, and between lanes without laterals."""
LINE_HEIGHT, HEADER_HEIGHT, FRAMES_HEIGHT = 10.4, 15.0, 15.0
"""Heights of a line of text, a box's first line, and its frames."""
ARROW_HEIGHT = 24.0
"""Height of the arrow to the next row, with the shape beside it."""
DETOUR_HEIGHT = 9.0
"""Room for one lateral that goes round below the boxes."""
MAX_HEIGHT = 800.0
"""Height at which a drawing of several lanes is cut into columns; half of it for one lane."""


def overlaps_in(a: range, b: range) -> bool:
    """Whether two runs of rows have a row in common."""
    return a.start < b.stop and b.start < a.stop


def cost_figures(item: DrawingBox) -> str:
    """What a box costs."""
    return f"{amount(item.cost.macs)} · {share_text(item.share)}" if item.cost.macs else ""


def preferred_width(item: DrawingBox) -> float:
    """The width a box would like to have."""
    top = (
        text_width(item.name, NAME_FONT, bold=True)
        + text_width(item.note, SMALL_FONT)
        + text_width(cost_figures(item), SMALL_FONT)
        + 16
    )
    lines = [
        text_width(line, TEXT_FONT) + (30 if group.times > 1 else 0) for group in item.groups for line in group.lines
    ]
    return max([top, *lines]) + 15


def box_height(item: DrawingBox) -> float:
    """The height a box needs."""
    lines = sum(len(group.lines) for group in item.groups)
    return HEADER_HEIGHT + lines * LINE_HEIGHT + 3.0 * (len(item.groups) - 1) + FRAMES_HEIGHT + 5


def lateral_caption(parts: DrawingParts, edge: LateralArrow) -> tuple[str, ...]:
    """The words under a lateral's line: its shape and, from 1%, its share of macs; at pathway level its stages."""
    if parts.level != "pathway":
        macs = parts.plan.cost_of(edge.address).macs
        weighs = parts.plan.macs and macs / parts.plan.macs >= 0.01
        return (f"{edge.shape} · {share_text(macs / parts.plan.macs)}" if weighs else edge.shape,)
    names = edge.shape.split(", ")
    many = -(-len(names) // -(-len(names) // 3))
    return tuple(", ".join(names[i : i + many]) for i in range(0, len(names), many))
