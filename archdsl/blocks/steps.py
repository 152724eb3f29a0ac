"""Steps of a block drawn in YAML: an op, a block, or a field that names one; repeated, or taken under a condition."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from pydantic import Field, model_serializer, model_validator

from archdsl.blocks.arithmetic import filled, is_sum, named, names_in, sums_in
from archdsl.blocks.base import Block, add_block
from archdsl.blocks.chain import add_chain, blocks_of
from archdsl.blocks.step_fields import OPS_BY_KEY, blocks_by_key, faults_of_fields, kind_of, made
from archdsl.errors import Fault, SpecError, did_you_mean, listed
from archdsl.graph import UNKNOWN, Builder
from archdsl.ops import Op
from archdsl.spec.base import Written
from archdsl.spec.budget import MOST_REPEATS
from archdsl.spec.lines import Lines
from archdsl.spec.scalars import Count

Define = Callable[[Block], Block]
"""Gives the drawn blocks within a block their definitions."""
BESIDE = ("reads", "repeat", "when")
"""What may stand beside the op or block of a step."""
CHANGED = "changed"
STEP_OF_BLOCKS = 10
"""Ops that a step counts for whose block is made while the network is written out."""


class Step(Written):
    """`{conv: {...}, reads: [names]}`: an op or a block. Without `reads` it reads the step before it."""

    op: str = Field(description="name of an op or a block, or $name: a field of the drawn block that holds one")
    fields: dict[str, Any] = Field({}, description="its fields; $name is a parameter, $in the channels that enter")
    reads: tuple[str, ...] = Field((), description="steps it reads; `input` is what enters the block")
    repeat: Count | str | None = Field(None, description="how many times a block stands; strides stay with the first")
    when: Literal["changed"] | str | None = Field(
        None, description="changed: only where it changes shape or stride; $name: only where that field is true"
    )

    @model_validator(mode="before")
    @classmethod
    def _unfold(cls, data: Any) -> Any:
        if isinstance(data, str):
            return {"op": data}
        if not isinstance(data, dict) or "op" in data:
            return data
        keys = [key for key in data if key not in BESIDE]
        if len(keys) != 1:
            raise SpecError(
                "a step is one op or block and what it reads",
                got=", ".join(map(str, data)),
                want="{conv: {...}, reads: [input]}",
            )
        (op,) = keys
        fields = {} if data[op] is None else data[op]
        if not isinstance(fields, dict):
            raise SpecError(f"{op} without field names", got=f"{fields!r}", want=f"{{{op}: {{field: value}}}}")
        reads = data.get("reads", ())
        beside = {key: data[key] for key in BESIDE if key in data}
        unfolded = {"op": op, "fields": fields, **beside, "reads": (reads,) if isinstance(reads, str) else reads}
        return Lines(unfolded, data.written, {}) if isinstance(data, Lines) else unfolded

    @model_validator(mode="after")
    def _when_is_known(self) -> Step:
        if self.when is not None and self.when != CHANGED and not is_sum(self.when):
            fix = did_you_mean(self.when, [CHANGED])
            raise SpecError("an unknown condition", got=self.when, want=f"{CHANGED}, or $name of a field", fix=fix)
        return self

    @model_validator(mode="after")
    def _repeat_is_known(self) -> Step:
        if isinstance(self.repeat, str) and not is_sum(self.repeat):
            want = f"repeat: 1 to {MOST_REPEATS}, or $name of a field"
            raise SpecError("`repeat` is not a whole number", got=repr(self.repeat), want=want)
        return self

    @model_serializer
    def _folded(self) -> Any:
        """As short as it may be written."""
        beside = {key: value for key in BESIDE if (value := getattr(self, key))}
        if len(self.reads) == 1:
            beside["reads"] = self.reads[0]
        return {self.op: self.fields, **beside} if self.fields or beside else self.op

    def faults(self, parameters: tuple[str, ...]) -> Iterator[Fault]:
        """What is wrong with it whatever the parameters are and whatever else is drawn."""
        said = {**self.fields, "when": self.when if self.when != CHANGED else None, "repeat": self.repeat}
        for name, value in {**said, **({self.op: self.op} if is_sum(self.op) else {})}.items():
            try:
                for text in sums_in(value):
                    for parameter in names_in(text):
                        named(parameter, dict.fromkeys(parameters))
            except SpecError as error:
                yield from error.under(name).faults
        kind = kind_of(self.op, self.fields)
        if kind is None:
            return
        if issubclass(kind, Op) and self.repeat is not None:
            want = "a block: {conv: {channels: ...}, repeat: ...}"
            yield Fault(what="an op that is repeated", at="repeat", got=f"{self.op}, repeat: {self.repeat}", want=want)
        if issubclass(kind, Block) and len(self.reads) > 1:
            yield Fault(what="a block reads one map", at="reads", got=", ".join(self.reads), want="one step")
        yield from faults_of_fields(kind, self.fields)

    def add(self, g: Builder, name: str, scope: Mapping[str, Any], reads: list[str], define: Define) -> str:
        """The step under a name, its `$names` filled in; the first of what it reads where its condition is not met."""
        if self.when is None:
            return self.added(g, name, scope, reads, define)
        if self.when == CHANGED:
            before = [len(part) for part in written_so_far(g)]
            y = self.added(g, name, scope, reads, define)
            if y == UNKNOWN or len(g.faults) > before[-1] or changes(g, reads[0], y):
                return y
            taken_back(g, before)
            return reads[0]
        flag = filled(self.when, scope)
        if not isinstance(flag, bool):
            got = f"{self.when} = {flag}"
            raise SpecError("a condition that is neither true nor false", got=got, want="true or false").under("when")
        g.spend()
        return self.added(g, name, scope, reads, define) if flag else reads[0]

    def added(self, g: Builder, name: str, scope: Mapping[str, Any], reads: list[str], define: Define) -> str:
        """The op or the blocks of the step."""
        op, fields = self.chosen(scope)
        if op == "none":
            g.spend()
            return reads[0]
        kind = kind_of(op, fields)
        if kind is not None and issubclass(kind, Op):
            return g.add(name, made(kind, fields), *reads)
        if len(reads) > 1:
            raise SpecError("a block reads one map", got=", ".join(self.reads), want="one step")
        g.asked += STEP_OF_BLOCKS
        g.spend()
        times = {} if self.repeat is None else {"repeat": filled(self.repeat, scope)}
        blocks = [define(block) for block in blocks_of(Lines({op: fields, **times}, self.written or "", {}))]
        if self.repeat is None:
            return add_block(g, name, blocks[0], reads[0])
        return add_chain(g, name, blocks, reads[0])

    def chosen(self, scope: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """(op or block, its fields) with parameters filled in."""
        faults: list[Fault] = []
        fields: dict[str, Any] = {}
        for name, value in self.fields.items():
            try:
                fields[name] = filled(value, scope)
            except SpecError as error:
                faults += error.under(name).faults
        if faults:
            raise SpecError(faults)
        if not is_sum(self.op):
            return self.op, fields
        value = named(self.op[1:], scope)
        if isinstance(value, str):
            return value, fields
        if isinstance(value, Mapping) and len(value) == 1:
            ((op, own),) = value.items()
            if own is None or isinstance(own, Mapping):
                return op, {**fields, **(own or {})}
        raise SpecError("not an op or a block", got=f"{self.op} = {value}", want="relu, none, {conv: {...}}, ...")


def written_so_far(g: Builder) -> list[Any]:
    """What a builder has written."""
    return [g.nodes, g.shapes, g.grids, g.scopes, g.warnings, g.faults]


def taken_back(g: Builder, before: Sequence[int]) -> None:
    """Make a builder forget what it has written since."""
    for part, length in zip(written_so_far(g), before):
        while len(part) > length:
            part.popitem() if isinstance(part, dict) else part.pop()


def changes(g: Builder, x: str, y: str) -> bool:
    """Whether y has another shape than x, or other steps between its elements."""
    steps = [[axis.step for axis in g.grids[value][:3]] for value in (x, y)]
    return g.shapes[x] != g.shapes[y] or steps[0] != steps[1]


def no_step(name: str, drawn: Iterable[str]) -> SpecError:
    """The error of a step that is neither an op nor a block."""
    names = [*OPS_BY_KEY, *blocks_by_key(), *drawn]
    near = did_you_mean(name, OPS_BY_KEY) or did_you_mean(name, names)
    return SpecError(f"no op or block {name!r}", got=name, want=listed(names), fix=near)
