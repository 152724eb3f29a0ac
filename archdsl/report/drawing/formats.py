"""Drawings of architectures: SVG with a lane for each pathway, DOT text, a web page; PNG and PDF by a converter."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from shutil import which
from subprocess import PIPE, run

from archdsl.compiler import Plan, plan_of
from archdsl.errors import SpecError
from archdsl.language import Arch
from archdsl.report.drawing.dot import OpsDot, dot_of_parts, graphviz_svg
from archdsl.report.drawing.lanes import svg_drawing
from archdsl.report.drawing.page import PartSources, page
from archdsl.report.drawing.reader import drawing_parts
from archdsl.spec.files import write_out

DRAWING_SUFFIXES = (".svg", ".dot", ".html", ".pdf", ".png")


def draw(arch_or_plan: Arch | Plan, level: str = "stage") -> str:
    """The drawing as SVG text. Levels: pathway, stage, block, op. Raises SpecError for another level."""
    plan = plan_of(arch_or_plan)
    if level == "op":
        return graphviz_svg(to_dot(plan, level), plan.name)
    return svg_drawing(drawing_parts(plan, level))


def to_dot(arch_or_plan: Arch | Plan, level: str = "stage") -> str:
    """The drawing as DOT text; equal plans give equal text. Raises SpecError for another level."""
    plan = plan_of(arch_or_plan)
    if level == "op":
        return OpsDot(plan, drawing_parts(plan, "stage").title).text()
    return dot_of_parts(drawing_parts(plan, level))


def write_drawing(
    arch_or_plan: Arch | Plan, path: str | Path, level: str = "stage", sources: PartSources | None = None
) -> None:
    """The drawing as a file, its format by the suffix: .svg, .dot, .html; .pdf, .png where a converter is at hand.

    A page shows `sources`, the emitted code of its parts, where they are given.
    """
    plan = plan_of(arch_or_plan)
    path = Path(path)
    match path.suffix.lower():
        case ".svg":
            write_out(path, draw(plan, level))
        case ".dot":
            write_out(path, to_dot(plan, level))
        case ".html":
            write_out(path, page(plan, level, sources))
        case ".pdf" | ".png" as suffix:
            write_out(path, converted_svg(draw(plan, level), path, suffix[1:]))
        case suffix:
            raise SpecError(
                "no drawing of that format",
                got=suffix or str(path),
                want=", ".join(DRAWING_SUFFIXES),
                fix=f"{path.stem}.svg",
            )


def converted_svg(drawing: str, path: Path, kind: str) -> bytes:
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
        command = [program, "-f", kind, "-z", "2" if kind == "png" else "1"]
        return run(command, input=drawing.encode(), stdout=PIPE, check=True).stdout
    made: bytes = getattr(cairosvg, f"svg2{kind}")(bytestring=drawing.encode(), scale=2 if kind == "png" else 1)
    return made


__all__ = ["draw", "to_dot", "write_drawing"]
