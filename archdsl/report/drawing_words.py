"""The words of a drawing: kernels, strides, shapes and costs in as few signs as an engineer needs."""

from __future__ import annotations

from archdsl import ops
from archdsl.graph import Node
from archdsl.ops import Op, Shape, key_of

FRAME_CHOICES = (ops.TakeEvery, ops.TakeLinspace, ops.TakeSegments, ops.TakeSnippets, ops.KeyPairs)
MERGE_SIGNS = {"concat": "c", "sum": "+", "stretched_sum": "+", "max": "m", "bilinear": "×", "interleave": "i"}
"""What stands in the circle where two maps become one."""
NAMES: dict[type[Op], str] = {
    ops.MaxPool: "max",
    ops.AvgPool: "avg",
    ops.AdaptiveAvgPool: "avg",
    ops.AdaptiveMaxPool: "max",
    ops.TransposedConv: "up",
}
"""Ops that are called otherwise in a drawing than in YAML. A convolution is its kernel alone."""


def sides(t: int | str, h: int | str, w: int | str) -> str:
    """(1, 3, 3) -> 1×3², (4, 56, 64) -> 4×56×64"""
    return f"{t}×{h}²" if h == w else f"{t}×{h}×{w}"


def size(x: Shape) -> str:
    """(256, 4, 56, 56) -> 256×4×56²; a vector is its length."""
    return f"{x.c}" if x.positions == 1 else f"{x.c}×{sides(x.t, x.h, x.w)}"


def amount(n: int) -> str:
    """27638665216 -> 27.6 G"""
    for unit, scale in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if n >= scale:
            value = n / scale
            return f"{value:.3g} {unit}" if value < 999.5 else f"{value:.0f} {unit}"
    return str(n)


def percent(share: float) -> str:
    """0.148 -> 15%; what is there but small is <1%."""
    return f"{share:.0%}" if share >= 0.01 or share == 0 else "<1%"


def kernel(op: Op) -> str:
    """The window of an op, T and S standing for whole axes."""
    t, h, w = op.kernel  # type: ignore[attr-defined]
    return sides(t or "T", h or "S", w or "S")


def strides(op: Op) -> str:
    """Strides as t/2 (time) and s/2 (space), upwards t×2; empty where there are none."""
    if isinstance(op, ops.AdaptiveAvgPool | ops.AdaptiveMaxPool) or not hasattr(op, "stride"):
        return ""
    t, h, w = op.stride
    sign = "×" if isinstance(op, ops.TransposedConv) else "/"
    space = f"s{sign}{h}" if h == w else f"s{sign}{h},{w}"
    return " ".join(([f"t{sign}{t}"] if t > 1 else []) + ([space] if max(h, w) > 1 else []))


def width(op: Op, x: Shape) -> str:
    """Channels that a convolution writes, and how it is grouped or dilated."""
    words = [str(op.out_channels)]  # type: ignore[attr-defined]
    groups = op.groups  # type: ignore[attr-defined]
    if groups > 1:
        words.append("dw" if groups == x.c else f"g{groups}")
    if max(op.dilation) > 1:  # type: ignore[attr-defined]
        words.append(f"d{max(op.dilation)}")  # type: ignore[attr-defined]
    return " ".join(words)


def in_brief(op: Op, x: Shape, y: Shape, *, stride: bool = True) -> str:
    """One op in a line: `1×3², 64 s/2`, `max 1×3²`, `linear 400`. x and y are what it reads and writes."""
    stepped = f" {strides(op)}" if stride and strides(op) else ""
    match op:
        case ops.Conv():
            return f"{kernel(op)}, {width(op, x)}{stepped}"
        case ops.TransposedConv():
            return f"up {kernel(op)}, {width(op, x)}{stepped}"
        case ops.MaxPool() | ops.AvgPool():
            return f"{NAMES[type(op)]} {kernel(op)}{stepped}"
        case ops.AdaptiveAvgPool() | ops.AdaptiveMaxPool():
            return f"{NAMES[type(op)]} pool to {sides(y.t, y.h, y.w)}"
        case ops.Linear(out_features=n):
            return f"linear {n}"
        case ops.TimeToChannels(factor=n):
            return f"{n} frames to channels"
        case ops.TakeEvery(step=n, start=first):
            return f"every {ordinal(n)} frame" + (f" from {first}" if first else "")
        case ops.TakeLinspace(count=n):
            return f"{n} frames, first to last"
        case ops.TakeSegments(count=n):
            return f"middles of {n} segments"
        case ops.TakeSnippets(count=n, length=k):
            return f"{k} frames of {n} segments"
        case ops.KeyPairs(every=n):
            return f"all but every {ordinal(n)} frame, with it"
        case ops.Interleave():
            return "frames in order"
        case ops.RepeatFrames(times=n):
            return f"each frame {n} times"
        case ops.ResizeTo() | ops.Resize():
            return f"resize to {sides(y.t, y.h, y.w)}"
        case ops.Dropout(p=p):
            return f"dropout {p:g}"
        case ops.Scan(kernel=k, reverse=reverse):
            kind = key_of(type(op)).replace("_", " ")
            return f"{kind}{f' {k}²' if k > 1 else ''}{' in reverse' if reverse else ''}"
        case _:
            return key_of(type(op)).replace("_", " ")


def ordinal(n: int) -> str:
    """16 -> 16th"""
    last = "th" if n // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{last}"


def in_full(node: Node, x: Shape, y: Shape) -> str:
    """One op as the op level names it: with its kind in front of a bare kernel."""
    brief = in_brief(node.op, x, y)
    return f"conv {brief}" if isinstance(node.op, ops.Conv) else brief
