"""Changing fields deep inside an arch: `pathways.fast.width_ratio`, `pathways.slow.stages.res4.kernel_t`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from archdsl.blocks import Block, Drawn
from archdsl.errors import Fault, SpecError
from archdsl.language.edge import Edge
from archdsl.language.insertion import SIGN, are_parts, inserts, parts_of, slot, with_insertions
from archdsl.language.pathway import Stage
from archdsl.language.settings import Setting, fields, nothing, short_of, within_the_only
from archdsl.spec.base import Written
from archdsl.spec.budget import MOST_MATCHES, MOST_SETTINGS
from archdsl.spec.lines import check_count, line_at

W = TypeVar("W", bound=Written)


def change(thing: W, path: str, value: Any, written: str | None = None) -> W:
    """The arch (or pathway, or recipe) with the field at `path` set to `value`, checked again.

    A part of the path is a field, a name (`*` and `?` match several), an index into a list, or, at a stage or a list
    of transforms, a field of every block or transform that has it. A stride goes to the first block only, as in a
    repeat. With `+` after or before a name or number it inserts there (`res4.2+`, `+res4`; alone, at the end).
    None deletes a block, stage, pathway or edge, and a list stands for several blocks. Numbers are those before the
    change. `written` is the line of the change: faults of what was changed name it.

    Raises SpecError for a path that leads nowhere.
    """
    return change_all(thing, [(path, value)], {path: written} if written else {})


def change_all(thing: W, settings: Iterable[tuple[str, Any]], lines: Mapping[str, str] | None = None) -> W:
    """Several fields set in one change: each part of `thing` is checked once, after all of them are set.

    `lines` has the line of each path. Raises SpecError with the faults of all settings.
    """
    settings = tuple(settings)
    check_count("set", settings, MOST_SETTINGS)
    together: list[Setting] = []
    for path, value in settings:
        parts = tuple(path.split("."))
        if any(leads_below(parts, setting.path) for setting in together):
            thing, together = changed(thing, together), []  # a field of what was itself set just before
        together.append(Setting(parts, parts, value, (lines or {}).get(path)))
    made: W = changed(thing, together)
    return made


def leads_below(path: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether a path leads below another one."""
    return len(path) > len(other) and all(fnmatchcase(a, b) or fnmatchcase(b, a) for a, b in zip(path, other))


def changed(thing: Any, settings: list[Setting]) -> Any:
    """`thing` with all settings made. Raises SpecError with every fault of theirs."""
    for i, setting in enumerate(settings):
        if not setting.rest:
            return changed(setting.value, settings[i + 1 :])
    if not settings:
        return thing
    if isinstance(thing, Stage):
        blocks = in_list(thing.blocks, settings)
        if not blocks:
            at = ".".join(settings[-1].path[: settings[-1].depth])
            want, fix = "at least one block", f"{at}: null"
            raise SpecError("a stage without blocks", at=at, written=settings[-1].written, want=want, fix=fix)
        return at_line(checked(lambda: Stage(*blocks), settings), thing.written)
    if isinstance(thing, Drawn) and all(setting.rest[0] != "values" for setting in settings):
        values = in_mapping(thing.values, settings)
        return at_line(checked(lambda: thing.but(values=values), settings), settings[-1].written)
    if isinstance(thing, Written):
        return in_model(thing, settings)
    if isinstance(thing, Mapping):
        return in_mapping(thing, settings)
    if isinstance(thing, tuple | list):
        return in_list(thing, settings)
    raise SpecError(nothing(f"nothing below a {type(thing).__name__} is named {s.rest[0]!r}", s, ()) for s in settings)


def in_model(thing: Written, settings: list[Setting]) -> Any:
    """A model with fields set, checked once."""
    faults: list[Fault] = []
    todo: dict[str, list[Setting]] = {}
    for setting in settings:
        name = setting.rest[0]
        if name in fields(thing):
            todo.setdefault(name, []).append(setting.below())
        else:
            what = f"{type(thing).__name__} has no field {name!r}"
            faults.append(nothing(what, setting, fields(thing), short_of(thing, setting)))
    values = {name: changed_or_same(faults, getattr(thing, name), below) for name, below in todo.items()}
    try:
        made = checked(lambda: thing.but(**values), settings)
    except SpecError as error:
        # what is wrong with the model as a whole may come of a setting that could not be made
        known = {".".join(setting.path) for setting in settings} if faults else set()
        faults += [of_fields(fault, thing, settings) for fault in error.faults if not known or fault.at in known]
    if faults:
        raise SpecError(faults)
    lines = [s.written for s in settings if len(s.rest) == 1 or isinstance(thing, Edge)]
    return at_line(made, lines[-1] if lines else None)


