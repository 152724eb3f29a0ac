"""A lowered network gives what the literal one gives, from the same weights."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from test_zoo import reduced
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import archdsl
from archdsl.backend import PASSES, freeze, lowerings_table
from archdsl.backend.devices import device_of
from archdsl.backend.network import build_graph
from archdsl.backend.passes import lowered_graph
from archdsl.backend.runtime.convolution.conv import MapConv
from archdsl.catalog import zoo
from archdsl.cli import main
from archdsl.compiler import Plan
from archdsl.graph import Builder
from archdsl.language import Arch, Model
from archdsl.ops import UNIT, Add, Conv, Grid, Shape, TakeEvery
from archdsl.report.latency.machine import passes_on
from archdsl.report.lowering_policy import MODES
from archdsl.testing.agreement import random_clips
from archdsl.testing.arches import plain_arches as arches

MODELS = tuple(zoo())
SAMPLE = [m for m in MODELS if m.name in ("slowfast_tiny", "movinet_a0_stream", "r2plus1d_18", "tsm_r50")]


def scattered(network: nn.Module, clips: Any) -> nn.Module:
    """The network with norms that do something, near what goes through them, and nothing drawn by chance in training.

    Far from it maps would grow from layer to layer, and deep networks would blow rounding up without bound.
    """
    norms = [part for part in network.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    for part in network.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
        if norm.weight is not None:
            nn.init.uniform_(norm.weight, 0.5, 1.5)
        if norm.bias is not None:
            nn.init.normal_(norm.bias, std=0.1)
    with torch.no_grad():
        network.train()(clips)
    for norm, norm.momentum in zip(norms, momenta):
        if norm.running_mean is not None and norm.running_var is not None:
            norm.running_mean += 0.1 * norm.running_var.sqrt() * torch.randn_like(norm.running_mean)
            norm.running_var *= 0.5 + torch.rand_like(norm.running_var)
    return network


def both(plan: Plan, lower: Any = "auto", *, train: bool = False, dtype: torch.dtype = torch.float32) -> Any:
    """(literal, lowered) of equal weights."""
    torch.manual_seed(0)
    literal = scattered(archdsl.build(plan), random_clips(plan, batch=2, device="cpu")).to(dtype)
    lowered = archdsl.build(plan, lower, train=train).to(dtype)
    lowered.load_state_dict(literal.state_dict())
    for part in lowered.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    return literal, lowered


def outputs(network: nn.Module, clips: Any) -> Tensor:
    """All that a network gives, in one row; of one with key frames also what it gives frame by frame."""
    given = [network(clips)]
    if hasattr(network, "key_frame") and not network.training:
        given.append(network.step(clips)[0])
    return torch.cat([y.flatten() for one in given for y in (one.values() if isinstance(one, dict) else [one])])


def doubled(clips: Any) -> Any:
    """Clips in double precision; ids of tokens stay whole."""
    if isinstance(clips, dict):
        return {name: doubled(clip) for name, clip in clips.items()}
    return clips.double() if clips.is_floating_point() else clips


def apart(got: Tensor, want: Tensor) -> float:
    """The largest difference as a share of the largest element."""
    return float((got - want).abs().max() / want.abs().max().clamp(min=1e-6))


def gives_the_same(plan: Plan) -> None:
    """Lowered, then frozen, for inference: to 1e-5.

    Some networks blow rounding up: softmax over large scores has near ties; a deep one with gates is chaotic once its
    norms are scattered. Those are about as far from the literal network in double precision as that is with its weights
    moved by 1e-13, and in single precision as with weights moved by 1e-6.
    """
    literal, lowered = both(plan)
    clips = random_clips(plan, batch=2, device="cpu")
    with torch.inference_mode():
        want = outputs(literal.eval(), clips)
    worst = max(apart(y, want) for y in said(lowered, clips))
    if worst > 1e-5:
        literal.double()
        exact = max(apart(y, answer(literal, clips)) for y in said(both(plan, dtype=torch.float64)[1], doubled(clips)))
        assert exact <= 4 * blown_up(literal, clips, 1e-13)
        assert worst <= 4 * blown_up(literal, clips, 1e-6)


@torch.inference_mode()
def answer(network: nn.Module, clips: Any) -> Tensor:
    """What a network of double precision gives."""
    return outputs(network, doubled(clips))


def blown_up(network: nn.Module, clips: Any, share: float) -> float:
    """How far a network's answer moves, at most of four times, with weights moved by about such a share."""
    return max(apart(answer(moved(network, share), clips), answer(network, clips)) for _ in range(4))


