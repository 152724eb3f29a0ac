"""Representation flow: the layer against TV-L1's equations and known motion, its cost by hand, nets it stands in."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import archdsl
from archdsl import ops
from archdsl.backend.runtime.flows.flow import TvL1Flow
from archdsl.blocks import FlowConvFlow, RepresentationFlow
from archdsl.errors import SpecError
from archdsl.language import Arch, Clip, Consensus, Pathway, Stage
from archdsl.ops import UNIT, Grid, Shape
from archdsl.ops.flow import LEARNT
from archdsl.rewrites import insert_flow
from archdsl.zoo import repflow, resnet

DENSE = RepresentationFlow(align="first", kernels="dense")


def by_equations(one: Tensor, two: Tensor, iterations: int, sobel: bool) -> tuple[Tensor, Tensor]:
    """TV-L1 between two images (h, w), element by element: no convolution, the threshold's three cases apart."""
    theta, lam, tau = 0.3, 0.15, 0.25
    h, w = one.shape
    rows, cols = torch.arange(h), torch.arange(w)

    def at(image: Tensor, dy: int, dx: int) -> Tensor:
        return image[(rows + dy).clamp(0, h - 1)][:, (cols + dx).clamp(0, w - 1)]

    def slope(dy: int, dx: int) -> Tensor:
        sides = ((-1, 0.25), (0, 0.5), (1, 0.25)) if sobel else ((0, 1.0),)
        pairs = [(s, at(two, dy + a * dx, dx + a * dy), at(two, a * dx - dy, a * dy - dx)) for a, s in sides]
        return torch.stack([s * (ahead - behind) / 2 for s, ahead, behind in pairs]).sum(0)

    def forward(u: Tensor) -> tuple[Tensor, Tensor]:
        return at(u, 0, 1) - u, at(u, 1, 0) - u

    def divergence(px: Tensor, py: Tensor) -> Tensor:
        """Minus the adjoint of the gradient."""
        u = torch.zeros_like(px, requires_grad=True)
        return -torch.autograd.grad(forward(u), u, (px, py))[0]

    gx, gy = slope(0, 1), slope(1, 0)
    steep = gx**2 + gy**2 + 1e-12
    u, p = [torch.zeros_like(one)] * 2, [[torch.zeros_like(one)] * 2 for _ in range(2)]
    for _ in range(iterations):
        rho = two - one + gx * u[0] + gy * u[1]
        low, high = rho < -lam * theta * steep, rho > lam * theta * steep
        for i, g in enumerate((gx, gy)):
            d = torch.where(low, lam * theta * g, torch.where(high, -lam * theta * g, -rho * g / steep))
            u[i] = u[i] + d + theta * divergence(*p[i])
            ux, uy = forward(u[i])
            shrink = 1 + tau / theta * torch.sqrt(ux**2 + uy**2 + 1e-12)
            p[i] = [(p[i][0] + tau / theta * ux) / shrink, (p[i][1] + tau / theta * uy) / shrink]
    return u[0], u[1]


@pytest.mark.parametrize("sobel", [False, True])
@pytest.mark.parametrize("dense", [False, True])
def test_the_layer_solves_the_equations(dense: bool, sobel: bool) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 3, 6, 7, dtype=torch.float64)
    y = TvL1Flow(3, 5, dense, sobel).double()(x)
    assert y.shape == (2, 6, 2, 6, 7)
    for n in range(2):
        low, high = x[n].min(), x[n].max()
        images = 255 * (x[n] - low) / (high - low)
        for c in range(3):
            for t in range(2):
                want = by_equations(images[c, t], images[c, t + 1], 5, sobel)
                # the layer keeps its numbers in single precision before it is made double: 0.3 is off by 1e-8
                for got, flow in zip((y[n, c, t], y[n, 3 + c, t]), want):
                    torch.testing.assert_close(got, flow, rtol=1e-5, atol=1e-6)


def moving(dx: float, dy: float, frames: int = 2) -> Tensor:
    """A smooth bump that moves by (dx, dy) each frame: (1, 1, frames, 24, 24)."""
    y, x = torch.meshgrid(torch.arange(24.0), torch.arange(24.0), indexing="ij")
    images = [torch.exp(-((x - 12 - t * dx) ** 2 + (y - 12 - t * dy) ** 2) / 32) for t in range(frames)]
    return torch.stack(images)[None, None]


@pytest.mark.parametrize("sobel", [False, True])
@pytest.mark.parametrize(("dx", "dy"), [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 0.5)])
def test_flow_points_where_things_move(dx: float, dy: float, sobel: bool) -> None:
    flow = TvL1Flow(1, 60, sobel=sobel)(moving(dx, dy))[0, :, 0, 8:17, 8:17].mean((1, 2))
    torch.testing.assert_close(flow, torch.tensor([float(dx), float(dy)]), rtol=0, atol=0.25)


