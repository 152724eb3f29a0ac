"""Segments of interest: how torch is told of them."""

from __future__ import annotations

from archdsl import ops
from archdsl.backend.lowered import Lowered
from archdsl.backend.runtime.soi import anchored, segment_proposals, soi_pool, without_doubles
from archdsl.ops import Shape


def proposals_of_segments(op: ops.SegmentProposals, x: Shape) -> Lowered:
    """A function of the map."""
    call = f"segment_proposals({{0}}, {op.scales}, {op.top}, {op.overlap})"
    return Lowered(call, needs=(anchored, without_doubles, segment_proposals))


def segments_pooled(op: ops.SoiPool, x: Shape, segments: Shape) -> Lowered:
    """A function of the map and its segments. How often a length doubles is told: a trace has no number for it."""
    call = f"soi_pool({{0}}, {{1}}, {op.bins}, {float(op.extend)}, {x.t.bit_length() - 1})"
    return Lowered(call, needs=(soi_pool,))
