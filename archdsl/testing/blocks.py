"""Random blocks, their fields drawn from the field's own types, so that a new block needs nothing here."""

from __future__ import annotations

from fractions import Fraction
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge
from hypothesis import strategies as st
from pydantic.fields import FieldInfo

from archdsl.blocks import BLOCKS, Block, Branches, Conv, MaxPool, Norm, Transformer, Tube
from archdsl.blocks.base import IsWidth, add_block
from archdsl.errors import SpecError
from archdsl.graph import UNKNOWN, Builder
from archdsl.ops import UNIT, Grid, Shape

WIDTHS = st.sampled_from([8, 16])
NORM_FIELDS = st.sampled_from(
    [
        Norm(),
        Norm(kind="group", groups=2),
        Norm(kind="layer"),
        Norm(kind="none"),
        Norm(eps=1e-3),
        Norm(scale=False),
        Norm(shift=False),
    ]
)
PADS = st.sampled_from(["same", "same", "tf_same", "valid", (1, 0, 0), ((0, 0), (1, 0), (0, 1))])
BRANCH_FIELDS = st.sampled_from(
    [
        {"one": (Conv(channels=8),)},
        {"one": (Conv(channels=8), Conv(channels=8, kernel=(3, 3, 3))), "two": Conv(channels=8), "same": ()},
        {"one": Branches(branches={"a": Conv(channels=4), "b": Conv(channels=4)}), "two": MaxPool(kernel=(1, 3, 3))},
    ]
)
PAIRS = st.sampled_from(
    [
        (("separable_3", "now", "max_3", "now"), ("average_3", "0", "same", "0")),
        (("separable_5", "before", "separable_7", "now"), ("same", "0", "separable_3", "0")),
    ]
)
BY_NAME: dict[str, st.SearchStrategy[Any]] = {
    "pad": PADS,
    "branches": BRANCH_FIELDS,
    "pairs": PAIRS,
    "attend": st.sampled_from(
        ["thw", "hw", ("t", "hw"), ({"over": "t", "linear": True}, "hw"), [{"over": ("t", "hw")}]]
    ),
    "tubes": st.sampled_from(
        [
            (Tube(kernel=(2, 2, 2), stride=(2, 4, 4)),),
            (Tube(kernel=(1, 3, 3), stride=(2, 3, 3)), Tube(kernel=(3, 1, 2), stride=(1, 4, 4), offset=(1, 0, 1))),
        ]
    ),
    "leave": st.sampled_from([("1",), ("0", "1"), ("1", "0")]),
    "blocks": st.lists(st.sampled_from([Transformer(heads=2), Transformer(heads=1, mlp=2)]), min_size=1, max_size=2),
}
"""Values for fields whose types say too little."""
RATIOS = st.sampled_from([Fraction(1, 2), Fraction(1), Fraction(2)])


@st.composite
def blocks(draw: Any, shape: Shape = Shape(8, 4, 16, 16), kinds: tuple[type[Block], ...] = BLOCKS) -> Block:
    """A built-in block (or one of your `kinds`) with small widths that takes a map of `shape`."""
    picky = {
        "Gray": shape.c == 3,
        "BoundaryMatch": shape.h == shape.w == 1,
        "LstmScan": shape.c % 4 == 0,
        "GruScan": shape.c % 3 == 0,
        "TakeToken": shape.extra > 0,
        "FrameToken": shape.w == 1,
        "FrameClassToken": shape.w == 1,
        "FramePositionConv": shape.w == 1,
        "MessageTransformer": shape.w == 1,
        **dict.fromkeys(("Keep", "Hide", "MaskTokens"), False),  # they read a mask, a clip of its own
        **dict.fromkeys(("Embed", "EndToken", "JointNorm", "GraphBlock"), False),  # texts and skeletons
    }
    fitting = [kind for kind in kinds if picky.get(kind.__name__, True)]
    return draw(st.sampled_from(fitting).flatmap(drawn_block).filter(lambda block: builds(block, shape)))


@st.composite
def drawn_block(draw: Any, kind: type[Block]) -> Block:
    """A block of a kind: fields that must be given, and some of the others, at random."""
    made = {}
    for name, field in kind.model_fields.items():
        if field.is_required() or draw(st.booleans()):
            value = drawn_field(name, field)
            if value is not None:
                made[name] = draw(value)
    try:
        return kind(**made)
    except SpecError:  # fields that do not go together
        return draw(st.nothing())


def builds(block: Block, shape: Shape) -> bool:
    """Whether the block takes a map of that shape."""
    g = Builder()
    x = g.source("x", shape, Grid(UNIT, UNIT, UNIT))
    return add_block(g, "block", block, x) != UNKNOWN and not g.faults


def drawn_field(name: str, field: FieldInfo) -> st.SearchStrategy[Any] | None:
    """Values for a field; None where its type says too little and its default must do."""
    if name in BY_NAME:
        return BY_NAME[name]
    value = of_type(field.annotation, tuple(field.metadata))
    assert value is not None or not field.is_required(), f"no strategy for the field {name}: {field.annotation}"
    return value


def of_type(kind: Any, marks: tuple[Any, ...] = ()) -> st.SearchStrategy[Any] | None:
    """Small values of an annotated type."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return of_type(args[0], (*args[1:], *(m for mark in args[1:] for m in getattr(mark, "metadata", ()))))
    if origin is Literal:
        return st.sampled_from(args)
    if origin in (Union, UnionType):
        options = [value for arg in args if (value := of_type(arg)) is not None]
        return st.one_of(options) if options else None
    if origin is tuple and args and Ellipsis not in args:
        parts = [of_type(arg) for arg in args]
        return None if None in parts else st.tuples(*[part for part in parts if part is not None])
    match kind:
        case _ if kind is NoneType:
            return st.none()
        case _ if kind is bool:
            return st.booleans()
        case _ if kind is int and any(isinstance(mark, IsWidth) for mark in marks):
            return WIDTHS
        case _ if kind is int:
            return st.integers(max([0, *(m.ge for m in marks if isinstance(m, Ge) and isinstance(m.ge, int))]), 3)
        case _ if kind is float:
            return reals(marks)
        case _ if kind is Fraction:
            return RATIOS
        case _ if kind is Norm:
            return NORM_FIELDS
    return None


def reals(marks: tuple[Any, ...]) -> st.SearchStrategy[float]:
    """Three numbers within the bounds of a type."""
    bounds = [(name, float(value)) for mark in marks for name, value in vars_of(mark) if isinstance(value, int | float)]
    low = max([0.0, *(value for name, value in bounds if name in ("ge", "gt"))])
    high = min([1.0, *(value for name, value in bounds if name in ("le", "lt"))])
    return st.sampled_from([low + (high - low) * part for part in (0.25, 0.5, 0.75)])


def vars_of(mark: Any) -> list[tuple[str, Any]]:
    """The bounds that a mark of a type sets."""
    return [(name, getattr(mark, name)) for name in ("ge", "gt", "le", "lt") if hasattr(mark, name)]
