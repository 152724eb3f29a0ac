"""Linear layers with what follows them: equal results, and where a sum may move into a block."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from test_lowerings import apart, both, gives_the_same, learns_the_same

import archdsl
from archdsl.backend import freeze
from archdsl.backend.network import build_graph
from archdsl.backend.passes.linears import linears
from archdsl.compiler import Plan
from archdsl.graph import Builder, Graph
from archdsl.ops import UNIT, Add, Gelu, Grid, LayerScale, Linear, Shape, Tanh
from archdsl.testing.agreement import random_clips

SPEC = """
name: few_tokens
clip: {{frames: 4, size: 32, fps: 4}}
pathways:
  main:
    stages:
      tokens: [{{patches: {{kernel: [2, 8, 8], channels: 16}}}}, {tokens}]
      body: {{transformer: {{heads: 2, mlp: 2, drop_path: 0.0, {fields}}}, repeat: 2}}
head: {{{head}: {{classes: 5}}}}
"""
GRID = Grid(UNIT, UNIT, UNIT)


@pytest.fixture
def plan_of(tmp_path: Path) -> Any:
    """A plan of a small transformer with fields."""

    def plan(fields: str = "", tokens: str = "{positions: {over: [thw]}}") -> Plan:
        path = tmp_path / "spec.yaml"
        head = "class_token" if tokens == "class_token" else "classifier"
        path.write_text(SPEC.format(fields=fields, tokens=tokens, head=head))
        return archdsl.compile(archdsl.load(str(path)))

    return plan


def test_a_block_of_a_transformer_takes_its_sum(plan_of: Any) -> None:
    source = archdsl.emit(plan_of("layer_scale: 0.1"), ["linears"])
    assert "self.out(z, scale=self.scale, drop=self.drop_path, shortcut=x)" in source
    assert "self.up(y, act=F.gelu)" in source
    block = source.partition("class Transformer(")[2].partition("class ")[0]
    assert [line.strip().partition("  #")[0] for line in block.splitlines() if " x = " in line] == [
        "x = self.attend(x)",
        "x = self.mlp(x)",
    ]


FIELDS = (
    "",
    "layer_scale: 0.1",
    "norm_at: post",
    "gated: true, act: silu",
    "act: quick_gelu",
    "attend: [t, {over: hw, linear: true}]",
    "bias: qv",
)


@pytest.mark.parametrize("fields", FIELDS)
def test_transformers_give_and_learn_the_same(fields: str, plan_of: Any) -> None:
    plan = plan_of(fields)
    gives_the_same(plan)
    learns_the_same(plan, ["channels_last", "linears"])


def test_tokens_beside_a_map(plan_of: Any) -> None:
    plan = plan_of("attend: [t, hw]", tokens="class_token")
    assert "shortcut=x" in archdsl.emit(plan, ["linears"])
    gives_the_same(plan)


def test_a_frozen_layer_keeps_one_copy_of_its_weights_and_can_be_copied(plan_of: Any) -> None:
    plan = plan_of("layer_scale: 0.1")
    network, clip = freeze(archdsl.build(plan, "auto")), random_clips(plan, device="cpu")
    want = network(clip)
    assert [name for name, _ in network.named_parameters() if "query" in name or "mlp.up" in name] == []
    assert torch.equal(deepcopy(network)(clip), want)
    other = random_clips(plan, batch=3, device="cpu")
    assert torch.allclose(network(other)[:1], network(other[:1]), atol=1e-5)  # packed at one clip, given three


def test_without_the_operator_a_frozen_layer_says_the_same(plan_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """In double precision, and where torch was built without oneDNN."""
    plan = plan_of("layer_scale: 0.1")
    literal, lowered = both(plan, dtype=torch.float64)
    clip = random_clips(plan, device="cpu").double()
    with torch.inference_mode():
        assert apart(freeze(lowered)(clip), literal.eval()(clip)) <= 1e-12
    literal, lowered = both(plan)
    clip = clip.float()
    monkeypatch.setattr(torch.ops, "mkldnn", object())
    with torch.inference_mode():
        assert apart(freeze(lowered)(clip), literal.eval()(clip)) <= 1e-5


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # of torch 2.13 itself
@pytest.mark.parametrize("seen", [False, True])
def test_a_frozen_transformer_is_exported_and_compiled(seen: bool, plan_of: Any) -> None:
    plan = plan_of("layer_scale: 0.1")
    literal, lowered = both(plan)
    network, clip = freeze(lowered), random_clips(plan, device="cpu")
    with torch.no_grad():
        want = literal.eval()(clip)
        if seen:
            network(clip)
        torch._dynamo.reset()
        compiled: Any = torch.compile(network, backend="eager", fullgraph=True)
        assert apart(compiled(clip), want) <= 1e-5
        assert apart(torch.export.export(network, (clip,)).module()(clip), want) <= 1e-5


def summed(case: str) -> Graph:
    """A linear layer in a block, and a sum outside it with another map."""
    g = Builder()
    clip = g.source("clip", Shape(6, 2, 4, 4), GRID)
    before = g.add("before", Tanh(), clip)
    with g.inside("block", "Block"):
        x = g.add("norm", Tanh(), clip if case == "not read" else before)
        inner = g.add("up", Linear(out_features=6), x)
        y = g.add("scale", LayerScale(start=0.5), g.add("down", Linear(out_features=6), inner))
    if case == "leaving":
        g.outputs["block"] = y
    other = {"later": lambda: g.add("other", Tanh(), before), "of the block": lambda: inner, "itself": lambda: y}
    total = g.add("sum", Add(), *((other[case](), y) if case in other else (before, y)))
    g.outputs["y"] = g.add("after", Gelu(), total) if case != "end" else total
    return g.finish()


CASES = {"read": True, "end": True, "not read": False, "later": False, "leaving": False, "of the block": False}


@pytest.mark.parametrize(("case", "moves"), [*CASES.items(), ("itself", False)])
def test_which_sums_move_into_a_block(case: str, moves: bool) -> None:
    graph = summed(case)
    lowered = linears(graph)
    assert (not lowered.nodes["sum"].reads) == moves
    literal, network = (build_graph(one).double() for one in (graph, lowered))
    network.load_state_dict(literal.state_dict())
    clip = torch.randn(2, 6, 2, 4, 4, dtype=torch.float64)
    want, got = literal(clip), network(clip)
    for name, y in want.items() if isinstance(want, dict) else [("y", want)]:
        torch.testing.assert_close(got[name] if isinstance(got, dict) else got, y, rtol=1e-12, atol=1e-12)


def test_a_layer_of_one_position_stays() -> None:
    g = Builder()
    clip = g.source("clip", Shape(6, 1, 1, 1), GRID)
    g.outputs["y"] = g.add("linear", Linear(out_features=3), clip)
    graph = g.finish()
    assert linears(graph).nodes == graph.nodes
