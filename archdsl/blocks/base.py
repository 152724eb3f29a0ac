"""What every block has, and the small parts blocks are made of."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema

from archdsl import ops
from archdsl.errors import SpecError
from archdsl.graph import UNKNOWN, Builder
from archdsl.spec.base import Written
from archdsl.spec.scalars import Count, Real

POINT = (1, 1, 1)
SQUARE = (1, 3, 3)
"""Kernels (t, h, w) within a frame."""
Rounding = Literal["floor", "nearest", "ceil"]


class IsWidth:
    """Marks a field that counts channels, so that a pathway's width_ratio scales it."""


Width = Annotated[int, Field(strict=True, ge=1), IsWidth()]
"""A number of channels. A pathway's `width_ratio` scales every field of this type."""


def widened(channels: int, ratio: Fraction, rounding: Rounding) -> int:
    """`channels` times `ratio`, rounded, at least 1."""
    exact = channels * ratio
    whole = (
        exact.__floor__()
        if rounding == "floor"
        else exact.__ceil__()
        if rounding == "ceil"
        else (exact + Fraction(1, 2)).__floor__()
    )
    return max(whole, 1)


class Block(Written):
    """A small named graph of ops. Subclass it with fields and `build`, and use it at once in a spec."""

    first_only: ClassVar[tuple[str, ...]] = ("stride", "stride_t")
    """Fields that only the first of several repeated blocks keeps."""

    def build(self, g: Builder, x: str) -> str:
        """Add ops to `g`, reading the value `x`; give the address of the result."""
        raise SpecError(
            f"{type(self).__name__} has no build",
            written=self.written,
            want="a method that adds ops",
            fix="def build(self, g, x): ...",
        )

    def summary(self, channels: int) -> tuple[str, ...]:
        """Lines that tell of it in drawings and tables, of so many channels; by default none: its ops do."""
        return ()

    def within(self) -> Iterator[Block]:
        """The blocks written within this one."""
        return iter(())

    def again(self) -> Self:
        """This block as the second, third... of a repeat: without the fields in `first_only`."""
        fields = type(self).model_fields
        changes = {name: self.unstrided(name) for name in self.first_only if name in fields}
        return self.but(**changes) if any(getattr(self, name) != value for name, value in changes.items()) else self

    def unstrided(self, name: str) -> Any:
        """A field's default; where it has none, the 1 of a stride, for each axis of a list."""
        field, value = type(self).model_fields[name], getattr(self, name)
        return ones_like(value) if field.is_required() else field.get_default(call_default_factory=True)

    @property
    def drops_path(self) -> bool:
        """Whether it, or a block within it, has a `drop_path`."""
        return "drop_path" in type(self).model_fields or any(block.drops_path for block in self.within())

    def dropping(self, rate: float) -> Self:
        """This block with a rate for every `drop_path` that is not given, those of the blocks within it too."""
        changes: dict[str, Any] = {"drop_path": rate} if getattr(self, "drop_path", rate) is None else {}
        for name, value in self:
            if isinstance(value, tuple) and value and isinstance(value[0], Block):
                changes[name] = tuple(block.dropping(rate) for block in value)
        return self.but(**changes) if changes else self

    def scaled(self, ratio: Fraction, rounding: Rounding) -> Self:
        """This block with every width multiplied, those of the blocks within it too."""
        if ratio == 1:
            return self
        widths = {name: getattr(self, name) for name in width_fields(type(self))}
        changes: dict[str, Any] = {
            name: widened(n, ratio, rounding) for name, n in widths.items() if isinstance(n, int)
        }
        for name, value in self:
            if isinstance(value, tuple) and value and isinstance(value[0], Block):
                changes[name] = tuple(block.scaled(ratio, rounding) for block in value)
        return self.but(**changes)


def ones_like(value: Any) -> Any:
    """1 for a number or for what must be given, one for each axis of a list: no stride."""
    if isinstance(value, tuple):
        return tuple([ones_like(part) for part in value])
    return 1 if value is None or (isinstance(value, int) and not isinstance(value, bool)) else value


@lru_cache
def width_fields(kind: type[Block]) -> tuple[str, ...]:
    """The fields of a block that count channels."""

    def marked(field: Any) -> bool:
        parts = [
            *field.metadata,
            *(m for part in getattr(field.annotation, "__args__", ()) for m in getattr(part, "__metadata__", ())),
        ]
        return any(isinstance(part, IsWidth) for part in parts)

    return tuple(name for name, field in kind.model_fields.items() if marked(field))


