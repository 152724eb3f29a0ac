"""Snippets, consensus over segments and two-stream fusion, in torch."""

from __future__ import annotations

from archdsl import ops
from archdsl.backend.lowered import Argument, Lowered
from archdsl.ops import Shape


def take_snippets(op: ops.TakeSnippets, x: Shape) -> Lowered:
    return Lowered(f"{{0}}[:, :, {list(op.frames(x.t))}]")


def max_over_time(op: ops.MaxOverTime, x: Shape) -> Lowered:
    return Lowered("{0}.amax(dim=2, keepdim=True)")


def top_over_time(op: ops.TopOverTime, x: Shape) -> Lowered:
    return Lowered(f"{{0}}.topk({op.k}, dim=2).values.mean(dim=2, keepdim=True)")


def weighted_over_time(op: ops.WeightedOverTime, x: Shape) -> Lowered:
    """A linear layer over time; it starts as the mean."""
    args = (Argument("in_features", x.t), Argument("out_features", 1), Argument("bias", False, True))
    inits = ("nn.init.constant_({m}.weight, 1 / {m}.in_features)",)
    return Lowered("{m}({0}.movedim(2, -1)).movedim(-1, 2)", "nn.Linear", args, inits)


def maximum(op: ops.Maximum, x: Shape, y: Shape) -> Lowered:
    return Lowered("torch.maximum({0}, {1})")


def bilinear(op: ops.Bilinear, x: Shape, y: Shape) -> Lowered:
    """One matrix product a frame."""
    product = "{0}.movedim(2, 1).flatten(3) @ {1}.movedim(2, 1).flatten(3).mT"
    return Lowered(f"({product}).flatten(2).mT[..., None, None]")
