"""A memory of the clips before (MeMViT, arXiv:2201.08383): keys and values kept, and attention that reads them."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

from archdsl.ops.autograd import RESHAPED
from archdsl.ops.base import Beside, require
from archdsl.ops.example import Draw, Example
from archdsl.ops.layer import Argument, Layer, Weights, runtime
from archdsl.ops.relative_attention import RelativeAttention
from archdsl.ops.shape import Shape
from archdsl.ops.window import Triple

POINT: Triple = (1, 1, 1)


def remembered_size(x: Shape, kernel: Triple, stride: Triple) -> Triple:
    """The map (t, h, w) that is remembered of a map."""
    t, h, w = ((n + 2 * (k // 2) - k) // s + 1 for n, k, s in zip(x[1:4], kernel, stride))
    return t, h, w


@dataclass(frozen=True, kw_only=True)
class ClipMemory(Beside):
    """The map, behind those of `clips` clips before it, of each `gap`-th one.  (c, t, h, w, k) -> (c, t, h, w, k)

    Shapes are those of a clip by itself, which remembers nothing. With the next clip of a stream a map is compressed
    once, by a depthwise convolution and a layer norm; gradients end at the clip. Tokens beside it stay as they are.
    """

    passes_extra = True
    kept = RESHAPED
    stateful = True
    of_clips: ClassVar = True
    clips: int = 2
    """How many clips are read; 0 for none, whose weights stand idle."""
    gap: int = 1
    """Clips from one that is read to the next."""
    kernel: Triple = POINT
    """Window of the convolution; with stride 1 of 1 x 1 x 1 nothing is compressed."""
    stride: Triple = POINT
    """Its stride."""
    eps: float = 1e-6
    """Added to the variance by the norm."""

    @property
    def compresses(self) -> bool:
        """Whether there is a convolution."""
        return (self.kernel, self.stride) != (POINT, POINT)

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(self.clips >= 0, "`clips` below 0", got=self.clips, want="at least 0")
        require(self.gap >= 1, "`gap` below 1", got=self.gap, want="at least 1")
        lowest = min(*self.kernel, *self.stride)
        require(lowest >= 1, "`kernel` or `stride` below 1", got=lowest, want="whole numbers from 1")
        if self.compresses:
            what = "a compressed memory of a map without tokens beside it"
            require(x.extra > 0, what, got=x, want="tokens beside the map", fix="class_token before it")
        return x

    def weights(self, *xs: Shape) -> Weights:
        if not self.compresses:
            return {}
        c = xs[0].c
        return {"pool.weight": (c, 1, *self.kernel), "norm.weight": (c,), "norm.bias": (c,)}

    def unlearnt(self, *xs: Shape) -> tuple[str, ...]:
        """A clip by itself has no memory."""
        return tuple(self.weights(*xs))

    def held(self, *xs: Shape) -> int:
        """Compressed maps of as many clips as are passed over, and the last one as it is."""
        (x,), clips = xs, self.clips * self.gap
        small = x.c * (prod(remembered_size(x, self.kernel, self.stride)) + x.extra)
        return x.elements + (clips - 1) * small if clips else 0

    def label(self, x: Shape, y: Shape) -> str:
        return f"memory of {self.clips} clip{'s' * (self.clips != 1)}"

    def torch(self, *xs: Shape) -> Layer:
        (x,) = xs
        args = [Argument("clips", self.clips), Argument("gap", self.gap), Argument("channels", x.c)]
        args += [Argument("size", x[1:4]), Argument("beside", x.extra)]
        if self.compresses:
            args += [Argument("kernel", self.kernel), Argument("stride", self.stride), Argument("eps", self.eps)]
        needs = runtime("stream", "Held") + runtime("attention.clip_memory", "ClipMemory")
        return Layer("{m}({0})", "ClipMemory", tuple(args), needs=needs)

    @classmethod
    def example(cls, draw: Draw) -> Example:
        x, fields = draw.shape()._replace(extra=draw.integer(0, 2)), dict[str, Any]()
        if x.extra and draw.flag():
            fields = {"kernel": (3, 3, 1), "stride": (2, 1, 1)}
        eps = draw.choice((1e-6, 1e-5))
        return cls(clips=draw.integer(0, 2), gap=draw.integer(1, 2), eps=eps, **fields), (x,)


@dataclass(frozen=True, kw_only=True)
class MemoryAttention(RelativeAttention):
    """`relative_attention` whose keys and values may begin with those of clips before, as `clip_memory` has them.

    Their distances have tables of their own: along time as many rows as queries and `clips` clips have frames; along
    height and width as many as the longer of queries and remembered keys needs.
    """

    of_clips: ClassVar = True
    clips: int = 2
    """How many clips before are read."""
    kernel: Triple = POINT
    """Window by which keys are compressed."""
    stride: Triple = POINT
    """Stride by which keys are compressed."""

    def memory(self, k: Shape) -> Triple:
        """The map that is remembered of keys."""
        return remembered_size(k, self.kernel, self.stride)

    def out(self, *xs: Shape) -> Shape:
        require(self.clips >= 1, "`clips` below 1", got=self.clips, want="at least 1")
        lowest = min(*self.kernel, *self.stride)
        require(lowest >= 1, "`kernel` or `stride` below 1", got=lowest, want="whole numbers from 1")
        return super().out(*xs)

    def memory_weights(self, q: Shape, k: Shape) -> Weights:
        width, (t, h, w) = self.head_channels(q), self.memory(k)
        frames = max((self.clips + 1) * q.t - 1, q.t + self.stride[0] * (self.clips * t - 1))
        sizes = (frames, 2 * max(q.h, h) - 1, 2 * max(q.w, w) - 1)
        return {f"memory_{axis}": (n, width) for axis, n in zip("thw", sizes)}

    def weights(self, *xs: Shape) -> Weights:
        return super().weights(*xs) | self.memory_weights(*xs[:2])

    def unlearnt(self, *xs: Shape) -> tuple[str, ...]:
        """A clip by itself has no memory."""
        return tuple(self.memory_weights(*xs[:2]))

    def torch(self, *xs: Shape) -> Layer:
        plain, rows = super().torch(*xs), tuple(n for n, _ in self.memory_weights(*xs[:2]).values())
        args = (Argument("memory", self.memory(xs[1])), Argument("step", self.stride[0]), Argument("rows", rows))
        needs = plain.needs + runtime("stream", "Held") + runtime("attention.clip_memory", "MemoryAttention")
        return Layer("{m}({0}, {1}, {2})", "MemoryAttention", args + plain.args, needs=needs)

    @classmethod
    def example(cls, draw: Draw) -> Example:
        op, (q, k, v) = super().example(draw)
        fields: dict[str, Any] = {name: getattr(op, name) for name in ("heads", "scale", "fused", "sizes")}
        fields |= {"kernel": (3, 3, 1), "stride": (2, 1, 1)} if draw.flag() else {}
        return cls(**fields, clips=draw.integer(1, 2)), (q, k, v)
