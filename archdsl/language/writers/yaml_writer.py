"""An arch as YAML or JSON, at stage and block level, that loads back equal."""

from __future__ import annotations

import json
from typing import Any

import yaml

from archdsl.blocks.single_key import fields_of
from archdsl.language import Arch
from archdsl.language.recipes.recipe import Recipe
from archdsl.spec.plain_scalars import resolvers


class Dumper(yaml.SafeDumper):
    """Mappings and lists without mappings inside stand on one line, the rest in blocks.

    Text that YAML 1.1 or 1.2 would take for something else stands in quotes.
    """

    yaml_implicit_resolvers = resolvers(yaml.SafeDumper.yaml_implicit_resolvers)

    def ignore_aliases(self, data: Any) -> bool:
        """What stands in two places is written twice."""
        return True

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> yaml.SequenceNode:
        return super().represent_sequence(tag, sequence, flow_style=depth(list(sequence)) == 0)

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> yaml.MappingNode:
        return super().represent_mapping(tag, mapping, flow_style=depth(mapping_of(mapping)) < 3)


class Lined(Dumper):
    """Only mappings without mappings inside stand on one line."""

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> yaml.MappingNode:
        return super(Dumper, self).represent_mapping(tag, mapping, flow_style=depth(mapping_of(mapping)) < 2)


def mapping_of(pairs: Any) -> dict[str, Any]:
    """A mapping, or its items, as a mapping."""
    return dict(pairs)


def depth(value: Any) -> int:
    """How deep mappings are nested; a list of mappings never stands on one line."""
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    if isinstance(value, list | tuple):
        return max((depth(item) + 9 for item in value if isinstance(item, dict)), default=0)
    return 0


def arch_to_data(arch: Arch) -> dict[str, Any]:
    """An arch as plain data."""
    data = fields_of(arch)
    if list(data["clips"]) != ["clip"]:
        return data
    return {
        ("clip" if key == "clips" else key): (value["clip"] if key == "clips" else value) for key, value in data.items()
    }


def to_yaml(arch: Arch) -> str:
    """An arch as YAML text."""
    return data_to_yaml(arch_to_data(arch))


def data_to_yaml(data: Any) -> str:
    """Plain data as YAML text, in the form of a spec."""
    text: str = yaml.dump(data, Dumper=Dumper, sort_keys=False, width=110)
    return text


def to_json(arch: Arch) -> str:
    """An arch as JSON text."""
    return json.dumps(arch_to_data(arch), indent=2)


def recipe_data(recipe: Recipe) -> dict[str, Any]:
    """A recipe as plain data: what differs from the defaults."""
    return fields_of(recipe)


def recipe_yaml(recipe: Recipe) -> str:
    """A recipe as YAML text."""
    text: str = yaml.dump(recipe_data(recipe), Dumper=Lined, sort_keys=False, width=110)
    return text
