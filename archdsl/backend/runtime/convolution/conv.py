"""Convolutions of channels-last maps, with what follows them. The source of each is put into the emitted file.

A channels-last map (n, c, t, h, w) is, without a copy, n * t channels-last images of (c, h, w), and n channels-last
images of (c, t, h * w): a window within one frame, or along time only, is a 2-D one over such a view.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def frames_of(x: Tensor) -> Tensor:
    """(n, c, t, h, w) -> (n t, c, h, w): a view of a channels-last map."""
    return x.permute(0, 2, 3, 4, 1).flatten(0, 1).permute(0, 3, 1, 2)


def columns_of(x: Tensor) -> Tensor:
    """(n, c, t, h, w) -> (n, c, t, h w): a view of a channels-last map."""
    return x.permute(0, 2, 3, 4, 1).flatten(2, 3).permute(0, 3, 1, 2)


def map_rows(x: Tensor) -> Tensor:
    """(n, c, t, h, w) -> (n t h, c, 1, w): every row as an image, a view of a channels-last map."""
    return x.permute(0, 2, 3, 4, 1).flatten(0, 2).unsqueeze(1).permute(0, 3, 1, 2)


def few_images(x: Tensor) -> bool:
    """Whether torch would keep a window of one pixel from oneDNN: it does (2.13) in one thread, below 16 images."""
    few = not torch.compiler.is_compiling() and torch.get_num_threads() == 1 and x.device.type == "cpu"
    return few and x.shape[0] * x.shape[2] < 16


def clips_of(y: Tensor, t: int) -> Tensor:
    """(n t, c, h, w) -> (n, c, t, h, w): what `frames_of` did, undone."""
    return torch.unflatten(y.permute(0, 2, 3, 1), 0, (-1, t)).permute(0, 4, 1, 2, 3)


def map_of_columns(y: Tensor, size: torch.Size) -> Tensor:
    """(n, c, t, h w) -> (n, c, t, h, w): what `columns_of` did, undone, given (h, w)."""
    return torch.unflatten(y.permute(0, 2, 3, 1), 2, size).permute(0, 4, 1, 2, 3)


class MapConv(nn.Conv3d):
    """A convolution, then a norm, a sum and a function of each element, where they follow.

    Frozen, the norm goes into the weights at the first clip; on a CPU they are then packed for oneDNN, which does all
    of it in one pass over the map. Traced or exported before, it is what it was: a trace cannot hold packed weights.
    """

    padding: tuple[int, ...]
    frozen = False
    ready: tuple[Tensor, Tensor | None] | None = None
    """Weight and bias of a frozen layer that has seen a clip."""
    packed = False

    def forward(
        self,
        x: Tensor,
        norm: nn.BatchNorm3d | None = None,
        act: Callable[[Tensor], Tensor] | None = None,
        more: Tensor | None = None,
        over: Tensor | None = None,
    ) -> Tensor:
        """`more` is added; so is `over`, which nobody needs any more: a frozen layer's result lies where it lay."""
        if self.frozen and (self.ready or not (torch.compiler.is_compiling() or torch.jit.is_tracing())):
            return self.at_once(x, norm, act, more, over)
        more = over if more is None else more
        y = self.convolved(x, self.weight, self.bias)
        y = y if norm is None else norm(y)
        y = y if more is None else y + more
        return y if act is None else act(y)

    def convolved(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The convolution itself."""
        return F.conv3d(x, weight, bias, self.stride, self.padding, self.dilation, self.groups)

    def at_once(
        self,
        x: Tensor,
        norm: nn.BatchNorm3d | None,
        act: Callable[[Tensor], Tensor] | None,
        more: Tensor | None,
        over: Tensor | None,
    ) -> Tensor:
        """The same, of a frozen layer."""
        if self.ready is None:
            self.make_ready(x, norm)
        weight, bias = self.ready or (self.weight, self.bias)
        added = over if more is None else more
        if not self.packed:
            y = self.convolved(x, weight, bias)
            y = y if added is None else y.add_(added)
            return y if act is None else act(y)
        known: dict[object, str] = {F.relu: "relu", F.silu: "swish", F.hardswish: "hardswish", torch.sigmoid: "sigmoid"}
        if torch.jit.is_tracing():
            raise RuntimeError("packed weights cannot be traced: trace a frozen network before its first clip")
        window = (self.padding, self.stride, self.dilation, self.groups)
        onednn, onto = torch.ops.mkldnn._convolution_pointwise, torch.ops.mkldnn._convolution_pointwise_
        if torch.compiler.is_compiling():  # torch 2.13 cannot trace the operators that also add
            y = onednn(x, weight, bias, *window, "none", [], "")
            y = y if added is None else y + added
            return y if act is None else act(y)
        if added is None:
            name = known.get(act, "none")
            y = onednn(x, weight, bias, *window, name, [], "")
        else:
            name = "relu" if act is F.relu else "none"
            then = name if act is F.relu else None
            if over is None:
                y = onednn.binary(x, added, weight, bias, *window, "add", 1.0, then, [], None)
            else:
                y = onto.binary(over, x, weight, bias, *window, "add", 1.0, then, [], None)
        return y if act is None or name != "none" else act(y)

    def make_ready(self, x: Tensor, norm: nn.BatchNorm3d | None) -> None:
        """Fold the norm in and pack the weight; the plain weight is let go."""
        plain, added = self.weight, self.bias
        if self.ready is not None:  # since it was asked another thread made it so, and may have let go of what was read
            return
        weight, bias = plain.double(), None if added is None else added.double()
        if norm is not None and norm.running_var is not None and norm.running_mean is not None:
            scale = torch.rsqrt(norm.running_var.double() + norm.eps)
            scale = scale if norm.weight is None else scale * norm.weight
            bias = (-norm.running_mean if bias is None else bias - norm.running_mean) * scale
            bias = bias if norm.bias is None else bias + norm.bias
            weight = weight * scale[:, None, None, None, None]
        weight, bias = weight.to(x.dtype), None if bias is None else bias.to(x.dtype)
        able = hasattr(torch.ops.mkldnn, "_convolution_pointwise")  # not public: torch built without oneDNN lacks it
        self.packed = able and x.device.type == "cpu" and x.dtype is torch.float32
        if self.packed:
            window = (self.padding, self.stride, self.dilation, self.groups)
            weight = torch.ops.mkldnn._reorder_convolution_weight(weight, *window, list(x.shape))
        self.ready = weight, bias
        self.register_parameter("weight", None)
        self.register_parameter("bias", None)


class FrameConv(MapConv):
    """A window within one frame, over all frames as images."""

    def convolved(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if max(*self.kernel_size, *self.stride) == 1 and max(self.padding) == 0 and few_images(x):
            y = F.conv2d(map_rows(x), weight.squeeze(2), bias, groups=self.groups)
            return torch.unflatten(y.squeeze(2).permute(0, 2, 1), 0, (-1, *x.shape[2:4])).permute(0, 4, 1, 2, 3)
        _, *stride = self.stride
        _, *padding = self.padding
        _, *dilation = self.dilation
        y = F.conv2d(frames_of(x), weight.squeeze(2), bias, stride, padding, dilation, self.groups)
        return clips_of(y, x.shape[2])


class Columns(torch.autograd.Function):
    """A convolution along time whose weight's gradient is made frame by frame of the window.

    torch 2.13 on a CPU takes 1.3 to 3 times as long for it as for all the windows of one pixel that it is a sum of.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.along = stride, padding
        y = F.conv2d(columns_of(x), weight.squeeze(4), bias, (stride, 1), (padding, 0))
        return map_of_columns(y, x.shape[3:])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        x, weight = ctx.saved_tensors
        g = grads[0].contiguous(memory_format=torch.channels_last_3d)
        stride, padding = ctx.along
        of_map, of_weight, of_bias, *_ = ctx.needs_input_grad
        dx = dw = None
        if of_map:
            window = (stride, 1), (padding, 0), (1, 1), False, (0, 0), 1, (True, False, False)
            images = columns_of(g), columns_of(x), weight.squeeze(4)
            dx = map_of_columns(torch.ops.aten.convolution_backward(*images, None, *window)[0], x.shape[3:])
        if of_weight:
            dw = torch.stack([tap_grad(g, x, weight, k, stride, padding) for k in range(weight.shape[2])], 2)
        return dx, dw, g.sum((0, 2, 3, 4)) if of_bias else None, None, None


def tap_grad(g: Tensor, x: Tensor, weight: Tensor, k: int, stride: int, padding: int) -> Tensor:
    """The gradient of frame k of a window along time: that of a window of one pixel over the frames that k meets."""
    first = max(0, -((k - padding) // stride))
    count = min(g.shape[2], (x.shape[2] - 1 - k + padding) // stride + 1) - first
    if count < 1:
        return torch.zeros_like(weight[:, :, 0])
    start = first * stride + k - padding
    met, seen = g[:, :, first : first + count], x[:, :, start : start + (count - 1) * stride + 1 : stride]
    images = (map_rows(met), map_rows(seen)) if few_images(met) else (frames_of(met), frames_of(seen))
    window = (1, 1), (0, 0), (1, 1), False, (0, 0), 1, (False, True, False)
    grad: Tensor = torch.ops.aten.convolution_backward(*images, weight[:, :, k], None, *window)[1]
    return grad


class ColumnConv(MapConv):
    """A window along time, over an image of time and place."""

    def convolved(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        (stride, *_), (padding, *_), (dilation, *_) = self.stride, self.padding, self.dilation
        learns = self.training and weight.requires_grad and torch.is_grad_enabled() and x.dtype == weight.dtype
        plain = x.device.type == "cpu" and self.groups == dilation == 1 and not torch.is_autocast_enabled("cpu")
        if learns and plain and min(weight.shape[:2]) >= 64:  # narrower ones oneDNN does well
            y: Tensor = Columns.apply(x, weight, bias, stride, padding)  # type: ignore[no-untyped-call]
            return y
        y = F.conv2d(columns_of(x), weight.squeeze(4), bias, (stride, 1), (padding, 0), (dilation, 1), self.groups)
        return map_of_columns(y, x.shape[3:])
