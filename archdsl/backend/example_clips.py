"""Random clips that a network takes."""

from __future__ import annotations

from typing import Any

import torch

from archdsl.compiler import Plan
from archdsl.graph import Graph
from archdsl.ops import Source


def random_clips(plan: Plan, batch: int = 1, device: torch.device | str = "meta") -> Any:
    """What the network takes: random clips of the plan's sizes, one tensor or a dict of several."""
    return random_inputs(plan.graph, batch, device)


def random_inputs(graph: Graph, batch: int = 1, device: torch.device | str = "cpu") -> Any:
    """The same of a graph. Ids of texts are below their vocabulary."""
    clips = {}
    for address, node in graph.nodes.items():
        if isinstance(node.op, Source):
            size, ids = (batch, *graph.shapes[address].tensor), node.op.vocabulary
            clips[address] = torch.randint(ids, size, device=device) if ids else torch.randn(size, device=device)
    return clips if len(clips) > 1 else next(iter(clips.values()))
