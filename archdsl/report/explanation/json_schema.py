"""JSON Schema of the YAML form of an arch, for editors and for other programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from archdsl.blocks import BLOCKS
from archdsl.blocks.step_fields import OPS_BY_KEY, adapter, blocks_by_key
from archdsl.catalog import zoo
from archdsl.language import HEADS, TRANSFORMS, Arch, Reference
from archdsl.language.pyramid import Pyramid
from archdsl.language.recipes.clips import CROPS
from archdsl.language.recipes.recipe import Recipe
from archdsl.ops import Op, key_of
from archdsl.recipes import recipe_names
from archdsl.report.explanation.docstrings import field_texts_of
from archdsl.report.explanation.json_schema_form import Schema, tidied
from archdsl.spec.budget import MOST_REPEATS

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SUM = {"type": "string", "pattern": r"\$"}
"""A parameter of a drawn block, or a sum of such: `$in / 4`."""
NAME_SCHEMA = {"type": "string", "pattern": "^[a-z][a-z0-9_]*$"}


def schema() -> Schema:
    """The schema of a spec file: an arch, or a file that extends another."""
    defs: Schema = {}
    arch = model_schema(Arch, defs)
    reference = model_schema(Reference, defs)
    defs |= {
        "Block": block_schema(defs),
        "Stage": {"description": "blocks in order", **one_or_list("Block", least=1)},
        "Chain": one_or_list("Block"),
        "Transforms": one_or_list("Transform"),
        "Transform": keyed_schema({key_of(kind): model_schema(kind, defs) for kind in TRANSFORMS}),
        "Head": keyed_schema({key_of(kind): model_schema(kind, defs) for kind in HEADS}),
        "Step": step_schema(),
        "Reference": reference,
        "Pyramid": model_schema(Pyramid, defs),
    }
    defs["Norm"] = {"anyOf": [{"enum": defs["Norm"]["properties"]["kind"]["enum"]}, defs["Norm"]]}
    defs["Pathway"] = with_like(defs["Pathway"])
    for name in ("after", "into"):
        allow_single_name(defs["Edge"]["properties"], name)
    defs["Arch"] = with_one_clip(arch)
    defs["Extended"] = extended_schema()
    text = "A video architecture (clips, pathways, edges, a head), or a file that extends another."
    return root_schema("spec", "archdsl", text, "Arch", defs)


def root_schema(urn: str, title: str, description: str, own: str, defs: Schema) -> Schema:
    """The schema of a file: what the definition `own` says, or `Extended` where it extends another."""
    return tidied(
        {
            "$schema": DIALECT,
            "$id": f"urn:archdsl:{urn}",
            "title": title,
            "description": description,
            "type": "object",
            "if": {"required": ["extends"]},
            "then": {"$ref": "#/$defs/Extended"},
            "else": {"$ref": f"#/$defs/{own}"},
            "$defs": defs,
        }
    )


def op_schema(kind: type[Op]) -> Schema:
    """The schema of an op's fields, each with its description."""
    made: Schema = adapter(key_of(kind)).json_schema()
    texts = field_texts_of(kind)
    return made | {
        "properties": {n: inner | {"description": texts.get(n, "")} for n, inner in made["properties"].items()}
    }


def model_schema(kind: type[BaseModel], defs: Schema) -> Schema:
    """The schema of a model; what it is made of goes to `defs`."""
    made = with_references(kind.model_json_schema())
    for name, inner in made.pop("$defs", {}).items():
        defs.setdefault(name, inner)
    made.pop("title", None)
    return made


