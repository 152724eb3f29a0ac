"""YAML and JSON as data that remembers its lines. Nothing in a file is executed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from archdsl.errors import SpecError
from archdsl.files import read_text
from archdsl.written import Lines, cut

LARGEST = 1_000_000
"""Bytes; a spec is a few kilobytes."""
MOST_VALUES = 100_000
"""Values after aliases are followed: more is a bomb."""
DEEPEST = 40
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's where it is built in: ten times faster."""
PAIR = re.compile(r"(?<!\\)((?:\\\\)*)\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})", re.IGNORECASE)
"""A character beyond 16 bits as JSON escapes it, which is the one thing in JSON that YAML does not read."""


class Reader:
    """Turns the nodes of one file into mappings, lists and plain values."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.values = 0
        self.loader = yaml.SafeLoader("")

    def line(self, node: yaml.Node) -> str:
        """`file:line` of a node."""
        return f"{self.name}:{node.start_mark.line + 1}"

    def value(self, node: yaml.Node, depth: int = 0) -> Any:
        """The value of a node."""
        self.values += 1
        if self.values > MOST_VALUES or depth > DEEPEST:
            raise SpecError(
                "a file that unfolds without end",
                written=self.line(node),
                want=f"at most {MOST_VALUES} values, {DEEPEST} deep",
            )
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, depth)
        if isinstance(node, yaml.SequenceNode) and node.tag.endswith(":seq"):
            return [self.value(item, depth + 1) for item in node.value]
        if (
            not isinstance(node, yaml.ScalarNode)
            or not node.tag.startswith("tag:yaml.org,2002:")
            or node.tag.startswith("tag:yaml.org,2002:python")
        ):
            raise SpecError(
                "a value with a tag",
                written=self.line(node),
                got=node.tag,
                want="plain text, numbers, true, false, null",
            )
        try:
            return self.loader.construct_object(node)
        except (yaml.YAMLError, ValueError):
            raise SpecError("a value that cannot be read", written=self.line(node), got=cut(str(node.value))) from None

    def mapping(self, node: yaml.MappingNode, depth: int) -> Lines:
        """A mapping; a key twice is an error."""
        data: dict[str, Any] = {}
        keys: dict[str, str] = {}
        if not node.tag.endswith(":map"):
            raise SpecError("a value with a tag", written=self.line(node), got=node.tag, want="plain mappings")
        for key_node, value_node in node.value:
            key = self.value(key_node, depth + 1)
            if not isinstance(key, str | int):
                raise SpecError("a key that is not a name", written=self.line(key_node), got=str(key))
            if str(key) in data:
                raise SpecError(
                    f"{key} written twice",
                    written=self.line(key_node),
                    got=f"also in line {keys[str(key)].rpartition(':')[2]}",
                )
            data[str(key)] = self.value(value_node, depth + 1)
            keys[str(key)] = self.line(key_node)
        return Lines(data, self.line(node), keys)


def read_data(path: Path, wants: str = "a mapping: name, clip, pathways, head") -> Lines:
    """The mapping in a YAML or JSON file. Raises SpecError for anything else."""
    text = read_text(path, LARGEST)
    try:
        node = yaml.compose(PAIR.sub(joined, text) if path.suffix == ".json" else text, Loader=LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"{path.name}:{mark.line + 1}" if mark else path.name
        raise SpecError("not YAML", written=line, got=error.problem or "text that cannot be parsed") from None
    except (yaml.YAMLError, RecursionError):
        raise SpecError("not YAML", written=path.name, got="text that cannot be parsed") from None
    data = Reader(path.name).value(node) if node else None
    if not isinstance(data, Lines):
        raise SpecError(
            "not a spec",
            written=f"{path.name}:1",
            got="nothing" if data is None else "a list" if isinstance(data, list) else cut(str(data)),
            want=wants,
        )
    return data


def joined(pair: re.Match[str]) -> str:
    """A pair of escapes as YAML's one: \\ud83d\\ude00 -> \\U0001F600."""
    high, low = int(pair[2], 16), int(pair[3], 16)
    return f"{pair[1]}\\U{0x10000 + (high - 0xD800) * 0x400 + low - 0xDC00:08X}"
