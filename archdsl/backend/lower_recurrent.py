"""Recurrence over time in torch."""

from __future__ import annotations

from archdsl import ops
from archdsl.backend.lowered import Argument, Lowered
from archdsl.backend.runtime.recurrent import GruScan, LstmScan, Scan
from archdsl.backend.runtime.stream import Held
from archdsl.ops import Shape


def lstm_scan(op: ops.LstmScan, *xs: Shape) -> Lowered:
    """A step a frame."""
    return Lowered(scanned(op, xs), "LstmScan", sizes(op, *xs), needs=(Held, Scan, LstmScan))


def gru_scan(op: ops.GruScan, *xs: Shape) -> Lowered:
    """A step a frame."""
    args = (*sizes(op, *xs), Argument("after", op.reset == "after", False))
    return Lowered(scanned(op, xs), "GruScan", args, needs=(Held, Scan, GruScan))


def sizes(op: ops.Scan, *xs: Shape) -> tuple[Argument, ...]:
    """What every scan is made with."""
    return (
        Argument("hidden", op.out(*xs).c),
        Argument("kernel", op.kernel, 1),
        Argument("bias", op.bias, False),
    )


def scanned(op: ops.Scan, xs: tuple[Shape, ...]) -> str:
    """The call; in reverse all that is read and what is given is turned round."""
    turned = ".flip(2)" if op.reverse else ""
    reads = ", ".join(f"{{{i}}}{turned}" for i in range(len(xs)))
    return f"{{m}}({reads}){turned}"
