"""Gradients of depthwise convolutions are torch's own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from test_lowerings import learns_the_same
from torch import Tensor

import archdsl
from archdsl.backend.runtime.convolution.depthwise import Depthwise, DepthwiseConv
from archdsl.blocks import Conv
from archdsl.language import Arch, Classifier, Clip, Pathway, Stage

LAST = torch.channels_last_3d
numbers = st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(0, 3), st.integers(1, 9))


@given(st.integers(1, 3), st.integers(2, 5), st.tuples(numbers, numbers, numbers))
@settings(deadline=None)
def test_gradients_are_those_of_torch(n: int, c: int, axes: Any) -> None:
    kernel, stride, padding, size = zip(*axes)
    size = tuple(max(least, k - 2 * pad) for least, k, pad in zip(size, kernel, padding))
    x = torch.randn(n, c, *size, dtype=torch.float64).contiguous(memory_format=LAST).requires_grad_()
    weight = torch.randn(c, 1, *kernel, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(c, dtype=torch.float64, requires_grad=True)
    own = F.conv3d(x, weight, bias, stride, padding, groups=c)
    y = Depthwise.apply(x, weight, bias, stride, padding)
    assert torch.equal(own, y)
    g = torch.randn_like(own)
    of = (x, weight, bias)
    for got, want in zip(torch.autograd.grad(y, of, g), torch.autograd.grad(own, of, g), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-10)


def layer_and_map(dtype: torch.dtype = torch.float32) -> tuple[DepthwiseConv, Tensor]:
    """A layer, and a channels-last map that learns."""
    torch.manual_seed(0)
    layer = DepthwiseConv(6, 6, (3, 3, 3), (1, 2, 2), (1, 1, 1), groups=6, bias=False).to(dtype)
    return layer, torch.randn(2, 6, 4, 8, 8, dtype=dtype).contiguous(memory_format=LAST).requires_grad_()


def test_a_second_derivative_is_refused() -> None:
    layer, x = layer_and_map()
    y = layer(x)
    assert y.grad_fn.name() == "DepthwiseBackward"
    (first,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


def test_elsewhere_it_is_torchs_own() -> None:
    layer, x = layer_and_map()
    assert layer(x.detach().contiguous()).grad_fn.name() == "ConvolutionBackward0"
    with torch.autocast("cpu", torch.bfloat16):
        assert "DepthwiseBackward" not in layer(x).grad_fn.name()
    halves, x = layer_and_map(torch.bfloat16)
    assert halves(x).grad_fn.name() == "ConvolutionBackward0"


def test_only_gradients_that_are_asked_for() -> None:
    layer, x = layer_and_map()
    layer.weight.requires_grad_(False)
    layer(x).sum().backward()
    assert layer.weight.grad is None
    assert x.grad is not None


def test_a_network_learns_the_same() -> None:
    plan = archdsl.compile(archdsl.load("ircsn_r50", frames=8, size=64))
    assert "DepthwiseConv(" in archdsl.emit(plan, "auto", train=True)
    learns_the_same(plan)


@pytest.mark.parametrize("dilation", [(1, 2, 2), (2, 1, 1)])
def test_dilated_convolutions_keep_torchs_gradients(dilation: tuple[int, int, int]) -> None:
    conv = Conv(channels=8, kernel=(3, 3, 3), groups=8, dilation=dilation)
    pathways = {
        "rgb": Pathway(stages={"stem": Stage(Conv(channels=8)), "deep": Stage(conv, conv.but(dilation=(1, 1, 1)))})
    }
    arch = Arch(name="net", clip=Clip(frames=6, size=8), pathways=pathways, head=Classifier(classes=3))
    plan = archdsl.compile(arch)
    for lower in ("auto", ["channels_last", "depthwise"]):
        assert archdsl.emit(plan, lower, train=True).count("DepthwiseConv(") == 2  # its class, and the second layer
        learns_the_same(plan, lower)
