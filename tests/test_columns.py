"""Convolutions along time and of one pixel learn as torch's own; kernels of what is trained are channels-last."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from test_lowerings import learns_the_same
from torch import Tensor, nn

import archdsl
from archdsl.backend.runtime.convolution.conv import ColumnConv, FrameConv, MapConv
from archdsl.blocks import Conv
from archdsl.language import Arch, Classifier, Clip, Pathway, Stage

LAST = torch.channels_last_3d


def pair(kind: type[MapConv], channels: int, *window: Any) -> tuple[MapConv, nn.Conv3d]:
    """A layer and torch's, with equal weights of doubles."""
    torch.manual_seed(0)
    ours, theirs = kind(channels, channels + 1, *window).double(), nn.Conv3d(channels, channels + 1, *window).double()
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def gradients(layer: nn.Conv3d, x: Tensor) -> list[Tensor]:
    """What it gives, the gradients of its map, weight and bias, and a second derivative."""
    x = x.detach().clone().requires_grad_()
    y = layer(x)
    first = torch.autograd.grad(y.square().sum(), (x, layer.weight, layer.bias), create_graph=True)
    return [y, *first, *torch.autograd.grad(first[1].square().sum(), (x, layer.weight))]


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 1, 1), (3, 2, 1), (5, 4, 2), (3, 1, 3), (4, 3, 0)])
def test_gradients_along_time(n: int, kernel: int, stride: int, padding: int) -> None:
    ours, theirs = pair(ColumnConv, 64, (kernel, 1, 1), (stride, 1, 1), (padding, 0, 0))
    x = torch.randn(n, 64, 5, 2, 3, dtype=torch.float64).contiguous(memory_format=LAST)
    found = gradients(ours, x)
    for got, want in zip(found, gradients(theirs, x), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-10)
    assert found[0].is_contiguous(memory_format=LAST)


def test_only_wide_ones_that_learn_have_their_own_gradient() -> None:
    wide, narrow = pair(ColumnConv, 64, (3, 1, 1))[0], pair(ColumnConv, 63, (3, 1, 1))[0]
    x, own = torch.randn(1, 64, 5, 2, 3, dtype=torch.float64), "ColumnsBackward"
    assert wide(x).grad_fn.name() == own
    assert narrow(x[:, :63]).grad_fn.name() != own
    assert wide.eval()(x).grad_fn.name() != own
    with torch.no_grad():
        assert wide.train()(x).grad_fn is None
    with torch.autocast("cpu", torch.bfloat16):
        assert wide.float()(x.float()).grad_fn.name() != own


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("n", "t"), [(1, 4), (2, 9)])
def test_windows_of_one_pixel(threads: int, n: int, t: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one thread rows are images, where frames are few: torch keeps few images from oneDNN."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    ours, theirs = pair(FrameConv, 6, 1)
    x = torch.randn(n, 6, t, 3, 5, dtype=torch.float64).contiguous(memory_format=LAST)
    for got, want in zip(gradients(ours, x), gradients(theirs, x), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-10)
    assert ours(x).is_contiguous(memory_format=LAST)
    assert ours(x[:0]).shape == (0, 7, t, 3, 5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # of torch 2.13 itself
def test_compiled_they_learn_the_same() -> None:
    """Traced with what a network traces: its own gradient along time, frames as images."""
    x = torch.randn(1, 64, 4, 3, 5, dtype=torch.float64).contiguous(memory_format=LAST)
    for kind, window in ((ColumnConv, (3, 1, 1)), (FrameConv, (1, 1, 1))):
        layer, _ = pair(kind, 64, window)
        found = []
        for run in (layer, torch.compile(layer, backend="aot_eager", fullgraph=True)):
            layer.zero_grad()
            run(x).square().sum().backward()
            found.append(layer.weight.grad.clone())
        torch.testing.assert_close(*found, rtol=1e-10, atol=1e-10)


def net() -> Arch:
    """Wide enough to have a gradient of its own along time; a window in space."""
    convs = [
        Conv(channels=64, kernel=(1, 3, 3)),
        Conv(channels=64, kernel=(3, 1, 1)),
        Conv(channels=80, kernel=(3, 1, 1), stride=(2, 1, 1)),
    ]
    pathways = {"rgb": Pathway(stages={"stem": Stage(*convs)})}
    return Arch(name="columns", clip=Clip(frames=4, size=8), pathways=pathways, head=Classifier(classes=3))


def test_kernels_that_are_trained_are_channels_last() -> None:
    plan = archdsl.compile(net())
    torch.manual_seed(0)
    literal = archdsl.build(plan)
    torch.manual_seed(0)
    lowered = archdsl.build(plan, "auto", train=True)
    for (name, ours), theirs in zip(lowered.state_dict().items(), literal.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs), name
    kernel = lowered.get_parameter(next(name for name, one in lowered.named_parameters() if one.shape[2:] == (1, 3, 3)))
    assert kernel.is_contiguous(memory_format=LAST)
    assert not kernel.is_contiguous()
    assert all(one.is_contiguous() for one in literal.parameters())
    assert all(one.is_contiguous() for one in archdsl.build(plan, "auto").parameters())
    lowered(torch.randn(1, 3, 4, 8, 8)).sum().backward()
    assert all(one.grad.stride() == one.stride() for one in lowered.parameters())


def test_a_network_learns_the_same() -> None:
    learns_the_same(archdsl.compile(net()), "auto")
