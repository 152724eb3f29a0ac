"""Tables in HTML and LaTeX. Both escape what they print."""

from __future__ import annotations

import html
import unicodedata

from archdsl.errors import printable
from archdsl.report.table.sheet import Table, TableCell, lines_of


def html_cell(cell: TableCell) -> str:
    """A cell's inside in HTML."""
    parts = []
    for part in lines_of(cell):
        if isinstance(part, str):
            parts.append(html.escape(printable(part)).replace("\n", "<br>"))
            continue
        body = "<br>".join(html.escape(printable(line)) for line in part.lines)
        body = body if len(part.lines) == 1 else f'<span class="bracket">{body}</span>'
        parts.append(body + (f" ×{part.times}" if part.times > 1 else ""))
    return "<br>".join(parts)


TABLE_STYLE = """
table.archdsl { border-collapse: collapse; font: 14px/1.4 system-ui, sans-serif; font-variant-numeric: tabular-nums }
.archdsl caption { text-align: left; font-weight: 600; padding: .4em 0 }
.archdsl th { border-top: 2px solid; border-bottom: 1px solid; text-align: left }
.archdsl th, .archdsl td { padding: .25em .8em; vertical-align: middle }
.archdsl tbody tr:last-child td { border-bottom: 2px solid }
.archdsl .right { text-align: right }
.archdsl .lateral { color: #0b7285 }
.archdsl .total, .archdsl .heading { font-weight: 600 }
.archdsl .differs { color: #b35900 }
.archdsl .bracket { display: inline-block; vertical-align: middle; padding: 0 .4em; border: solid; border-width: 0 1px }
"""


def html_table(table: Table) -> str:
    """The table as an HTML element, for a page that has `STYLE`."""

    def line(tag: str, cells: list[str], kind: str = "") -> str:
        sides = [' class="right"' if column.right else "" for column in table.columns]
        inside = "".join(f"<{tag}{side}>{cell}</{tag}>" for side, cell in zip(sides, cells))
        return f'<tr class="{html.escape(kind)}">{inside}</tr>' if kind else f"<tr>{inside}</tr>"

    head = line("th", [html_cell(column.title) for column in table.columns])
    body = "\n".join(line("td", [html_cell(cell) for cell in row.cells], row.kind) for row in table.rows)
    note = f"\n<p>{html_cell(table.note)}</p>" if table.note else ""
    caption = f"<caption>{html_cell(table.title)}</caption>\n" if table.title else ""
    return f'<table class="archdsl">\n{caption}<thead>{head}</thead>\n<tbody>\n{body}\n</tbody>\n</table>{note}\n'


def to_html(table: Table) -> str:
    """The table as a page of its own."""
    title = html.escape(printable(table.title or "archdsl"))
    style = f'<meta charset="utf-8">\n<title>{title}</title>\n<style>{TABLE_STYLE}</style>'
    return f'<!doctype html>\n<html lang="en">\n{style}\n{html_table(table)}</html>\n'


TEX = {
    **{c: f"\\{c}" for c in "&%$#_{}"},
    **{c: f"{{{c}}}" for c in "[]*"},  # behind \\ they would be its arguments
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "“": "``",
    "”": "''",
    "‘": "`",
    "’": "'",
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
    "ß": r"\ss{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "æ": r"\ae{}",
    "ł": r"\l{}",
    "²": r"$^2$",
    "³": r"$^3$",
    "½": r"$\frac12$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "±": r"$\pm$",
    "−": "$-$",
    "→": r"$\rightarrow$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "≈": r"$\approx$",
    "∞": r"$\infty$",
    "°": r"$^\circ$",
    "τ": r"$\tau$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "γ": r"$\gamma$",
    "µ": r"$\mu$",
    "σ": r"$\sigma$",
}
"""Characters that TeX would read, or has no glyph for in a plain article."""
ACCENTS = dict(zip("\u0300\u0301\u0302\u0303\u0308\u030c\u0327\u030a\u0304", "`'^~\"vcr="))
"""Combining accents as TeX's commands."""


