"""Sizes of fonts, boxes and gaps in a drawing, in units of the SVG's viewBox.

The fonts are chosen so that two lanes fit one column of a two-column paper.
"""

from __future__ import annotations

from archdsl.report.drawing.labels import amount, percent
from archdsl.report.drawing.parts import Item, Lateral, Parts
from archdsl.report.drawing.svg import text_width

NAME, TEXT, SMALL = 10.0, 8.6, 7.6
"""Font sizes."""
EDGE, PANEL, BETWEEN = 12.0, 7.0, 16.0
"""The margin of the drawing, of a lane around its boxes, and between lanes without laterals."""
LINE, HEADER, STRIP = 10.4, 15.0, 15.0
"""Heights of a line of text, a box's first line, and its frames."""
FLOW = 24.0
"""Height of the arrow to the next row, with the shape beside it."""
ROUND = 9.0
"""Room for one lateral that goes round below the boxes."""
TALL = 800.0
"""Height at which a drawing of several lanes is cut into columns; half of it for one lane."""


def crossing(a: range, b: range) -> bool:
    """Whether two runs of rows have a row in common."""
    return a.start < b.stop and b.start < a.stop


def figures(item: Item) -> str:
    """What a box costs."""
    return f"{amount(item.cost.macs)} · {percent(item.share)}" if item.cost.macs else ""


def needed(item: Item) -> float:
    """The width a box would like to have."""
    top = text_width(item.name, NAME, bold=True) + text_width(item.note, SMALL) + text_width(figures(item), SMALL) + 16
    lines = [text_width(line, TEXT) + (30 if group.times > 1 else 0) for group in item.groups for line in group.lines]
    return max([top, *lines]) + 15


def height(item: Item) -> float:
    """The height a box needs."""
    lines = sum(len(group.lines) for group in item.groups)
    return HEADER + lines * LINE + 3.0 * (len(item.groups) - 1) + STRIP + 5


def label_below(parts: Parts, edge: Lateral) -> tuple[str, ...]:
    """The words under a lateral's line: its shape and, from 1%, its share of macs; at pathway level its stages."""
    if parts.level != "pathway":
        macs = parts.plan.cost_of(edge.address).macs
        weighs = parts.plan.macs and macs / parts.plan.macs >= 0.01
        return (f"{edge.shape} · {percent(macs / parts.plan.macs)}" if weighs else edge.shape,)
    names = edge.shape.split(", ")
    many = -(-len(names) // -(-len(names) // 3))
    return tuple(", ".join(names[i : i + many]) for i in range(0, len(names), many))
