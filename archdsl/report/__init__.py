"""What a plan says: tables, costs, differences, drawings. Nothing here imports torch."""

from archdsl.report.admission import Admits, admits
from archdsl.report.cost import Count, claims_table, count_table, reported, views_of
from archdsl.report.differences import Diff, diff
from archdsl.report.drawing import draw, to_dot
from archdsl.report.drawing import write as write_drawing
from archdsl.report.formats import FORMATS
from archdsl.report.memory import Memory, Setup, bytes_of, memory_table
from archdsl.report.parts import LEVELS
from archdsl.report.sheet import Table
from archdsl.report.span import span_table
from archdsl.report.spec_schema import schema
from archdsl.report.tables import table, table_of

__all__ = [
    "FORMATS",
    "LEVELS",
    "Admits",
    "Count",
    "Diff",
    "Memory",
    "Setup",
    "Table",
    "admits",
    "bytes_of",
    "claims_table",
    "count_table",
    "diff",
    "draw",
    "memory_table",
    "reported",
    "schema",
    "span_table",
    "table",
    "table_of",
    "to_dot",
    "views_of",
    "write_drawing",
]
