"""Flow layers in torch."""

from __future__ import annotations

from archdsl import ops
from archdsl.backend.lowered import Argument, Lowered
from archdsl.backend.runtime.flow import TvL1Flow, filtered, flow_kernel
from archdsl.ops import Shape
from archdsl.ops.flow import LEARNT


def tv_l1_flow(op: ops.TvL1Flow, x: Shape) -> Lowered:
    """Unrolled iterations."""
    args = (
        Argument("channels", x.c),
        Argument("iterations", op.iterations, 10),
        Argument("dense", op.kernels == "dense", False),
        Argument("sobel", op.gradient == "sobel", False),
        *(Argument(f"learn_{part}", part in op.learn, True) for part in LEARNT),
        Argument("repeat", op.frames == "repeat", False),
        Argument("whole_batch", op.normalise == "batch", False),
    )
    return Lowered("{m}({0})", "TvL1Flow", args, needs=(flow_kernel, filtered, TvL1Flow))


def drop_frames(op: ops.DropFrames, x: Shape) -> Lowered:
    """A slice."""
    return Lowered(f"{{0}}[:, :, {op.front} : {x.t - op.back}]")
