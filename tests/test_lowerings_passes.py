"""What single passes find, what they write for it, and that it means the same."""

from __future__ import annotations

import re
import runpy
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_lowerings import Copies, apart, both, gives_the_same, learns_the_same
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import archdsl
from archdsl import ops
from archdsl.backend import build_graph, freeze
from archdsl.backend.passes import PASSES, lowered_graph
from archdsl.backend.passes.base import Rewritten
from archdsl.backend.runtime.keys import held_warp, warp
from archdsl.backend.runtime.steady import SteadyNorm
from archdsl.blocks import NonLocal
from archdsl.catalog import zoo
from archdsl.compiler import Plan
from archdsl.graph import Builder
from archdsl.ops import UNIT, Grid, Op, Shape
from archdsl.testing import graph_of
from archdsl.testing.agreement import random_clips

GRID = Grid(UNIT, UNIT, UNIT)
RUN = {one.name: one.run for one in PASSES}
TWICE = """
name: twice
clip: {frames: 4, size: 16, fps: 15}
blocks:
  twice:
    steps:
      mix: {conv: {out_channels: 8, kernel: [3, 1, 1]}}
      act_a: {relu: {}, reads: [mix]}
      act_b: {relu: {}, reads: [mix]}
      never: {conv: {out_channels: 4, kernel: [1, 1, 1]}, reads: [mix]}
      never_norm: {batch_norm: {}}
      drop_a: {dropout: {}, reads: [act_a]}
      drop_b: {dropout: {}, reads: [act_b]}
      own_a: {conv: {out_channels: 8, kernel: [1, 1, 1]}, reads: [act_a]}
      own_b: {conv: {out_channels: 8, kernel: [1, 1, 1]}, reads: [act_b]}
      sum: {add: {}, reads: [drop_a, drop_b, own_a, own_b]}
pathways:
  one:
    stages:
      stem: {conv: {channels: 8, kernel: [1, 3, 3], stride: [1, 2, 2]}}
      mixed: {twice: {}, repeat: 2}
head: {classifier: {classes: 5}}
"""
TIED = """
name: tied
clip: {{frames: 4, size: 16, fps: 15}}
pathways:
  one:
    stages:
      stem: {{conv: {{channels: 8, kernel: [1, 3, 3], stride: [1, 2, 2]}}}}
      res: {{bottleneck: {{channels: 16}}, repeat: 2}}
  two: {{like: one, tied_to: one{every}}}
  unread: {{like: one}}
head: {{classifier: {{classes: 5, reads: [one, two]}}}}
"""
PAIRS = """
name: pairs
clip: {{frames: 4, size: 32, fps: 15}}
pathways:
  main:
    stages:
      stem: {{conv: {{channels: 16, kernel: [1, 3, 3], stride: [1, 2, 2]}}}}
      pairs: {{non_local: {{{fields}}}}}
      end: {{conv: {{channels: 8, kernel: [1, 3, 3], stride: [1, 2, 2]}}}}
head: {{classifier: {{classes: 5}}}}
"""
READ_TWICE = """
name: read_twice
clip: {frames: 4, size: 32, fps: 15}
blocks:
  twice:
    steps:
      map: {affinity: {}, reads: [input, input]}
      weights: {softmax: {}}
      once: {gather: {}, reads: [weights, input]}
      again: {gather: {}, reads: [weights, once]}
      sum: {add: {}, reads: [once, again]}
pathways:
  main: {stages: {stem: {conv: {channels: 8, kernel: [1, 3, 3], stride: [1, 2, 2]}}, pairs: {twice: {}}}}
head: {classifier: {classes: 5}}
"""


