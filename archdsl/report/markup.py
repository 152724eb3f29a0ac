"""Tables in HTML and LaTeX. Both escape what they print."""

from __future__ import annotations

import html

from archdsl.report.sheet import Cell, Table, lines_of, printable


def html_cell(cell: Cell) -> str:
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


STYLE = """
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
    style = f'<meta charset="utf-8">\n<title>{title}</title>\n<style>{STYLE}</style>'
    return f'<!doctype html>\n<html lang="en">\n{style}\n{html_table(table)}</html>\n'


TEX = {
    **{c: f"\\{c}" for c in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "×": r"$\times$",
    "²": r"$^2$",
    "→": r"$\rightarrow$",
    "τ": r"$\tau$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
}
"""Characters that TeX would read, or has no glyph for in a plain article."""


def tex_escaped(text: str) -> str:
    """Text that TeX prints as it is."""
    return "".join(TEX.get(c, c) for c in printable(text)).replace(r"\textquotedbl{}", "''")


def tex_stacked(lines: list[str], side: str = "l") -> str:
    """Several lines in one cell."""
    return (
        lines[0]
        if len(lines) == 1
        else rf"\begin{{tabular}}[c]{{@{{}}{side}@{{}}}}" + r" \\ ".join(lines) + r"\end{tabular}"
    )


def tex_cell(cell: Cell, side: str = "l") -> str:
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


def to_latex(table: Table) -> str:
    """The table in LaTeX with booktabs, for an article."""
    sides = "".join("r" if column.right else "l" for column in table.columns)
    head = " & ".join(tex_escaped(column.title) for column in table.columns)
    body = []
    for row in table.rows:
        body.append(r"\midrule" if row.kind in ("total", "heading") else "")
        body.append(" & ".join(map(tex_cell, row.cells, sides)) + r" \\")
    caption = tex_escaped(". ".join(filter(None, (table.title, table.note))))
    lines = [
        r"% \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering\footnotesize",
        rf"\caption{{{caption}}}",
        rf"\begin{{tabular}}{{{sides}}}",
        r"\toprule",
        head + r" \\",
        r"\midrule",
        *filter(None, body),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"