def test_what_stands_still_has_no_flow() -> None:
    assert float(TvL1Flow(1, 20)(moving(0, 0)).detach().abs().max()) < 1e-4


def test_a_clip_is_stretched_by_itself_or_with_its_batch() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 2, 3, 5, 5)
    x[1] *= 9
    alone, together = TvL1Flow(2, 3), TvL1Flow(2, 3, whole_batch=True)
    assert torch.equal(alone(x)[:1], alone(x[:1]))
    assert not torch.allclose(together(x)[:1], together(x[:1]))


def test_half_precision_solves_in_single() -> None:
    torch.manual_seed(0)
    x = torch.rand(1, 2, 3, 6, 6).bfloat16()
    want = TvL1Flow(2, 10)(x.float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(TvL1Flow(2, 10)(x), want)
    got = TvL1Flow(2, 10).bfloat16()(x)
    assert got.dtype == torch.bfloat16
    # theta, lambda and tau have three digits left
    torch.testing.assert_close(got.float(), want, rtol=0.05, atol=0.05)


def test_repeated_flow_keeps_time() -> None:
    x = moving(1, 0, frames=4)
    short, long = TvL1Flow(1, 3)(x), TvL1Flow(1, 3, repeat=True)(x)
    assert long.shape[2] == 4
    assert torch.equal(long[:, :, :3], short)
    assert torch.equal(long[:, :, 3], short[:, :, 2])


@given(st.sets(st.sampled_from(LEARNT)))
@settings(max_examples=12)
def test_what_is_not_learnt_is_no_parameter(learn: set[Any]) -> None:
    layer = TvL1Flow(3, 3, **{f"learn_{part}": part in learn for part in LEARNT})
    op = ops.TvL1Flow(iterations=3, learn=tuple(learn))
    assert {name: tuple(p.shape) for name, p in layer.named_parameters()} == op.weights(ops.Shape(3, 2, 4, 4))
    layer(torch.randn(1, 3, 3, 5, 5).requires_grad_()).square().sum().backward()
    assert all(bool(torch.isfinite(p.grad).all()) for p in layer.parameters() if p.grad is not None)
    assert [name for name, p in layer.named_parameters() if p.grad is None] == []


def test_a_constant_clip_has_finite_gradients() -> None:
    layer, x = TvL1Flow(2, 4), torch.ones(1, 2, 3, 4, 4, requires_grad=True)
    layer(x).sum().backward()
    assert x.grad is not None
    assert bool(torch.isfinite(x.grad).all())
    assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in layer.parameters())


def plan_of(block: Any, shape: Shape) -> Any:
    """One block on a clip of 3 channels squeezed to the shape asked for."""
    stages = {"wide": Stage(archdsl.blocks.Conv(channels=shape.c)), "flow": Stage(block)}
    clips, head = {"clip": Clip(frames=shape.t, size=shape.h)}, Consensus(classes=2)
    return archdsl.compile(Arch(name="one", clips=clips, pathways=dict(rgb=Pathway(stages=stages)), head=head))


def params_inside(plan: Any, address: str) -> int:
    """Parameters of what stands under an address."""
    inside = [node for node in plan.nodes if node.address.startswith(f"{address}.")]
    return sum(node.op.cost(*(plan.graph.shapes[read] for read in node.reads)).params for node in inside)


def test_the_layer_at_512_channels_by_hand() -> None:
    # squeeze, expand, image kernels, flow kernels, three numbers, batch norm
    assert 512 * 32 + 64 * 512 + 2 * 32 * 32 * 3 + 4 * 32 * 32 * 2 + 3 + 1024 == 64_515
    assert params_inside(plan_of(DENSE, Shape(512, 4, 8, 8)), "rgb.flow") == 64_515


def test_iterations_are_counted() -> None:
    x = Shape(32, 7, 28, 28)
    places = 6 * 28 * 28
    dense, own = ops.TvL1Flow(kernels="dense"), ops.TvL1Flow()
    assert dense.cost(x).macs == places * (2 * 32 * 32 * 3 + 10 * 8 * 32 * 32 * 2)
    assert own.cost(x).macs * 32 == dense.cost(x).macs
    sobel = ops.TvL1Flow(gradient="sobel", iterations=20)
    assert sobel.cost(x).macs == places * 32 * (2 * 9 + 20 * 8 * 2)


def test_flow_lies_between_its_frames() -> None:
    grid = ops.TvL1Flow(iterations=3).place((Shape(1, 4, 9, 9),), (Grid(UNIT, UNIT, UNIT),))
    assert [float(n) for n in (grid.t.start, grid.t.span, grid.h.span)] == [0.5, 2, 9]


