"""Optical flow of a map's own channels: TV-L1's iterations unrolled into a layer, and frames left out beside it."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

from archdsl.ops.autograd import RESHAPED, Keeps
from archdsl.ops.base import Cost, Op, require
from archdsl.ops.example import Draw, Example, random_fields
from archdsl.ops.grid import Axis, Grid
from archdsl.ops.layer import Argument, Layer, Weights, runtime
from archdsl.ops.receptive_field import Seen, everything
from archdsl.ops.shape import Shape

Learnt = Literal["gradient", "divergence", "theta", "lambda", "tau"]
LEARNT: tuple[Learnt, ...] = ("gradient", "divergence", "theta", "lambda", "tau")
"""The parts of the layer that may be learnt: kernels of the image's gradient, those of the flow's, three numbers."""


@dataclass(frozen=True, kw_only=True)
class TvL1Flow(Op):
    """TV-L1 flow from each frame to the next, of every channel (arXiv:1810.01455, Algorithm 1).

    (c, t, h, w) -> (2c, t - 1, h, w), or (2c, t, h, w) where the last flow is repeated: flows along w, then along h.
    The map is first stretched to 0..255, over the clip or the whole batch. `dense` kernels sum over all channels; they
    start like those of `channel`, each channel an image by itself.
    """

    autocast = "float32"
    iterations: int = 10
    """Steps of the algorithm."""
    kernels: Literal["channel", "dense"] = "channel"
    """Whether gradients see their own channel, or all."""
    gradient: Literal["central", "sobel"] = "central"
    """Kernel of the map's gradient: [-1/2, 0, 1/2], or Sobel's."""
    learn: tuple[Learnt, ...] = LEARNT
    """Which of its constants are learnt."""
    frames: Literal["shrink", "repeat"] = "shrink"
    """One frame less than the map, or the last flow repeated."""
    normalise: Literal["clip", "batch"] = "clip"
    """Over what the map is stretched to 0..255."""

    def __post_init__(self) -> None:
        require(self.iterations >= 1, "iterations below 1", got=self.iterations, want="at least 1")
        once = len(set(self.learn)) == len(self.learn)
        require(once, "a part listed twice in `learn`", got=", ".join(self.learn), want="each once")

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        require(x.t >= 2, "flow of a single frame", got=f"{x.t} frame", want="at least 2")
        return Shape(2 * x.c, x.t - (self.frames == "shrink"), x.h, x.w)

    def kernel_shapes(self, c: int) -> dict[str, tuple[int, ...]]:
        """The six kernels: of the image along w and h, and of the flow forward and, for the divergence, backward."""
        rows = (c, c if self.kernels == "dense" else 1)
        image = ((3, 3), (3, 3)) if self.gradient == "sobel" else ((1, 3), (3, 1))
        sizes = dict(zip(("gradient_x", "gradient_y"), image))
        for name in ("forward", "divergence"):
            sizes |= {f"{name}_x": (1, 2), f"{name}_y": (2, 1)}
        return {name: (*rows, *size) for name, size in sizes.items()}

    def weights(self, *xs: Shape) -> Weights:
        """What is learnt; `divergence` stands for all kernels of the flow."""
        kernels = self.kernel_shapes(xs[0].c)
        held = [name for name in kernels if ("gradient" if name.startswith("gradient") else "divergence") in self.learn]
        found: dict[str, tuple[int, ...]] = {name: kernels[name] for name in held}
        # `lambda` is a Python keyword, which tracers of modules cannot write as an attribute
        names = {"theta": "theta", "lambda": "lambda_", "tau": "tau"}
        return found | {name: (1,) for field, name in names.items() if field in self.learn}

    def cost(self, *xs: Shape) -> Cost:
        """The convolutions: two for the image, then in each iteration four for each of the flow's two directions."""
        (x,) = xs
        weights = {name: prod(shape) for name, shape in self.kernel_shapes(x.c).items()}
        image = weights["gradient_x"] + weights["gradient_y"]
        once = 2 * (sum(weights.values()) - image)
        places = (x.t - 1) * x.h * x.w
        return Cost(
            params=sum(map(prod, self.weights(x).values())),
            conv_macs=(image + self.iterations * once) * places,
            # a trace leaves out the last forward differences, which no flow reads
            fvcore_extra=-(once // 2) * places,
            activations=self.out(x).elements,
        )

    def unlearnt(self, *xs: Shape) -> tuple[str, ...]:
        """The first iteration's flow reads no duals, and those of the last nobody reads."""
        names = () if self.iterations > 1 else self.weights(*xs)
        return tuple(name for name in names if name.startswith(("forward", "divergence", "tau")))

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        """Between two frames; each iteration looks one element further to every side. The stretching is left out."""
        grid = grids[0]
        t = Axis(grid.t.step, grid.t.start + grid.t.step / 2, grid.t.span + grid.t.step)
        h, w = (axis._replace(span=axis.span + 2 * (1 + self.iterations) * axis.step) for axis in grid[1:3])
        return Grid(t, h, w, grid.tick)

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return everything(seen, y.t)

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        """Every iteration: 28.5 maps of c channels and t - 1 frames, 11 before the first (counted with hooks)."""
        (x,) = xs
        n = x.c * (x.t - 1) * x.h * x.w
        return Keeps(own=(22 + 57 * self.iterations) * n // 2, passing=16 * n, passing_back=16 * n)

    def torch(self, *xs: Shape) -> Layer:
        """Unrolled iterations."""
        args = (
            Argument("channels", xs[0].c),
            Argument("iterations", self.iterations, 10),
            Argument("dense", self.kernels == "dense", False),
            Argument("sobel", self.gradient == "sobel", False),
            *(Argument(f"learn_{part}", part in self.learn, True) for part in LEARNT),
            Argument("repeat", self.frames == "repeat", False),
            Argument("whole_batch", self.normalise == "batch", False),
        )
        return Layer("{m}({0})", "TvL1Flow", args, needs=runtime("flows.flow", "flow_kernel", "filtered", "TvL1Flow"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        learn = tuple(part for part in LEARNT if draw.flag())
        return cls(**random_fields(cls, draw, iterations=draw.integer(1, 3), learn=learn)), (draw.shape(),)


@dataclass(frozen=True, kw_only=True)
class DropFrames(Op):
    """Without so many frames at the front and at the back.  (c, t, h, w) -> (c, t - front - back, h, w)"""

    kept = RESHAPED
    front: int = 0
    """Frames left out at the front."""
    back: int = 0
    """Frames left out at the back."""

    def __post_init__(self) -> None:
        got = f"front={self.front}, back={self.back}"
        require(min(self.front, self.back) >= 0, "a negative number of frames dropped", got=got, want="0 or more")

    def out(self, *xs: Shape) -> Shape:
        (x,) = xs
        left = x.t - self.front - self.back
        got = f"{self.front + self.back} of {x.t}"
        require(left >= 1, "no frame left", got=got, want=f"at most {x.t - 1} dropped")
        return x._replace(t=left)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        t = grids[0].t
        return grids[0]._replace(t=t._replace(start=t.start + t.step * self.front))

    def sees(self, xs: tuple[Shape, ...], seen: tuple[Seen, ...], y: Shape) -> Seen:
        return seen[0][self.front : self.front + y.t]

    def torch(self, *xs: Shape) -> Layer:
        return Layer(f"{{0}}[:, :, {self.front} : {xs[0].t - self.back}]")

    @classmethod
    def example(cls, draw: Draw) -> Example:
        return cls(front=draw.integer(0, 2), back=draw.integer(0, 2)), (draw.shape(),)
