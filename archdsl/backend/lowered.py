"""What torch does for one op, as source text; and the small texts that lowerings share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from archdsl.ops import Pads


class Argument(NamedTuple):
    """One argument of a module. Equal to its default, it is not written."""

    name: str
    value: Any
    default: Any = None


@dataclass(frozen=True)
class Lowered:
    """One op in torch. In `call`, {m} is the module and {0}, {1}... are the maps read; in `inits`, {m} likewise.

    `needs` are functions or modules that torch lacks (in `backend/runtime*.py`): their source is put into the emitted
    file, so they use nothing but torch, nn, F, math and each other.
    """

    call: str
    module: str | None = None
    args: tuple[Argument, ...] = ()
    inits: tuple[str, ...] = ()
    needs: tuple[Callable[..., Any], ...] = ()


INITS = {
    "msra": ('nn.init.kaiming_normal_({m}.weight, mode="fan_out", nonlinearity="relu")',),
    "msra_in": ('nn.init.kaiming_normal_({m}.weight, nonlinearity="relu")',),
    "xavier": ("nn.init.xavier_uniform_({m}.weight)",),
    "normal": ("nn.init.normal_({m}.weight, std=0.01)",),
    "identity": ("nn.init.dirac_({m}.weight, {m}.groups)",),
    "shift": ("start_as_shift({m}.weight, {m}.groups, 8)",),
    "swap": ("start_as_shift({m}.weight, {m}.groups, 2)",),
    "zeros": ("nn.init.zeros_({m}.weight)",),
    "default": (),
}


def weights_drawn(init: str, bias: bool, bias_start: float | None = None) -> tuple[str, ...]:
    """Statements that draw a layer's weights; a bias starts at 0 unless a number or torch's own start is asked for."""
    if bias and bias_start is not None:
        return (*INITS[init], f"nn.init.constant_({{m}}.bias, {bias_start})")
    return INITS[init] + (("nn.init.zeros_({m}.bias)",) if bias and init != "default" else ())


def padded(x: str, pads: Pads, value: str = "") -> str:
    """The text of a map with uneven padding; torch lists the last axis first."""
    (t0, t1), (h0, h1), (w0, w1) = pads
    return f"F.pad({x}, {(w0, w1, h0, h1, t0, t1)}{value})"


def even(pads: Pads) -> tuple[int, int, int] | None:
    """One number per axis where both sides are padded alike."""
    return None if any(front != back for front, back in pads) else (pads[0][0], pads[1][0], pads[2][0])


def written(**values: tuple[Any, Any]) -> str:
    """Keyword arguments that differ from their defaults."""
    return "".join(f", {name}={value!r}" for name, (value, default) in values.items() if value != default)


def zeroed(zero_init: bool) -> tuple[str, ...]:
    """The statement that starts a norm's scale at 0."""
    return ("nn.init.zeros_({m}.weight)",) if zero_init else ()


def text(call: str) -> Callable[..., Lowered]:
    """An op that is one expression, whatever its fields."""
    return lambda op, *xs: Lowered(call)


def joined(sign: str) -> Callable[..., Lowered]:
    """An op that stands between what it reads."""
    return lambda op, *xs: Lowered(sign.join(f"{{{i}}}" for i in range(len(xs))))