class Called(TorchDispatchMode):
    """The names of all functions that torch calls."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.fixture
def plan_of(tmp_path: Path) -> Any:
    """A plan from the text of a spec."""

    def plan(text: str) -> Plan:
        path = tmp_path / "spec.yaml"
        path.write_text(text)
        return archdsl.compile(archdsl.load(str(path)))

    return plan


def test_equal_branches_run_once_and_dead_ones_never(plan_of: Any) -> None:
    plan = plan_of(TWICE)
    source = archdsl.emit(plan, ["branches"])
    block = source.partition("class Drawn")[2].partition("\n\n\n")[0]
    forward = block.partition("def forward")[2]
    assert forward.count("F.relu(") == 1
    assert "self.never" in block
    assert "self.never" not in forward
    assert forward.count("self.drop_") == forward.count("self.own_") == 2
    gives_the_same(plan)
    literal, lowered = both(plan, ["branches"])
    assert list(literal.state_dict()) == list(lowered.state_dict())


@pytest.mark.parametrize(
    ("every", "calls"),
    [
        ("", ["self.one.stem", "self.one.res"]),
        (", every: 2", ["self.one.stem", "self.one.res"] * 2),  # of other frames: both run
    ],
)
def test_pathways_that_share_weights(every: str, calls: list[str], plan_of: Any) -> None:
    plan = plan_of(TIED.format(every=every))
    network = archdsl.emit(plan, ["branches"]).rpartition("def forward")[2]
    assert re.findall(r"self\.one\.\w+", network) == calls
    assert "self.unread" not in network
    gives_the_same(plan)
    literal, lowered = both(plan, ["branches"])
    assert list(literal.state_dict()) == list(lowered.state_dict())


SOME = (
    *("nasnet_a_large", "nasnet_a_mobile", "tal_net", "tal_net_flow", "tal_net_rgb", "tal_net_without_context"),
    *("slowfast_4x16_r50", "inception_v3", "densenet121", "tdn_r50", "repflow_r50_2d", "lrcn_caffenet"),
)
"""Models that have nodes twice, and some that have none."""


@pytest.mark.parametrize("names", [SOME, pytest.param((), marks=pytest.mark.slow)], ids=["some", "the whole zoo"])
def test_what_the_zoo_has_twice(names: tuple[str, ...]) -> None:
    """How many nodes of a plan are not computed, by model, where there are any."""
    found = {}
    for model in (one for one in zoo() if not names or one.name in names):
        graph = archdsl.compile(model.arch()).graph
        lowered = RUN["branches"](graph)
        kept = sum(bool(graph.nodes[at].reads) and not node.reads for at, node in lowered.nodes.items())
        found |= {model.name: kept} if kept else {}
    assert found == {
        "nasnet_a_large": 88,
        "nasnet_a_mobile": 62,
        "tal_net": 8,
        "tal_net_flow": 4,
        "tal_net_rgb": 4,
        "tal_net_without_context": 12,
    }


def test_attention_is_one_call_without_copies(plan_of: Any) -> None:
    plan = plan_of(PAIRS.format(fields="inner: 8, scale: true"))
    source = archdsl.emit(plan, "auto")
    assert "attended(" in source
    assert "F.softmax" not in source
    network = freeze(archdsl.build(plan, "auto").eval())
    with torch.no_grad():
        network(clip := random_clips(plan, device="cpu"))
        with Copies() as copies:
            network(clip)
    assert copies.found == [3 * 4 * 32 * 32]


@pytest.mark.parametrize(
    ("fields", "call"),
    [
        ("inner: 8", "attended("),
        ("inner: 8, pairwise: dot_product", "gathered("),
        ("inner: 8, pairwise: gaussian", "F.softmax("),  # keys wider than values
        ("inner: 512, pool: [4, 8, 8], pairwise: dot_product", ".flatten(2).mT @"),  # fewer multiply-adds by pairs
    ],
)
def test_which_attention_is_rewritten(fields: str, call: str, plan_of: Any) -> None:
    plan = plan_of(PAIRS.format(fields=fields))
    assert call in archdsl.emit(plan, ["attention", "keys_first"]).partition("class NonLocal")[2]


@pytest.mark.parametrize(("pairs", "call"), [(64 * 256, "attended("), (64 * 256 + 1, "F.softmax(")])
def test_attention_from_so_many_pairs_a_channel(pairs: int, call: str, plan_of: Any) -> None:
    plan = plan_of(PAIRS.format(fields="inner: 16"))  # 1024 queries, 256 keys
    assert call in archdsl.emit(plan, {"attention": {"pairs": pairs}}).partition("class NonLocal")[2]
    assert "attended(" in archdsl.emit(plan, ["attention"])


@pytest.mark.parametrize(("channels", "seen"), [(2, 0), (3, 1), (8, 2), (15, 2), (16, 6), (None, 6)])
def test_views_up_to_so_many_channels(channels: int | None, seen: int, plan_of: Any) -> None:
    """The stem reads 3 channels, the end writes 8, four projections read and write 16. All are layers that can fuse."""
    plan = plan_of(PAIRS.format(fields="inner: 16"))
    nodes = lowered_graph(plan.graph, ["views"] if channels is None else {"views": {"channels": channels}}).nodes
    layers = [node.op.text.module for node in nodes.values() if isinstance(node.op, Rewritten)]
    assert (layers.count("FrameConv"), layers.count("MapConv")) == (seen, 6 - seen)


HEADS = (
    (ops.Attention(heads=2), "heads"),
    (ops.Attention(heads=2, over="hw", scale=0.5), "heads"),
    (ops.WindowAttention(heads=2, size=(2, 3, 3), shift=(1, 1, 1)), "heads"),
    (ops.WindowAttention(heads=2, size=(2, 3, 3), shift=(1, 1, 1), bias=True), "biased_heads"),
    (ops.WindowAttention(heads=2, size=(2, 3, 3), bias=True), "biased_heads"),
    (ops.RelativeAttention(heads=2), "biased_heads"),
)


@pytest.mark.parametrize(("op", "name"), HEADS)
@pytest.mark.parametrize("share", [1, 2])
def test_heads_by_the_kernel_give_the_same(op: Op, name: str, share: int) -> None:
    """Forward and gradients, with torch's kernel at work where nothing is learnt."""
    shapes = (Shape(8, 4, 6, 6), *(Shape(8 // share, 4, 6, 6),) * 2)
    graph = graph_of(op, shapes)
    lowered = RUN[name](graph)
    assert RUN[({"heads", "biased_heads"} - {name}).pop()](graph).nodes == graph.nodes
    one, other = (build_graph(each, "Attending").double() for each in (graph, lowered))
    other.load_state_dict(one.state_dict())
    like = {"dtype": torch.float64, "requires_grad": True}
    maps = [torch.randn(2, *shape[1:4], shape.c, **like).movedim(-1, 1) for shape in shapes]  # channels last
    clips = {f"x{i}": x for i, x in enumerate(maps)}
    got, want = other(clips), one(clips)
    torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-12)
    weight = torch.randn_like(want)
    grads = [
        torch.autograd.grad((y * weight).sum(), [*maps, *net.parameters()]) for y, net in ((got, other), (want, one))
    ]
    torch.testing.assert_close(*grads, rtol=1e-9, atol=1e-11)
    with torch.no_grad(), Called() as calls:
        other(clips)
    assert any("flash" in call for call in calls.names)


@pytest.mark.parametrize("shift", [(0, 0, 0), (1, 1, 1), (0, 2, 1), (1, 0, 0)])
@pytest.mark.parametrize("share", [1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_frozen_windows_are_gathered_by_mask(shift: tuple[int, int, int], share: int, dtype: torch.dtype) -> None:
    """One table for each mask, however many windows have it; copied, and for more clips than the first had."""
    op = ops.WindowAttention(heads=2, size=(2, 3, 3), shift=shift, bias=True)
    graph = graph_of(op, (Shape(8, 4, 9, 6), *(Shape(8 // share, 4, 9, 6),) * 2))
    literal, lowered = (build_graph(each, "Attending").to(dtype) for each in (graph, RUN["biased_heads"](graph)))
    lowered.load_state_dict(literal.state_dict())
    (layer,) = (part for part in lowered.modules() if hasattr(part, "kinds"))
    freeze(lowered)
    for n in (1, 3):
        clips = {f"x{i}": torch.randn(n, 8 // (share if i else 1), 4, 9, 6, dtype=dtype) for i in range(3)}
        with torch.no_grad():
            want, found = literal(clips), (lowered(clips), deepcopy(lowered)(clips))
        for got in found:
            torch.testing.assert_close(got, want)
            assert got.movedim(1, -1).is_contiguous()
    assert (len(layer.kinds), sum(layer.kinds)) == (2 ** sum(by > 0 for by in shift), 2 * 3 * 2)


@pytest.mark.parametrize(
    ("op", "values"),
    [
        (ops.Attention(heads=2, over="t"), 8),  # 4 keys
        (ops.Attention(heads=2), 4),  # values narrower than keys
        (ops.WindowAttention(heads=2, size=(4, 2, 2)), 8),  # 16 keys
        (ops.Attention(heads=2, fused=True), 8),
    ],
)
def test_heads_that_stay(op: Op, values: int) -> None:
    graph = graph_of(op, (Shape(8, 4, 6, 6), Shape(8, 4, 6, 6), Shape(values, 4, 6, 6)))
    assert RUN["heads"](graph).nodes == graph.nodes


def test_a_map_of_pairs_that_others_read_stays(plan_of: Any) -> None:
    plan = plan_of(READ_TWICE)
    assert archdsl.emit(plan, ["attention"]) == archdsl.emit(plan)


NON_LOCALS = st.fixed_dictionaries(
    {
        "pairwise": st.sampled_from(["gaussian", "embedded_gaussian", "dot_product", "concatenation"]),
        "inner": st.integers(1, 16),
        "pool": st.sampled_from([(1, 1, 1), (1, 2, 2), (2, 2, 2), (4, 4, 4)]),
        "pool_at": st.sampled_from(["before", "after"]),
        "scale": st.booleans(),
    }
).filter(lambda fields: not fields["scale"] or str(fields["pairwise"]).endswith("gaussian"))


@given(NON_LOCALS)
@settings(max_examples=15, deadline=None)
def test_random_non_local_blocks_give_the_same(fields: dict[str, Any]) -> None:
    arch = archdsl.load("specs/primer/01_one_stage.yaml")
    (pathway,) = arch.pathways.values()
    stages = {**pathway.stages}
    name, stage = next(iter(stages.items()))
    stages[name] = stage.model_copy(update={"blocks": (*stage.blocks, NonLocal(**fields))})
    pathways = {at: pathway.model_copy(update={"stages": stages}) for at in arch.pathways}
    plan = archdsl.compile(arch.model_copy(update={"pathways": pathways}))
    gives_the_same(plan)
    learns_the_same(plan, ["channels_last", "attention", "keys_first"])


def run_both(op: Op, shape: Shape, name: str) -> tuple[Tensor, Tensor]:
    """One op of a channels-last map, literal and after a pass."""
    graph = graph_of(op, (shape,))
    x = torch.randn(2, *shape).contiguous(memory_format=torch.channels_last_3d)
    lowered = RUN[name](graph)
    assert lowered.nodes != graph.nodes, "the pass found nothing"
    return build_graph(graph)(x), build_graph(lowered)(x)


POOLS = st.builds(
    ops.AvgPool,
    kernel=st.tuples(st.just(1), st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.just(1), st.integers(1, 3), st.integers(1, 3)),
    pad=st.sampled_from(["same", "valid", "tf_same"]),
    ceil=st.booleans(),
    count_pad=st.booleans(),
)


@given(POOLS, st.integers(2, 9), st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_means_of_frames_are_the_same_and_stay_channels_last(op: ops.AvgPool, channels: int, t: int) -> None:
    want, got = run_both(op, Shape(channels, t, 9, 7), "frame_means")
    torch.testing.assert_close(got, want)
    assert got.is_contiguous(memory_format=torch.channels_last_3d)


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3))
@settings(max_examples=20, deadline=None)
def test_shuffles_are_the_same_and_stay_channels_last(groups: int, width: int, t: int) -> None:
    want, got = run_both(ops.ChannelShuffle(groups=groups), Shape(groups * width, t, 5, 4), "shuffles")
    assert torch.equal(got, want)
    assert got.is_contiguous(memory_format=torch.channels_last_3d)


@given(st.integers(2, 9), st.integers(1, 20), st.integers(1, 4), st.booleans())
@settings(max_examples=30, deadline=None)
def test_shifts_are_the_same(share: int, channels: int, t: int, grad: bool) -> None:
    with torch.set_grad_enabled(grad):
        want, got = run_both(ops.TimeShift(share=share), Shape(channels, t, 3, 4), "shifts")
    assert torch.equal(got, want)


@given(st.integers(1, 2), st.integers(1, 3), st.booleans(), st.tuples(st.integers(1, 6), st.integers(1, 6)))
@settings(max_examples=30, deadline=None)
def test_warps_are_the_same_and_stay_channels_last(k: int, each: int, read: bool, size: tuple[int, int]) -> None:
    """Of maps, and of key frames that are held: without a copy of them unless another reads it."""
    g, t = Builder(), k * each
    keys, flow = (g.source(name, Shape(*shape, *size), GRID) for name, shape in (("keys", (5, k)), ("flow", (2, t))))
    hold = g.add("hold", ops.HoldKeys(), keys, flow)
    g.outputs["y"] = g.add("warp", ops.Warp(), hold, flow)
    if read:
        g.outputs["hold"] = g.add("read", ops.Relu(), hold)
    graph = g.finish()
    lowered = RUN["warps"](graph)
    assert bool(lowered.nodes["hold"].reads) == read
    maps = {"keys": torch.randn(2, 5, k, *size), "flow": 3 * torch.randn(2, 2, t, *size)}
    both_maps = [{name: x.double().requires_grad_() for name, x in maps.items()} for _ in range(2)]
    want, got = (build_graph(one)(given) for one, given in zip((graph, lowered), both_maps))
    want, got = (y["y"] if read else y for y in (want, got))
    torch.testing.assert_close(got, want, rtol=0, atol=1e-12)
    assert got.is_contiguous(memory_format=torch.channels_last_3d)
    for y in (want, got):
        y.square().sum().backward()
    for name in maps:
        torch.testing.assert_close(*(given[name].grad for given in both_maps), rtol=0, atol=1e-10)


def test_clips_are_laid_out_in_the_order_in_which_they_are_read() -> None:
    """Whatever the hash of their names: one spec is one emitted text."""
    g = Builder()
    clips = [g.source(name, Shape(3, 2, 4, 4), GRID) for name in ("north", "east", "south", "west", "up", "down")]
    g.outputs["y"] = g.add("join", ops.Concat(), *clips)
    made = RUN["channels_last"](g.finish())
    assert [address for address in made.nodes if "@" in address] == [f"{clip}@channels_last" for clip in clips]


def test_a_flow_that_points_nowhere_breaks_nothing() -> None:
    """What is no number, or far beyond any map, gives what it gives the literal network: nan and 0."""
    flow = torch.zeros(1, 2, 1, 1, 4)
    flow[..., :3] = torch.tensor([float("nan"), 1e30, -1e30])
    x = torch.ones(1, 1, 1, 1, 4)
    torch.testing.assert_close(held_warp(x, flow), warp(x, flow), equal_nan=True)


@pytest.mark.parametrize("name", ["frame_means", "shuffles", "shifts", "warps"])
def test_passes_leave_what_is_not_theirs(name: str) -> None:
    left = (
        ops.AvgPool(kernel=(2, 2, 2), stride=(2, 2, 2)),
        ops.AvgPool(kernel=(1, 2, 2), stride=(2, 2, 2)),
        ops.TimeShift(past_only=True),
    )
    for op in left:
        graph = graph_of(op, (Shape(8, 4, 6, 6),))
        assert RUN[name](graph).nodes == graph.nodes


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # of torch 2.13 itself
@pytest.mark.parametrize("how", ["compile", "export"])
@pytest.mark.parametrize("mode", ["infer", "frozen", "train"])
@pytest.mark.parametrize("fields", ["inner: 8", "inner: 8, pairwise: dot_product"])
def test_lowered_networks_are_traced_whole(how: str, mode: str, fields: str, plan_of: Any) -> None:
    plan = plan_of(PAIRS.format(fields=fields))
    _, network = both(plan, train=mode == "train")
    network.train(mode == "train")
    clip = random_clips(plan, batch=2, device="cpu")
    with torch.set_grad_enabled(mode == "train"):
        network = freeze(network) if mode == "frozen" else network
        want = network(clip)
        if how == "compile":
            torch._dynamo.reset()
            traced: Any = torch.compile(network, backend="eager", fullgraph=True)
        else:
            traced = torch.export.export(network, (clip,)).module()
        assert apart(traced(clip).detach(), want.detach()) <= 1e-5


@pytest.mark.parametrize("train", [False, True])
def test_lowered_source_is_a_file_of_its_own(train: bool, tmp_path: Path) -> None:
    file = tmp_path / "network.py"
    file.write_text(archdsl.emit(archdsl.compile(archdsl.load("x3d_xs")), "auto", train=train), encoding="utf-8")
    assert issubclass(runpy.run_path(str(file))["X3dXs"], nn.Module)


def test_statistics_are_summed_in_blocks_where_maps_are_channels_last() -> None:
    """In training, on a CPU; elsewhere torch's own. Large means show how well the sums are rounded."""
    torch.manual_seed(0)
    norm, own = SteadyNorm(3).train(), nn.BatchNorm3d(3).train()
    x = (torch.randn(2, 3, 8, 64, 64) + 100).requires_grad_()
    last = x.detach().contiguous(memory_format=torch.channels_last_3d).requires_grad_()
    assert norm(last).grad_fn.name() == "NormByRowsBackward"
    want = x.detach().double().var(dim=(0, 2, 3, 4)) * 0.1 + 0.9
    torch.testing.assert_close(norm.running_var, want.float(), rtol=1e-5, atol=0)
    for y in (norm(x), norm.eval()(last), own(last)):
        assert "NormByRows" not in y.grad_fn.name()
