"""The way back from a max pool: each element where the largest of its window lay (arXiv:1511.00561)."""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.ops.autograd import INDEX, Keeps
from archdsl.ops.base import Op, require
from archdsl.ops.example import Draw, Example, random_fields, random_triple
from archdsl.ops.grid import Grid
from archdsl.ops.layer import Layer, runtime
from archdsl.ops.notation import area
from archdsl.ops.pool import MaxPool
from archdsl.ops.receptive_field import Seen, merged, spread
from archdsl.ops.shape import Shape
from archdsl.ops.window import Triple


@dataclass(frozen=True, kw_only=True)
class MaxUnpool(Op):
    """Elements put where a pool found the largest, zeros between.  (c, t, h, w), (c, T, H, W) -> (c, T, H, W)

    The second map is the one that was pooled: `kernel` and `stride` are those of its pool, without padding and rounded
    up. Of elements that windows which overlap put in one place, the last stays.
    """

    reads = 2
    kernel: Triple = (1, 2, 2)
    """Elements of the pool's window along (t, h, w)."""
    stride: Triple = (1, 2, 2)
    """Elements from one window of the pool to the next, along (t, h, w)."""

    def __post_init__(self) -> None:
        assert self.pool.kernel == self.kernel

    @property
    def pool(self) -> MaxPool:
        """The pool whose way back it is."""
        return MaxPool(kernel=self.kernel, stride=self.stride, pad="valid", ceil=True)

    def out(self, *xs: Shape) -> Shape:
        x, like = xs
        pooled = self.pool.out(like)
        require(x == pooled, "a map that is no pool of the other", got=f"{x}", want=f"{pooled}, of {like}")
        return like

    def gradients(self, *xs: Shape) -> tuple[bool, ...]:
        return True, False

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        """On the map that was pooled; each element may see what that of the pool saw."""
        t, h, w = (there._replace(span=max(here.span, there.span)) for here, there in zip(grids[0][:3], grids[1][:3]))
        return Grid(t, h, w, grids[1].tick)

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        kernel, stride = self.kernel[0], self.stride[0]
        windows = self.pool.sees(xs[1:], seen[1:], xs[0])
        switched = spread(windows, y.t, kernel, stride, 1, 0)
        return merged(spread(seen[0], y.t, kernel, self.stride[0], 1, 0), switched)

    @property
    def each_frame(self) -> bool:
        return (self.kernel[0], self.stride[0]) == (1, 1)

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """Where each element goes; while it is found, the largest of each window too."""
        n = xs[0].elements
        return Keeps(own_bytes=INDEX * n, passing=n, passing_back=3 * y.elements)

    def label(self, x: Shape, y: Shape) -> str:
        return f"unpool {area(*self.kernel)}"

    def torch(self, *xs: Shape) -> Layer:
        call = f"max_unpool({{0}}, {{1}}, {self.pool.window(xs[1])}, {self.stride})"
        return Layer(call, needs=runtime("convolution.unpool", "max_unpool"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        """A map, and what its pool gives."""
        like, kernel = draw.shape(t=4, s=5), random_triple(draw, 1, 3)
        like = like._replace(**{axis: max(getattr(like, axis), k) for axis, k in zip("thw", kernel)})
        op = cls(**random_fields(cls, draw, kernel=kernel, stride=random_triple(draw, 1, 3)))
        return op, (op.pool.out(like), like)