def tex_escaped(text: str) -> str:
    """Text that TeX prints as it is; a question mark for what a plain article cannot print."""
    return "".join(map(tex_character, printable(text)))


def tex_character(c: str) -> str:
    """One character in LaTeX."""
    if c in TEX or c.isascii():
        return TEX.get(c, c)
    letter, *accents = list(unicodedata.normalize("NFD", c))
    known = letter.isascii() and letter.isalpha() and len(accents) == 1 and accents[0] in ACCENTS
    return rf"\{ACCENTS[accents[0]]}{{{letter}}}" if known else "?"


def tex_stacked(lines: list[str], side: str = "l") -> str:
    """Several lines in one cell."""
    return (
        lines[0]
        if len(lines) == 1
        else rf"\begin{{tabular}}[c]{{@{{}}{side}@{{}}}}" + r" \\ ".join(lines) + r"\end{tabular}"
    )


def tex_cell(cell: TableCell, side: str = "l") -> str:
    """A cell in LaTeX, leaning to a side."""
    parts = []
    for part in lines_of(cell):
        if isinstance(part, str):
            parts += [tex_escaped(line) for line in part.split("\n")]
            continue
        times = rf"$\times${part.times}" if part.times > 1 else ""
        body = tex_stacked([tex_escaped(line) for line in part.lines])
        body = body if len(part.lines) == 1 else rf"$\left[\mbox{{{body}}}\right]$"
        parts.append(body + times)
    return tex_stacked(parts, side) if parts else ""


LONG_TEXT = 40
"""Characters beyond which a text is set over several lines."""


def tex_columns(table: Table) -> str:
    """The columns' sides; a column of long texts is a paragraph."""
    texts = [[row.cells[i] for row in table.rows if row.kind != "heading"] for i in range(len(table.columns))]
    long = [any(isinstance(cell, str) and len(cell) > LONG_TEXT for cell in cells) for cells in texts]
    kinds = zip(table.columns, long)
    return "".join("r" if c.right else r"p{0.45\linewidth}" if wide else "l" for c, wide in kinds)


def tex_rows(table: Table) -> list[str]:
    """The rows, with a rule before totals and headings, and air between tall rows."""
    sides = "".join("r" if column.right else "l" for column in table.columns)
    tall = any(len(lines_of(cell)) > 1 for row in table.rows for cell in row.cells)
    lines: list[str] = []
    for i, row in enumerate(table.rows):
        ruled = row.kind in ("total", "heading")
        if ruled or (tall and i):
            lines.append(r"\midrule" if ruled else r"\addlinespace")
        if row.kind == "heading":
            lines.append(rf"\multicolumn{{{len(sides)}}}{{l}}{{{tex_cell(row.cells[0])}}} \\")
        else:
            lines.append(" & ".join(map(tex_set, row.cells, sides)) + r" \\")
    return lines


def tex_set(cell: TableCell, side: str) -> str:
    """A cell in its column: a long text in lines of uneven length."""
    ragged = isinstance(cell, str) and len(cell) > LONG_TEXT
    return r"\raggedright\let\\\tabularnewline " * ragged + tex_cell(cell, side)


def to_latex(table: Table) -> str:
    """The table in LaTeX with booktabs, for an article."""
    head = " & ".join(tex_escaped(column.title) for column in table.columns)
    caption = tex_escaped(". ".join(filter(None, (table.title, table.note))))
    lines = [
        r"% \usepackage{booktabs}; with \usepackage{graphicx} too, what is wider than the line is made to fit",
        r"\begin{table}",
        r"\centering\footnotesize\setlength{\tabcolsep}{4pt}",
        rf"\caption{{{caption}}}",
        rf"\setbox0=\hbox{{\begin{{tabular}}{{{tex_columns(table)}}}",
        r"\toprule",
        head + r" \\",
        r"\midrule",
        *tex_rows(table),
        r"\bottomrule",
        r"\end{tabular}}",
        r"\ifdim\wd0>\linewidth\ifdefined\resizebox\resizebox{\linewidth}{!}{\box0}\else\box0\fi\else\box0\fi",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"
