"""How one source names the tensors of a family of networks: rules from our addresses to theirs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, Field

from archdsl.catalog.dialects.patterns import FieldValues, compiled, match, pattern_fields, written
from archdsl.errors import SpecError
from archdsl.spec.base import Written


class TensorLayout(NamedTuple):
    """Where a tensor of ours lies in a file: under one name, or joined from several by rows."""

    names: tuple[str, ...]
    """An empty one stands for zeros."""
    permute: tuple[int, ...] = ()
    """Their axes in our order."""
    part: tuple[int, int] | None = None
    """(k, n): the k-th of n equal parts of their rows."""
    first: str | None = None
    """Ours of as many rows as the columns that stand first in theirs and last in ours."""
    leading: int = 0
    """Rows that come from the first of several names, where their tables are parted."""
    flip: int | None = None
    """The axis along which theirs runs backwards."""
    missing: float | None = None
    """What ours is filled with where the file lacks it."""


class Rule(Written):
    """Their name for some of our addresses, and how the tensor is laid out."""

    to: str | tuple[str, ...] = Field(description="their name; several are joined by rows, an empty one is zeros")
    permute: tuple[int, ...] = Field((), description="their axes in our order")
    rows: str | None = Field(None, description='"{j}/3": the j-th of three equal parts of their rows')
    first: str | None = Field(
        None, description="our tensor of as many rows as columns stand first in theirs, last in ours"
    )
    leading: int = Field(0, description="rows that the first of several names has, such as 1 of a class token")
    flip: int | None = Field(None, description="the axis along which theirs runs backwards")
    missing: float | None = Field(None, description="what ours is filled with where the file lacks it")

    @property
    def names(self) -> tuple[str, ...]:
        """Their names."""
        return (self.to,) if isinstance(self.to, str) else self.to

    def layout(self, values: FieldValues) -> TensorLayout:
        """The layout of one tensor."""
        part = None
        if self.rows:
            place, _, count = written(self.rows, values).partition("/")
            part = int(place), int(count)
        rest = str(values["rest"])
        names = tuple(name and written(name, values) + rest for name in self.names)
        return TensorLayout(names, self.permute, part, self.first, self.leading, self.flip, self.missing)


class Counter(Written):
    """A number that our addresses do not carry: how many parts of some form lie before."""

    of: str = Field(description="pattern of the parts that are counted")
    per: tuple[str, ...] = Field((), description="fields that are equal among the parts counted")
    ahead: dict[str, int] = Field({}, description="fields by how much further the count is taken, such as {i: 1}")


class Input(Written):
    """What the weights expect of pixels from 0 to 1, red first."""

    mean: tuple[float, ...] = Field(description="of each channel")
    std: tuple[float, ...] = Field(description="of each channel")

    def __str__(self) -> str:
        return f"RGB from 0 to 1, mean {list(self.mean)}, std {list(self.std)}"


def rule_of(value: Any) -> Any:
    """A rule that is only a name."""
    return {"to": value} if isinstance(value, str | list) else value


class Naming(Written):
    """How a source names one family."""

    models: tuple[str, ...] = Field((), description="models of the zoo that it fits, as patterns with *")
    rules: dict[str, Annotated[Rule, BeforeValidator(rule_of)]] = Field(
        description="our pattern -> theirs; the first fits"
    )
    counts: dict[str, Counter] = Field({}, description="fields that are counted")
    ignore: tuple[str, ...] = Field((), description="their names that have no counterpart, as patterns with *")
    input: Input | None = Field(None, description="where it differs from the source's")
    eps: float | None = Field(None, description="epsilon of the batch norms, which no file carries")
    note: str | None = Field(None, description="what is particular")
    key: str = Field("", description="its name in the file")
    source: str = Field("", description="the dialect's name")

    @property
    def title(self) -> str:
        """How it is named in messages."""
        return f"{self.source}/{self.key}"

    def layouts(self, addresses: Iterable[str]) -> dict[str, TensorLayout]:
        """Our address -> where it lies in their file; without those that no rule knows."""
        addresses = list(addresses)
        parts = {name: self.parts(counter, addresses) for name, counter in self.counts.items()}
        found = {}
        for address in addresses:
            for pattern, rule in self.rules.items():
                values = match(pattern, address)
                if values is not None:
                    found[address] = rule.layout(values | self.counted(values, parts))
                    break
        return found

    def parts(self, counter: Counter, addresses: Iterable[str]) -> list[FieldValues]:
        """What a counter counts: each part by its fields."""
        matches = filter(None, (match(counter.of, address) for address in addresses))
        kept = dict.fromkeys(tuple(values[field] for field in pattern_fields(counter.of)) for values in matches)
        return [dict(zip(pattern_fields(counter.of), part)) for part in kept]

    def counted(self, given: FieldValues, parts: Mapping[str, list[FieldValues]]) -> dict[str, int]:
        """The counters at one address: how many parts lie before it, by their numbers; all where these are equal."""
        made = {}
        for name, counter in self.counts.items():
            values = {**given, **{field: int(given[field]) + n for field, n in counter.ahead.items() if field in given}}
            order = [field for field in pattern_fields(counter.of) if field in values and field not in counter.per]
            here = [int(values[field]) for field in order]
            beside = [part for part in parts[name] if all(part[field] == values.get(field) for field in counter.per)]
            before = [part for part in beside if not order or [int(part[field]) for field in order] < here]
            made[name] = len(before)
        return made

    @cached_property
    def their_patterns(self) -> tuple[str, ...]:
        """The patterns of their names."""
        return tuple(name for rule in self.rules.values() for name in rule.names if name)

    def knows(self, name: str) -> bool:
        """Whether one of their names could be of this family."""
        return any(compiled(pattern).fullmatch(name) for pattern in self.their_patterns)

    def ignores(self, name: str) -> bool:
        """Whether one of their names has no counterpart, and needs none."""
        return any(fnmatchcase(name, pattern) for pattern in self.ignore)


def check_naming(naming: Naming) -> None:
    """Raises SpecError for a rule that writes a field which it does not read."""
    for pattern, rule in naming.rules.items():
        known = {*pattern_fields(pattern), *naming.counts}
        for name in (*rule.names, rule.rows or ""):
            if unknown := {*pattern_fields(name)} - known:
                raise SpecError(
                    "a rule writes a field that it does not read",
                    at=f"{naming.key}.rules",
                    written=rule.written,
                    got=f"{{{min(unknown)}}} in {name}",
                    want=", ".join(sorted(f"{{{field}}}" for field in known)),
                )
