"""Parts that a setting inserts or deletes: `res4.2+` after block 2, `+res4` before a stage, null for none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from archdsl.blocks import Block
from archdsl.errors import SpecError, excerpt
from archdsl.language.edge import Edge
from archdsl.language.pathway import BLOCKS_BY_KEY, Stage
from archdsl.language.settings import Setting, nothing
from archdsl.spec.base import Written
from archdsl.spec.fixes import short_yaml

SIGN = "+"


def inserts(setting: Setting) -> bool:
    """Whether it inserts at the thing at hand."""
    return len(setting.rest) == 1 and (setting.rest[0].startswith(SIGN) or setting.rest[0].endswith(SIGN))


def are_parts(things: Mapping[str, Any]) -> bool:
    """Whether a mapping holds stages, pathways, branches or such, which null deletes; a field's null is a value."""
    chains = (x for x in things.values() if isinstance(x, tuple) and x)
    return any(isinstance(x, Written) for x in things.values()) or any(isinstance(x[0], Block) for x in chains)


def parts_of(value: Any) -> list[Any]:
    """What stands in a list in place of one part of it: nothing for null, several for a list."""
    return [] if value is None else list(value) if isinstance(value, list | tuple) else [value]


def slot(things: Sequence[Any], setting: Setting) -> int:
    """The index in a list before which a setting inserts. Raises SpecError for a neighbour that is not there."""
    name = setting.rest[0].strip(SIGN)
    names = [thing.label if isinstance(thing, Edge) else str(i) for i, thing in enumerate(things)]
    after = setting.rest[0].endswith(SIGN)
    if not name:
        return len(things)
    if name in names or (name.isdigit() and int(name) < len(things)):
        return (names.index(name) if name in names else int(name)) + after
    raise SpecError([nothing(f"nothing in the list is named {name!r}", setting, [f"{n}+" for n in names])])


def is_block(data: Mapping[str, Any]) -> bool:
    """Whether data where stages by name are wanted is one block: `{conv: {channels: 8}}`."""
    name, fields = next(iter(data.items()))
    return name in BLOCKS_BY_KEY and (
        fields is None or (isinstance(fields, Mapping) and not fields.keys() & BLOCKS_BY_KEY)
    )


def with_insertions(things: Mapping[str, Any], settings: Sequence[Setting]) -> dict[str, Any]:
    """A mapping with parts inserted beside those that settings name. Raises SpecError for names that cannot be."""
    made = dict(things)
    for setting in settings:
        name, new = setting.rest[0].strip(SIGN), setting.value
        path, names = ".".join(setting.path), list(made)
        if name not in made:
            raise SpecError([nothing(f"nothing here is named {name!r}", setting, [f"{n}+" for n in names])])
        if (
            not isinstance(new, Mapping)
            or not new
            or (any(isinstance(x, Stage) for x in made.values()) and is_block(new))
        ):
            got, fix = excerpt(repr(new)), f"{path}: {{name: {short_yaml(new)}}}"
            what, want = "no name for what is inserted", f"{path}: {{name: ...}}"
            raise SpecError(what, at=path, written=setting.written, got=got, want=want, fix=fix)
        if taken := [n for n in new if n in made]:
            want = "a new name"
            raise SpecError("the name is already taken", at=path, written=setting.written, got=taken[0], want=want)
        at = names.index(name) + setting.rest[0].endswith(SIGN)
        made = {n: new[n] if n in new else made[n] for n in (*names[:at], *new, *names[at:])}
    return made
