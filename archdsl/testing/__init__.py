"""For people who write specs: random ops, blocks, archs and neighbours (hypothesis), and what every network must pass.

`network_test` loads torch, and is imported when it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from archdsl.testing.arches import arches
from archdsl.testing.blocks import blocks
from archdsl.testing.conformance import check
from archdsl.testing.ops import maps, ops
from archdsl.testing.single import graph_of
from archdsl.testing.strategies import families, inputs, variants

if TYPE_CHECKING:
    from archdsl.testing.network import network_test

__all__ = ["arches", "blocks", "check", "families", "graph_of", "inputs", "maps", "network_test", "ops", "variants"]


def __getattr__(name: str) -> Any:
    if name != "network_test":
        raise AttributeError(f"module 'archdsl.testing' has no attribute {name!r}")
    return import_module("archdsl.testing.network").network_test
