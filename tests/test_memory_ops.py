"""Memory of single ops: what each says that torch keeps of it beside storages that are tracked."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from archdsl import ops
from archdsl.backend import build_graph
from archdsl.backend.example_clips import random_inputs
from archdsl.compiler.module_tree import module_tree
from archdsl.errors import SpecError
from archdsl.graph import Builder, Graph
from archdsl.ops import OPS, UNIT, Conv, Grid, Op, Shape
from archdsl.report.memory.lifetimes import SimulatedStep, Tape
from archdsl.testing.ops import Chooser
from benchmarks.memory import Tracked

BATCH = 2
MANY = 400
"""Examples, from which on they are drawn anew in each run."""
ESTIMATED = (
    # loops and samplers of many torch ops: what they keep is a rough figure
    ops.TvL1Flow,
    ops.SelectiveScan,
    ops.RoiAlign,
    ops.PlacePool,
    ops.SoiPool,
    ops.BoundaryMatch,
    ops.LstmScan,
    ops.GruScan,
    ops.AttendScan,
    ops.AttendGruScan,
    ops.OwnTimeShift,
    ops.LocalCorrelation,
    ops.Proposals,
    ops.MoveBoxes,
    ops.CellBoxes,
    ops.BestBoxes,
    ops.RegionAlign,
    ops.RegionMaxPool,
    ops.SegmentProposals,
    ops.ValidProposals,
    ops.TurnedBy,
    # which rows are copied hangs on the layout of maps: exact in test_attention.py, which has them channels last
    ops.Attention,
    ops.WindowAttention,
    ops.CausalAttention,
    ops.RelativeAttention,
    # told as on a GPU: a CPU's masks are as wide as the map
    ops.Dropout,
    # under a dispatch mode torch 2.13 adds the bias out of place
    ops.Linear,
    # told as on a GPU: on a CPU torch composes it of several ops
    ops.RmsNorm,
    # told for each clip: all clips of a batch share the tables that are joined
    ops.Positions,
    ops.SinePositions,
)


class LargeMaps(Chooser):
    """Draws maps beside which indices of an axis are small."""

    def shape(self, c: int = 6, t: int = 7, s: int = 9, least: int = 1) -> Shape:
        channels = self.integer(4, 8) if c >= 4 else self.integer(1, c)
        sizes = (self.integer(10, 18) if s > 4 else self.integer(least, s) for _ in "hw")
        return Shape(channels, self.integer(max(least, min(2, t)), t), *sizes)


@st.composite
def examples(draw: Any) -> tuple[Op, tuple[Shape, ...]]:
    """An op and the shapes of what it reads."""
    of_maps = [kind for kind in OPS if kind.takes_ids is None]  # no layer lies before ids of texts
    kind = draw(st.sampled_from([kind for kind in of_maps if kind not in (*ESTIMATED, ops.Source)]))
    try:
        op, xs = kind.example(LargeMaps(draw))
        op.out(*xs)
    except SpecError:
        reject()
    return op, xs


def learning(op: Op, xs: tuple[Shape, ...]) -> Graph:
    """An op behind layers, so that gradients flow through it."""
    g = Builder()
    clips = [g.source(f"x{i}", x, Grid(UNIT, UNIT, UNIT)) for i, x in enumerate(xs)]
    layers = [ops.Affine(scale=0.0) if x.extra else Conv(out_channels=x.c, kernel=(1, 1, 1)) for x in xs]
    reads = [g.add(f"layer{i}", layer, clip) for i, (layer, clip) in enumerate(zip(layers, clips))]
    g.outputs["y"] = g.add("op", op, *reads)
    return g.finish()


def predicted(graph: Graph, training: bool) -> list[int]:
    """Bytes: most in forward, kept for backward, most in backward. Weights are not counted."""
    plan: Any = SimpleNamespace(graph=graph, nodes=tuple(graph.nodes.values()), params=0, scopes={})
    step, tape = SimulatedStep(plan, BATCH, training, half=False), Tape()
    clips = {node.address: step.pool.new(step.size(node.address)) for node in plan.nodes if not node.reads}
    step.forward(module_tree(graph), clips, tape, saving=training)
    found = [step.peaks.pop("op"), step.pool.live]
    if training and step.learns["op"]:
        step.grads = {"op": step.pool.new(step.size("op"))}
        step.pool.read()
        step.back(tape[-1])  # type: ignore[arg-type]
        found.append(step.peaks["op"])
    return found


def tracked(graph: Graph, training: bool) -> list[int]:
    """The same of torch."""
    with Tracked() as memory:
        network = build_graph(graph).train(training)
        given = random_inputs(graph, BATCH)
        clips = given if isinstance(given, dict) else {"x0": given}
        for tensor in (*network.parameters(), *network.buffers(), *clips.values()):
            memory.see(tensor)
        weights = memory.live - sum(clip.nbytes for clip in clips.values())
        memory.peak = 0
        with torch.set_grad_enabled(training):
            y = network(clips if len(clips) > 1 else clips["x0"])
        found = [memory.peak - weights, memory.live - weights]
        if y.requires_grad:
            gradient = torch.ones_like(y)
            memory.peak = 0
            y.backward(gradient)
            found.append(memory.peak - weights)
    return found


@pytest.mark.parametrize("examples_drawn", [30, pytest.param(MANY, marks=pytest.mark.slow)])
def test_any_op_as_tracked(examples_drawn: int) -> None:
    """Of many drawn."""
    settings(max_examples=examples_drawn, derandomize=examples_drawn < MANY)(given(examples(), st.booleans())(near))()


def test_resized_kernels_are_kept_once_for_all_clips() -> None:
    lists = dict(kernels=((2, 4, 4), (4, 8, 8), (1, 16, 16)), steps=((2, 16, 16),) * 3, offsets=((0, 0, 0),) * 3)
    graph = learning(ops.Tubes(out_channels=24, tied=True, **lists), (Shape(3, 8, 48, 48),))
    assert predicted(graph, True)[1] == pytest.approx(tracked(graph, True)[1], rel=0.03)


def test_differences_of_joints_turn_the_gradient_round() -> None:
    for joints in (1, 12):
        x = Shape(8, 1, joints, 16)
        near((ops.JointDifference(), (x, x)), training=True)


def near(example: tuple[Op, tuple[Shape, ...]], training: bool) -> None:
    """Within 3 %: small indices and statistics of norms are not counted."""
    graph = learning(*example)
    assert predicted(graph, training) == pytest.approx(tracked(graph, training), rel=0.03, abs=8000)
