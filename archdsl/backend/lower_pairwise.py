"""Every position against every other, in torch: two matrix products over flattened maps."""

from __future__ import annotations

from archdsl import ops
from archdsl.backend.lowered import Lowered
from archdsl.ops import Shape


def affinity(op: ops.Affinity, queries: Shape, keys: Shape) -> Lowered:
    """Keys to the front, as channels."""
    scale = f" * {queries.c} ** -0.5" if op.scale else ""
    return Lowered(f"({{1}}.flatten(2).mT @ {{0}}.flatten(2){scale}).unflatten(2, {{0}}.shape[2:])")


def pair_sum(op: ops.PairSum, queries: Shape, keys: Shape) -> Lowered:
    """A row plus a column."""
    return Lowered("({1}.flatten(2).mT + {0}.flatten(2)).unflatten(2, {0}.shape[2:])")


def gather(op: ops.Gather, weights: Shape, values: Shape) -> Lowered:
    """Values by weights."""
    mean = " / {0}.shape[1]" if op.mean else ""
    return Lowered(f"({{1}}.flatten(2) @ {{0}}.flatten(2){mean}).unflatten(2, {{0}}.shape[2:])")
