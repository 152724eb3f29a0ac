"""Plan -> torch: readable source, and the network that executes it."""

from archdsl.backend.emission import emit
from archdsl.backend.inference import freeze
from archdsl.backend.network import build, build_graph
from archdsl.backend.part_sources import sources
from archdsl.backend.passes import PASSES, Pass, lowerings_table
from archdsl.backend.user_ops import confirm

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
