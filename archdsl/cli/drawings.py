"""draw, plot, emit."""

from __future__ import annotations

import sys
from argparse import Namespace

from archdsl.cli import overrides as g
from archdsl.cli.console import write_text
from archdsl.compiler import Plan, compile
from archdsl.errors import printable
from archdsl.graph.user_ops import has_torch


def draw_command(given: Namespace) -> int:
    """SVG to the terminal, or a file whose name says its format."""
    from archdsl.report import draw as svg_of
    from archdsl.report import write_drawing

    plan = compile(g.arch_named(given.name, given))
    if given.output in (None, "-"):
        write_text(svg_of(plan, level=given.level), None)
        return 0
    write_drawing(plan, given.output, level=given.level, sources=sources_of(plan, given.output))
    sys.stderr.write(f"wrote {printable(given.output)}\n")
    return 0


def sources_of(plan: Plan, path: str) -> dict[str, tuple[str, str]]:
    """The emitted code of every part, for the one format that shows it, where every op says what torch does for it."""
    if not path.lower().endswith(".html") or not all(has_torch(node.op) for node in plan.nodes if node.reads):
        return {}
    from archdsl.backend import sources

    return sources(plan)


def plot_command(given: Namespace) -> int:
    """Published accuracy against cost."""
    from archdsl.report.plot import plot as draw_plot
    from archdsl.report.plot import plot_points

    found = plot_points(g.models_named(given), given.against, given.figure, given.source, strict=not given.all)
    draw_plot(found, given.output, given.against, given.figure)
    sys.stderr.write(f"wrote {printable(given.output)}\n")
    return 0


def emit_command(given: Namespace) -> int:
    """Python source."""
    from archdsl.backend import emit as source_of
    from archdsl.backend.passes import parse_lower

    write_text(
        source_of(compile(g.arch_named(given.name, given)), parse_lower(given.lower), train=given.train), given.output
    )
    return 0
