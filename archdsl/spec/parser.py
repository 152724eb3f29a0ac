"""YAML and JSON as data that remembers its lines. Nothing in a file is executed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from archdsl.errors import SpecError, excerpt
from archdsl.spec.budget import LARGEST_NUMBER, MOST_BYTES, MOST_DIGITS, MOST_NESTED, MOST_REPEATS, MOST_VALUES
from archdsl.spec.files import read_text
from archdsl.spec.lines import Lines
from archdsl.spec.numbers import NUMBER_WANTED, check_text
from archdsl.spec.plain_scalars import STANDARD, resolvers, value_of

LOADER = type("Loader", (getattr(yaml, "CSafeLoader", yaml.SafeLoader),), {"yaml_implicit_resolvers": resolvers()})
"""libyaml's where it is built in: ten times faster."""
PAIR = re.compile(r"(?<!\\)((?:\\\\)*)\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})", re.IGNORECASE)
"""A character beyond 16 bits as JSON escapes it, which is the one thing in JSON that YAML does not read."""
SCALARS = ("null", "bool", "int", "float", "str", "timestamp")


class NodeReader:
    """Turns the nodes of one document into mappings, lists and plain values."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.values = 0

    def line(self, node: yaml.Node) -> str:
        """`file:line` of a node."""
        return f"{self.name}:{node.start_mark.line + 1}"

    def value(self, node: yaml.Node, depth: int = 0) -> Any:
        """The value of a node."""
        self.spend(1, node, depth)
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, depth)
        if isinstance(node, yaml.SequenceNode) and node.tag.endswith(":seq"):
            return [self.value(item, depth + 1) for item in node.value]
        if not isinstance(node, yaml.ScalarNode) or node.tag.removeprefix(STANDARD) not in SCALARS:
            raise SpecError(
                "a value with a tag",
                written=self.line(node),
                got=node.tag,
                want="plain text, numbers, true, false, null",
            )
        return self.scalar(node, node.tag.removeprefix(STANDARD))

    def spend(self, values: int, node: yaml.Node, depth: int = 0) -> None:
        """Count values. Raises SpecError where they are more than a document may have."""
        self.values += values
        if self.values > MOST_VALUES:
            want = f"at most {MOST_VALUES} values, aliases followed and repeats written out"
            raise SpecError("too many values in a document", written=self.line(node), want=want)
        if depth > MOST_NESTED:
            raise SpecError(
                "a document nested too deeply",
                written=self.line(node),
                want=f"at most {MOST_NESTED} mappings and lists",
            )

    def scalar(self, node: yaml.ScalarNode, kind: str) -> Any:
        """Text, a number, true, false or null; a date is text."""
        text = str(node.value)
        try:
            if kind in ("str", "timestamp"):
                return check_text(text)
            if len(text) > MOST_DIGITS:
                raise ValueError("too long")
            value = value_of(kind, text)
        except ValueError:
            got, want = excerpt(text), SCALAR_WANTS[kind]
            raise SpecError("invalid value", written=self.line(node), got=got, want=want) from None
        if isinstance(value, int | float) and not -LARGEST_NUMBER <= value <= LARGEST_NUMBER:
            raise SpecError(
                "a number too large", written=self.line(node), got=excerpt(text), want=f"at most {LARGEST_NUMBER:g}"
            )
        return value

    def mapping(self, node: yaml.MappingNode, depth: int) -> Lines:
        """A mapping; a key twice is an error."""
        data: dict[str, Any] = {}
        keys: dict[str, str] = {}
        before = self.values
        if not node.tag.endswith(":map"):
            raise SpecError("a value with a tag", written=self.line(node), got=node.tag, want="plain mappings")
        for key_node, value_node in node.value:
            key = self.value(key_node, depth + 1)
            if not isinstance(key, str | int):
                raise SpecError("a key that is not a name", written=self.line(key_node), got=str(key))
            key = str(key_node.value)
            if key in data:
                got = f"{key}, also in line {keys[key].rpartition(':')[2]}"
                raise SpecError("duplicate key", written=self.line(key_node), got=got)
            data[key] = self.value(value_node, depth + 1)
            keys[key] = self.line(key_node)
        times = data.get("repeat")
        if isinstance(times, int):
            self.spend((self.values - before) * max(min(times, MOST_REPEATS) - 1, 0), node)
        return Lines(data, self.line(node), keys)


SCALAR_WANTS = {
    "str": NUMBER_WANTED,
    "timestamp": NUMBER_WANTED,
    "null": "null",
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
}


def read_data(path: Path, wants: str = "a mapping: name, clip, pathways, head") -> Lines:
    """The mapping in a YAML or JSON file. Raises SpecError for anything else, without repeating it."""
    text = read_text(path, MOST_BYTES)
    data = parse_yaml(PAIR.sub(surrogate_pair, text) if path.suffix == ".json" else text, path.name)
    if not isinstance(data, Lines):
        got = "nothing" if data is None else "a list" if isinstance(data, list) else "a single value"
        raise SpecError("not a spec", written=f"{path.name}:1", got=got, want=wants)
    return data


def parse_yaml(text: str, name: str) -> Any:
    """What a text in YAML says; mappings remember their lines, as lines of `name`. Raises SpecError for no YAML."""
    try:
        check_depth(text, name)
        node = yaml.compose(text, Loader=LOADER)
    except yaml.MarkedYAMLError as error:
        line = line_of_mark(name, error.problem_mark or error.context_mark)
        raise SpecError("not YAML", written=line, got=error.problem or "text that cannot be parsed") from None
    except (yaml.YAMLError, RecursionError):
        raise SpecError("not YAML", written=name, got="text that cannot be parsed") from None
    return NodeReader(name).value(node) if node else None


def line_of_mark(name: str, mark: Any) -> str:
    """`file:line` of a mark of YAML, or the file where there is none."""
    return f"{name}:{mark.line + 1}" if mark else name


def check_depth(text: str, name: str) -> None:
    """Raise SpecError for a text too deep to be composed: libyaml's binding would end the process."""
    depth = 0
    for event in yaml.parse(text, Loader=LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MOST_NESTED + 1:
            line = line_of_mark(name, event.start_mark)
            raise SpecError(
                "a document nested too deeply", written=line, want=f"at most {MOST_NESTED} mappings and lists"
            )


def surrogate_pair(pair: re.Match[str]) -> str:
    """A pair of escapes as YAML's one: \\ud83d\\ude00 -> \\U0001F600."""
    high, low = int(pair[2], 16), int(pair[3], 16)
    return f"{pair[1]}\\U{0x10000 + (high - 0xD800) * 0x400 + low - 0xDC00:08X}"
