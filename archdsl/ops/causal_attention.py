"""Attention to frames up to one's own: what stands for attention over time in a causal network."""

from __future__ import annotations

from dataclasses import dataclass, replace

from archdsl.ops.autograd import Keeps
from archdsl.ops.base import require
from archdsl.ops.example import Draw, Example
from archdsl.ops.grid import Grid
from archdsl.ops.layer import Argument, Layer, runtime
from archdsl.ops.multi_head import MultiHead, Over, attending, seeing
from archdsl.ops.receptive_field import Seen, merged, windowed
from archdsl.ops.shape import Shape


@dataclass(frozen=True, kw_only=True)
class CausalAttention(MultiHead):
    """Attention of each frame to itself and those before it.  (c, t, ...), (c', t, ...), (c'', t, ...) -> (..., t, ...)

    `over` t each position by itself, or over the whole of the frames. `frames` bounds how many each reads, its own
    included; 0 stands for all so far. A stream holds the keys and values of as many frames but one, or of all so far.
    """

    stateful = True
    over: Over = "thw"
    """The axes whose positions read each other: t, or all."""
    frames: int = 0
    """How many frames each reads, its own included; 0 for all so far."""

    def out(self, *xs: Shape) -> Shape:
        y = super().out(*xs)
        q, k, _ = xs
        require(self.over in ("thw", "t"), "causal attention over some axes", got=self.over, want="thw or t")
        require(self.frames >= 0, "`frames` below 0", got=self.frames, want="a number of frames, or 0 for all so far")
        equal = "t" if self.over == "thw" else "thw"
        apart = [axis for axis in equal if getattr(q, axis) != getattr(k, axis)]
        what = f"queries and keys that differ in {', '.join(apart)}"
        require(not apart, what, got=f"{q} and {k}", want=f"equal {', '.join(equal)}")
        return y

    def pairs(self, q: Shape, k: Shape) -> int:
        """Those with later frames among them, which are made and then left out."""
        return q.positions * k.t * (k.h * k.w if self.over == "thw" else 1)

    def past(self, k: Shape) -> int:
        """How many frames each reads at most."""
        return min(self.frames, k.t) or k.t

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        """Each frame sees as many before it, and over the whole of the frames all of their positions."""
        k = xs[1]
        return seeing(grids, self.past(k), *((k.h, k.w) if self.over == "thw" else (1, 1)))

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        read, past = merged(seen[1], seen[2]), self.past(xs[1])
        return merged(seen[0], windowed(read, y.t, past, 1, 1, past - 1))

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """Which frames each reads is a table of all pairs, of heads and clips the same."""
        q, k, _ = xs
        table = q.t * k.t if self.over == "t" else q.positions * k.positions
        plain = super().keeps(xs, y, training)
        kept = 4 * table * (self.fused and training)
        return replace(plain, shared=table * (not kept), shared_bytes=kept)

    def held(self, *xs: Shape) -> int:
        """Keys and values of the frames before; of all in a clip where their number has no bound."""
        k, v = xs[1:]
        frames = self.frames - 1 if self.frames else k.t
        return frames * (k.c + v.c) * k.h * k.w

    def torch(self, *xs: Shape) -> Layer:
        args = [Argument("heads", self.heads), Argument("over", self.over), Argument("frames", self.frames)]
        args += self.arguments(*xs)
        needs = runtime("stream", "Held") + runtime("attention.products", "weighed", "axis_rows", "axis_map")
        return Layer(
            "{m}({0}, {1}, {2})",
            "CausalAttention",
            tuple(args),
            needs=needs + runtime("attention.past", "CausalAttention"),
        )

    @classmethod
    def example(cls, draw: Draw) -> Example:
        over = draw.choice(("thw", "t"))
        q, k = draw.shape(t=4, s=3), draw.shape(t=4, s=3)
        k = k._replace(t=q.t) if over == "thw" else q
        return attending(cls, draw, q, k, over=over, frames=draw.integer(0, 4))
