"""For people who write specs: random ops, blocks and archs (hypothesis), and the check every arch should pass."""

from archdsl.testing.arches import arches
from archdsl.testing.blocks import blocks
from archdsl.testing.conformance import check, graph_of
from archdsl.testing.ops import maps, ops

__all__ = ["arches", "blocks", "check", "graph_of", "maps", "ops"]
