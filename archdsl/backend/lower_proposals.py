"""Proposals of a sequence: how torch is told of them."""

from __future__ import annotations

from archdsl import ops
from archdsl.backend.lowered import Argument, Lowered
from archdsl.backend.runtime.proposals import BoundaryMatch, valid_proposals
from archdsl.ops import Shape


def boundary_match(op: ops.BoundaryMatch, x: Shape) -> Lowered:
    """The matrix is made when the network is."""
    y = op.out(x)
    args = (
        Argument("positions", x.t),
        Argument("durations", y.h),
        Argument("samples", op.samples),
        Argument("per_bin", op.per_bin),
        Argument("margin", float(op.margin)),
    )
    return Lowered("{m}({0})", "BoundaryMatch", args, needs=(BoundaryMatch,))


def only_valid(op: ops.ValidProposals, x: Shape) -> Lowered:
    """A mask made of the map's own sizes."""
    return Lowered("valid_proposals({0})", needs=(valid_proposals,))
