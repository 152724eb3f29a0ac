"""Drawings of architectures: SVG with a lane for each pathway, DOT text, a web page; PNG and PDF by a converter."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from shutil import which
from subprocess import run

from archdsl.compiler import Plan
from archdsl.errors import SpecError
from archdsl.report.drawing_dot import OpsDot, dot_of_parts, rendered
from archdsl.report.drawing_lanes import svg
from archdsl.report.drawing_read import LEVELS, parts
from archdsl.report.page import Sources, page

SUFFIXES = (".svg", ".dot", ".html", ".pdf", ".png")


def draw(plan: Plan, level: str = "stage") -> str:
    """The drawing as SVG text. Levels: pathway, stage, block, op. Raises SpecError for another level."""
    if level == "op":
        return rendered(to_dot(plan, level), plan.name)
    return svg(parts(plan, level))


def to_dot(plan: Plan, level: str = "stage") -> str:
    """The drawing as DOT text; equal plans give equal text. Raises SpecError for another level."""
    if level == "op":
        return OpsDot(plan, parts(plan, "stage").title).text()
    return dot_of_parts(parts(plan, level))


def write_drawing(plan: Plan, path: str | Path, level: str = "stage", sources: Sources | None = None) -> None:
    """The drawing as a file, its format by the suffix: .svg, .dot, .html; .pdf, .png where a converter is at hand.

    A page shows `sources`, the emitted code of its parts, where they are given.
    """
    path = Path(path)
    match path.suffix.lower():
        case ".svg":
            path.write_text(draw(plan, level), encoding="utf-8")
        case ".dot":
            path.write_text(to_dot(plan, level), encoding="utf-8")
        case ".html":
            path.write_text(page(plan, level, sources), encoding="utf-8")
        case ".pdf" | ".png" as suffix:
            convert(draw(plan, level), path, suffix[1:])
        case suffix:
            raise SpecError(
                "no drawing of that format", got=suffix or str(path), want=", ".join(SUFFIXES), fix=f"{path.stem}.svg"
            )


def convert(drawing: str, path: Path, kind: str) -> None:
    """SVG as PDF or PNG by cairosvg, or by rsvg-convert."""
    try:
        cairosvg = import_module("cairosvg")  # not a dependency: used where it is at hand
    except (ImportError, OSError):  # OSError: the package without the cairo library
        program = which("rsvg-convert")
        if program is None:
            fix = f"{path.with_suffix('.svg').name}, or pip install cairosvg, or install rsvg-convert (librsvg)"
            raise SpecError(
                f"nothing here turns SVG into {kind.upper()}", got=path.name, want="cairosvg or rsvg-convert", fix=fix
            ) from None
        run(
            [program, "-f", kind, "-z", "2" if kind == "png" else "1", "-o", str(path)],
            input=drawing.encode(),
            check=True,
        )
        return
    getattr(cairosvg, f"svg2{kind}")(bytestring=drawing.encode(), write_to=str(path), scale=2 if kind == "png" else 1)


__all__ = ["LEVELS", "draw", "to_dot", "write_drawing"]