def of_fields(fault: Fault, thing: Written, settings: list[Setting]) -> Fault:
    """The fault of a value that has fields of what it replaces, with the paths of these as its fix."""
    for setting in settings:
        path, value = ".".join(setting.path), setting.value
        if fault.at == path and len(setting.rest) == 1 and isinstance(value, Mapping):
            known = fields(getattr(thing, setting.rest[0]))
            if value and set(value) <= set(known):
                return replace(
                    fault, want="the path of a field", fix=", ".join(f"{path}.{k}: {value[k]}" for k in value)
                )
    return fault


def in_mapping(things: Mapping[str, Any], settings: list[Setting]) -> dict[str, Any]:
    """A mapping with the values of some names changed; a pattern stands for all names that match it."""
    faults: list[Fault] = []
    todo: dict[str, list[Setting]] = {}
    added = [setting for setting in settings if inserts(setting)]
    for setting in settings:
        head = setting.rest[0]
        if inserts(setting):
            continue
        names = [name for name in things if fnmatchcase(name, head)]
        if len(names) > MOST_MATCHES and isinstance(setting.value, Mapping | list | tuple):
            got, want = f"{len(names)} names", f"at most {MOST_MATCHES} where a list or a mapping is set"
            faults.append(nothing(f"{head!r} matches too many names", setting, ()))
            faults[-1] = replace(faults[-1], got=got, want=want)
            continue
        new = not names and len(setting.rest) == 1 and not set("*?") & set(head) and may_enter(setting.value, things)
        if not names and not new:
            fix = within_the_only(things, setting)
            faults.append(nothing(f"nothing here is named {head!r}", setting, things, fix))
        for name in [head] if new else names:
            todo.setdefault(name, []).append(setting.below(name))
    made, found = dict(things), {name: list[Fault]() for name in todo}
    for name, below in todo.items():
        made[name] = changed_or_same(found[name], things.get(name), below)
    faults += told_once(found, settings)
    try:
        made = with_insertions(made, added)
    except SpecError as error:
        faults += error.faults
    if faults:
        raise SpecError(faults)
    if are_parts(things):
        made = {name: part for name, part in made.items() if part is not None}
    return made


def in_list(things: list[Any] | tuple[Any, ...], settings: list[Setting]) -> tuple[Any, ...]:
    """A list with elements changed (by index, or an edge by its name), or a field of all that have it.

    Null takes an element out, a list stands for several.
    """
    faults: list[Fault] = []
    todo: list[list[Setting]] = [[] for _ in things]
    added: list[list[Any]] = [[] for _ in range(len(things) + 1)]
    for setting in settings:
        try:
            if inserts(setting):
                added[slot(things, setting)] += parts_of(setting.value)
                continue
            for i, below in places(things, setting):
                todo[i].append(below)
        except SpecError as error:
            faults += error.faults
    made = [changed_or_same(faults, thing, below) for thing, below in zip(things, todo)]
    if faults:
        raise SpecError(dict.fromkeys(faults))
    parts = [parts_of(new) if isinstance(thing, Written) else [new] for thing, new in zip(things, made)]
    return tuple([part for i, front in enumerate(added) for part in (*front, *(parts[i] if i < len(parts) else ()))])