@pytest.mark.parametrize(("align", "frames"), [("first", [0, 1, 2]), ("last", [1, 2, 3])])
def test_the_residual_is_aligned_as_it_is_told(align: Any, frames: list[int]) -> None:
    plan = plan_of(RepresentationFlow(align=align, inner=2, zero_init=True), Shape(4, 4, 8, 8))
    network = archdsl.build(plan).eval()
    met: dict[str, Tensor] = {}
    modules = dict(network.named_modules())
    for name in ("rgb.wide", "rgb.flow"):
        modules[name].register_forward_hook(lambda m, args, y, name=name: met.update({name: y}))
    network(torch.randn(1, 3, 4, 8, 8))
    assert torch.equal(met["rgb.flow"], met["rgb.wide"][:, :, frames])


@pytest.mark.parametrize(
    ("block", "want"),
    [
        (RepresentationFlow(), "residual across a shortened time axis"),
        (RepresentationFlow(frames="repeat", align="first"), "`align` without a shortened residual"),
        (RepresentationFlow(residual=False, align="mean"), "`align` without a shortened residual"),
        (RepresentationFlow(learn=("tau", "tau"), align="first"), "a part listed twice in `learn`"),
    ],
)
def test_what_does_not_fit_in_time_is_said(block: Any, want: str) -> None:
    with pytest.raises(SpecError, match=want) as caught:
        plan_of(block, Shape(4, 4, 8, 8))
    assert "flow" in str(caught.value)


def test_one_frame_has_no_flow() -> None:
    with pytest.raises(SpecError, match="flow of a single frame"):
        ops.TvL1Flow().out(Shape(1, 1, 4, 4))
    with pytest.raises(SpecError, match="no frame left"):
        ops.DropFrames(front=1, back=1).out(Shape(1, 2, 4, 4))


@pytest.mark.parametrize("block", [RepresentationFlow(frames="repeat"), RepresentationFlow(residual=False)])
def test_other_forms_compile(block: Any) -> None:
    plan = plan_of(block.but(inner=2), Shape(4, 4, 8, 8))
    assert plan.shapes["rgb.flow"].t == (4 if block.residual else 3)


@pytest.mark.parametrize("after", ["stem", "res2", "res5"])
def test_the_layer_stands_after_any_stage(after: str) -> None:
    host = archdsl.load("resnet50", frames=4, size=64)
    plan = archdsl.compile(insert_flow(host, after=after))
    before = plan.shapes[f"rgb.{after}"]
    assert plan.shapes[f"rgb.flow_{after}"] == before._replace(t=3)


def test_a_stage_that_is_not_there() -> None:
    with pytest.raises(SpecError, match="res7"):
        insert_flow(archdsl.load("resnet50"), after="res7")


def test_the_authors_network_to_the_parameter() -> None:
    """kinetics_2p1d_model.py: 29.806 M, 29.741 M without the layer; 7,680 are second norms on its projections."""
    with_layer = archdsl.compile(repflow.repflow_2plus1d("a", layer=DENSE))
    without = archdsl.compile(repflow.repflow_2plus1d("b", layer=None))
    second_norms = 2 * (256 + 512 + 1024 + 2048)
    assert with_layer.params + second_norms == 29_805_651
    assert with_layer.params - without.params == 64_515
    assert (with_layer.macs, without.macs) == (45_165_759_040, 47_218_575_936)
    assert [with_layer.shapes[f"rgb.{stage}"] for stage in ("stem", "res3", "flow_res3", "res5")] == [
        (64, 7, 55, 55),
        (512, 7, 28, 28),
        (512, 6, 28, 28),
        (2048, 6, 7, 7),
    ]


def test_flow_conv_flow_by_hand() -> None:
    plan = archdsl.compile(archdsl.load("fcf_r2plus1d_50"))
    assert plan.shapes["rgb.flow_res3"] == (512, 5, 28, 28)
    layers = 2 * (32 * (2 * 3 + 4 * 2) + 3)
    convs = 512 * 32 + 64 * 64 * 9 + 64 * 32 + 64 * 512 * 9
    assert params_inside(plan, "rgb.flow_res3") == layers + convs + 2 * 512
    macs_of_flow = ops.TvL1Flow(iterations=3).cost(Shape(32, 6, 28, 28)).macs
    assert macs_of_flow == 5 * 28 * 28 * 32 * (6 + 3 * 16)
    assert resnet.DEPTHS[50][1] == (3, 4, 6, 3)
    assert FlowConvFlow().iterations == 3


def test_a_flow_alone_needs_no_alignment() -> None:
    """Without a residual the time axis may be shortened; with one it is aligned, or has as many frames."""
    shape = Shape(4, 4, 8, 8)
    alone = plan_of(RepresentationFlow(residual=False, inner=2), shape)
    repeated = plan_of(RepresentationFlow(frames="repeat", inner=2), shape)
    assert (alone.shapes["rgb.flow"].t, repeated.shapes["rgb.flow"].t) == (3, 4)
    assert "rgb.flow.0.align" not in {*alone.graph.nodes, *repeated.graph.nodes}
