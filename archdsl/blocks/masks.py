"""Maps of which a mask chooses parts: what is kept, learnt tokens for the rest, and where both lie."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from pydantic import Field

from archdsl import ops
from archdsl.blocks.base import Block
from archdsl.blocks.names import ClipName
from archdsl.errors import SpecError
from archdsl.graph import UNKNOWN, Builder
from archdsl.ops import Op, Shape
from archdsl.spec.base import Written
from archdsl.spec.scalars import Count, Spread, Whole


def mask_clip(g: Builder, name: str) -> str:
    """The clip that holds a mask. Raises SpecError where there is none of that name."""
    if name not in g.clips:
        raise SpecError(f"no clip {name!r}", got=name, want=", ".join(g.clips), fix="a clip of modality mask")
    return name


class Kept(NamedTuple):
    """Where the parts of a map lie of which a mask chose some: of channel `first` and the next ones so many each."""

    mask: str
    first: int
    counts: tuple[int, ...]
    size: tuple[int, int, int]
    """The map (t, h, w) that they are parts of, at their own scale."""
    rows: int
    """Of one part, along h."""

    @classmethod
    def of(cls, g: Builder, x: str) -> Kept | None:
        """Those of a value, by the ops that it comes from along the main branch; None for a whole map."""
        at, below = x, tuple[int, ...]()
        while at != UNKNOWN and (node := g.nodes[at]).reads:
            if isinstance(node.op, ops.MaskTokens):
                below = (node.op.count, *below)
            if isinstance(node.op, ops.KeepUnits):
                return cls.placed(
                    g.shape(x), node.reads[1], g.shape(node.reads[1]), node.op.first, node.op.counts + below
                )
            at = node.reads[0]
        return None

    @classmethod
    def placed(cls, x: Shape, mask: str, units: Shape, first: int, counts: tuple[int, ...]) -> Kept:
        """Those of a map `x` that is parts, one below the other."""
        if x.h % sum(counts):
            what, want = "kept parts that do not make the map along h", f"a multiple of {sum(counts)} parts"
            raise SpecError(what, got=str(x), want=want)
        rows = x.h // sum(counts)
        return cls(mask, first, counts, (units.t * x.t, units.h * rows, units.w * x.w), rows)

    def chosen(self, g: Builder, name: str, x: str) -> str:
        """The same parts of a whole map."""
        return g.add(name, ops.KeepUnits(first=self.first, counts=self.counts), x, self.mask)


def kept_parts(g: Builder, x: str, what: str) -> Kept:
    """Where the parts of a map lie. Raises SpecError for a whole map."""
    kept = Kept.of(g, x)
    if kept is None:
        raise SpecError(f"{what} of a whole map", got=str(g.shape(x)), want="kept parts", fix="keep before it")
    return kept


def add_positions(g: Builder, op: Op, x: str) -> str:
    """Positions added to a map; of kept parts, those of where they lie."""
    kept = Kept.of(g, x)
    if kept is None:
        return g.add("positions", op, x)
    table = g.add("positions", op, g.add("blank", ops.Blank(size=kept.size), x))
    return g.add("sum", ops.Add(), x, kept.chosen(g, "chosen", table))


class Turned(Written):
    """What turns channels of queries and keys. In YAML `rotary: true` stands for its defaults."""

    over: tuple[Literal["t", "h", "w"], ...] = Field(
        ("t", "h", "w"), min_length=1, description="axes that turn equal parts of a head, in the order of these"
    )
    one_angle: bool = Field(False, description="whether both channels of a pair are turned by one angle")
    start: Whole = Field(0, description="position of the first element along each axis")

    def add(self, g: Builder, name: str, heads: int, x: str) -> str:
        """Queries or keys turned by their positions; of kept parts, by those of where they lie."""
        kept = Kept.of(g, x)
        fields: dict[str, Any] = dict(over=self.over, one_angle=self.one_angle, start=self.start)
        if kept is None:
            return g.add(f"{name}_rotary", ops.Rotary(heads=heads, **fields), x)
        turns = g.add(f"{name}_turns", ops.Turns(heads=heads, size=kept.size, **fields), x)
        turned_by = ops.TurnedBy(heads=heads, over=self.over)
        return g.add(f"{name}_rotary", turned_by, x, kept.chosen(g, f"{name}_chosen", turns))


class Keep(Block):
    """The parts of a map that a mask chooses, one below the other along h.  (c, t, h, w) -> (c, t', count h', w')

    The mask is a clip, (channels, T, H, W), each element of which stands for a part of the map: of its first channel
    the parts above 0 are kept. A mask of one frame keeps tubes. Positions and rotary behind it know where parts lie.
    """

    count: Count = Field(description="how many parts are kept")
    mask: ClipName = Field("mask", description="the clip that holds the mask")

    def build(self, g: Builder, x: str) -> str:
        return g.add("keep", ops.KeepUnits(counts=(self.count,)), x, mask_clip(g, self.mask))


class Hide(Block):
    """A map, 0 in the parts that are not kept.  (c, t, h, w) -> (c, t, h, w)

    So that overlapping patches see nothing of what is hidden.
    """

    mask: ClipName = Field("mask", description="the clip that holds the mask")

    def build(self, g: Builder, x: str) -> str:
        return g.add("hide", ops.Hide(), x, mask_clip(g, self.mask))


class MaskTokens(Block):
    """Learnt tokens below the kept parts, for what the mask's next channel chooses.  (c, t, h, w) -> (c, t, h', w)

    Of several kinds the mask says which: 1 is the first.
    """

    count: Count = Field(description="for how many parts they stand")
    kinds: Count = Field(1, description="kinds of tokens")
    std: Spread = Field(0.02, description="standard deviation at the start; 0 for zeros")

    def build(self, g: Builder, x: str) -> str:
        kept = kept_parts(g, x, "mask tokens")
        channel = kept.first + len(kept.counts)
        if channel >= g.shape(kept.mask).c:
            what, want = "a mask without a channel for mask tokens", f"channels: {channel + 1}"
            raise SpecError(what, got=f"{kept.mask} {g.shape(kept.mask)}", want=want)
        op = ops.MaskTokens(parts=sum(kept.counts), count=self.count, kinds=self.kinds, channel=channel, std=self.std)
        return g.add("tokens", op, x, *([kept.mask] if self.kinds > 1 else []))


def masked_rows(g: Builder, x: str) -> str:
    """Of kept parts and mask tokens the rows of the last tokens."""
    kept = kept_parts(g, x, "what is hidden")
    if len(kept.counts) < 2:
        raise SpecError(
            "what is hidden, without mask tokens", got=str(g.shape(x)), want="mask_tokens", fix="mask_tokens before it"
        )
    return g.add("hidden", ops.LastUnits(rows=kept.counts[-1] * kept.rows), x)
