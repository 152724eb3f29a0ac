"""What is probably not meant is warned of, and everything else works on such a network."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import archdsl
from archdsl import ops
from archdsl.backend import PASSES, build_graph
from archdsl.compiler.unread import learning
from archdsl.ops import Op
from archdsl.testing import check, graph_of
from archdsl.testing.arches import plain_arches as arches

FIRST_OF_TWO_CLIPS = """
name: net
clips: {unread: {frames: 4, size: 8}, rgb: {frames: 4, size: 8}}
pathways:
  main: {clip: rgb, stages: {one: {conv: {channels: 4}}}}
head: {classifier: {classes: 3}}
"""
BRANCHES = "{branches: {branches: {a: {conv: {channels: 4}}, b: [{bottleneck: {channels: 8}}, {gru: {hidden: 2}}]}}}"
TIED_TO_UNREAD = f"""
name: net
clip: {{frames: 4, size: 8}}
pathways:
  dead: {{stages: {{one: [{{conv: {{channels: 4}}}}, {BRANCHES}], two: {BRANCHES}}}}}
  main: {{tied_to: dead, like: dead}}
head: {{classifier: {{classes: 3, reads: [main]}}}}
"""
UNREAD = TIED_TO_UNREAD.replace("tied_to: dead, ", "")
TIED_AND_UNREAD = f"{TIED_TO_UNREAD.replace('[main]', '[dead]')}"
NOTHING_TO_LEARN = """
name: net
clip: {frames: 4, size: 8}
pathways:
  main: {stages: {one: [global_pool, {mean: {over: hw}}]}}
head: {localiser: {}}
"""
ONE_ITERATION = """
name: net
clip: {frames: 4, size: 8}
pathways:
  main: {stages: {one: [{conv: {channels: 4}}, {representation_flow: {iterations: 1, align: first, inner: 2}}]}}
head: {classifier: {classes: 3}}
"""
NAMED_HALF = """
name: net
clip: {frames: 4, size: 8}
pathways:
  main: {stages: {half: {conv: {channels: 4}}}}
head: {classifier: {classes: 3}}
"""
PART, WEIGHTS = "a part that no output depends on", "weights that no gradient reaches"
SPECS = {
    "clip": (FIRST_OF_TWO_CLIPS, [(PART, "unread", None)]),
    "tied_to_unread": (TIED_TO_UNREAD, [(PART, "dead", None)]),
    "unread": (UNREAD, [(PART, "dead", None)]),
    "tied_and_unread": (TIED_AND_UNREAD, [(PART, "main", None)]),
    "nothing": (
        NOTHING_TO_LEARN,
        [("a network without weights to learn", "head.main", "no parameter that a gradient reaches")],
    ),
    "named": (NAMED_HALF, [("a part named as a method of torch's modules", "main.half", "half")]),
    "one_iteration": (
        ONE_ITERATION,
        [(WEIGHTS, "main.one.1.flow", "forward_x, forward_y, divergence_x, divergence_y, tau")],
    ),
}


@pytest.mark.parametrize("name", SPECS)
def test_it_is_warned_of_and_everything_works(name: str, tmp_path: Path) -> None:
    text, warned = SPECS[name]
    (tmp_path / "net.yaml").write_text(text, encoding="utf-8")
    arch = archdsl.load(tmp_path / "net.yaml")
    plan = check(arch)
    assert [(fault.what, fault.at, fault.got) for fault in plan.warnings] == warned
    assert archdsl.draw(plan)
    assert archdsl.table(plan)
    clips: Any = {clip: torch.randn(2, *shape) for clip, shape in plan.inputs.items()}
    clips = clips if len(clips) > 1 else next(iter(clips.values()))
    torch.manual_seed(0)
    literal = archdsl.build(plan).eval()
    with torch.no_grad():
        want = literal(clips)
    for lower in ("auto", [one.name for one in PASSES]):
        network = archdsl.build(plan, lower).eval()
        network.load_state_dict(literal.state_dict())
        with torch.no_grad():
            assert_near(network(clips), want)
            if plan.params:
                assert_near(archdsl.freeze(network)(clips), want)


def assert_near(got: Any, want: Any) -> None:
    for one, other in zip(
        got.values() if isinstance(got, dict) else [got], want.values() if isinstance(want, dict) else [want]
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@settings(max_examples=10)
@given(arches())
def test_what_is_not_warned_of_learns(arch: archdsl.Arch) -> None:
    """Torch has a gradient for every parameter but those in parts that are named, and for these none, or 0."""
    plan = archdsl.compile(arch)
    network = archdsl.build(plan).double()
    clips = {name: torch.randn(2, *shape, dtype=torch.double) for name, shape in plan.inputs.items()}
    outputs = network(clips if len(clips) > 1 else next(iter(clips.values())))
    sum(y.square().sum() for y in (outputs.values() if isinstance(outputs, dict) else [outputs])).backward()
    named = [re.escape(fault.at or "") for fault in plan.warnings if fault.what in (PART, WEIGHTS)]
    for name, parameter in network.named_parameters():
        warned = any(re.match(rf"{at}\.", name) for at in named)
        assert parameter.grad is not None or warned, name
        assert not (learnt(parameter.grad) and warned), name


OF_NUMBERS = [kind for kind in ops.OPS if kind is not ops.Source and kind.takes_ids is None]


@pytest.mark.parametrize("kind", OF_NUMBERS, ids=lambda kind: kind.__name__)
@settings(max_examples=6)
@given(st.data())
def test_gradients_reach_what_an_op_says(kind: type[Op], data: st.DataObject) -> None:
    op, xs = data.draw(archdsl.testing.ops(kind))
    network = build_graph(graph_of(op, xs)).double()
    maps = [torch.randn(2, *x.tensor, dtype=torch.double, requires_grad=True) for x in xs]
    y = network({f"x{i}": x for i, x in enumerate(maps)} if len(maps) > 1 else maps[0])
    if y.requires_grad:
        y.square().sum().backward()
    for x, reached in zip(maps, op.gradients(*xs), strict=True):
        assert learnt(x.grad) <= reached
        assert reached <= (x.grad is not None)
    for name, parameter in network.named_parameters():
        reached = name.removeprefix("op.") not in op.unlearnt(*xs)
        assert learnt(parameter.grad) <= reached <= (parameter.grad is not None or not reached), name


def learnt(grad: Tensor | None) -> bool:
    """Whether there is a gradient other than rounding."""
    return grad is not None and bool(grad.abs().max() > 1e-12)


def test_a_map_of_which_only_the_size_is_read_passes_no_gradient() -> None:
    graph = graph_of(ops.ResizeTo(), (ops.Shape(2, 3, 4, 4), ops.Shape(1, 3, 8, 8)))
    assert learning(graph) == {"op", "x0"}
