"""Pools in torch."""

from __future__ import annotations

from archdsl import ops
from archdsl.backend.lowered import Lowered, even, padded, written
from archdsl.ops import Pads, Shape


def max_pool(op: ops.MaxPool, x: Shape) -> Lowered:
    """The largest of each window."""
    pads = op.pads(x)
    # torch refuses padding beyond half a window, which a dilated window may need
    simple = even(pads) and all(p <= k // 2 for (p, _), k in zip(pads, op.window(x)))
    dilation = written(dilation=(op.dilation, (1, 1, 1)))
    if simple:
        return Lowered(f"F.max_pool3d({{0}}, {windowed(op, x, even(pads), ceil=op.ceil)}{dilation})")
    source = padded("{0}", reached(op, x), ', value=float("-inf")')
    return Lowered(f"F.max_pool3d({source}, {windowed(op, x)}{dilation})")


def avg_pool(op: ops.AvgPool, x: Shape) -> Lowered:
    """The mean of each window."""
    pads = op.pads(x)
    # torch 2.13 refuses a map smaller than the window even where padding makes up for it: then it is written out
    if even(pads) and all(n >= k for n, k in zip(x[1:], op.window(x))):
        counted = written(count_include_pad=(op.count_pad, True))
        return Lowered(f"F.avg_pool3d({{0}}, {windowed(op, x, even(pads), ceil=op.ceil)}{counted})")
    window, pads = windowed(op, x), reached(op, x)
    mean = f"F.avg_pool3d({padded('{0}', pads)}, {window})"
    if op.count_pad:
        return Lowered(mean)
    # torch cannot leave uneven padding out of a mean: divide by the share of the window that is map
    return Lowered(f"{mean} / F.avg_pool3d({padded('torch.ones_like({0})', pads)}, {window})")


def windowed(op: ops.Window, x: Shape, pad: tuple[int, int, int] | None = (0, 0, 0), *, ceil: bool = False) -> str:
    """Kernel, stride, padding and rounding of a pool."""
    return f"{op.window(x)}" + written(stride=(op.stride, None), padding=(pad, (0, 0, 0)), ceil_mode=(ceil, False))


def reached(op: ops.Window, x: Shape) -> Pads:
    """Padding up to the end of the last window, so that rounding down gives the result's size."""
    axes = zip(x[1:], op.slide(x), op.window(x), op.stride, op.dilation, op.pads(x))
    t, h, w = ((front, (m - 1) * s + d * (k - 1) + 1 - n - front) for n, m, k, s, d, (front, _) in axes)
    return (t, h, w)


def adaptive_avg_pool(op: ops.AdaptiveAvgPool, x: Shape) -> Lowered:
    """The mean of each window. A mean over whole axes takes maps of any size; ONNX has no adaptive pool in 3-D."""
    if set(op.size) <= {0, 1} and any(op.size):
        return mean(ops.Mean(over="".join(axis for axis, size in zip("thw", op.size) if size)), x)
    return Lowered(adaptive(op, x, "avg_pool3d"))


def adaptive_max_pool(op: ops.AdaptiveMaxPool, x: Shape) -> Lowered:
    """The largest of each window."""
    return Lowered(adaptive(op, x, "max_pool3d"))


def adaptive(op: ops.AdaptiveAvgPool, x: Shape, pool: str) -> str:
    """Equal windows side by side where the size divides the map's, else torch's adaptive pool."""
    sizes = tuple(op.out(x)[1:])
    if all(n % m == 0 for n, m in zip(x[1:], sizes)):
        return f"F.{pool}({{0}}, {tuple(n // m for n, m in zip(x[1:], sizes))})"
    return f"F.adaptive_{pool}({{0}}, {tuple(size or None for size in op.size)})"


def mean(op: ops.Mean, x: Shape) -> Lowered:
    """The mean over some axes, which stay with one element."""
    return Lowered(
        f"{{0}}.mean(dim={tuple(1 + 'cthw'.index(axis) for axis in 'cthw' if axis in op.over)}, keepdim=True)"
    )
