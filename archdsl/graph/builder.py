"""The builder, by which blocks write a graph."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from keyword import iskeyword
from typing import Any

from archdsl.errors import Fault, SpecError
from archdsl.graph.graph import UNKNOWN, Graph, Joints, Node, Scope
from archdsl.graph.user_code import error_of_fractions, fault_of, line_within
from archdsl.graph.user_ops import own_answers
from archdsl.ops import UNIT, Axis, Grid, Op, Shape, Source, key_of
from archdsl.spec.budget import LARGEST_AXIS, LARGEST_PLACE, MOST_FRAMES, MOST_OPS
from archdsl.spec.lines import line_of_frame, line_outside


class Endless(SpecError):
    """Raised where a network asks for more than its budget. Nothing after it is looked at."""


class Unknown(Exception):
    """Raised when a block asks for the shape of a value that could not be made. Never leaves the builder."""


def takes_inputs(op: Op, reads: int) -> bool:
    """Whether the op reads so many maps."""
    return reads >= 2 if op.reads is None else op.reads <= reads <= op.reads + op.may_read


def inputs_wanted(op: Op) -> str:
    """How many maps the op reads, in words."""
    if op.reads is None:
        return "two or more"
    return f"{op.reads} or {op.reads + op.may_read}" if op.may_read else f"{op.reads}"


def check_size(shape: Shape, axes: Iterable[Axis]) -> None:
    """Raise SpecError for a map larger than any, or a place that has too many digits to be worked with."""
    if max(shape) > LARGEST_AXIS or shape.t > MOST_FRAMES:
        raise SpecError(
            "a map too large", got=f"{shape}", want=f"at most {MOST_FRAMES} along t, {LARGEST_AXIS} along other axes"
        )
    for number in (number for axis in axes for number in axis):
        if max(abs(number.numerator), number.denominator) > LARGEST_PLACE:
            want = f"numerator and denominator of at most {len(str(LARGEST_PLACE)) - 1} digits"
            raise SpecError("a position in time or space with too many digits", got="a longer fraction", want=want)


def shape_and_grid(op: Op, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> tuple[Shape, Grid]:
    """Shape and grid of what an op gives."""
    if any(x.extra for x in xs):
        op.check_extra(xs)
    if op.own and xs:
        return own_answers(op, xs, grids)
    shape = op.out(*xs)
    if any(type(n) is not int for n in shape):
        raise SpecError(f"{type(op).__name__}.out gives a size that is not whole", got=f"{shape}", want="whole numbers")
    return shape, op.place(xs, grids) if xs else Grid(UNIT, UNIT, UNIT)


def called_from_user_code() -> bool:
    """Whether the code that called `add` is a person's own."""
    frame = sys._getframe(1)
    while frame.f_back and frame.f_code.co_name in ("may_add", "add", "put"):
        frame = frame.f_back
    return line_of_frame(frame.f_code.co_filename, frame.f_lineno) is not None


