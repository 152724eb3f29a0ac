"""What may be written at a cursor: keys and values of the schema, and names that the document or the zoo has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path as FilePath
from typing import Any, NamedTuple

from archdsl import catalog
from archdsl.editor.hole import MARK, Hole, hole_at
from archdsl.editor.outline import Outline, Path, Position
from archdsl.editor.schema_paths import described, keys_of, schemas_at, values_of
from archdsl.errors import SpecError
from archdsl.language.pathway import Stage
from archdsl.language.settings import fields
from archdsl.recipes import recipe_names
from archdsl.spec.base import Written
from archdsl.spec.extends import SUFFIXES


class Completion(NamedTuple):
    """A word that may stand at the cursor in place of the letters before it."""

    label: str
    text: str
    """What is written: a key with its colon."""
    kind: str
    """key, value or name."""
    detail: str = ""


def completions(text: str, position: Position, file: FilePath, recipe: bool = False) -> list[Completion]:
    """Everything that may be written at a position, most likely first."""
    hole = hole_at(text, position)
    if hole is None:
        return []
    names = list(names_at(hole, file, recipe))
    if names:
        return names
    return list(words_of_schema(hole, recipe))


def words_of_schema(hole: Hole, recipe: bool) -> Iterator[Completion]:
    """Keys that the mapping has not yet, and values."""
    found = schemas_at(hole.path, without_mark(hole.outline), recipe)
    if hole.value:
        yield from (Completion(word, word, "value") for word in values_of(found))
    keys = keys_of(found)
    if is_choice(found) and hole.present - {"repeat"}:
        keys = {key: inner for key, inner in keys.items() if key == "repeat"}
    for key, inner in keys.items():
        if key not in hole.present:
            yield Completion(key, f"{key}: ", "key", described(inner, recipe))
    if "conv" in keys and "bottleneck" in keys:
        drawn = hole.outline.names("blocks")
        yield from (Completion(name, f"{name}: ", "name", "a block drawn under `blocks`") for name in drawn)


def is_choice(found: list[dict[str, Any]]) -> bool:
    """Whether a mapping names one thing by its single key."""
    return any(one.get("maxProperties") in (1, 2) for one in found)


def without_mark(outline: Outline) -> Outline:
    """The outline of what is written apart from the mark."""
    return Outline(tuple(place for place in outline.places if MARK not in place.path and place.text != MARK))


def names_at(hole: Hole, file: FilePath, recipe: bool) -> Iterator[Completion]:
    """Names of other things, where a name of one is wanted."""
    for pattern, names in NAMED_PLACES:
        if hole.value and fits_pattern(pattern, hole.path):
            yield from (Completion(name, name, "name", detail) for name, detail in names(hole, file, recipe))
    if "set" in hole.path[-1:] and len(hole.path) in (1, 3):
        yield from (Completion(path, f"{path}: ", "key", detail) for path, detail in set_paths(hole, file, recipe))
    if "steps" in hole.path and hole.value and hole.word.startswith("$"):
        fields_of_block = hole.outline.names("blocks", hole.path[1], "fields")
        yield from (Completion(f"${name}", f"${name}", "name", "a field of the block") for name in fields_of_block)


def fits_pattern(pattern: str, path: Path) -> bool:
    """Whether a path is that of a pattern, in which `*` is any part, and `#` a place in a list or nothing."""
    wanted = pattern.split(".")
    parts = list(path)
    if wanted[-1] == "#":
        wanted.pop()
        parts = parts[:-1] if parts and parts[-1].isdigit() else parts
    return len(wanted) == len(parts) and all(want in ("*", part) for want, part in zip(wanted, parts))


Named = Iterable[tuple[str, str]]


def bases(hole: Hole, file: FilePath, recipe: bool) -> Named:
    """What a document may extend."""
    if recipe:
        return [(name, "a recipe") for name in recipe_names()]
    beside = (path.name for path in sorted(file.parent.glob("*.y*ml"))[:200] if path.name != file.name)
    return [*((name, title) for name, title in zoo_names()), *((name, "a file") for name in beside)]


@cache
def zoo_names() -> tuple[tuple[str, str], ...]:
    """The models of the zoo, each with the paper's title."""
    return tuple((model.name, title_of(model)) for model in catalog.zoo())


