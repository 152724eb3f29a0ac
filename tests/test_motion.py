"""Motion modules and their ops: each equals a few lines of torch, frame by frame."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archdsl import ops
from archdsl.backend import build_graph
from archdsl.blocks import (
    Block,
    ChannelMotion,
    ChannelTimeConv,
    MotionEnhanced,
    MotionExcitation,
    TemporalAdaptive,
    TemporalDifference,
    TemporalInterlace,
    TimeShift,
)
from archdsl.graph import Builder
from archdsl.ops import UNIT, Grid, Op, Shape
from archdsl.testing import graph_of


def module_of(block: Block, shape: Shape) -> nn.Module:
    """A block alone in double precision, its weights and statistics random."""
    g = Builder()
    x = g.source("x", shape, Grid(UNIT, UNIT, UNIT))
    with g.inside("block", type(block).__name__):
        g.outputs["y"] = block.build(g, x)
    network = build_graph(g.finish()).double().eval()
    torch.manual_seed(0)
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.rand_like(value) + 0.5 if name.endswith("running_var") else torch.randn_like(value) * 0.5)
    return network


class Parts:
    """A block's layers as functions, by the names of its ops."""

    def __init__(self, network: nn.Module) -> None:
        self.modules = {name.removeprefix("block."): part for name, part in network.named_modules()}

    def __call__(self, name: str, x: Tensor) -> Tensor:
        part = self.modules[name]
        return part(x.movedim(1, -1)).movedim(-1, 1) if isinstance(part, nn.Linear) else part(x)


