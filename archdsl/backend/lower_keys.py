"""Key frames and proposals: how torch is told of them."""

from __future__ import annotations

from archdsl import ops
from archdsl.backend.lowered import Lowered
from archdsl.backend.runtime.keys import interleave, key_pairs, pointed_to, warp
from archdsl.backend.runtime.rcnn import moved, overlaps, place_pool, propose, suppressed
from archdsl.ops import Shape


def pairs(op: ops.KeyPairs, x: Shape) -> Lowered:
    """Each current frame with its key frame."""
    return Lowered(f"key_pairs({{0}}, {op.every})", needs=(key_pairs,))


def warped(op: ops.Warp, x: Shape, flow: Shape) -> Lowered:
    """Bilinear samples of all frames at once."""
    return Lowered("warp({0}, {1})", needs=(pointed_to, warp))


def interleaved(op: ops.Interleave, x: Shape, current: Shape) -> Lowered:
    """Frames in order."""
    return Lowered("interleave({0}, {1})", needs=(interleave,))


def proposals(op: ops.Proposals, chances: Shape, shifts: Shape, clip: Shape) -> Lowered:
    """Anchors are written out: they follow from the op's fields."""
    fields = f"{op.step}, {op.candidates}, {op.count}, {float(op.overlap)}, {float(op.least)}"
    anchors, deviations = list(op.anchors), tuple(map(float, op.deviations))
    call = f"propose({{0}}, {{1}}, {{2}}, {anchors}, {deviations}, {fields})"
    return Lowered(call, needs=(overlaps, suppressed, moved, propose))


def place_pooled(op: ops.PlacePool, x: Shape, boxes: Shape) -> Lowered:
    """Cells of each box, each from its own map."""
    return Lowered(f"place_pool({{0}}, {{1}}, {op.size}, {op.step})", needs=(place_pool,))
