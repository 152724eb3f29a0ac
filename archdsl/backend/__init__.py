"""Plan -> torch: readable source, and the network that executes it."""

from archdsl.backend.building import build, build_graph
from archdsl.backend.emission import emit
from archdsl.backend.freezing import freeze
from archdsl.backend.own import confirm
from archdsl.backend.passes import PASSES, Pass, lowerings_table
from archdsl.backend.sources import sources

__all__ = [
    "PASSES",
    "Pass",
    "build",
    "build_graph",
    "confirm",
    "emit",
    "freeze",
    "lowerings_table",
    "sources",
]