def with_references(value: Any) -> Any:
    """The language says `x-archdsl: Stage` where the choice of blocks, transforms or heads is to be found."""
    if isinstance(value, list):
        return [with_references(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    if "patternProperties" in value:  # names, such as those of stages: one that does not fit is refused
        value = {"additionalProperties": False, **value}
    return {
        ("$ref" if key == "x-archdsl" else key): (f"#/$defs/{inner}" if key == "x-archdsl" else with_references(inner))
        for key, inner in value.items()
    }


def keyed_schema(kinds: Mapping[str, Schema]) -> Schema:
    """One key that names the thing, its value the fields; or the name alone where no field must be given."""
    free = [key for key, inner in kinds.items() if not inner.get("required")]
    mapping = {
        "type": "object",
        "properties": {key: optional_fields(inner) for key, inner in kinds.items()},
        "additionalProperties": False,
        "minProperties": 1,
        **at_most(1),
    }
    return {"if": {"type": "string"}, "then": {"enum": free}, "else": mapping} if free else mapping


def at_most(count: int) -> Schema:
    """So many keys. Beside `properties` it would keep yaml-language-server 1.25 from completing on an empty line."""
    return {"allOf": [{"maxProperties": count}]}


def optional_fields(fields_schema: Schema) -> Schema:
    """Fields may be left out altogether where none must be given: `{global_pool: }`."""
    return fields_schema if fields_schema.get("required") else fields_schema | {"type": ["object", "null"]}


def one_or_list(name: str, least: int = 0) -> Schema:
    """One thing, or a list of them."""
    ref = {"$ref": f"#/$defs/{name}"}
    return {"if": {"type": "array"}, "then": {"type": "array", "items": ref, "minItems": least}, "else": ref}


def block_schema(defs: Schema) -> Schema:
    """A block with maybe `repeat`. Names that are not built in are blocks drawn under `blocks`."""
    kinds = {key_of(kind): model_schema(kind, defs) for kind in BLOCKS}
    mapping = {
        "type": "object",
        "properties": {
            **{key: optional_fields(inner) for key, inner in kinds.items()},
            "repeat": {
                "type": "integer",
                "minimum": 1,
                "maximum": MOST_REPEATS,
                "description": "how many times; strides stay with the first",
            },
        },
        "additionalProperties": {
            "type": ["object", "null"],
            "description": "a block drawn under `blocks`, with its parameters",
        },
        "propertyNames": NAME_SCHEMA,
        "minProperties": 1,
        **at_most(2),
        "if": {"required": ["repeat"]},
        "then": {"minProperties": 2},
        "else": {"maxProperties": 1},
    }
    free = [key for key, inner in kinds.items() if not inner.get("required")]
    return {"if": {"type": "string"}, "then": {"enum": free}, "else": mapping}


def step_schema() -> Schema:
    """A step of a drawn block. A field may be a value or `$parameter`, so only names are checked."""
    whole = {"type": "integer", "minimum": 1, "maximum": MOST_REPEATS}
    beside = {
        "reads": {
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
            "description": "steps it reads; `input` enters",
        },
        "repeat": {"anyOf": [whole, {"type": "string"}], "description": "how many times a block stands"},
        "when": {
            "type": "string",
            "pattern": r"^(changed|\$.*)$",
            "description": "changed: only where it changes shape or stride; $name: only where that field is true",
        },
    }
    keys = dict.fromkeys([*OPS_BY_KEY, *map(key_of, BLOCKS)])
    mapping = {
        "type": "object",
        "properties": {**{key: step_fields(key) for key in keys}, **beside},
        "additionalProperties": {"type": ["object", "null"], "description": "a drawn block, or $name of a field"},
        "propertyNames": {"pattern": r"^\$?[a-z][a-z0-9_]*$"},
        "minProperties": 1,
        **at_most(1 + len(beside)),
    }
    return {"if": {"type": "string"}, "then": {"pattern": r"^\$?[a-z][a-z0-9_]*$"}, "else": mapping}


def step_fields(key: str) -> Schema:
    """The fields of an op or a block, or of both where both have the name; values of ops may be `$sums`."""
    op, block = OPS_BY_KEY.get(key), blocks_by_key().get(key)
    about = ((op or block).__doc__ or "").strip().split("\n")[0]
    inner = {} if op is None else op_schema(op)["properties"]
    of_block = {} if block is None else block.model_fields
    fields = {name: {"description": field.description} for name, field in of_block.items()}
    fields |= {n: or_sum(one) for n, one in inner.items() if n not in fields}
    fields |= {n: {"description": inner[n]["description"]} for n in of_block.keys() & inner.keys()}
    return {"type": ["object", "null"], "description": about, "properties": fields, "additionalProperties": False}


def or_sum(inner: Any) -> Any:
    """A type whose every part may be a text with `$`: a parameter, or a sum of such."""
    if isinstance(inner, list):
        return [or_sum(part) for part in inner]
    if not isinstance(inner, dict):
        return inner
    made = {key: or_sum(value) if key in ("anyOf", "items", "prefixItems") else value for key, value in inner.items()}
    if "enum" in made:
        kept = {key: value for key, value in made.items() if key not in ("enum", "type")}
        return {**kept, "anyOf": [{"enum": made["enum"]}, SUM]}
    if isinstance(made.get("type"), str) and made["type"] != "string" and made["type"] != "null":
        return made | {"type": [made["type"], "string"], "pattern": SUM["pattern"]}
    return made


EXTENDED_FILE = r"\.(yaml|yml|json)(:.*)?$"
"""What a file that is extended ends in; a name that is neither in the zoo nor such a file is refused."""


def with_like(pathway: Schema) -> Schema:
    """A pathway, or one that is like another with changes."""
    like = {
        "like": {**NAME_SCHEMA, "description": "another pathway to copy"},
        "set": {"type": "object", "description": "path within the pathway: value"},
    }
    copied = pathway | {"properties": {**like, **pathway["properties"]}, "required": ["like"]}
    return {"if": {"required": ["like"]}, "then": copied, "else": pathway}


def allow_single_name(properties: Schema, name: str) -> None:
    """A list of names may be written as one name."""
    inner = properties[name]
    described = {key: inner.pop(key) for key in ("description", "title", "default") if key in inner}
    properties[name] = {"anyOf": [inner, inner.get("items", NAME_SCHEMA)], **described}


def with_one_clip(arch: Schema) -> Schema:
    """`clip` may stand for the one of `clips`, a `pyramid` for pathways and edges, and `reference` beside the arch."""
    properties = {**arch["properties"], "clip": {"$ref": "#/$defs/Clip"}, "reference": {"$ref": "#/$defs/Reference"}}
    properties["pyramid"] = {"$ref": "#/$defs/Pyramid", "description": "levels of a backbone at one width, as pathways"}
    required = [name for name in arch["required"] if name != "clips"]
    return arch | {
        "properties": properties,
        "required": required,
        "oneOf": [{"required": ["clip"]}, {"required": ["clips"]}],
    }


def extended_schema() -> Schema:
    """A file that extends a zoo name or another file."""
    return {
        "type": "object",
        "properties": {
            "extends": {
                "type": "string",
                "anyOf": [{"enum": [model.name for model in zoo()]}, {"pattern": EXTENDED_FILE}],
                "description": "a zoo name, or another .yaml or .json file",
            },
            "name": {"$ref": "#/$defs/Arch/properties/name"},
            "parameters": {"type": "object", "description": "of the base's family: value, such as depth: 101"},
            "blocks": {"$ref": "#/$defs/Arch/properties/blocks"},
            "set": {"type": "object", "description": "path: value, such as pathways.slow.stages.res4.kernel_t: 1"},
            "reference": {"$ref": "#/$defs/Reference"},
        },
        "required": ["extends"],
        "additionalProperties": False,
    }


def recipe_schema() -> Schema:
    """The schema of a recipe's file: a recipe, or a file that extends another."""
    defs: Schema = {}
    recipe = model_schema(Recipe, defs)
    crop = keyed_schema({key_of(kind): model_schema(kind, defs) for kind in CROPS})
    defs |= {"Recipe": recipe, "Crop": crop, "Extended": extended_recipe()}
    text = "How a network is trained, or a file that extends another."
    return root_schema("recipe", "archdsl recipe", text, "Recipe", defs)


def extended_recipe() -> Schema:
    """A file that extends a recipe by name, or another file."""
    return {
        "type": "object",
        "properties": {
            "extends": {
                "type": "string",
                "anyOf": [{"enum": recipe_names()}, {"pattern": EXTENDED_FILE}],
                "description": "a name from specs/recipes, or another .yaml or .json file",
            },
            "name": {"$ref": "#/$defs/Recipe/properties/name"},
            "source": {"$ref": "#/$defs/Recipe/properties/source"},
            "set": {"type": "object", "description": "path: value, such as optimizer.rate: 0.05"},
        },
        "required": ["extends"],
        "additionalProperties": False,
    }
