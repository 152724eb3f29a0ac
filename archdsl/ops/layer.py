"""What torch does for one op, as text: a call, the layer it calls, and what the emitted file needs beside torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, NamedTuple

from archdsl.errors import SpecError

Weights = dict[str, tuple[int, ...]]
"""Name -> shape of the parameters of one op, as torch's `named_parameters` has them."""


class Argument(NamedTuple):
    """One argument of a layer. Equal to its default, it is not written."""

    name: str
    value: Any
    default: Any = None


class Function(NamedTuple):
    """A function or module of `archdsl/backend/runtime/`, by name: an op does not import torch."""

    file: str
    name: str


@dataclass(frozen=True)
class Layer:
    """One op in torch. In `call`, {m} is the layer and {0}, {1}... are the maps read; in `inits`, {m} likewise.

    `needs` are functions or modules that torch lacks: their source is put into the emitted file, so they use nothing
    but torch, nn, F, math and each other. An op of one's own names its own functions and modules directly.
    """

    call: str
    module: str | None = None
    args: tuple[Argument, ...] = ()
    inits: tuple[str, ...] = ()
    needs: tuple[Function | Callable[..., Any], ...] = ()

    @classmethod
    def of_function(cls, function: Callable[..., Any], *arguments: Any, maps: int = 1) -> Layer:
        """A function of one's own, or of torch: of the maps read, then of the arguments."""
        rest = "".join(f", {emittable(argument)!r}" for argument in arguments)
        known = torch_name(function)
        return cls(f"{known or function.__name__}({placeholders(maps)}{rest})", needs=() if known else (function,))

    @classmethod
    def of_module(cls, module: Callable[..., Any], *, maps: int = 1, **arguments: Any) -> Layer:
        """An `nn.Module` of one's own, or of torch, made with the arguments and called with the maps read."""
        args = tuple(Argument(name, emittable(value)) for name, value in arguments.items())
        known = torch_name(module)
        return cls(f"{{m}}({placeholders(maps)})", known or module.__name__, args, needs=() if known else (module,))


def torch_name(thing: Callable[..., Any]) -> str | None:
    """What torch's function or module is called in emitted code; None for one of a person's own."""
    home = getattr(thing, "__module__", None) or ""
    if home.partition(".")[0] != "torch":
        return None
    names = {"torch.nn.functional": "F", "torch._C._nn": "F", "torch.nn.modules": "nn"}
    short = next((name for start, name in names.items() if home.startswith(start)), home)
    return f"{short}.{thing.__name__}"


INITS = {
    "msra": ('nn.init.kaiming_normal_({m}.weight, mode="fan_out", nonlinearity="relu")',),
    "msra_in": ('nn.init.kaiming_normal_({m}.weight, nonlinearity="relu")',),
    "xavier": ("nn.init.xavier_uniform_({m}.weight)",),
    "normal": ("nn.init.normal_({m}.weight, std=0.01)",),
    "trunc_normal": ("nn.init.trunc_normal_({m}.weight, std=0.02)",),
    "identity": ("nn.init.dirac_({m}.weight, {m}.groups)",),
    "shift": ("start_as_shift({m}.weight, {m}.groups, 8)",),
    "swap": ("start_as_shift({m}.weight, {m}.groups, 2)",),
    "bilinear": ("start_bilinear({m}.weight)",),
    "zeros": ("nn.init.zeros_({m}.weight)",),
    "default": (),
}


def is_emittable(value: Any) -> bool:
    """Whether the text of a value gives it back: a finite number, text, a truth, None, or a tuple of these."""
    if isinstance(value, tuple):
        return all(map(is_emittable, value))
    return value is None or (isinstance(value, int | float | str) and (not isinstance(value, float) or isfinite(value)))


def emittable(value: Any) -> Any:
    """The value. Raises SpecError where its text does not give it back."""
    if not is_emittable(value):
        want = "finite numbers, text, true or false, None, and tuples of these"
        raise SpecError("an argument that cannot be emitted", got=repr(value), want=want)
    return value


def runtime(file: str, *names: str) -> tuple[Function, ...]:
    """Functions and modules of one file of `archdsl/backend/runtime/`."""
    return tuple(Function(file, name) for name in names)


CONSTANTS = runtime("constants", "Constants")
"""The base of modules with buffers that no file carries."""


def init_statements(init: str, bias: bool, bias_start: float | None = None) -> tuple[str, ...]:
    """Statements that draw a layer's weights; a bias starts at 0 unless a number or torch's own start is asked for."""
    if bias and bias_start is not None:
        return (*INITS[init], f"nn.init.constant_({{m}}.bias, {bias_start})")
    return INITS[init] + (("nn.init.zeros_({m}.bias)",) if bias and init != "default" else ())


def zero_scale_init(zero_init: bool) -> tuple[str, ...]:
    """The statement that starts a norm's scale at 0."""
    return ("nn.init.zeros_({m}.weight)",) if zero_init else ()


def changed_keywords(**values: tuple[Any, Any]) -> str:
    """Keyword arguments that differ from their defaults."""
    return "".join(f", {name}={value!r}" for name, (value, default) in values.items() if value != default)


def placeholders(maps: int, sign: str = ", ") -> str:
    """What is read, with a sign between: `{0}, {1}`."""
    return sign.join(f"{{{i}}}" for i in range(maps))


def with_bias(weights: Mapping[str, tuple[int, ...]], channels: int) -> Weights:
    """The weights, and a bias of so many channels where there are any."""
    return {**weights, "bias": (channels,)} if channels else {**weights}