@torch.inference_mode()
def said(network: nn.Module, clips: Any) -> list[Tensor]:
    """What a lowered network gives, and once it is frozen at its first and second clip."""
    got = [outputs(network.eval(), clips)]
    if any(hasattr(part, "frozen") for part in network.modules()):
        freeze(network)
        got += [outputs(network, clips), outputs(network, clips)]
    return got


@torch.no_grad()
def moved(network: nn.Module, share: float) -> nn.Module:
    """A network of other weights, each moved by about such a share of itself: as rounding moves what layers give."""
    other = deepcopy(network)
    for weight in other.parameters():
        weight.mul_(1 + share * torch.randn_like(weight))
    return other


def learns_the_same(plan: Plan, lower: Any = "auto") -> None:
    """Gradients and running statistics of a step in training, in double precision: to 1e-10.

    Where a network blows rounding up, gradients are as near as those of weights moved by 1e-13.
    """
    literal, lowered = both(plan, lower, train=True, dtype=torch.float64)
    clips = doubled(random_clips(plan, batch=2, device="cpu"))
    want = gradients(literal, clips)
    off = distance(gradients(lowered, clips), want)
    for (name, buffer), other in zip(literal.named_buffers(), lowered.buffers(), strict=True):
        torch.testing.assert_close(other, buffer, msg=name)
    del lowered  # two VGGs are 2 GB of doubles, and as much again of gradients
    if off > 1e-10:
        assert off <= max(distance(gradients(moved(literal, 1e-13), clips), want) for _ in range(4))


def gradients(network: nn.Module, clips: Any) -> dict[str, Tensor]:
    """Name -> gradient of the outputs' squares, of the weights that have one."""
    torch.manual_seed(1)
    outputs(network.train(), clips).square().sum().backward()
    found = {name: weight.grad for name, weight in network.named_parameters() if weight.grad is not None}
    network.zero_grad()
    return found


def distance(got: dict[str, Tensor], want: dict[str, Tensor]) -> float:
    """The norm of the difference as a share of the norm."""
    assert got.keys() == want.keys()
    difference = torch.stack([(got[name] - grad).norm() for name, grad in want.items()]).norm()
    return float(difference / torch.stack([grad.norm() for grad in want.values()]).norm())


@pytest.mark.slow
@pytest.mark.parametrize("one", MODELS, ids=[model.name for model in MODELS])
def test_the_whole_zoo_gives_the_same(one: Model) -> None:
    plan = archdsl.compile(reduced(one))
    gives_the_same(plan)
    learns_the_same(plan)


@pytest.mark.parametrize("one", SAMPLE, ids=[model.name for model in SAMPLE])
def test_a_sample_of_the_zoo_gives_the_same(one: Model) -> None:
    gives_the_same(archdsl.compile(reduced(one)))


@pytest.mark.parametrize("lower", ["auto", [one.name for one in PASSES]])
def test_training_steps_are_the_same(lower: Any) -> None:
    learns_the_same(archdsl.compile(archdsl.load("slowfast_tiny")), lower)


@given(arches())
@settings(max_examples=15, deadline=None)
def test_random_arches_give_the_same(arch: Arch) -> None:
    gives_the_same(archdsl.compile(arch))


def test_one_state_dict_for_all() -> None:
    arch = archdsl.load("slowfast_tiny")
    literal, lowered = archdsl.build(arch), archdsl.build(arch, "auto")
    assert {k: v.shape for k, v in literal.state_dict().items()} == {
        k: v.shape for k, v in lowered.state_dict().items()
    }
    assert list(literal.state_dict()) == list(lowered.state_dict())


