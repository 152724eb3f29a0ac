"""The JSON Schema of spec files accepts what the language accepts, and refuses what it refuses."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

import archdsl
from archdsl.blocks import BLOCKS, Drawn
from archdsl.catalog import zoo
from archdsl.errors import SpecError
from archdsl.language import HEADS, TRANSFORMS
from archdsl.language.writers.yaml_writer import arch_to_data
from archdsl.ops import key_of
from archdsl.report.explanation.json_schema import recipe_schema, schema
from archdsl.report.explanation.json_schema_form import schema_text

DATA = Path(__file__).parent / "data"
FILES = sorted(DATA.glob("*.yaml"))
SCHEMA = schema()
VALID = jsonschema.Draft202012Validator(SCHEMA)


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    json.dumps(SCHEMA)


def refs(value: Any) -> Any:
    if isinstance(value, dict):
        yield from ([value["$ref"]] if isinstance(value.get("$ref"), str) else [])
        for inner in value.values():
            yield from refs(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from refs(inner)


def test_every_reference_leads_somewhere() -> None:
    for ref in refs(SCHEMA):
        place: Any = SCHEMA
        for part in ref.removeprefix("#/").split("/"):
            place = place[part]


def test_every_block_transform_and_head_is_offered() -> None:
    assert {key_of(kind) for kind in BLOCKS} <= set(SCHEMA["$defs"]["Block"]["else"]["properties"])
    for name, kinds in (("Transform", TRANSFORMS), ("Head", HEADS)):
        offered = SCHEMA["$defs"][name]
        assert set(offered.get("else", offered)["properties"]) == {key_of(kind) for kind in kinds}


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_files_are_accepted(path: Path) -> None:
    VALID.validate(yaml.safe_load(path.read_text()))
    archdsl.compile(archdsl.load(path))


@pytest.mark.parametrize("name", [model.name for model in zoo()])
def test_dumped_zoo_models_are_accepted(name: str) -> None:
    arch = archdsl.load(name)
    if any(type(block) not in (*BLOCKS, Drawn) for *_, block in arch.all_blocks()):
        with pytest.raises(SpecError, match="has no YAML form"):
            arch_to_data(arch)
        return
    VALID.validate(json.loads(json.dumps(arch_to_data(arch))))


def changed(path: list[Any], value: Any) -> Any:
    data = copy.deepcopy(yaml.safe_load((DATA / "my_slowfast.yaml").read_text()))
    place = data
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    return data


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["clip", "frame"], 8),
        (["clip", "frames"], 0),
        (["clip", "frames"], "many"),
        (["pathways", "slow", "evry"], 2),
        (["pathways", "fast", "evry"], 2),
        (["pathways", "slow", "stages", "res2", "bottleneck", "chanels"], 64),
        (["pathways", "slow", "stages", "res2", "repeat"], 0),
        (["pathways", "slow", "stages", "res2", "bottleneck"], {"kernel_t": 1}),
        (["pathways", "slow", "stages", "res2", "conv"], {"channels": 1}),
        (["pathways", "slow", "stages", "Res2"], {"conv": {"channels": 1}}),
        (["pathways", "slow", "stages", "res2"], []),
        (["edges", 0, "transform"], {"time_convv": {}}),
        (["edges", 0, "transform", "time_conv", "kernl"], 5),
        (["edges", 0, "merge"], "glue"),
        (["head"], {"classifyer": {"classes": 4}}),
        (["head", "classifier", "clases"], 4),
        (["head"], "classifier"),
        (["nonsense"], 1),
    ],
)
def test_what_the_language_refuses_is_refused(path: list[Any], value: Any, tmp_path: Path) -> None:
    data = changed(path, value)
    assert not VALID.is_valid(data)
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    with pytest.raises(SpecError):
        archdsl.compile(archdsl.load(tmp_path / "wrong.yaml"))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["edges", 0, "after"], "res2"),
        (["pathways", "slow", "stages", "extra"], "global_pool"),
        (["edges", 0, "transform"], "time_conv"),
        (["edges", 0, "transform"], [{"time_conv": None}]),
        (["pathways", "slow", "stages", "res2", "bottleneck", "norm"], "group"),
        (["pathways", "slow", "stages", "res2", "bottleneck", "norm"], {"kind": "batch", "eps": 0.001}),
        (["pathways", "fast", "width_ratio"], 0.125),
        (["reference"], {"paper": "none", "title": "An example"}),
    ],
)
def test_what_the_language_accepts_is_accepted(path: list[Any], value: Any, tmp_path: Path) -> None:
    data = changed(path, value)
    VALID.validate(data)
    (tmp_path / "right.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    archdsl.load(tmp_path / "right.yaml")


def fields_in(value: Any) -> Any:
    if isinstance(value, dict):
        if isinstance(value.get("properties"), dict):
            yield from value["properties"].items()
        for inner in value.values():
            yield from fields_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from fields_in(inner)


def test_an_editor_shows_every_field_by_its_own_name_and_what_it_is() -> None:
    fields = [(name, inner) for name, inner in fields_in(SCHEMA) if isinstance(inner, dict)]
    assert len(fields) > 800
    assert [name for name, inner in fields if inner.get("title") != name] == []
    about = [name for name, inner in fields if not inner.get("description") and "$ref" not in inner]
    assert about == []


def test_fields_of_ops_have_types_and_may_be_sums() -> None:
    """In a step of a drawn block a number may be `$channels / 4`, an axis of a kernel too."""
    conv = SCHEMA["$defs"]["Step"]["else"]["properties"]["transposed_conv"]["properties"]
    valid = jsonschema.Draft202012Validator({"$defs": SCHEMA["$defs"], **conv["kernel"]})
    for value, good in ((["$k", 1, 1], True), ("$kernel", True), ([1, 1], False), ([1, 1, "two"], False), (3, False)):
        assert valid.is_valid(value) == good, value


@pytest.mark.parametrize(
    ("base", "good"),
    [("slowfast_4x16_r50", True), ("mine.yaml", True), ("../nets/mine.json", True), ("slowfast_9x9_r50", False)],
)
def test_what_may_be_extended(base: str, good: bool) -> None:
    assert VALID.is_valid({"extends": base}) == good


def test_the_number_of_keys_is_bounded_apart() -> None:
    """Beside `properties` the bound would keep editors from completing `head:` on an empty line."""
    waiting: list[Any] = [SCHEMA]
    while waiting:
        value = waiting.pop()
        assert not (isinstance(value, dict) and {"properties", "maxProperties"} <= set(value)), value
        waiting += value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def test_it_has_a_name_of_its_own_and_few_lines() -> None:
    assert (SCHEMA["$id"], recipe_schema()["$id"]) == ("urn:archdsl:spec", "urn:archdsl:recipe")
    text = schema_text(SCHEMA)
    assert json.loads(text) == SCHEMA
    assert len(text.splitlines()) < 0.6 * len(json.dumps(SCHEMA, indent=2).splitlines())
