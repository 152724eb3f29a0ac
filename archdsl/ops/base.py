"""What every op answers: shape, cost, place, weights, what it sees and keeps, causality, words, torch, an example."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from fractions import Fraction
from itertools import accumulate
from math import prod
from operator import or_
from typing import ClassVar, Literal, NamedTuple

from archdsl.errors import SpecError
from archdsl.ops.autograd import Keeps
from archdsl.ops.example import Draw, Example, random_fields
from archdsl.ops.grid import Grid, furthest
from archdsl.ops.layer import Layer, Weights
from archdsl.ops.notation import number, steps
from archdsl.ops.receptive_field import Seen, everything, merged
from archdsl.ops.shape import Shape


class Cost(NamedTuple):
    """Exact integers for one clip. Conventions are sums of these (see `archdsl.report.cost`).

    A multiply-add counts 1. `fvcore_extra` is what fvcore 0.1.5 counts beside convolutions, linear layers and matrix
    products (2 per element of an affine batch norm in eval mode, 5 of a layer or group norm...); it is negative
    where fvcore cannot see an op that we count.
    """

    params: int = 0
    conv_macs: int = 0
    linear_macs: int = 0
    matmul_macs: int = 0
    norm_elements: int = 0
    fvcore_extra: int = 0
    activations: int = 0

    @property
    def macs(self) -> int:
        """Multiply-adds of convolutions, linear layers and matrix products."""
        return self.conv_macs + self.linear_macs + self.matmul_macs


@dataclass(frozen=True, kw_only=True)
class Op:
    """One tensor operation: fields, and what follows from them. It computes nothing.

    The rules see the shapes of what the op reads, in order. An op knows what is wrong, never where: it raises
    SpecError without an address, and the builder adds one.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    """So that an op written as data refuses fields it does not have."""

    reads: ClassVar[int | None] = 1
    """How many maps the op reads; None for two or more."""
    may_read: ClassVar[int] = 0
    """How many maps it may read beside those."""
    merges: ClassVar[bool] = False
    """Whether the maps it reads must lie on the same grid."""
    takes_ids: ClassVar[int | None] = None
    """Which of the maps it reads holds ids of tokens, whole numbers; None where none does."""
    reads_size: ClassVar[bool] = False
    """Whether it takes nothing but the size of the last map it reads."""
    chooses: ClassVar[Literal["nothing", "frames", "pairs"]] = "nothing"
    """Whether it chooses frames of a clip, or pairs them, before these are laid out channels last."""
    causality: ClassVar[Literal["any", "frame", "past"]] = "any"
    """Which frames frame i of the result comes from, whatever the fields: any, frame i alone, or none after it."""
    stateful: ClassVar[bool] = False
    """Whether it holds something between the frames of a stream."""
    of_clips: ClassVar[bool] = False
    """Whether it holds, or reads, what whole clips leave to the next ones of a video."""
    newest: ClassVar[bool] = False
    """Whether it gives the newest frame only, which stands for all so far."""
    batch_statistics: ClassVar[bool] = False
    """Whether it normalises by statistics over the batch."""
    autocast: ClassVar[Literal["half", "float32", "widest"]] = "widest"
    """The precision in which torch.autocast runs it on a GPU; the widest is that of the maps it reads."""
    kept: ClassVar[Keeps | None] = None
    """What autograd keeps of it, where that is the same whatever its fields and shapes."""
    call: ClassVar[str | None] = None
    """The call in torch, where that is one text whatever its fields and shapes."""
    prefix: ClassVar[str] = ""
    """What stands before its label where the label is only a kernel."""
    shown: ClassVar[Literal["always", "in heads", "never"]] = "always"
    """Where a paper's table tells of it: norms and activations only in heads."""
    widths: ClassVar[tuple[str, ...]] = ()
    """Fields that count channels."""
    passes_extra: ClassVar[bool] = False
    """Whether it takes tokens beside the map, where it treats them as it treats each position or says how."""
    joins_branches: ClassVar[bool] = False
    """Whether branches of equal standing meet in it; a sum has a main branch and a shortcut."""

    @property
    def own(self) -> bool:
        """Whether it is a person's own, in a spec file."""
        return not type(self).__module__.startswith("archdsl.")

    def out(self, *xs: Shape) -> Shape:
        """The shape of the result."""
        return xs[0]

    def check_extra(self, xs: tuple[Shape, ...]) -> None:
        """Raise SpecError for tokens beside a map of which it does not say what becomes of them."""
        if not self.passes_extra and (beside := next((x for x in xs if x.extra), None)):
            what = f"{key_of(type(self))} of a map with tokens beside it"
            raise SpecError(what, got=str(beside), want="a map alone", fix="take_map before it")

    def cost(self, *xs: Shape) -> Cost:
        """The cost of one clip; by default its parameters and the elements it writes."""
        return Cost(params=sum(map(prod, self.weights(*xs).values())), activations=self.out(*xs).elements)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        """The grid of the result; by default that of the first map, seen over all its time but for each frame alone.

        Of maps on one grid it sees as far as the one that sees most.
        """
        grid = furthest(grids) if self.merges else grids[0]
        t = grid.t
        return grid if self.each_frame else grid._replace(t=t._replace(span=t.span + t.step * max(xs[0].t - 1, 0)))

    def gradients(self, *xs: Shape) -> tuple[bool, ...]:
        """For each map it reads, whether a gradient of the result reaches it; none where its size alone is read."""
        last = len(xs) - 1
        return tuple(i < last or not self.reads_size for i in range(len(xs)))

    def unlearnt(self, *xs: Shape) -> tuple[str, ...]:
        """Names of its own weights that no gradient reaches; by default none."""
        return ()

    def tensor(self, y: Shape) -> tuple[int, ...]:
        """The result `y` as torch has it, without the batch axis; by default with all its axes."""
        return y.tensor

    def weights(self, *xs: Shape) -> Weights:
        """Name -> shape of its parameters; by default it has none."""
        return {}

    def buffers(self, *xs: Shape) -> int:
        """Bytes of its buffers: running statistics, fixed matrices."""
        return 0

    def window(self, x: Shape) -> tuple[int, int, int]:
        """How many elements along (t, h, w) slide under its window; 1 where it has none."""
        return 1, 1, 1

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        """What each element along time sees, where the elements of what it reads see `seen`.

        By default everything; the element beside it, of each frame alone; that and all before it, of the past.
        Tokens without a map count as one element.
        """
        if any(x.t not in (0, 1, y.t) for x in xs):
            return everything(seen, y.t or 1)
        if self.each_frame:
            return merged(*seen)
        past = self.causality == "past" or (self.stateful and self.in_order)
        return tuple(accumulate(merged(*seen), or_)) if past else everything(seen, y.t or 1)

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """What torch keeps of it; by default the maps it reads and its result."""
        return self.kept or Keeps(reads=tuple(range(len(xs))), result=True)

    @property
    def each_frame(self) -> bool:
        """Whether frame i of the result comes from frame i alone, however many frames there are."""
        return self.causality == "frame"

    @property
    def in_order(self) -> bool:
        """Of an op with a state: whether it reads frames in the order in which they come."""
        return True

    def causal(self, *xs: Shape) -> tuple[Op, ...]:
        """The ops that stand for it where no frame sees a later one, in turn. Raises SpecError where nothing can."""
        if self.each_frame or self.causality == "past" or (self.stateful and self.in_order):
            return (self,)
        what = f"{type(self).__name__} may see later frames"
        raise SpecError(what, got="a causal network", want="ops that see the past only")

    def continues(self, past: Op, x: Shape) -> bool:
        """Whether it gives a frame for each that comes, where `past` puts frames before the map `x` that it reads."""
        return False

    def held(self, *xs: Shape) -> int:
        """Of an op with a state: numbers held for one clip, a count of frames apart."""
        return 0

    def kind(self, x: Shape) -> str:
        """What torch runs for it: ops of one kind take alike long at one size."""
        return key_of(type(self))

    def label(self, x: Shape, y: Shape) -> str:
        """It in a drawing, without its stride: two or three words. `x` is what it reads first, `y` its result."""
        return key_of(type(self)).replace("_", " ")

    def strides(self) -> str:
        """Its strides in a drawing: `t/2 s/2`; empty where there are none."""
        return steps(getattr(self, "stride", (1, 1, 1)))

    def row(self, x: Shape | None = None) -> str:
        """It in a table, without its stride: its name and the fields that are not at their default."""
        return " ".join([key_of(type(self)).replace("_", " "), *field_texts(self)])

    def torch(self, *xs: Shape) -> Layer:
        """What torch does for it. Raises SpecError where that is not said."""
        if self.call is None:
            raise SpecError(f"{type(self).__name__} has no torch", fix="def torch(self, *xs), which gives a Layer")
        return Layer(self.call)

    @classmethod
    def example(cls, draw: Draw) -> Example:
        """A random one and maps that it reads, alike in shape; what its rules refuse is drawn anew."""
        reads = cls.reads if cls.reads is not None else draw.integer(2, 4)
        return cls(**random_fields(cls, draw)), (draw.shape(),) * reads


@dataclass(frozen=True, kw_only=True)
class Beside(Op):
    """Each element stands for the one beside it: sums over time, such as those of statistics, are no sight."""

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return grids[0]

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return seen[0]


def field_texts(op: Op) -> Iterable[str]:
    """The fields of an op that are not at their default: a name for words, a bare number where there is one field."""
    for field in fields(op):
        value = getattr(op, field.name)
        if value == field.default:
            continue
        text = (
            number(value)
            if isinstance(value, float | Fraction)
            else "×".join(map(str, value))
            if isinstance(value, tuple)
            else str(value)
        )
        yield text if len(fields(op)) == 1 else f"{field.name} {text}"


def key_of(kind: type) -> str:
    """The name of an op, block, transform or head in YAML: its `word`, else its class name in snake_case."""
    return vars(kind).get("word") or snake_case(kind.__name__)


def snake_case(name: str) -> str:
    """`AvgPool` as `avg_pool`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def require(condition: bool, what: str, *, got: object, want: object, fix: str | None = None) -> None:
    """Raise SpecError with both values unless the condition holds."""
    if not condition:
        raise SpecError(what, got=str(got), want=str(want), fix=fix)