def agree(block: Block, shape: Shape, reference: object) -> None:
    """The block equals a function of its layers and its input."""
    network = module_of(block, shape)
    x = torch.randn(2, *shape, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(network(x), reference(Parts(network), x), atol=1e-10, rtol=1e-10)  # type: ignore[operator]


def after(x: Tensor, by: int) -> Tensor:
    """Frame t + by of x, one frame at a time; zeros beyond the ends."""
    t = x.shape[2]
    return torch.stack([x[:, :, i + by] if 0 <= i + by < t else torch.zeros_like(x[:, :, 0]) for i in range(t)], 2)


def steps(x: Tensor, y: Tensor, by: int) -> Tensor:
    """y at the neighbour minus x here, frame by frame; zeros where there is no neighbour."""
    there = after(torch.ones_like(x), by)
    return there * (after(y, by) - x)


def test_shift_by_hand() -> None:
    agree(
        TimeShift(share=4),
        Shape(9, 5, 2, 3),
        lambda p, x: torch.cat([after(x[:, :2], 1), after(x[:, 2:4], -1), x[:, 4:]], 1),
    )
    agree(TimeShift(past_only=True), Shape(16, 5, 2, 3), lambda p, x: torch.cat([after(x[:, :2], -1), x[:, 2:]], 1))


@pytest.mark.parametrize(("init", "share"), [("shift", 8), ("swap", 2)])
def test_a_kernel_in_time_starts_as_a_shift(init: str, share: int) -> None:
    g = Builder()
    g.outputs["y"] = ChannelTimeConv(init=init).build(g, g.source("x", Shape(16, 6, 3, 3), Grid(UNIT, UNIT, UNIT)))
    x = torch.randn(2, 16, 6, 3, 3)
    shift = build_graph(graph_of(ops.TimeShift(share=share), (Shape(16, 6, 3, 3),)))
    torch.testing.assert_close(build_graph(g.finish())(x), shift(x))


def test_temporal_adaptive_by_hand() -> None:
    def by_hand(p: Parts, x: Tensor) -> Tensor:
        mean = x.mean((3, 4))
        gate = mean[..., None, None]
        for name in ("gate_conv1", "gate_norm"):
            gate = p(name, gate)
        gate = torch.sigmoid(p("gate_conv2", F.relu(gate)))
        hidden = F.relu(p("kernel_norm", p("kernel_fc1", mean.transpose(1, 2)[..., None, None])))
        kernels = p("kernel_fc2", hidden).softmax(1)[:, :, :, 0, 0]
        moved = [after(x * gate, k - 1) * kernels[:, k, :, None, None, None] for k in range(3)]
        return sum(moved)  # type: ignore[return-value]

    agree(TemporalAdaptive(), Shape(8, 5, 3, 4), by_hand)


def test_motion_excitation_by_hand() -> None:
    def by_hand(p: Parts, x: Tensor) -> Tensor:
        y = p("squeeze_norm", p("squeeze", x))
        y = steps(y, p("transform", y), 1).mean((3, 4), keepdim=True)
        return x + x * (torch.sigmoid(p("expand_norm", p("expand", y))) - 0.5)

    agree(MotionExcitation(reduction=4), Shape(16, 5, 4, 4), by_hand)


def test_channel_motion_by_hand() -> None:
    def by_hand(p: Parts, x: Tensor) -> Tensor:
        y = p("squeeze", x)
        return p("expand", steps(y, p("transform", y), 1))

    agree(ChannelMotion(reduction=4, stride=2), Shape(16, 5, 4, 4), by_hand)


def test_temporal_difference_by_hand() -> None:
    """Seven rows: the pool drops the last, the resized map lies on the whole."""

    def by_hand(p: Parts, x: Tensor) -> Tensor:
        y = p("squeeze_norm", p("squeeze", x))
        moved, gates = p("transform", y), []
        for by in (1, -1):
            step = steps(y, moved, by)
            coarse = F.avg_pool3d(step, (1, 2, 2))
            coarse = p("ahead.coarse_norm", p("ahead.coarse", coarse))
            coarse = F.interpolate(coarse.flatten(1, 2), step.shape[3:]).view_as(step)
            fine = p("ahead.fine_norm", p("ahead.fine", step))
            gate = p("ahead.expand_norm", p("ahead.expand", (step + coarse + fine) / 3))
            gates.append(torch.sigmoid(gate) - 0.5)
        return x + x * (gates[0] + gates[1]) / 2

    agree(TemporalDifference(reduction=4), Shape(16, 4, 7, 7), by_hand)


@pytest.mark.parametrize("sigmoid", ["last", "inside"])
def test_motion_enhanced_by_hand(sigmoid: str) -> None:
    def by_hand(p: Parts, x: Tensor) -> Tensor:
        mean = x.mean((3, 4), keepdim=True)
        step = p("next", mean)[:, :, 1:] - p("this", mean)[:, :, :-1]
        gate = torch.sigmoid(p("expand", step)) if sigmoid == "last" else p("expand", torch.sigmoid(step))
        return torch.cat([x[:, :, :-1] * gate, x[:, :, -1:]], 2)

    agree(MotionEnhanced(sigmoid=sigmoid), Shape(16, 5, 3, 3), by_hand)


def test_interlace_by_hand() -> None:
    def by_hand(p: Parts, x: Tensor) -> Tensor:
        part = x[:, :8]
        mean = part.mean((3, 4), keepdim=True)
        y = F.relu(p("offset_fc1", p("offset_conv", mean).transpose(1, 2)))
        o = 4 * (torch.sigmoid(p("offset_fc2", y)) - 0.5)
        offsets = torch.cat([o, -o], 1)[:, :, 0, 0, 0]
        weights = 2 * torch.sigmoid(p("weight_conv", mean))
        out = torch.zeros_like(part)
        for n in range(2):
            for c in range(8):
                offset = offsets[n, c // 2].item()
                for t in range(x.shape[2]):
                    for source in range(x.shape[2]):
                        nearness = max(0.0, 1 - abs(t - offset - source))
                        out[n, c, t] += nearness * part[n, c, source]
                out[n, c] *= weights[n, (c // 2) % 2]
        return torch.cat([out, x[:, 8:]], 1)

    agree(TemporalInterlace(share=2), Shape(16, 5, 2, 2), by_hand)


def on_random(op: Op, *shapes: Shape) -> tuple[list[Tensor], Tensor]:
    """Random maps, and what the op makes of them."""
    xs = [torch.randn(2, *shape) for shape in shapes]
    network = build_graph(graph_of(op, shapes)).eval()
    return xs, network({f"x{i}": x for i, x in enumerate(xs)} if len(xs) > 1 else xs[0])


def test_small_ops_by_hand() -> None:
    shape = Shape(4, 6, 2, 2)
    (x,), y = on_random(ops.SnippetSteps(length=3), shape)
    torch.testing.assert_close(y, torch.stack([x[:, :, i + 1] - x[:, :, i] for i in (0, 1, 3, 4)], 2))
    (x,), y = on_random(ops.SetFrame(frame=-2, value=3.0), shape)
    assert y[:, :, 4].eq(3).all()
    torch.testing.assert_close(y[:, :, [0, 1, 2, 3, 5]], x[:, :, [0, 1, 2, 3, 5]])
    (a, b), y = on_random(ops.Mix(share=Fraction(1, 4)), shape, shape)
    torch.testing.assert_close(y, 0.75 * a + 0.25 * b)
    (x,), y = on_random(ops.FrameTuples(size=5), shape)
    assert y.shape == (2, 20, 3, 2, 2)
    torch.testing.assert_close(y[:, :, 0], x[:, :, :5].transpose(1, 2).flatten(1, 2))
    torch.testing.assert_close(y[:, :, 2], x[:, :, 1:].transpose(1, 2).flatten(1, 2))


def test_relations_are_chance_in_training_only() -> None:
    torch.manual_seed(0)
    network = build_graph(graph_of(ops.FrameTuples(size=2), (Shape(1, 8, 1, 1),)))
    x = torch.arange(8.0).view(1, 1, 8, 1, 1)
    drawn = [network.train()(x).flatten().tolist() for _ in range(5)]
    assert len(set(map(tuple, drawn))) > 1
    assert all(pair[0] < pair[1] for few in drawn for pair in zip(few[:3], few[3:]))
    assert network.eval()(x).equal(network(x))