def places(things: list[Any] | tuple[Any, ...], setting: Setting) -> list[tuple[int, Setting]]:
    """(index, what is set there) of one setting."""
    head = setting.rest[0]
    if head.isdigit():
        if int(head) >= len(things):
            raise SpecError([nothing(f"no element {head} in a list", setting, [str(i) for i in range(len(things))])])
        return [(int(head), setting.below())]
    if any(isinstance(thing, Edge) for thing in things):
        names = [edge.label for edge in things]
        if not any(fnmatchcase(name, head) for name in names):
            raise SpecError([nothing(f"no edge {head!r}", setting, names)])
        return [(i, setting.below()) for i, name in enumerate(names) if fnmatchcase(name, head)]
    having = [i for i, thing in enumerate(things) if head in fields(thing)]
    if not having:
        known = dict.fromkeys(name for thing in things for name in fields(thing))
        raise SpecError([nothing(f"nothing here has a field {head!r}", setting, known)])
    first = things[having[0]]
    only_first = isinstance(first, Block) and head in first.first_only
    return [(i, setting) for i in (having[:1] if only_first else having)]


def changed_or_same(faults: list[Fault], thing: Any, settings: list[Setting]) -> Any:
    """`thing` changed, or as it was where that has faults, which are added to `faults`."""
    try:
        return changed(thing, settings)
    except SpecError as error:
        faults += error.faults
        return thing


def told_once(found: Mapping[str, list[Fault]], settings: list[Setting]) -> Iterator[Fault]:
    """The faults under several names, equal ones as one: at the pattern that leads to all of them, or at each name."""
    names: dict[Fault, dict[str, list[str]]] = {}
    for name, faults in found.items():
        for fault in faults:
            names.setdefault(replace(fault, at=None), {}).setdefault(name, []).extend((fault.at or "").split(", "))
    k = settings[0].depth
    for fault, under in names.items():
        ats = [at.split(".") for found_at in under.values() for at in found_at]
        patterns = [s.rest[0] for s in settings if stands_for(s, set(under), set(found), ats[0][k + 1 :])]
        if len(under) > 1 and patterns:
            ats = [[*at[:k], patterns[0], *at[k + 1 :]] for at in ats]
        yield replace(fault, at=", ".join(dict.fromkeys(".".join(at) for at in ats)) or None)


def stands_for(setting: Setting, names: set[str], among: set[str], below: list[str]) -> bool:
    """Whether a setting's next part is a pattern for just these names, and leads on to where the fault lies."""
    matched = {name for name in among if fnmatchcase(name, setting.rest[0])}
    return matched == names and all(fnmatchcase(part, pattern) for part, pattern in zip(below, setting.rest[1:]))


def checked(make: Callable[[], Any], settings: list[Setting]) -> Any:
    """What `make` gives; its faults are told at the path and the line of the setting that they are about."""
    try:
        return make()
    except SpecError as error:
        raise SpecError(dict.fromkeys(attributed(fault, settings) for fault in error.faults)) from None


def attributed(fault: Fault, settings: list[Setting]) -> Fault:
    """A fault of a changed model, with the path and the line of the setting that it is about."""
    at = (fault.at or "").split(".")
    about = settings if len(settings) == 1 else [s for s in settings if s.rest[0] == at[0]]
    if not about:
        prefix = settings[-1].path[: settings[-1].depth]
        return replace(fault, at=".".join([*prefix, *filter(None, at)]) or None, written=settings[-1].written)
    setting = about[-1]
    inserted = SIGN in setting.path[-1]
    path = ".".join(setting.path[:-1] if inserted else setting.path)
    line = line_at(setting.value, at[len(setting.rest) - inserted :]) or setting.written or fault.written
    found = full_path(path, fault.at or path)
    if setting.depth and found == fault.at and not found.startswith(path):
        found = f"{path}.{found}"  # told from within what is set: a block of a stage
    return replace(fault, at=found, written=line)


def full_path(path: str, at: str) -> str:
    """The address of a fault that is told from some part of the path on: `classes` of `head.classes`."""
    parts = path.split(".")
    starts = (i for i in range(len(parts)) if f"{at}.".startswith(".".join(parts[i:]) + "."))
    return ".".join([*parts[: next(starts, 0)], at])


def at_line(made: Any, written: str | None) -> Any:
    """What was changed, as written where the change was."""
    if written:
        made._written = written
    return made


def may_enter(value: Any, things: Mapping[str, Any]) -> bool:
    """Whether a value may stand under a new name: a number cannot stand beside clips or pathways."""
    return isinstance(value, Mapping | list | tuple | Written) or not any(
        isinstance(x, Written) for x in things.values()
    )