def add_block(g: Builder, name: str, block: Block, x: str) -> str:
    """One block under a name; UNKNOWN where it could not be built."""
    y = UNKNOWN
    with g.inside(name, type(block).__name__, written=block.written):
        y = g.result(block.build(g, x), block.build)
    return y


class Norm(Written):
    """Which normalisation follows a convolution. In YAML the kind alone may stand for it: `norm: none`."""

    kind: Literal["batch", "frozen", "group", "layer", "rms", "none"] = Field(
        "batch", description="batch, frozen (a batch norm that learns nothing), group, layer, rms or none"
    )
    eps: Annotated[Real, Field(gt=0)] = Field(1e-5, description="added to the variance")
    momentum: Annotated[Real, Field(gt=0, le=1)] = Field(
        0.1, description="share of the new batch in the running statistics"
    )
    groups: Count = Field(32, description="groups of a group norm")
    scale: bool = Field(True, description="whether a batch norm learns a scale beside its shift")
    shift: bool = Field(True, description="whether a batch norm learns anything; without it not even a scale")

    def add(self, g: Builder, name: str, x: str, *, zero_init: bool = False) -> str:
        """The normalisation of x, or x itself."""
        match self.kind:
            case "batch":
                return g.add(name, self.batch(zero_init), x)
            case "frozen":
                return g.add(name, ops.FrozenNorm(eps=self.eps), x)
            case "group":
                return g.add(name, ops.GroupNorm(groups=self.groups, eps=self.eps, zero_init=zero_init), x)
            case "layer":
                return g.add(name, ops.LayerNorm(eps=self.eps), x)
            case "rms":
                return g.add(name, ops.RmsNorm(eps=self.eps), x)
            case _:
                return x

    def batch(self, zero_init: bool) -> ops.BatchNorm:
        """The batch norm; a scale that is not learnt cannot start at 0."""
        learnt = self.scale and self.shift
        return ops.BatchNorm(
            eps=self.eps, momentum=self.momentum, affine=self.shift, scale=learnt, zero_init=zero_init and learnt
        )


NormField = Annotated[
    Norm,
    BeforeValidator(lambda value: {"kind": value} if isinstance(value, str) else value),
]

ACTS: dict[str, ops.Op | None] = {
    "relu": ops.Relu(),
    "relu6": ops.Relu6(),
    "leaky_relu": ops.LeakyRelu(),
    "leaky": ops.LeakyRelu(slope=0.1),
    "silu": ops.Silu(),
    "sigmoid": ops.Sigmoid(),
    "hardsigmoid": ops.Hardsigmoid(),
    "tanh": ops.Tanh(),
    "scaled_tanh": ops.ScaledTanh(),
    "hardswish": ops.Hardswish(),
    "gelu": ops.Gelu(),
    "gelu_tanh": ops.Gelu(form="tanh"),
    "quick_gelu": ops.Gelu(form="quick"),
    "softmax": ops.Softmax(),
    "none": None,
}
Act = Literal[
    "relu",
    "relu6",
    "leaky_relu",
    "leaky",
    "silu",
    "sigmoid",
    "hardsigmoid",
    "tanh",
    "scaled_tanh",
    "hardswish",
    "gelu",
    "gelu_tanh",
    "quick_gelu",
    "softmax",
    "none",
]


def add_act(g: Builder, name: str, act: Act, x: str) -> str:
    """The activation of x, or x itself for `none`."""
    op = ACTS[act]
    return g.add(name, op, x) if op else x


def pad_rule(value: Any) -> Any:
    """Padding as tuples, from lists."""
    if isinstance(value, str) and value not in ("same", "valid", "tf_same"):
        raise ValueError("same, valid, tf_same, or numbers for t, h, w")
    if isinstance(value, list | tuple):
        if len(value) != 3:
            raise SpecError("padding with a wrong number of axes", got=str(value), want="three: t, h, w")
        return tuple(tuple(p) if isinstance(p, list | tuple) else p for p in value)
    return value


Side = Annotated[int, Field(strict=True, ge=0)]
Pad = Annotated[
    Literal["same", "valid", "tf_same"]
    | tuple[Side, Side, Side]
    | tuple[tuple[Side, Side], tuple[Side, Side], tuple[Side, Side]],
    BeforeValidator(pad_rule),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": ["same", "valid", "tf_same"]},
                {
                    "type": "array",
                    "minItems": 3,
                    "maxItems": 3,
                    "items": {"anyOf": [{"type": "integer"}, {"type": "array"}]},
                },
            ]
        }
    ),
]
