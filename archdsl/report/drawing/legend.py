"""The legend under a drawing."""

from __future__ import annotations

from archdsl.report.drawing.grid import Layout
from archdsl.report.drawing.labels import MERGE_SIGNS
from archdsl.report.drawing.sizes import LINE_HEIGHT, MARGIN, SMALL_FONT
from archdsl.report.drawing.svg import LIGHT_COLOURS, Canvas, text_width

RARER = {
    "m": "m takes the larger",
    "×": "× multiplies all pairs of channels",
    "i": "i puts frames in order",
    "u": "u unpools",
    "b": "b puts frames in front",
}
"""Signs that a legend explains where they occur."""


def draw_legend(grid: Layout, canvas: Canvas, top: float) -> float:
    """What the signs mean; gives its lower edge."""
    room = grid.width - 2 * MARGIN
    x = MARGIN
    canvas.text(x, top + 7, "share of macs", SMALL_FONT, "d-soft")
    x += 54
    for i, words in enumerate(("<1%", "1", "2", "5", "10", "20", "40%")[: len(LIGHT_COLOURS)]):
        canvas.rect(x, top, 9, 9, f"d-box d-h{i}", 1.5)
        canvas.text(x + 11, top + 7, words, SMALL_FONT, "d-soft")
        x += 13 + text_width(words, SMALL_FONT) + 3
    notes = [
        "1×3², 64: kernel t×s², channels",
        "t/8, s/2: stride in time, in space",
        "bars: frames, at their place in the clip; taller where the map is larger",
    ]
    if grid.parts.laterals:
        rarer = {MERGE_SIGNS[edge.merge] for edge in grid.parts.laterals} & set(RARER)
        signs = ["; c joins channels, + adds", *(f", {RARER[sign]}" for sign in sorted(rarer))]
        notes += ["orange: lateral edges" + ("" if grid.parts.level == "pathway" else "".join(signs))]
    y = top + 19.0
    for line in notes_in_lines(notes, room):
        canvas.text(MARGIN, y, line, SMALL_FONT, "d-soft")
        y += LINE_HEIGHT
    return y - LINE_HEIGHT + 2


def notes_in_lines(notes: list[str], room: float) -> list[str]:
    """Notes beside each other where they fit, broken between words where one does not."""
    lines: list[str] = [""]
    for note in notes:
        for i, word in enumerate(note.split(" ")):
            joint = "" if not lines[-1] else " · " if i == 0 else " "
            whole = note if i == 0 and lines[-1] else word
            if text_width(lines[-1] + joint + whole, SMALL_FONT) > room:
                lines.append(word)
            else:
                lines[-1] += joint + word
    return lines
