"""Multi-head attention over whole axes: every position of q reads positions of k and v."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

from archdsl.errors import SpecError
from archdsl.ops.autograd import Keeps
from archdsl.ops.base import Op, require
from archdsl.ops.causal_attention import CausalAttention
from archdsl.ops.example import Draw, Example
from archdsl.ops.grid import Grid
from archdsl.ops.layer import Layer, changed_keywords, runtime
from archdsl.ops.multi_head import MultiHead, Over, attending, seeing
from archdsl.ops.receptive_field import Seen, merged, union
from archdsl.ops.shape import Shape


@dataclass(frozen=True, kw_only=True)
class Attention(MultiHead):
    """Attention over whole axes.  (c, t, h, w), (c', t', h', w'), (c'', t', h', w') -> (c'' of all heads, t, h, w)

    Along axes that are not in `over`, each position is alone. Over all axes tokens beside a map are in one sequence
    with it.
    """

    passes_extra = True
    over: Over = "thw"
    """The axes whose positions read each other."""

    cap: float | None = None
    """What scaled products stay below: cap tanh(product / cap); null for none."""

    def __post_init__(self) -> None:
        require(self.cap is None or self.cap > 0, "`cap` not above 0", got=self.cap, want="above 0")
        what = "capped products in torch's kernel, which has no cap"
        require(
            self.cap is None or not self.fused,
            what,
            got=f"cap {self.cap}, fused",
            want="one of them",
            fix="fused: false",
        )

    def out(self, *xs: Shape) -> Shape:
        y = super().out(*xs)
        q, k, _ = xs
        apart = [axis for axis in "thw" if axis not in self.over and getattr(q, axis) != getattr(k, axis)]
        require(
            not apart,
            f"queries and keys that differ in {', '.join(apart)}",
            got=f"{q} and {k}, over {self.over}",
            want=f"equal {', '.join(apart)}, or attention over it",
        )
        require(
            self.over == "thw" or not (q.extra or k.extra),
            f"attention over {self.over} beside tokens",
            got=f"{q} and {k}",
            want="a map alone",
            fix="frame_rows before it" if self.over == "hw" else "take_map before it",
        )
        return y

    def pairs(self, q: Shape, k: Shape) -> int:
        groups = prod(getattr(q, axis) for axis in "thw" if axis not in self.over)
        along = [prod(getattr(x, axis) for axis in self.over) + x.extra for x in (q, k)]
        return groups * prod(along)

    def copies(self, q: Shape, k: Shape) -> bool:
        return self.over in ("tw", "h")

    @property
    def each_frame(self) -> bool:
        return "t" not in self.over

    def causal(self, *xs: Shape) -> tuple[Op, ...]:
        """Attention over time becomes that to all frames so far; tokens beside a map would see them all."""
        if any(x.extra for x in xs):
            raise SpecError("tokens beside the map in a causal network", got=f"{xs[0]}", want="a map alone")
        if self.each_frame:
            return (self,)
        if self.cap is not None:
            raise SpecError(
                "capped products in a causal network", got=f"cap: {self.cap}", want="no cap", fix="cap: null"
            )
        return (CausalAttention(heads=self.heads, scale=self.scale, fused=self.fused, over=self.over),)

    def keywords(self, *xs: Shape) -> str:
        return super().keywords(*xs) + changed_keywords(cap=(self.cap, None))

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """Capped products are kept too."""
        plain = super().keeps(xs, y, training)
        weights = self.pairs(*xs[:2]) * self.heads * (self.cap is not None)
        return replace(plain, own=plain.own + weights * training, passing=plain.passing + weights)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        """Where the queries lie; along the axes that attend they see as far as all keys do."""
        return seeing(grids, *(max(getattr(xs[1], axis), 1) if axis in self.over else 1 for axis in "thw"))

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        if "t" in self.over:
            return merged(seen[0], (union(seen[1]) | union(seen[2]),))
        return merged(*seen)

    def torch(self, *xs: Shape) -> Layer:
        if self.over == "thw":
            return Layer(
                f"attend({{0}}, {{1}}, {{2}}, {self.keywords(*xs)})",
                needs=runtime("attention.products", "head_rows", "weighed", "attend"),
            )
        call = f'attend_axes({{0}}, {{1}}, {{2}}, "{self.over}", {self.keywords(*xs)})'
        return Layer(call, needs=runtime("attention.products", "weighed", "axis_rows", "axis_map", "attend_axes"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        """Keys of as many frames, rows or columns along the axes that are apart; tokens where they may be."""
        over = draw.choice(("thw", "hw", "t", "th", "tw", "h", "w"))
        q, k = draw.shape(t=3, s=4), draw.shape(t=3, s=4)
        extra = [draw.integer(0, 2) if over == "thw" else 0 for _ in "qk"]
        k = k._replace(**{axis: getattr(q, axis) for axis in "thw" if axis not in over})
        q, k = q._replace(extra=extra[0]), k._replace(extra=extra[1])
        return attending(cls, draw, q, k, over=over, cap=draw.choice((None, None, 2.0)))