def title_of(model: Any) -> str:
    """The title of a model's paper."""
    reference = catalog.reference_of(model)
    return reference.title or "" if reference else ""


def pathways(hole: Hole, file: FilePath, recipe: bool) -> Named:
    """The document's pathways."""
    return [(name, "a pathway") for name in hole.outline.names("pathways") if name != MARK]


def clips(hole: Hole, file: FilePath, recipe: bool) -> Named:
    """The document's clips."""
    return [(name, "a clip") for name in hole.outline.names("clips")]


def stages_of_edge(hole: Hole, file: FilePath, recipe: bool) -> Named:
    """The stages of the pathway that an edge comes from, or goes to."""
    end = "source" if hole.path[2] == "after" else "target"
    place = hole.outline.place((*hole.path[:2], end))
    pathway = place.text if place and place.text else ""
    return [(name, f"a stage of {pathway}") for name in stages(hole.outline, pathway)]


def stages(outline: Outline, pathway: str) -> list[str]:
    """The stages of a pathway, or of the one that it is like."""
    like = outline.place(("pathways", pathway, "like"))
    return outline.names("pathways", pathway, "stages") or (stages(outline, like.text) if like and like.text else [])


def steps_before(hole: Hole, file: FilePath, recipe: bool) -> Named:
    """Steps of a drawn block before the one that reads."""
    names = hole.outline.names("blocks", hole.path[1], "steps")
    return [("input", "what enters"), *((name, "a step") for name in names[: names.index(hole.path[3])])]


NAMED_PLACES: tuple[tuple[str, Callable[[Hole, FilePath, bool], Named]], ...] = (
    ("extends", bases),
    ("edges.*.source", pathways),
    ("edges.*.target", pathways),
    ("edges.*.after.#", stages_of_edge),
    ("edges.*.into.#", stages_of_edge),
    ("pathways.*.like", pathways),
    ("pathways.*.tied_to", pathways),
    ("pathways.*.clip", clips),
    ("head.*.reads.#", pathways),
    ("blocks.*.steps.*.reads.#", steps_before),
)
"""Paths whose value is a name, and the names that it may be."""


def set_paths(hole: Hole, file: FilePath, recipe: bool) -> Named:
    """Paths that `set` may change: of the base, below what is written of the path so far."""
    thing = thing_to_set(hole, file, recipe)
    above, _, _ = hole.word.rpartition(".")
    for part in filter(None, above.split(".")):
        thing = below(thing, part)
    prefix = f"{above}." if above else ""
    for name in names_below(thing):
        inner = below(thing, name)
        value = "" if isinstance(inner, Written | tuple | dict) or inner is None else f"now {inner}"
        yield f"{prefix}{name}", value


def thing_to_set(hole: Hole, file: FilePath, recipe: bool) -> Any:
    """What `set` changes: what the document extends, or the pathway that another is like."""
    if len(hole.path) == 3:
        return None
    base = hole.outline.place(("extends",))
    if recipe or not base or not base.text or base.text.endswith(".py"):
        return None
    try:
        text = base.text
        return catalog.load(file.parent / text if text.endswith(SUFFIXES) else text)
    except SpecError:
        return None


def names_below(thing: Any) -> list[str]:
    """The parts that a path may go on with."""
    if isinstance(thing, Stage):
        return [*map(str, range(len(thing.blocks))), *dict.fromkeys(name for b in thing.blocks for name in fields(b))]
    if isinstance(thing, Written):
        return [*fields(thing)]
    if isinstance(thing, dict):
        return [*map(str, thing)]
    return [*map(str, range(len(thing)))] if isinstance(thing, tuple) else []


def below(thing: Any, part: str) -> Any:
    """What lies below a part of a path; None where nothing does."""
    if isinstance(thing, Stage):
        thing = thing.blocks if part.isdigit() else next((b for b in thing.blocks if part in fields(b)), None)
    if isinstance(thing, dict):
        return thing.get(part)
    if isinstance(thing, tuple):
        return thing[int(part)] if part.isdigit() and int(part) < len(thing) else None
    return getattr(thing, part, None) if isinstance(thing, Written) and part in fields(thing) else None
