"""An op of one's own in a spec file: every answer is asked once where it is used, so that no report fails on one."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import fields
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

from archdsl.errors import SpecError
from archdsl.graph.user_code import DATACLASS, line_within
from archdsl.ops import Cost, Grid, Keeps, Layer, Op, Shape
from archdsl.spec.lines import line_of_frame


def own_answers(op: Op, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> tuple[Shape, Grid]:
    """Shape and grid of what it gives. Raises SpecError with the line of the method whose answer cannot be."""
    is_dataclass(op)
    y: Shape = answer(op, "out", Shape, *xs)
    no_map = len(y) == 5 and y[1:4] == (0, 0, 0)
    if not all(type(n) is int and (n >= 1 or (no_map and axis in (1, 2, 3))) for axis, n in enumerate(y)):
        raise invalid_answer(op, "out", "returns an invalid shape", got=f"{y}", want="whole numbers from 1")
    grid: Grid = answer(op, "place", Grid, xs, grids)
    answer(op, "buffers", int, *xs)
    same_parameters(op, xs)
    as_many_frames(op, xs, y)
    for training in (True, False):
        answer(op, "keeps", Keeps, xs, y, training)
    for method, args in (("label", (xs[0], y)), ("row", (xs[0],)), ("strides", ()), ("kind", (xs[0],))):
        answer(op, method, str, *args)
    answer(op, "held", int, xs[0])
    if len(reached := answer(op, "gradients", tuple, *xs)) != len(xs):
        raise invalid_answer(
            op, "gradients", "has another length than the inputs", got=f"{len(reached)}", want=f"{len(xs)}"
        )
    answer(op, "unlearnt", tuple, *xs)
    if has_torch(op):
        names_free(op, answer(op, "torch", Layer, *xs))
    return y, grid


def names_free(op: Op, layer: Layer) -> None:
    """Raise SpecError where a function that the layer needs, or one of its file that it uses, has a name of ours."""
    for need in filter(callable, layer.needs):
        beside = vars(inspect.getmodule(need))
        try:
            words = set(re.findall(r"\w+", inspect.getsource(need)))
        except (OSError, TypeError):
            words = {need.__name__}
        for name in sorted(words & runtime_names()):
            if getattr(beside.get(name), "__module__", None) == need.__module__:
                what = f"a function {name!r}, which emitted code has of its own"
                line = line_of_thing(beside[name]) or method_line(op, "torch")
                raise SpecError(what, written=line, got=name, want="another name", fix=f"{name}_of_mine")


@cache
def runtime_names() -> frozenset[str]:
    """Functions and classes whose text any network may need, read as text: torch is not imported.

    Those of other folders than `convolution` are compared where a network that needs them is built.
    """
    folder = Path(__file__).parents[1] / "backend" / "runtime"
    texts = [path.read_text(encoding="utf-8") for path in (*folder.glob("*.py"), *folder.glob("convolution/*.py"))]
    return frozenset(name for text in texts for name in re.findall(r"^(?:def|class) (\w+)", text, re.MULTILINE))


def is_dataclass(op: Op) -> None:
    """Raise SpecError where its class names fields that it does not have, or one holds what can change."""
    known = {field.name for field in fields(op)}
    for name, kind in vars(type(op)).get("__annotations__", {}).items():
        if name not in known and "ClassVar" not in str(kind):
            raise SpecError(
                "an op class that is not a dataclass", written=method_line(op), got=f"a field {name!r}", want=DATACLASS
            )
    for name in known:
        try:
            hash(value := getattr(op, name))
        except TypeError:
            what = f"a field of {type(op).__name__} that can change"
            raise SpecError(
                what, written=method_line(op), got=f"{name}={value!r}", want="numbers, text or tuples", fix="a tuple"
            ) from None


def same_parameters(op: Op, xs: tuple[Shape, ...]) -> None:
    """Raise SpecError unless its cost counts the weights that it names."""
    params = sum(map(prod, answer(op, "weights", dict, *xs).values()))
    cost: Cost = answer(op, "cost", Cost, *xs)
    if cost.params != params:
        raise invalid_answer(op, "cost", "does not match `weights`", got=f"{cost.params}", want=f"{params}")


def as_many_frames(op: Op, xs: tuple[Shape, ...], y: Shape) -> None:
    """Raise SpecError unless it sees for as many frames as it gives."""
    found = answer(op, "sees", tuple, xs, tuple((1,) * (x.t or 1) for x in xs), y)
    if len(found) != (y.t or 1):
        method = "sees" if "sees" in vars(type(op)) else "out"
        what = f"`sees` and `out` of {type(op).__name__} disagree on the number of frames"
        raise SpecError(
            what, written=method_line(op, method), got=f"sees for {len(found)}, out {y}", want=f"{y.t} in sees"
        )


def has_torch(op: Op) -> bool:
    """Whether it says what torch does for it."""
    return op.call is not None or type(op).torch is not Op.torch


def answer(op: Op, method: str, kind: type, *args: Any) -> Any:
    """What one of its methods gives. Raises SpecError where it fails or gives another thing."""
    try:
        found = getattr(op, method)(*args)
    except SpecError:
        raise
    except Exception as error:  # noqa: BLE001  whatever a person's method raises is theirs to read
        what, line = f"{type(error).__name__} in {type(op).__name__}.{method}", line_within(error)
        raise SpecError(what, written=line or method_line(op, method), got=str(error) or None) from None
    if not isinstance(found, kind):
        fix = f"a `return` in {method}" if found is None else None
        raise invalid_answer(op, method, f"returns no {kind.__name__}", got=repr(found), want=kind.__name__, fix=fix)
    return found


def invalid_answer(op: Op, method: str, what: str, *, got: str, want: str, fix: str | None = None) -> SpecError:
    """The error of an answer that cannot be."""
    return SpecError(
        f"{type(op).__name__}.{method} {what}", written=method_line(op, method), got=got, want=want, fix=fix
    )


def method_line(op: Op, method: str = "") -> str | None:
    """`file:line` of a method of an op, or of its class where the method is not its own."""
    return line_of_thing(vars(type(op)).get(method) or type(op))


def line_of_thing(thing: type | Callable[..., Any]) -> str | None:
    """`file:line` of a function or class; None where it has no file."""
    try:
        return line_of_frame(inspect.getfile(thing), inspect.getsourcelines(thing)[1])
    except (OSError, TypeError):
        return None