@dataclass
class Builder:
    """Writes a graph. `add` checks one op against what it reads; faults are kept and told together."""

    nodes: dict[str, Node] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)
    grids: dict[str, Grid] = field(default_factory=dict)
    scopes: dict[str, Scope] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    warnings: list[Fault] = field(default_factory=list)
    path: str = ""
    line: str | None = None
    tied: tuple[str, str] | None = None
    """(prefix here, prefix of the owner) while nodes share the weights of a part already written."""
    ids: dict[str, int] = field(default_factory=dict)
    """Clips of token ids, with the number of ids that there are."""
    skeletons: dict[str, Joints] = field(default_factory=dict)
    """Clips of skeletons, with their joints."""
    asked: int = 0
    """Ops so far, those that could not be made included."""

    def add(self, name: str, op: Op, *reads: str) -> str:
        """One op under a short name; gives the address of its result."""
        address = f"{self.path}.{name}" if self.path else name
        self.spend()
        if UNKNOWN in reads:
            return UNKNOWN
        try:
            self.may_add(name, op, reads)
            if address in self.nodes or address in self.scopes:
                raise SpecError(f"two ops named {name!r}", got=name, want="another name for each op")
            xs = tuple([self.shapes[x] for x in reads])
            grids = tuple([self.grids[x] for x in reads])
            if op.merges:
                self.aligned(address, xs, grids)
            if self.ids or op.takes_ids is not None:
                self.check_ids(op, reads)
            shape, grid = shape_and_grid(op, xs, grids)
            check_size(shape, () if any(grid is one for one in grids) else grid[:3])
            self.asked += shape.t // 100
        except SpecError as error:
            self.faults.extend((error_of_fractions(op) or error).placed(address, self.line).faults)
            return UNKNOWN
        tied = None if self.tied is None else self.tied[1] + address.removeprefix(self.tied[0])
        self.nodes[address] = Node(address, op, reads, self.line, tied)
        self.shapes[address] = shape
        self.grids[address] = grid
        return address

    def spend(self) -> None:
        """Count one op. Raises Endless for one too many."""
        self.asked += 1
        if self.asked > MOST_OPS:
            want = f"at most {MOST_OPS}, where a result counts one more for each 100 of its frames"
            got = f"more than {MOST_OPS} ops"
            raise Endless("too many ops", at=self.path, written=self.line, got=got, want=want)

    def may_add(self, name: str, op: Op, reads: tuple[str, ...]) -> None:
        """Raise SpecError for what is no name, no op or no value, or for another number of values than the op reads."""
        odd = not isinstance(name, str) or not (name.isidentifier() or name.isdigit()) or iskeyword(name)
        if odd and called_from_user_code():  # ours are made of names that were checked where they were read
            want = 'letters, digits and underscores, not a Python keyword: g.add("conv_a", ops.Conv(...), x)'
            raise SpecError("not a name for an op", written=line_outside(), got=repr(name), want=want)
        if not isinstance(op, Op):
            fix = f"ops.{op.__name__}()" if isinstance(op, type) and issubclass(op, Op) else None
            raise SpecError("not an op", written=line_outside(), got=repr(op), want="such as ops.Relu()", fix=fix)
        for read in reads:
            self.known(read)
        if not takes_inputs(op, len(reads)):
            raise SpecError(
                f"wrong number of inputs for {type(op).__name__}", got=str(len(reads)), want=inputs_wanted(op)
            )

    def known(self, x: Any) -> str:
        """The address of a value. Raises SpecError for what is none, Unknown for what could not be made."""
        if isinstance(x, str) and x == UNKNOWN:
            raise Unknown
        if isinstance(x, str) and x in self.shapes:
            return x
        short = f"{self.path}.{x}" in self.shapes
        raise SpecError(
            f"no value {x!r}",
            written=line_outside(),
            got="the name of an op" if short else repr(x),
            want="a value that g.add returned, or an argument of build",
            fix=f"{x} = g.add({x!r}, ...), then {x} without quotes" if short else None,
        )

    def result(self, y: Any, build: Any) -> str:
        """The value that a `build` gave. Raises SpecError where that is none."""
        if y == UNKNOWN or (isinstance(y, str) and y in self.shapes):
            return str(y)
        what, code = f"{build.__qualname__} returns no value", build.__code__
        written = line_of_frame(code.co_filename, code.co_firstlineno)
        got, want = "nothing" if y is None else repr(y), "the value that the last g.add returned"
        raise SpecError(what, written=written, got=got, want=want, fix="return g.add(...)")

    def source(self, name: str, shape: Shape, grid: Grid, vocabulary: int = 0) -> str:
        """A clip enters under its name."""
        address = self.add(name, Source(shape=shape, vocabulary=vocabulary))
        self.grids[address] = grid
        if vocabulary:
            self.ids[address] = vocabulary
        return address

    def check_ids(self, op: Op, reads: tuple[str, ...]) -> None:
        """Raise SpecError for an op that reads ids of tokens as numbers, or the other way round."""
        for i, read in enumerate(reads):
            if i == op.takes_ids and read not in self.ids:
                what, fix = f"{key_of(type(op))} of a map that holds no ids of tokens", "modality: text"
                raise SpecError(what, got=read, want="a text clip", fix=fix)
            if i != op.takes_ids and read in self.ids:
                what, want = f"{key_of(type(op))} of ids of tokens, which are no amounts", "a vector for each of them"
                raise SpecError(what, got=f"{read}, a text clip", want=want, fix="embed before it")
            if i == op.takes_ids and 0 < (known := getattr(op, "vocabulary", 0)) < self.ids[read]:
                got, fix = f"{known} vectors, {self.ids[read]} ids of {read}", f"vocabulary: {self.ids[read]}"
                raise SpecError("fewer vectors than ids of tokens", got=got, want="a vector for each", fix=fix)

    def source_of(self, x: str) -> str:
        """The clip that a value is made from: that of what each op reads first."""
        while self.nodes[self.known(x)].reads:
            x = self.nodes[x].reads[0]
        return x

    @property
    def clips(self) -> list[str]:
        """Addresses of the clips."""
        return [address for address, node in self.nodes.items() if not node.reads]

    def shape(self, x: str) -> Shape:
        """The shape of a value."""
        return self.shapes[self.known(x)]

    def grid(self, x: str) -> Grid:
        """Where a value lies in time and space."""
        return self.grids[self.known(x)]

    @contextmanager
    def inside(
        self, name: str, kind: str = "Part", *, written: str | None = None, container: bool = False
    ) -> Iterator[None]:
        """Within it, names are put behind `name`. What fails is recorded; the rest of the spec is still read."""
        before = self.path, self.line
        self.path = f"{self.path}.{name}" if self.path else name
        self.line = written or self.line
        self.scopes.setdefault(self.path, Scope(kind, container))
        try:
            yield
        except Unknown:
            pass
        except Endless:
            raise
        except SpecError as error:
            self.faults.extend(error.placed(self.path, line_within(error) or self.line).faults)
        except Exception as error:
            fault = fault_of(error, kind)
            if fault is None:
                raise
            self.faults.append(fault.placed(self.path, self.line))
        finally:
            self.path, self.line = before

    @contextmanager
    def sharing(self, name: str) -> Iterator[None]:
        """Within it, nodes share the weights of those under `name`, a part that lies beside this one."""
        before, beside = self.tied, self.path.rpartition(".")[0]
        owner = f"{beside}.{name}" if beside else name
        self.tied = (self.path, owner if before is None else before[1] + owner.removeprefix(before[0]))
        try:
            yield
        finally:
            self.tied = before

    @contextmanager
    def borrowing(self, name: str, part: str) -> Iterator[None]:
        """Within it, nodes share the weights of those in a part that lies here too: `name_out` those of `part.out`."""
        before, owner = self.tied, f"{self.path}.{part}."
        self.tied = (f"{self.path}.{name}_", owner if before is None else before[1] + owner.removeprefix(before[0]))
        try:
            yield
        finally:
            self.tied = before

    def aligned(self, address: str, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> None:
        """Maps that are merged must have equal steps, and should start at about the same place."""
        if all(grid is grids[0] for grid in grids):
            return
        for axis, unit in (("t", "frames"), ("h", "pixels"), ("w", "pixels")):
            first, tick = getattr(grids[0], axis), grids[0].tick
            for x, grid in zip(xs[1:], grids[1:]):
                other = getattr(grid, axis)
                ratio = grid.tick / tick if axis == "t" and tick and grid.tick else 1
                if (other == first and ratio == 1) or getattr(x, axis) != getattr(xs[0], axis) or getattr(x, axis) <= 1:
                    continue
                if other.step * ratio != first.step:
                    raise SpecError(
                        f"merged maps have different steps along {axis}",
                        got=f"one element every {first.step} {unit} and every {other.step * ratio} {unit}",
                        want="equal steps",
                    )
                if abs(other.start * ratio - first.start) > first.step / 2:
                    self.warnings.append(
                        Fault(
                            what=f"merged maps start more than half a step apart along {axis}",
                            at=address,
                            written=self.line,
                            got=f"{float(first.start):g} and {float(other.start * ratio):g} {unit}, step {first.step}",
                        )
                    )

    def finish(self) -> Graph:
        """The graph, or every fault found as one SpecError."""
        if self.faults:
            raise SpecError(dict.fromkeys(self.faults))
        return Graph(
            self.nodes, self.shapes, self.grids, self.scopes, self.outputs, tuple(dict.fromkeys(self.warnings))
        )
