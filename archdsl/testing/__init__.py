"""For people who write specs: random ops, blocks and archs (hypothesis), and the check every arch should pass."""

from archdsl.testing.arches import arches
from archdsl.testing.blocks import blocks
from archdsl.testing.conformance import check
from archdsl.testing.ops import maps, ops
from archdsl.testing.single import graph_of

__all__ = ["arches", "blocks", "check", "graph_of", "maps", "ops"]
