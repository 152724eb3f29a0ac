"""Snippets, consensus over segments and two-stream fusion, in torch."""

from __future__ import annotations

from archdsl import ops
from archdsl.backend.lowered import Argument, Lowered
from archdsl.backend.runtime.segments import TimeWeights
from archdsl.ops import Shape


def take_snippets(op: ops.TakeSnippets, x: Shape) -> Lowered:
    """Frames by number."""
    return Lowered(f"{{0}}[:, :, {list(op.frames(x.t))}]")


def max_over_time(op: ops.MaxOverTime, x: Shape) -> Lowered:
    """The largest over time, which stays as an axis."""
    return Lowered("{0}.amax(dim=2, keepdim=True)")


def top_over_time(op: ops.TopOverTime, x: Shape) -> Lowered:
    """The mean of the largest over time."""
    return Lowered(f"{{0}}.topk({op.k}, dim=2).values.mean(dim=2, keepdim=True)")


def weighted_over_time(op: ops.WeightedOverTime, x: Shape) -> Lowered:
    """A weight for each frame."""
    return Lowered("{m}({0})", "TimeWeights", (Argument("frames", x.t),), needs=(TimeWeights,))


def maximum(op: ops.Maximum, x: Shape, y: Shape) -> Lowered:
    """Element by element."""
    return Lowered("torch.maximum({0}, {1})")


def bilinear(op: ops.Bilinear, x: Shape, y: Shape) -> Lowered:
    """One matrix product a frame."""
    product = "{0}.movedim(2, 1).flatten(3) @ {1}.movedim(2, 1).flatten(3).mT"
    return Lowered(f"({product}).flatten(2).mT[..., None, None]")
