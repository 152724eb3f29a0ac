"""Every word of the language: blocks, ops, transforms, merges, heads, fields, recipes, conventions, rewrites, tasks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import archdsl.rewrites
from archdsl.blocks import BLOCKS, Block, Drawn
from archdsl.blocks.step_fields import OPS_BY_KEY
from archdsl.blocks.yaml_block import Definitions
from archdsl.compiler import CONVENTIONS
from archdsl.errors import SpecError, did_you_mean
from archdsl.language import HEADS, TRANSFORMS, Arch, Head, Pathway, Reference, Transform
from archdsl.language.edge import MERGES
from archdsl.language.pathway import CHOICES
from archdsl.language.pyramid import Pyramid
from archdsl.language.recipes.clips import CROPS
from archdsl.language.recipes.recipe import Recipe
from archdsl.ops import key_of
from archdsl.report.cost import CONVENTION_NOTES
from archdsl.report.explanation.docstrings import source_of, whole_text
from archdsl.report.explanation.fields import WordField, fields_in_words
from archdsl.report.explanation.json_schema import recipe_schema, schema
from archdsl.report.explanation.tasks import tasks_in_words
from archdsl.spec.faults import models_of_annotation

BASES = (Block, Head, Transform, Drawn, Definitions)
"""Classes that a spec does not name."""


@dataclass(frozen=True)
class Word:
    """A word, what it is, and the class or function that says so."""

    name: str
    kind: str
    about: str
    thing: Any = None
    fields: tuple[WordField, ...] = ()
    owners: tuple[str, ...] = ()
    """Of a field or a value: whose it is."""
    owners_of_fields: tuple[tuple[str, ...], ...] = ()
    """Of a field: whose each form of it is."""
    placed: str = ""
    """Where it begins, of what is not imported."""

    @property
    def source(self) -> str:
        """File and line."""
        return self.placed or (source_of(self.thing) if self.thing else "")

    @property
    def line(self) -> str:
        """What it is, in one line."""
        return self.about.partition("\n")[0]


def of_class(kind: str, thing: type[Any], name: str | None = None) -> Word:
    """The word of a class."""
    return Word(name or key_of(thing), kind, whole_text(thing.__doc__), thing, fields_in_words(thing))


def words_of_classes() -> Iterator[Word]:
    """Words that are a class each."""
    kinds: Mapping[str, Iterable[type[Any]]] = {
        "block": BLOCKS,
        "op": tuple(OPS_BY_KEY.values()),
        "transform": TRANSFORMS,
        "head": HEADS,
        "part": spec_parts(),
    }
    for kind, things in kinds.items():
        yield from (of_class(kind, thing) for thing in things)
    of_recipe: list[type[Any]] = [Recipe, *parts_of_class(Recipe), *CROPS]
    yield from (of_class("recipe", thing) for thing in dict.fromkeys(of_recipe))


def spec_parts() -> list[type[Any]]:
    """The classes that a spec is made of, beside blocks, transforms and heads."""
    found: dict[type[Any], None] = {Arch: None}
    wholes: list[type[Any]] = [Arch, Pyramid, Reference, *BLOCKS, *TRANSFORMS, *HEADS]
    for kind in wholes:
        found |= parts_of_class(kind)
    found |= dict.fromkeys((Pyramid, Reference))
    chosen: set[type[Any]] = {*BLOCKS, *TRANSFORMS, *HEADS, *BASES}
    return [kind for kind in found if kind not in chosen]


def parts_of_class(kind: type[Any]) -> dict[type[Any], None]:
    """The classes that the fields of a class hold, and theirs."""
    found: dict[type[Any], None] = {}
    for field in kind.model_fields.values():
        for part in models_of_annotation(field.annotation):
            if part is not kind and part not in BASES:
                found |= {part: None} | parts_of_class(part)
    return found


def words_of_functions() -> Iterator[Word]:
    """Merges, choices of frames, conventions of counting, rewrites and tasks."""
    for name, op in MERGES.items():
        yield Word(name, "merge", whole_text(type(op).__doc__), type(op))
    chosen = {field.name: field for field in fields_in_words(Pathway)}
    for name in (*CHOICES, "start", "snippet"):
        yield Word(name, "frame choice", chosen[name].about, Pathway, (chosen[name],), ("pathway",))
    for name in CONVENTIONS:
        yield Word(name, "convention", CONVENTION_NOTES[name].partition(": ")[2])
    for name in archdsl.rewrites.__all__:
        function = getattr(archdsl.rewrites, name)
        yield Word(name, "rewrite", whole_text(function.__doc__), function)
    for task in tasks_in_words():
        yield Word(task.name, "task", task.about, None, task.fields, placed=task.source)


def words_of_fields(known: list[Word]) -> Iterator[Word]:
    """Every field, with the classes that have it, one word for each name; then what else a file may say."""
    by_name: dict[str, dict[WordField, list[str]]] = {}
    for word in known:
        for field in word.fields if word.kind != "frame choice" else ():
            by_name.setdefault(field.name, {}).setdefault(field, []).append(word.name)
    for name, found in by_name.items():
        owners = tuple(dict.fromkeys(owner for names in found.values() for owner in names))
        rows = tuple(map(tuple, found.values()))
        yield Word(name, "field", next(iter(found)).about, None, tuple(found), owners, rows)
    taken = {word.name for word in known} | set(by_name)
    for name, about in keys_of_schema().items():
        if name not in taken:
            yield Word(name, "key", about)


def keys_of_schema() -> dict[str, str]:
    """What only the form of a file knows, such as `like` and `set`."""
    found: dict[str, str] = {}
    waiting: list[Any] = [recipe_schema(), schema()]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            for name, inner in value.get("properties", {}).items() if isinstance(value, Mapping) else ():
                if isinstance(inner, Mapping) and inner.get("description"):
                    found.setdefault(name, str(inner["description"]))
        waiting += value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return found


def words_of_values(known: list[Word]) -> Iterator[Word]:
    """Values that a field offers by name, with the fields that do."""
    offered: dict[str, dict[str, str]] = {}
    for word in known:
        for field in word.fields if word.kind not in ("field", "frame choice") else ():
            for value in field.values:
                offered.setdefault(value, {}).setdefault(f"{word.name}.{field.name}", field.about)
    for value, fields in offered.items():
        yield Word(value, "value", next(iter(fields.values())), owners=tuple(fields))


@cache
def all_words() -> tuple[Word, ...]:
    """Every word there is, by kind."""
    known = [*words_of_classes(), *words_of_functions()]
    known += words_of_fields(known)
    return (*known, *words_of_values(known))


def words_named(name: str) -> tuple[Word, ...]:
    """What a word may mean; `bottleneck.stride` is one field. Raises SpecError for a word that is none."""
    wanted = name.strip().lower().replace("-", "_") if name not in CONVENTIONS else name
    owner, _, field = wanted.rpartition(".")
    owner = owner.rpartition(".")[2]
    if found := [word for word in all_words() if word.name == field and (not owner or owner in word.owners)]:
        return tuple(one_owner(word, owner) for word in found)
    known = dict.fromkeys(word.name for word in all_words())
    owned = [word.name for word in all_words() if owner in word.owners]
    near = f"{owner}.{own}" if (own := did_you_mean(field, owned)) and owner else did_you_mean(field, known)
    raise SpecError(
        f"no word {name!r}", got=name, want="a word from `archdsl explain`", fix=near and f"archdsl explain {near}"
    )


def one_owner(word: Word, owner: str) -> Word:
    """A field as one of those who have it has it."""
    if not owner or word.kind != "field":
        return word
    own = tuple(f for w in all_words() if w.name == owner for f in w.fields if f.name == word.name)
    return Word(word.name, "field", own[0].about, None, own[:1], (owner,), ((owner,),))
