"""Attention within windows that part a map (arXiv:2106.13230), and the padding that lets them part it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

from archdsl.ops.autograd import INDEX, Keeps
from archdsl.ops.base import Op, require
from archdsl.ops.example import Draw, Example, random_triple
from archdsl.ops.grid import Grid
from archdsl.ops.layer import Argument, Layer, Weights, runtime
from archdsl.ops.multi_head import MultiHead, attending, seeing
from archdsl.ops.receptive_field import Seen, merged
from archdsl.ops.shape import Shape
from archdsl.ops.window import AXES, Triple


def fitted(window: Triple, x: Shape) -> Triple:
    """The window, as large as the map along axes that are no longer than it."""
    t, h, w = (min(n, size) for n, size in zip(x[1:4], window))
    return t, h, w


@dataclass(frozen=True, kw_only=True)
class WindowAttention(MultiHead):
    """Attention within windows (t, h, w) that lie side by side.  Maps q, k, v -> (c'' of all heads, q's t, h, w)

    Along an axis no longer than the window there is one, without shift. Windows part the keys; queries fall into as
    many, so that of a pooled map each is smaller. `shift` moves the windows, which then go round the map's ends, where
    positions that lie apart do not read each other. `bias` adds to each product a number for its head and the step from
    key to query, from a table of (2t - 1)(2h - 1)(2w - 1).
    """

    size: Triple
    """Elements of a window along (t, h, w)."""
    shift: Triple = (0, 0, 0)
    """Elements that the windows move by, along (t, h, w)."""
    bias: bool = False
    """Whether a learnt number for each head and step is added to each product."""

    def __post_init__(self) -> None:
        require(min(self.size) >= 1, "a window below 1", got=self.size, want="whole numbers from 1")
        inside = all(0 <= by < size for by, size in zip(self.shift, self.size))
        require(inside, "a shift beyond the window", got=self.shift, want=f"from 0, below {self.size}")

    def shifts(self, x: Shape) -> Triple:
        """The shift, 0 where one window holds the axis."""
        t, h, w = (by * (n > size) for by, n, size in zip(self.shift, x[1:4], self.size))
        return t, h, w

    def count(self, k: Shape) -> Triple:
        """How many windows there are along (t, h, w)."""
        t, h, w = (n // size for n, size in zip(k[1:4], fitted(self.size, k)))
        return t, h, w

    def out(self, *xs: Shape) -> Shape:
        y = super().out(*xs)
        q, k, _ = xs
        sizes = zip(AXES, q[1:4], k[1:4], fitted(self.size, k), self.count(k))
        for axis, queries, n, size, count in sizes:
            fix = f"pad_windows: {{size: {[*self.size]}}} before it"
            want = f"a multiple of {size}"
            require(n % size == 0, f"windows that do not part the map along {axis}", got=n, want=want, fix=fix)
            what = f"queries that do not fall into the windows along {axis}"
            require(queries % count == 0, what, got=f"{queries}, {count} windows", want=f"a multiple of {count}")
        if self.bias or any(self.shifts(k)):
            what = "pooled queries in windows that shift or have a bias"
            require(q[1:4] == k[1:4], what, got=f"{q} and {k}", want="equal sizes")
        return y

    def pairs(self, q: Shape, k: Shape) -> int:
        return q.positions * k.positions // prod(self.count(k))

    def weights(self, *xs: Shape) -> Weights:
        return {"table": (prod(2 * n - 1 for n in self.size), self.heads)} if self.bias else {}

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """Rows of windows are copies; numbers for steps and masks of shifts are the same for all clips.

        torch's kernel wants masks for every clip, and where there are both, their sums for every head too.
        """
        plain, pairs, parts = super().keeps(xs, y, training), self.pairs(*xs[:2]), prod(self.count(xs[1]))
        steps, masks = pairs // parts * self.bias, pairs * any(self.shifts(xs[1]))
        shared, index = steps * self.heads + masks, INDEX * steps * training
        if not self.fused:
            rows = sum(x.elements for x in xs) * self.parted(xs[1])
            return replace(plain, passing=plain.passing + rows, shared=shared, shared_bytes=index)
        sums = pairs * self.heads * bool(steps and masks)
        if not training:
            return replace(plain, passing=plain.passing + masks + sums, shared=shared)
        passing = masks * bool(sums) + y.elements * bool(masks)
        kept = index + 4 * steps * self.heads * (not sums)
        return replace(plain, own=plain.own + (sums or masks), passing=passing, shared=shared, shared_bytes=kept)

    def parted(self, k: Shape) -> bool:
        """Whether there are several windows, or one that moves."""
        return prod(self.count(k)) > 1 or any(self.shifts(k))

    def copies(self, q: Shape, k: Shape) -> bool:
        return self.fused and self.parted(k)

    @property
    def each_frame(self) -> bool:
        return self.size[0] == 1

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        """Where the queries lie; they see as far as a window."""
        return seeing(grids, *fitted(self.size, xs[1]))

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        """The frames of its window, but for those that it meets beyond the clip's end."""
        k, (count, *_), (shift, *_) = xs[1], self.count(xs[1]), self.shifts(xs[1])
        keys, windows = merged(seen[1], seen[2]), dict[tuple[int, bool], int]()

        def window_of(i: int, n: int) -> tuple[int, bool]:
            """The window of frame i of n, and whether it comes from beyond the clip's start."""
            moved = (i - shift) % n
            return moved * count // n, moved >= n - shift

        for j, one in enumerate(keys):
            windows[window_of(j, k.t)] = windows.get(window_of(j, k.t), 0) | one
        return tuple(own | windows[window_of(i, y.t)] for i, own in enumerate(seen[0]))

    def torch(self, *xs: Shape) -> Layer:
        k = xs[1]
        where = (self.count(k), fitted(self.size, k), self.shifts(k))
        needs = runtime("attention.products", "weighed") + runtime("attention.windows", *WINDOW_FUNCTIONS)
        if not self.bias:
            places = ", ".join(map(str, where))
            return Layer(f"attend_windows({{0}}, {{1}}, {{2}}, {places}, {self.keywords(*xs)})", needs=needs)
        args = [Argument("heads", self.heads), Argument("table", self.size)]
        args += [Argument(name, value) for name, value in zip(("count", "size", "shift"), where)]
        needs += runtime("attention.windows", "WindowAttention")
        return Layer("{m}({0}, {1}, {2})", "WindowAttention", (*args, *self.arguments(*xs)), needs=needs)

    @classmethod
    def example(cls, draw: Draw) -> Example:
        """Windows that part the map or hold it, with a shift or a bias; or pooled queries."""
        window, count = random_triple(draw), random_triple(draw, 1, 2)
        k = Shape(1, *(n * parts for n, parts in zip(window, count)))
        if draw.flag():
            q = Shape(1, *(draw.integer(1, 2) * parts for parts in count))
            return attending(cls, draw, q, k, size=window)
        shift = tuple(draw.integer(0, n - 1) for n in window)
        larger = tuple(n + (parts == 1) * draw.integer(0, 1) for n, parts in zip(window, count))
        return attending(cls, draw, k, k, size=larger, shift=shift, bias=draw.flag())


WINDOW_FUNCTIONS = ("parted", "window_rows", "window_map", "window_mask", "attend_windows")


@dataclass(frozen=True, kw_only=True)
class PadWindows(Op):
    """Zeros behind the map, so that windows part it.  (c, t, h, w) -> (c, t', h', w')

    None along an axis that is no longer than the window.
    """

    causality = "frame"
    size: Triple
    """Elements of a window along (t, h, w)."""

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(min(self.size) >= 1, "a window below 1", got=self.size, want="whole numbers from 1")
        return Shape(x.c, *(-(-n // size) * size for n, size in zip(x[1:4], fitted(self.size, x))))

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return seen[0] + (0,) * (y.t - xs[0].t)

    @property
    def each_frame(self) -> bool:
        return self.size[0] == 1

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return grids[0]

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        return Keeps()

    def torch(self, *xs: Shape) -> Layer:
        t, h, w = (m - n for m, n in zip(self.out(*xs)[1:4], xs[0][1:4]))
        return Layer(f"F.pad({{0}}, {(0, w, 0, h, 0, t)})")
