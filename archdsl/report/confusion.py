"""Which class was taken for which: a picture and a table. And each class's figure, the best first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from archdsl.errors import printable
from archdsl.report.drawing.svg import Canvas, cut_to_width, text_width
from archdsl.report.table.sheet import Column, Row, Table

MAX_LABELLED = 60
"""Classes up to which every row and column bears its name and every cell its count."""
LABEL_WIDTH = 190
"""Width of the names, in pixels."""
LABEL_FONT = 11.0
BAR_LENGTH = 260
"""Length of the bar of a perfect class."""
SHADES = (0.05, 0.15, 0.3, 0.5, 0.75)
"""Shares of a row where the next colour begins."""
Matrix = Sequence[Sequence[int]]


def class_label(text: str, font: float = LABEL_FONT, room: float = LABEL_WIDTH) -> str:
    """A class's name on one line, as far as it fits."""
    return cut_to_width(printable_line(text), font, room)


def printable_line(text: str) -> str:
    """A name without what breaks lines or XML."""
    return printable(text.replace("\n", " "))


def confusion_svg(classes: Sequence[str], matrix: Matrix, title: str) -> str:
    """Rows are what a video shows, columns what it was taken for; a cell is as dark as its share of the row."""
    canvas, count = Canvas(), len(classes)
    named = count <= MAX_LABELLED
    side = 26.0 if count <= 24 else 16.0 if named else max(2.0, 800 / count)
    room = (
        min(LABEL_WIDTH, max(text_width(printable_line(name), LABEL_FONT) for name in classes)) + 12 if named else 20.0
    )
    left, top = room + 18, 44 + (room * 0.71 if named else 16)
    canvas.text(12, 22, class_label(title, 14, left + side * count), 14, "d-name")
    canvas.rect(left, top, side * count, side * count, "d-panel", 0)
    for i, row in enumerate(matrix):
        if named:
            canvas.text(left - 6, top + side * (i + 0.5) + 4, class_label(classes[i]), LABEL_FONT, anchor="end")
        for j, times in enumerate(row):
            if times:
                draw_cell(
                    canvas, left + side * j, top + side * i, side, times, sum(row), (classes[i], classes[j]), named
                )
    if named:
        for j, name in enumerate(classes):
            slanted_text(canvas, left + side * (j + 0.5) + 3, top - 7, class_label(name))
    canvas.text(left, top + side * count + 18, "columns: taken for", LABEL_FONT, "d-soft")
    canvas.text(
        left, top + side * count + 33, "rows: shown; a cell is as dark as its share of the row", LABEL_FONT, "d-soft"
    )
    width = max(left + side * count + (room * 0.71 if named else 0) + 16, left + 330)
    return canvas.document(width, top + side * count + 46, printable_line(title), 1)


def draw_cell(
    canvas: Canvas, x: float, y: float, side: float, times: int, videos: int, names: tuple[str, str], named: bool
) -> None:
    """One cell that is not empty, with a hint."""
    shown, taken = map(printable_line, names)
    style = f"d-h{1 + sum(times / videos >= edge for edge in SHADES)}"
    canvas.open("cell", "", f"{shown} taken for {taken}: {times} of {videos}")
    canvas.rect(x, y, side, side, style, 0)
    if named:
        text = str(times)
        size = min(10.0, side * 0.8 / max(0.56 * len(text), 1))
        canvas.text(x + side / 2, y + side / 2 + size * 0.35, text, size, "d-figure", "middle")
    canvas.close()


def slanted_text(canvas: Canvas, x: float, y: float, words: str) -> None:
    """A text that rises to the right."""
    canvas.text(x, y, words, LABEL_FONT)
    canvas.parts[-1] = canvas.parts[-1].replace("<text", f'<text transform="rotate(-45 {x:.2f} {y:.2f})"', 1)


def confusion_table(classes: Sequence[str], matrix: Matrix) -> Table:
    """A row for each class shown, a column for each it was taken for."""
    heads = [f"{j} {printable_line(name)}" for j, name in enumerate(classes)]  # two classes may look alike
    records = tuple({"class": head, **dict(zip(heads, row))} for head, row in zip(heads, matrix))
    columns = (Column("class"), *(Column(name, right=True) for name in classes))
    cells = tuple(Row((name, *map(str, row))) for name, row in zip(classes, matrix))
    return Table("shown (rows), taken for (columns)", columns, cells, records)


def classes_table(rows: Sequence[Mapping[str, Any]], title: str = "") -> Table:
    """Each class's videos, figure and commonest mistake."""
    names = list(rows[0])
    columns = tuple(Column(name.replace("_", " "), right=name not in ("class", "taken_for")) for name in names)
    cells = tuple(Row(tuple(figure_text(row[name]) for name in names)) for row in rows)
    return Table(title, columns, cells, tuple(rows))


def figure_text(value: Any) -> str:
    """A figure as people read it."""
    return "" if value is None else f"{value:.1%}" if isinstance(value, float) else str(value)


def classes_svg(rows: Sequence[Mapping[str, Any]], title: str) -> str:
    """A bar for each class, the best first; classes without videos last."""
    canvas = Canvas()
    figure = "ap" if "ap" in rows[0] else "accuracy"
    order = sorted(rows, key=lambda row: (row[figure] is None, -(row[figure] or 0)))
    room = min(LABEL_WIDTH, max(text_width(printable_line(row["class"]), LABEL_FONT) for row in rows))
    left, top, step = room + 24, 52, 19.0
    canvas.text(12, 22, class_label(title, 14, left + BAR_LENGTH + 120), 14, "d-name")
    canvas.text(12, 40, f"{'average precision' if figure == 'ap' else 'accuracy'} of each class", LABEL_FONT, "d-soft")
    for i, row in enumerate(order):
        y, share = top + step * i, row[figure]
        canvas.text(left - 8, y + 12, class_label(row["class"]), LABEL_FONT, anchor="end")
        canvas.rect(left, y + 2, BAR_LENGTH, step - 5, "d-panel", 2)
        if share:
            canvas.rect(left, y + 2, BAR_LENGTH * share, step - 5, "d-h5", 2)
        videos = f"{row['videos']} video{'s' if row['videos'] != 1 else ''}"
        canvas.text(left + BAR_LENGTH + 8, y + 12, f"{figure_text(share)}  {videos}".strip(), LABEL_FONT, "d-figure")
    return canvas.document(left + BAR_LENGTH + 120, top + step * len(rows) + 12, printable_line(title), 1)