class Copies(TorchDispatchMode):
    """Notes what is copied: elements of every copy of at least a thousand."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[int] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        copying = func.overloadpacket in (torch.ops.aten.clone, torch.ops.aten.copy_, torch.ops.aten._to_copy)
        if copying and args[0].numel() >= 1000:
            self.found.append(args[0].numel())
        return func(*args, **(kwargs or {}))


def test_frames_are_converted_once_and_nothing_is_copied_after() -> None:
    plan = archdsl.compile(archdsl.load("slowfast_tiny"))
    network = freeze(archdsl.build(plan, "auto").eval())
    clip = random_clips(plan, device="cpu")
    with torch.no_grad():
        network(clip)
        with Copies() as copies:
            network(clip)
    frames = {p: 3 * plan.shapes[f"{p}.stem"].t * 64 * 64 for p in ("slow", "fast")}
    assert sorted(copies.found) == sorted(frames.values())


def test_what_a_frozen_network_no_longer_does() -> None:
    arch = archdsl.load("slowfast_tiny")
    frozen = freeze(archdsl.build(arch, "auto"))
    assert frozen.eval() is frozen
    for verb, call in (
        ("train", frozen.train),
        ("save", frozen.state_dict),
        ("load", lambda: frozen.load_state_dict({})),
    ):
        with pytest.raises(archdsl.SpecError, match=f"a frozen network does not {verb}"):
            call()
    with pytest.raises(archdsl.SpecError, match="nothing to freeze"):
        freeze(archdsl.build(arch))


def test_frozen_weights_exist_once() -> None:
    plan = archdsl.compile(archdsl.load("slowfast_tiny"))
    network = freeze(archdsl.build(plan, "auto"))
    with torch.inference_mode():
        network(random_clips(plan, device="cpu"))
    assert [name for name, _ in network.named_parameters() if name.endswith("conv.weight")] == []


def test_a_frozen_network_makes_no_gradients() -> None:
    plan = archdsl.compile(archdsl.load("slowfast_tiny"))
    network, clip = freeze(archdsl.build(plan, "auto")), random_clips(plan, device="cpu").requires_grad_()
    assert not network(clip).requires_grad


def test_a_frozen_network_is_copied_and_frozen_again() -> None:
    plan = archdsl.compile(archdsl.load("slowfast_tiny"))
    network, clip = freeze(archdsl.build(plan, "auto")), random_clips(plan, device="cpu")
    want = network(clip)
    assert torch.equal(deepcopy(network)(clip), want)
    assert freeze(network) is network
    assert torch.equal(network(clip), want)


def test_a_layer_that_another_thread_made_ready_stays_so() -> None:
    layer, x = MapConv(4, 4, 1), torch.randn(1, 4, 2, 3, 3)
    layer.frozen = True
    want, ready = layer(x), layer.ready
    layer.make_ready(x, None)
    assert layer.ready is ready
    assert torch.equal(layer(x), want)


def test_a_batch_of_no_clips() -> None:
    plan = archdsl.compile(archdsl.load("slowfast_tiny"))
    assert archdsl.build(plan, "auto").eval()(torch.empty(0, 3, 16, 64, 64)).shape == (0, 8)


def test_a_name_that_is_no_pass() -> None:
    with pytest.raises(archdsl.SpecError, match="no lowering 'view'"):
        archdsl.build(archdsl.load("slowfast_tiny"), ["view"])


@pytest.mark.parametrize(
    ("row", "got", "want"),
    [
        ({"views": {"pairs": 8}}, "{'pairs': 8}", "true, false, or a number of channels"),
        ({"fusion": {"channels": 8}}, "{'channels': 8}", "true, false"),
    ],
)
def test_a_bound_that_a_pass_has_not(row: Any, got: str, want: str) -> None:
    with pytest.raises(archdsl.SpecError) as error:
        archdsl.build(archdsl.load("slowfast_tiny"), row)
    (name,) = row
    fault = f"no such bound of lowering {name!r}\n  got     {got}\n  want    {want}"
    assert str(error.value.faults[0]) == fault


def test_auto_is_a_row_of_the_table() -> None:
    plan = archdsl.compile(archdsl.load("slowfast_tiny"))
    for mode in MODES:
        auto = archdsl.emit(plan, "auto", train=mode == "train")
        assert auto == archdsl.emit(plan, passes_on(device_of(None).type, mode))
    assert archdsl.emit(plan, {}) == archdsl.emit(plan, {"views": False}) == archdsl.emit(plan)


def test_the_literal_network_is_the_default() -> None:
    plan = archdsl.compile(archdsl.load("slowfast_tiny"))
    assert archdsl.emit(plan) == archdsl.emit(plan, "none") != archdsl.emit(plan, "auto")


def test_every_pass_says_when_it_is_exact_and_when_it_pays() -> None:
    rows = lowerings_table()
    assert [row["name"] for row in rows] == [one.name for one in PASSES]
    assert all("Exact" in row["about"] for row in rows)


def test_it_is_said_what_auto_takes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lowerings"]) == 0
    said = capsys.readouterr().out
    assert passes_on("cpu", "train")["views"] is True
    assert "views  (auto takes it for infer and for train)\n" in said
    assert "depthwise  (auto takes it for train)\n" in said
    pairs = passes_on("cpu", "infer")["attention"]["pairs"]
    assert f"attention  (auto takes it for infer from {pairs} pairs a channel)\n" in said
    assert main(["lowerings", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert (rows["attention"]["infer"], rows["attention"]["train"]) == ({"pairs": pairs}, False)
    assert (rows["views"]["infer"], rows["views"]["train"]) == (True, True)


@pytest.mark.parametrize(
    ("reader", "over"),
    [(None, True), ("before", True), ("after", False), ("view", False), ("leaving", False), ("clip", False)],
)
def test_a_frozen_sum_lies_over_a_map_that_nobody_needs_any_more(reader: str | None, over: bool) -> None:
    """The map that is added is read by nobody else, by what the sum is made of, later, as a view; leaves; is a clip."""
    g, conv = Builder(), Conv(out_channels=8, kernel=(1, 1, 1))
    clip = g.source("clip", Shape(8, 4, 6, 6), Grid(UNIT, UNIT, UNIT))
    other = g.add("other", conv, clip)
    added = clip if reader == "clip" else g.add("added", conv, clip)
    seen = g.add("seen", TakeEvery(step=1), added) if reader == "view" else other
    g.outputs["sum"] = g.add("sum", Add(), g.add("conv", conv, added if reader == "before" else seen), added)
    if reader in ("after", "view"):
        g.outputs["later"] = g.add("later", conv, added if reader == "after" else seen)
    if reader == "leaving":
        g.outputs["added"] = added
    graph = g.finish()
    lowered = lowered_graph(graph)
    assert ("over=" in lowered.nodes["sum"].op.text.call) == over
    literal, network = build_graph(graph), build_graph(lowered)
    network.load_state_dict(literal.state_dict())
    x = torch.randn(2, 8, 4, 6, 6)
    with torch.inference_mode():
        want, frozen = outputs(literal, x), freeze(network)
        assert max(apart(outputs(frozen, x), want) for _ in range(2)) < 1e-5


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), -float("inf")])
def test_a_frozen_network_hides_no_odd_number(odd: float) -> None:
    """oneDNN's ReLU would make finite scores of it; large numbers whose sum overflows are no odd ones."""
    plan = archdsl.compile(archdsl.load("slowfast_tiny"))
    clip = random_clips(plan, batch=2, device="cpu")
    network = freeze(archdsl.build(plan, "auto").eval())
    network(clip)
    assert network(torch.full_like(clip, 1e36)).shape == (2, 8)
    clip[1, 0, 0, 0, 0] = odd
    with pytest.raises(archdsl.SpecError, match="clip is not finite"):
        network(clip)


def test_a_frozen_stream_hides_no_odd_number() -> None:
    network = freeze(archdsl.build(archdsl.load("tsm_r50_online", frames=8, size=32), "auto").eval())
    piece = torch.randn(1, 3, 1, 32, 32)
    _, state = network.step(piece)
    with pytest.raises(archdsl.SpecError, match="is not finite"):
        network.step(piece * float("nan"), state)
