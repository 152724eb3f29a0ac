"""The ways to write a table down. Every format escapes what it prints."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping
from typing import Any

from archdsl.errors import SpecError, did_you_mean, printable
from archdsl.report.table.markup import to_html, to_latex
from archdsl.report.table.sheet import Bracket, Table, TableCell, lines_of
from archdsl.spec.files import json_text


def bracket_text(bracket: Bracket) -> list[str]:
    """Brackets drawn over several lines; the factor stands beside the middle one."""
    times = f" ×{bracket.times}" if bracket.times > 1 else ""
    if len(bracket.lines) == 1:
        return [bracket.lines[0] + times]
    width = max(map(len, bracket.lines))
    last = len(bracket.lines) - 1
    drawn = []
    for i, line in enumerate(bracket.lines):
        left, right = ("⎡", "⎤") if i == 0 else ("⎣", "⎦") if i == last else ("⎢", "⎥")
        drawn.append(f"{left}{line:<{width}}{right}" + (times if i == len(bracket.lines) // 2 else ""))
    return drawn


def cell_text(cell: TableCell) -> str:
    """A cell as lines of plain text."""
    lines = [line for part in lines_of(cell) for line in (bracket_text(part) if isinstance(part, Bracket) else [part])]
    return printable("\n".join(lines))


def to_text(table: Table, *, colour: bool = False, width: int | None = None) -> str:
    """The table in characters; as wide as it needs unless a width is given."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as Grid
    from rich.text import Text

    tall = any(len(lines_of(cell)) > 1 for row in table.rows for cell in row.cells)
    grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False, show_lines=False, header_style="bold", title_justify="left")
    for column in table.columns:
        grid.add_column(Text(printable(column.title)), justify="right" if column.right else "left", vertical="middle")
    for row in table.rows:
        style = {"lateral": "cyan", "total": "bold", "heading": "bold", "differs": "yellow"}.get(row.kind)
        grid.add_row(
            *(Text(cell_text(cell)) for cell in row.cells), style=style, end_section=tall and row.kind != "total"
        )
    file = io.StringIO()
    console = Console(
        file=file,
        width=width or 10_000,
        force_terminal=colour,
        no_color=not colour,
        legacy_windows=False,
        highlight=False,
    )
    if table.title:
        console.print(Text(printable(table.title), style="bold"))
    console.print(grid)
    if table.note:
        console.print(Text(printable(table.note), style="dim"))
    return "\n".join(line.rstrip() for line in file.getvalue().rstrip().splitlines()) + "\n"


def md_escaped(text: str) -> str:
    """Text that Markdown leaves as it is. An underscore within a word is left: it has no meaning there."""
    text = re.sub(r"([\\`*\[\]<>|#!~])|(?<!\w)_|_(?!\w)", r"\\\g<0>", printable(text))
    return text.replace("&", "&amp;").replace("\n", "<br>")


def md_cell(cell: TableCell) -> str:
    """A cell on one line of Markdown."""
    parts = []
    for part in lines_of(cell):
        if isinstance(part, str):
            parts.append(md_escaped(part))
            continue
        body = "<br>".join(map(md_escaped, part.lines))
        body = body if len(part.lines) == 1 else f"\\[{body}\\]"
        parts.append(body + (f" ×{part.times}" if part.times > 1 else ""))
    return "<br>".join(parts)


def to_md(table: Table) -> str:
    """The table in GitHub's Markdown."""
    lines = [f"**{md_escaped(table.title)}**", ""] if table.title else []
    lines.append("| " + " | ".join(md_escaped(column.title) for column in table.columns) + " |")
    lines.append("|" + "|".join("---:" if column.right else ":---" for column in table.columns) + "|")
    lines += ["| " + " | ".join(map(md_cell, row.cells)) + " |" for row in table.rows]
    return "\n".join([*lines, *(["", md_escaped(table.note)] if table.note else [])]) + "\n"


def csv_value(value: Any) -> Any:
    """A value of a record in one cell of CSV: shapes as 3x64x256x256, lists with semicolons."""
    if isinstance(value, Mapping):
        return "; ".join(f"{key} {csv_value(inner)}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        numbers = all(isinstance(inner, int) for inner in value)
        return ("x" if numbers else "; ").join(str(csv_value(inner)) for inner in value)
    return "" if value is None else value


def csv_text(value: Any) -> Any:
    """A cell of one line that a spreadsheet does not take for a formula, wherever it splits what it reads."""
    if not isinstance(value, str):
        return value
    text = printable(value).replace("\n", "\\n")
    return f"'{text}" if text.lstrip()[:1] in FORMULA_STARTS and text.strip() else text


FORMULA_STARTS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What begins a formula, of both widths."""


def records_csv(table: Table) -> str:
    """The records as CSV."""
    file = io.StringIO()
    names = list(dict.fromkeys(name for record in table.records for name in record))
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(map(csv_text, names))
    writer.writerows([csv_text(csv_value(record.get(name))) for name in names] for record in table.records)
    return file.getvalue()


def records_json(table: Table) -> str:
    """The records as a JSON list."""
    return json_text(list(table.records), indent=2) + "\n"


TABLE_FORMATS: Mapping[str, Callable[[Table], str]] = {
    "text": to_text,
    "md": to_md,
    "csv": records_csv,
    "html": to_html,
    "latex": to_latex,
    "json": records_json,
}


def in_format(table: Table, form: str) -> str:
    """The table in one of FORMATS. Raises SpecError for another."""
    if form not in TABLE_FORMATS:
        raise SpecError(
            f"no format {form!r}", got=form, want=", ".join(TABLE_FORMATS), fix=did_you_mean(form, TABLE_FORMATS)
        )
    return TABLE_FORMATS[form](table)
