"""One case of a lowered, frozen network alone, run as the network runs it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from archdsl import ops
from archdsl.backend.emission import Emission
from archdsl.backend.network import network_from_source
from archdsl.backend.passes import lowered_graph
from archdsl.backend.passes.base import Rewritten
from archdsl.graph import Graph, Node
from archdsl.measuring.contestants import frozen_if_foldable
from archdsl.measuring.machine import working_type
from archdsl.measuring.timer import StepFunction
from archdsl.ops import UNIT, Grid, Shape
from archdsl.ops.layer import Layer
from archdsl.report.latency.cases import Case
from archdsl.report.lowering_policy import PassChoices

CHANNELS_LAST_3D = torch.channels_last_3d
IDENTITY = Rewritten(literal=ops.Add(), text=Layer("{0}"))
"""An op that does nothing, and says that its result may be written over."""
EMPTY_CASE = Case("nothing", (IDENTITY,), (Shape(1, 1, 1, 1),))
"""The network around a case, without the case."""


def case_graph(case: Case) -> Graph:
    """Its ops behind sources, which it may write over as it may write over maps within a network."""
    grid = Grid(UNIT, UNIT, UNIT)
    nodes: dict[str, Node] = {}
    shapes: dict[str, Shape] = {}
    raw = case.ops[0].chooses != "nothing"

    def add(address: str, op: ops.Op, shape: Shape, *reads: str) -> str:
        nodes[address], shapes[address] = Node(address, op, reads), shape
        return address

    reads = [add(f"x{i}", ops.Source(shape=x), x) for i, x in enumerate(case.reads)]
    if not raw:
        reads = [add(f"made{i}", IDENTITY, x, read) for i, (x, read) in enumerate(zip(case.reads, reads))]
    waiting, last = iter(reads), list[str]()
    for i, call in enumerate(case.calls):
        last = [add(f"op{i}", call.op, call.y, *last, *islice(waiting, len(call.reads) - len(last)))]
    return Graph(nodes, shapes, dict.fromkeys(nodes, grid), {}, {"y": last[0]})


def memory_format(case: Case) -> torch.memory_format:
    """How the maps lie that it reads: those of a clip as they were given."""
    return CHANNELS_LAST_3D if case.ops and case.ops[0].chooses == "nothing" else torch.contiguous_format


def case_network(case: Case, taken: PassChoices) -> nn.Module:
    """The case lowered by the passes taken."""
    return network_from_source(Emission(lowered_graph(case_graph(case), taken), "Case").text(), "case")


def network_input(xs: Sequence[Tensor]) -> Any:
    """Maps as a network takes them."""
    return xs[0] if len(xs) == 1 else {f"x{i}": x for i, x in enumerate(xs)}


def forward_of_case(case: Case, xs: list[Tensor], taken: PassChoices) -> StepFunction:
    """What is timed: the case lowered by the passes taken, frozen."""
    if not case.ops:
        return torch.inference_mode()(lambda: xs[0].contiguous(memory_format=CHANNELS_LAST_3D))
    network = frozen_if_foldable(case_network(case, taken).to(xs[0].device)).eval()
    return torch.inference_mode()(lambda: network(network_input(xs)))


def training_step_of_case(case: Case, xs: list[Tensor], taken: PassChoices) -> StepFunction:
    """The case lowered by the passes taken, and back to what it reads and holds."""
    network = case_network(case, taken).to(xs[0].device)
    leaves = [x.detach().requires_grad_() for x in xs]
    with torch.no_grad():
        grad = torch.ones_like(network(network_input(xs)))
    wanted = [*leaves, *network.parameters()]
    return lambda: torch.autograd.grad(network(network_input(leaves)), wanted, grad)


class Arena:
    """Memory from which maps are cut, one behind the other and then from the start: it outgrows every cache."""

    def __init__(self, elements: int, device: torch.device) -> None:
        self.memory = torch.empty(2 * elements, device=device, dtype=working_type(device))
        self.at = 0

    def maps(self, case: Case) -> list[Tensor]:
        """What a case reads, of one clip, laid out as it finds it in a network."""
        return [self.map(x, memory_format(case)) for x in case.reads]

    def map(self, x: Shape, lies: torch.memory_format) -> Tensor:
        """One map.  -> (1, c, t, h, w)"""
        if self.at + x.elements > self.memory.numel():
            self.at = 0
        flat = self.memory[self.at : self.at + x.elements]
        self.at += x.elements
        c, *sizes = x.tensor
        return flat.view(1, *sizes, c).permute(0, 4, 1, 2, 3) if lies is CHANNELS_LAST_3D else flat.view(1, c, *sizes)


def refresh(xs: list[Tensor]) -> StepFunction:
    """What writes maps as the ops before a case would: the one it reads first comes last, and is in the cache."""

    def write() -> None:
        for x in reversed(xs):
            x.fill_(0.5)

    return torch.inference_mode()(write)
