"""What a plan says: tables, costs, differences, drawings. Nothing here imports torch; each loads when asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archdsl.report.admission import Admits, admits
    from archdsl.report.cost import NetworkCost, claims_table, count_table, reported
    from archdsl.report.differences import Diff, diff
    from archdsl.report.drawing.formats import draw, to_dot, write_drawing
    from archdsl.report.explanation.json_schema import schema
    from archdsl.report.latency.machine import known_machine
    from archdsl.report.latency.prediction import Latency, latency_table
    from archdsl.report.memory.report import Memory, Setup, memory_table
    from archdsl.report.parts import TABLE_LEVELS
    from archdsl.report.span import span_table
    from archdsl.report.table.formats import TABLE_FORMATS
    from archdsl.report.table.sheet import Table
    from archdsl.report.table.stages import table_of

FILES = {
    "admission": ("Admits", "admits"),
    "cost": ("NetworkCost", "claims_table", "count_table", "reported"),
    "differences": ("Diff", "diff"),
    "drawing.formats": ("draw", "to_dot", "write_drawing"),
    "table.formats": ("TABLE_FORMATS",),
    "latency.prediction": ("Latency", "latency_table"),
    "latency.machine": ("known_machine",),
    "memory.report": ("Memory", "Setup", "memory_table"),
    "parts": ("TABLE_LEVELS",),
    "table.sheet": ("Table",),
    "span": ("span_table",),
    "json_schema": ("schema",),
    "table.stages": ("table_of",),
}
"""Which file has which names: `archdsl check` reads two of them, not thirty."""

FILE_OF = {name: file for file, names in FILES.items() for name in names}

__all__ = [
    "TABLE_FORMATS",
    "TABLE_LEVELS",
    "Admits",
    "Diff",
    "Latency",
    "Memory",
    "NetworkCost",
    "Setup",
    "Table",
    "admits",
    "claims_table",
    "count_table",
    "diff",
    "draw",
    "known_machine",
    "latency_table",
    "memory_table",
    "reported",
    "schema",
    "span_table",
    "table_of",
    "to_dot",
    "write_drawing",
]


def __getattr__(name: str) -> Any:
    if name not in FILE_OF:
        raise AttributeError(f"module 'archdsl.report' has no attribute {name!r}")
    return getattr(import_module(f"archdsl.report.{FILE_OF[name]}"), name)
