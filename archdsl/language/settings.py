"""One field to be set by its path, and what is said of a path that leads nowhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from archdsl.blocks import Drawn
from archdsl.errors import Fault, did_you_mean, listed
from archdsl.language.pathway import Stage
from archdsl.ops import key_of
from archdsl.spec.base import Written


@dataclass(frozen=True)
class Setting:
    """One field to be set: its path as written, what is left of it below the thing at hand, the value."""

    path: tuple[str, ...]
    rest: tuple[str, ...]
    value: Any
    written: str | None = None

    @property
    def depth(self) -> int:
        """How many parts of the path lead to the thing at hand."""
        return len(self.path) - len(self.rest)

    def below(self, name: str | None = None) -> Setting:
        """The same setting one part further down; `name` is what a pattern stands for there."""
        path = self.path if name is None else (*self.path[: self.depth], name, *self.path[self.depth + 1 :])
        return replace(self, path=path, rest=self.rest[1:])


def fields(thing: Any) -> list[str]:
    """The fields a path may name."""
    if isinstance(thing, Drawn):
        return list(thing.drawing.fields) if thing.drawing else list(thing.values)
    return list(type(thing).model_fields) if isinstance(thing, Written) else []


def short_of(thing: Written, setting: Setting) -> str | None:
    """The path that is meant where a part of it was left out, or a head's kind put in: the fix, or None."""
    head, *rest = setting.rest
    before = setting.path[: setting.depth]
    values = {name: getattr(thing, name) for name in fields(thing)}
    if head == "clip" and len(values.get("clips", ())) == 1:
        return ".".join([*before, "clips", *values["clips"], *rest])
    for name, value in values.items():
        if isinstance(value, Mapping) and head in value:
            return ".".join([*before, name, head, *rest])
        only = next(iter(value.items())) if isinstance(value, Mapping) and len(value) == 1 else ("", value)
        if isinstance(only[1], Written) and not isinstance(only[1], Stage) and head in fields(only[1]):
            return ".".join([*before, name, *filter(None, only[:1]), head, *rest])
    return ".".join([*before, *rest]) if rest and head == key_of(type(thing)) else None


def within_the_only(things: Mapping[str, Any], setting: Setting) -> str | None:
    """The whole path where a name was left out and only one is there: `clips.size` of `clips.clip.size`."""
    (only, *others) = things or [""]
    if others or not isinstance(things.get(only), Written) or setting.rest[0] not in fields(things[only]):
        return None
    return ".".join([*setting.path[: setting.depth], only, *setting.rest])


def nothing(what: str, setting: Setting, known: Iterable[str], fix: str | None = None) -> Fault:
    """The fault of a path that leads nowhere."""
    name, names = setting.rest[0], list(known)
    return Fault(
        what=what,
        at=".".join(setting.path),
        written=setting.written,
        got=name,
        want=listed(names) or "a shorter path",
        fix=fix or did_you_mean(name, names),
    )
