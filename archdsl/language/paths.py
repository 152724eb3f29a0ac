"""Changing one field deep inside an arch: `pathways.fast.width_ratio`, `pathways.slow.stages.res4.kernel_t`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from archdsl.blocks import Block, Drawn
from archdsl.errors import SpecError, did_you_mean, listed
from archdsl.language.edge import Edge
from archdsl.language.pathway import Stage
from archdsl.written import Written

W = TypeVar("W", bound=Written)


def change(thing: W, path: str, value: Any, written: str | None = None) -> W:
    """The arch (or pathway) with the field at `path` set to `value`, checked again.

    A part of the path is a field, a name (`*` and `?` match several), an index into a list, or, at a stage or a list
    of transforms, a field of every block or transform that has it. A stride goes to the first block only, as in a
    repeat. `written` is the line of the change: faults of what was changed name it.

    Raises SpecError for a path that leads nowhere.
    """
    try:
        made: W = changed(thing, path.split("."), value, written)
    except SpecError as error:
        faults = [fault.placed(path, getattr(value, "written", written)) for fault in error.faults]
        raise SpecError(replace(fault, at=whole(path, fault.at or path)) for fault in faults) from None
    return made


def whole(path: str, at: str) -> str:
    """The address of a fault that is told from some part of the path on: `classes` of `head.classes`."""
    parts = path.split(".")
    starts = (i for i in range(len(parts)) if f"{at}.".startswith(".".join(parts[i:]) + "."))
    return ".".join([*parts[: next(starts, 0)], at])


def changed(thing: Any, path: list[str], value: Any, written: str | None) -> Any:
    """`thing` with the value at the end of `path` replaced."""
    if not path:
        return value
    head, *rest = path
    if isinstance(thing, Stage):
        return Stage(*in_list(list(thing.blocks), path, value, written))
    if isinstance(thing, Drawn) and head != "values":
        return at_line(thing.but(values={**thing.values, head: value}), written)
    if isinstance(thing, Written):
        if head not in type(thing).model_fields:
            raise nothing(f"{type(thing).__name__} has no field {head!r}", head, type(thing).model_fields)
        made = thing.but(**{head: changed(getattr(thing, head), rest, value, written)})
        return at_line(made, written if not rest or isinstance(thing, Edge) else None)
    if isinstance(thing, Mapping):
        names = [name for name in thing if fnmatchcase(name, head)]
        if not names and (rest or set("*?") & set(head)):
            raise nothing(f"nothing here is named {head!r}", head, thing)
        return dict(thing) | {name: changed(thing.get(name), rest, value, written) for name in names or [head]}
    if isinstance(thing, tuple | list):
        return tuple(in_list(list(thing), path, value, written))
    raise nothing(f"nothing below a {type(thing).__name__} is named {head!r}", head, ())


def in_list(things: list[Any], path: list[str], value: Any, written: str | None) -> list[Any]:
    """A list with one element changed (by index, or an edge by its name), or the field of all that have it."""
    head, *rest = path
    if head.isdigit():
        if int(head) >= len(things):
            raise nothing(f"no element {head} in a list", head, [str(i) for i in range(len(things))])
        return [changed(thing, rest, value, written) if i == int(head) else thing for i, thing in enumerate(things)]
    if any(isinstance(thing, Edge) for thing in things):
        names = [edge.label for edge in things]
        if not any(fnmatchcase(name, head) for name in names):
            raise nothing(f"no edge {head!r}", head, names)
        return [changed(edge, rest, value, written) if fnmatchcase(edge.label, head) else edge for edge in things]
    having = [thing for thing in things if has(thing, head)]
    if not having:
        known = dict.fromkeys(name for thing in things for name in fields(thing))
        raise nothing(f"nothing here has a field {head!r}", head, known)
    first = next(i for i, thing in enumerate(things) if has(thing, head))
    only_first = isinstance(having[0], Block) and head in having[0].first_only
    return [
        changed(thing, path, value, written) if has(thing, head) and (i == first or not only_first) else thing
        for i, thing in enumerate(things)
    ]


def at_line(made: Any, written: str | None) -> Any:
    """What was changed, as written where the change was."""
    if written:
        made._written = written
    return made


def fields(thing: Any) -> list[str]:
    """The fields a path may name."""
    if isinstance(thing, Drawn):
        return list(thing.drawing.fields) if thing.drawing else list(thing.values)
    return list(type(thing).model_fields)


def has(thing: Any, name: str) -> bool:
    """Whether a path may name this field of a thing."""
    return name in fields(thing)


def nothing(what: str, name: str, known: Any) -> SpecError:
    """The error of a path that leads nowhere."""
    return SpecError(what, got=name, want=listed(known) or "a shorter path", fix=did_you_mean(name, known))
