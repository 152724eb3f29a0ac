"""Depthwise convolutions of channels-last maps in training. The source of each is put into the emitted file."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from archdsl.backend.runtime.convolution.conv import MapConv, frames_of


def map_grad(g: Tensor, weight: Tensor, size: tuple[int, ...], stride: Any, padding: Any) -> Tensor:
    """The gradient of the map.  g (n, c, t', h', w'), weight (c, 1, kt, kh, kw) -> (n, c, *size)

    Places that lie at one phase of the stride are reached by the same taps: their gradients are a convolution of g
    with these taps, turned around.
    """
    if max(stride) == 1:
        return phase_grad(g, weight, size, stride, padding, (0, 0, 0))
    whole = torch.empty((*g.shape[:2], *size), dtype=g.dtype, memory_format=torch.channels_last_3d)
    st, sh, sw = stride
    for a, b, c in [(a, b, c) for a in range(st) for b in range(sh) for c in range(sw)]:
        whole[:, :, a::st, b::sh, c::sw] = phase_grad(g, weight, size, stride, padding, (a, b, c))
    return whole


def phase_grad(g: Tensor, weight: Tensor, size: Any, stride: Any, padding: Any, phase: Any) -> Tensor:
    """The gradient of every place of the map that lies `phase` after a multiple of the stride."""
    pads, cuts = [], []
    for axis, (n, s, pad, first) in enumerate(zip(size, stride, padding, phase), 2):
        weight = weight.movedim(axis, 0)[(first + pad) % s :: s].movedim(0, axis)
        count, taps, newest = -(-(n - first) // s), weight.shape[axis], (first + pad) // s
        front, back = taps - 1 - newest, count + newest - g.shape[axis]
        pads.append(max(front, back, 0))
        cuts.append(slice(pads[-1] - front, pads[-1] - front + count))
    if 0 in weight.shape or 0 in [cut.stop - cut.start for cut in cuts]:
        return g.new_zeros(())
    y = F.conv3d(g, weight.flip(2, 3, 4), padding=tuple(pads), groups=len(weight))
    return y[:, :, cuts[0], cuts[1], cuts[2]]


def weight_grad(g: Tensor, x: Tensor, weight: Tensor, stride: Any, padding: Any) -> Tensor:
    """The gradient of the weight: for each of its frames that of a 2-D convolution of those frames that it meets."""
    (st, *stride), (pt, *padding) = stride, padding
    shape, whole = weight[:, :, 0].shape, weight.shape[2] == 1 and pt == 0
    grads = []
    for k in range(weight.shape[2]):
        first, end = max(0, -((k - pt) // st)), min(g.shape[2], (x.shape[2] - 1 - k + pt) // st + 1)
        met, start = g[:, :, first:end], first * st + k - pt
        seen = x[:, :, start : start + (end - first - 1) * st + 1 : st]
        # frames of several clips are one row of images only where all of them are taken
        pairs = [(seen, met)] if whole else zip(seen.chunk(len(seen)), met.chunk(len(met)))
        grad = weight.new_zeros(shape)
        for maps, theirs in pairs if first < end else ():
            images = frames_of(theirs), frames_of(maps)
            window = tuple(stride), tuple(padding), (1, 1), False, (0, 0), len(weight), (False, True, False)
            grad += torch.ops.aten.convolution_backward(*images, weight[:, :, k], None, *window)[1]
        grads.append(grad)
    return torch.stack(grads, 2)


class Depthwise(torch.autograd.Function):
    """A depthwise 3-D convolution whose gradients are made from forward and from 2-D ones.

    torch 2.13 on a CPU is quick at the forward of channels-last maps; its own backward takes 9 to 24 times as long.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.window = stride, padding
        return F.conv3d(x, weight, bias, stride, padding, groups=len(weight))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Any:
        x, weight = ctx.saved_tensors
        g = grads[0].contiguous(memory_format=torch.channels_last_3d)
        of_map, of_weight, of_bias, *_ = ctx.needs_input_grad
        return (
            map_grad(g, weight, x.shape[2:], *ctx.window) if of_map else None,
            weight_grad(g, x, weight, *ctx.window) if of_weight else None,
            g.sum((0, 2, 3, 4)) if of_bias else None,
            None,
            None,
        )


class DepthwiseConv(MapConv):
    """A depthwise convolution that learns quickly where maps are channels-last and on a CPU."""

    def convolved(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        able = x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64)
        able = able and x.dtype == weight.dtype and not torch.is_autocast_enabled("cpu")
        if not able or not x.is_contiguous(memory_format=torch.channels_last_3d):
            return super().convolved(x, weight, bias)
        y: Tensor = Depthwise.apply(x, weight, bias, self.stride, self.padding)  # type: ignore[no-untyped-call]
        return y
