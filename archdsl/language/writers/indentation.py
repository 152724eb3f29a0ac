"""Keys of a spec that stand one level too far out or in: told as that, and read where they belong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archdsl.errors import Fault
from archdsl.language.clip import Clip
from archdsl.language.pathway import Pathway
from archdsl.spec.lines import Lines

TOP = ("name", "clip", "clips", "blocks", "pathways", "edges", "head", "causal")
MAKING = {"stages", "like"}
"""What each pathway has one of."""


def reindented(data: Any) -> tuple[Any, list[Fault]]:
    """The spec with such keys where they belong, and a fault for each of them."""
    if not isinstance(data, Mapping) or not isinstance(data.get("pathways"), Mapping):
        return data, []
    faults: list[Fault] = []
    top, pathways = dict(data), with_stages_nested(with_fields_nested(data["pathways"], faults), faults)
    outer = [key for key in top if key not in TOP and key in Pathway.model_fields]
    name, pathway = next(iter(pathways.items()), (None, False))
    if outer and len(pathways) == 1 and (pathway is None or isinstance(pathway, Mapping)):
        faults += [misplaced(data, key, key, f"pathways.{name}") for key in outer]
        pathways = {name: {**(pathway or {}), **{key: top.pop(key) for key in outer}}}
    loose = [key for key in top if key in Clip.model_fields]
    if loose and not {"clip", "clips"} & set(top):
        faults += [misplaced(data, key, key, "clip") for key in loose]
        top["clip"] = {key: top.pop(key) for key in loose}
    if not faults:
        return data, []
    return with_lines(data, top | {"pathways": with_lines(data["pathways"], pathways)}), faults


def with_fields_nested(pathways: Mapping[Any, Any], faults: list[Fault]) -> dict[Any, Any]:
    """Pathways, with fields such as `stages` that stand beside a pathway moved into it."""
    made: dict[Any, Any] = {}
    for key, value in pathways.items():
        name = next(reversed(made), None)
        own = key in Pathway.model_fields and not (isinstance(value, Mapping) and MAKING & set(value))
        if own and name is not None and (made[name] is None or isinstance(made[name], Mapping)):
            faults.append(misplaced(pathways, key, f"pathways.{key}", f"pathways.{name}"))
            made[name] = with_lines(made[name], {**(made[name] or {}), key: value})
        else:
            made[key] = value
    return made


def with_stages_nested(pathways: dict[Any, Any], faults: list[Fault]) -> dict[Any, Any]:
    """Pathways, with stages that stand beside the fields of one moved into its `stages`."""
    made = dict(pathways)
    for name, value in pathways.items():
        if not isinstance(value, Mapping) or MAKING & set(value):
            continue
        loose = [key for key in value if key not in Pathway.model_fields and isinstance(value[key], Mapping | list)]
        faults += [misplaced(value, key, f"pathways.{name}.{key}", f"pathways.{name}.stages") for key in loose]
        if loose:
            rest = {key: part for key, part in value.items() if key not in loose}
            made[name] = with_lines(value, rest | {"stages": {key: value[key] for key in loose}})
    return made


def with_lines(data: Any, changed: dict[Any, Any]) -> Any:
    """Changed data with the lines of what it was."""
    return Lines(changed, data.written, data.keys_written) if isinstance(data, Lines) else changed


def misplaced(data: Mapping[Any, Any], key: str, at: str, under: str) -> Fault:
    """The fault of a key that stands outside of what it belongs to."""
    line = data.keys_written.get(key) if isinstance(data, Lines) else None
    fix = f"indent {key}, so that it stands within {under}"
    return Fault(what=f"{key!r} at the wrong level", at=at, written=line, got=at, want=f"{under}.{key}", fix=fix)
