"""What a plan says: tables, costs, differences, drawings. Nothing here imports torch; each loads when asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archdsl.report.admission import Admits, admits
    from archdsl.report.cost import Count, claims_table, count_table, reported
    from archdsl.report.differences import Diff, diff
    from archdsl.report.drawing import draw, to_dot, write_drawing
    from archdsl.report.formats import FORMATS
    from archdsl.report.latency import Latency, latency_table
    from archdsl.report.machine import known_machine
    from archdsl.report.memory import Memory, Setup, memory_table
    from archdsl.report.parts import LEVELS
    from archdsl.report.sheet import Table
    from archdsl.report.span import span_table
    from archdsl.report.spec_schema import schema
    from archdsl.report.tables import table, table_of

FILES = {
    "admission": ("Admits", "admits"),
    "cost": ("Count", "claims_table", "count_table", "reported"),
    "differences": ("Diff", "diff"),
    "drawing": ("draw", "to_dot", "write_drawing"),
    "formats": ("FORMATS",),
    "latency": ("Latency", "latency_table"),
    "machine": ("known_machine",),
    "memory": ("Memory", "Setup", "memory_table"),
    "parts": ("LEVELS",),
    "sheet": ("Table",),
    "span": ("span_table",),
    "spec_schema": ("schema",),
    "tables": ("table", "table_of"),
}
"""Which file has which names: `archdsl check` reads two of them, not thirty."""

WHERE = {name: file for file, names in FILES.items() for name in names}

__all__ = [
    "FORMATS",
    "LEVELS",
    "Admits",
    "Count",
    "Diff",
    "Latency",
    "Memory",
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
    "table",
    "table_of",
    "to_dot",
    "write_drawing",
]


def __getattr__(name: str) -> Any:
    if name not in WHERE:
        raise AttributeError(f"module 'archdsl.report' has no attribute {name!r}")
    return getattr(import_module(f"archdsl.report.{WHERE[name]}"), name)
