"""Functions of one element at a time, and dropout. No parameters, no multiply-adds by any convention here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from archdsl.ops.autograd import INPUT, NOTHING, RESHAPED, RESULT, Keeps
from archdsl.ops.base import Beside, Op, require
from archdsl.ops.example import Draw, Example
from archdsl.ops.grid import Axis, Grid
from archdsl.ops.layer import Argument, Layer, runtime
from archdsl.ops.notation import number
from archdsl.ops.shape import Shape


@dataclass(frozen=True, kw_only=True)
class Pointwise(Op):
    """A function of one element at a time.  (c, t, h, w) -> (c, t, h, w)"""

    causality = "frame"
    kept = INPUT
    shown = "in heads"
    passes_extra = True


@dataclass(frozen=True, kw_only=True)
class Relu(Pointwise):
    """max(x, 0).  (c, t, h, w) -> (c, t, h, w)"""

    kept = RESULT
    call = "F.relu({0})"


@dataclass(frozen=True, kw_only=True)
class Relu6(Pointwise):
    """min(max(x, 0), 6).  (c, t, h, w) -> (c, t, h, w)"""

    call = "F.relu6({0})"


@dataclass(frozen=True, kw_only=True)
class LeakyRelu(Pointwise):
    """max(x, slope x).  (c, t, h, w) -> (c, t, h, w)"""

    slope: float = 0.01
    """Factor of what is below 0."""

    def torch(self, *xs: Shape) -> Layer:
        return Layer(f"F.leaky_relu({{0}}, {self.slope})")


@dataclass(frozen=True, kw_only=True)
class Silu(Pointwise):
    """x sigmoid(x), also called swish.  (c, t, h, w) -> (c, t, h, w)"""

    call = "F.silu({0})"


@dataclass(frozen=True, kw_only=True)
class Sigmoid(Pointwise):
    """1 / (1 + exp(-x)).  (c, t, h, w) -> (c, t, h, w)"""

    kept = RESULT
    call = "torch.sigmoid({0})"


@dataclass(frozen=True, kw_only=True)
class Hardsigmoid(Pointwise):
    """min(max(x + 3, 0), 6) / 6.  (c, t, h, w) -> (c, t, h, w)"""

    call = "F.hardsigmoid({0})"


@dataclass(frozen=True, kw_only=True)
class Tanh(Pointwise):
    """tanh(x).  (c, t, h, w) -> (c, t, h, w)"""

    kept = RESULT
    call = "torch.tanh({0})"


@dataclass(frozen=True, kw_only=True)
class ScaledTanh(Pointwise):
    """1.7159 tanh(2 x / 3), which is 1 at 1 (LeCun et al. 1998, appendix A).  (c, t, h, w) -> (c, t, h, w)"""

    call = "1.7159 * torch.tanh({0} * (2 / 3))"

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        return Keeps(own=y.elements, passing_back=y.elements)


@dataclass(frozen=True, kw_only=True)
class Hardswish(Pointwise):
    """x min(max(x + 3, 0), 6) / 6.  (c, t, h, w) -> (c, t, h, w)"""

    call = "F.hardswish({0})"


@dataclass(frozen=True, kw_only=True)
class Gelu(Pointwise):
    """x Phi(x): exact, or by a tanh (`tanh`) or a sigmoid of 1.702 x (`quick`).  (c, t, h, w) -> (c, t, h, w)"""

    kind_of: ClassVar[dict[str, str]] = {
        "exact": "F.gelu({0})",
        "tanh": 'F.gelu({0}, approximate="tanh")',
        "quick": "{0} * torch.sigmoid(1.702 * {0})",
    }
    form: Literal["exact", "tanh", "quick"] = "exact"
    """Exact, or approximated by a tanh or (quick) a sigmoid."""

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        if self.form != "quick":
            return INPUT
        return Keeps(reads=(0,), own=y.elements, passing_back=y.elements) if training else Keeps(passing=y.elements)

    def torch(self, *xs: Shape) -> Layer:
        return Layer(self.kind_of[self.form])


@dataclass(frozen=True, kw_only=True)
class Softmax(Beside):
    """exp(x) / sum exp(x) along one axis.  (c, t, h, w) -> (c, t, h, w)"""

    autocast = "float32"
    kept = RESULT
    shown = "in heads"
    axis: Literal["c", "t", "h", "w"] = "c"
    """The axis along which the results sum to 1."""

    def gradients(self, *xs: Shape) -> tuple[bool, ...]:
        """Of one element it is 1, whatever that is."""
        return (getattr(xs[0], self.axis) > 1,)

    @property
    def each_frame(self) -> bool:
        return self.axis != "t"

    def torch(self, *xs: Shape) -> Layer:
        return Layer(f"F.softmax({{0}}, dim={1 + 'cthw'.index(self.axis)})")


@dataclass(frozen=True, kw_only=True)
class Affine(Pointwise):
    """scale x + shift, both fixed numbers.  (c, t, h, w) -> (c, t, h, w)"""

    scale: float = 1.0
    """Fixed factor."""
    shift: float = 0.0
    """Fixed number added."""

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        if (self.scale, self.shift) == (1, 0):
            return RESHAPED
        if self.scale == 1:
            return Keeps(gradient="same")
        return Keeps(passing=y.elements * (self.shift != 0))

    def torch(self, *xs: Shape) -> Layer:
        """Of the two numbers those that do something."""
        scale = f"{self.scale} * {{0}}" if self.scale != 1 else "{0}"
        return Layer(f"{scale} + {self.shift}" if self.shift else scale)

    @classmethod
    def example(cls, draw: Draw) -> Example:
        return cls(scale=draw.choice((1.0, 2.0)), shift=draw.choice((0.0, -0.5))), (draw.shape(),)


@dataclass(frozen=True, kw_only=True)
class DropPath(Op):
    """In training a clip's whole map is dropped with probability p, else scaled up.  (c, t, h, w) -> (c, t, h, w)

    Stochastic depth (arXiv:1603.09382) for each clip of a batch.
    """

    causality = "frame"
    passes_extra = True
    shown = "never"
    p: float = 0.1
    """Probability in training that a clip's map is dropped."""

    def out(self, *xs: Shape) -> Shape:
        require(0 <= self.p < 1, "`p` out of range", got=self.p, want="0 <= p < 1")
        return xs[0]

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        return Keeps() if training and self.p else RESHAPED

    def label(self, x: Shape, y: Shape) -> str:
        return f"drop path {self.p:.2g}"

    def torch(self, *xs: Shape) -> Layer:
        return Layer("{m}({0})", "DropPath", (Argument("p", self.p),), needs=runtime("join", "DropPath"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        return cls(p=draw.choice((0.0, 0.1, 0.5))), (draw.shape(),)


@dataclass(frozen=True, kw_only=True)
class Coin(Op):
    """1; in training 0 with probability p, for all clips of a batch at once.  (c, t, h, w) -> (1, 1, 1, 1)

    What is multiplied by it is dropped as a whole, everywhere at the same step (DropPathway, arXiv:2001.08740).
    """

    shown = "never"
    kept = NOTHING
    reads_size = True
    p: float = 0.5
    """Probability in training of 0."""

    def out(self, *xs: Shape) -> Shape:
        require(0 <= self.p < 1, "`p` out of range", got=self.p, want="0 <= p < 1")
        return Shape(1, 1, 1, 1)

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        """One place for all there is; it is no part of a clip."""
        t, h, w = (
            Axis(a.step * n, a.start + a.step * (n - 1) / 2, a.span + a.step * (n - 1))
            for a, n in zip(grids[0][:3], xs[0][1:4])
        )
        return Grid(t, h, w, grids[0].tick)

    def label(self, x: Shape, y: Shape) -> str:
        return f"coin {self.p:.2g}"

    def torch(self, *xs: Shape) -> Layer:
        return Layer("{m}({0})", "Coin", (Argument("p", self.p),), needs=runtime("join", "Coin"))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        return cls(p=draw.choice((0.0, 0.5))), (draw.shape(),)


@dataclass(frozen=True, kw_only=True)
class Dropout(Op):
    """Drops elements with probability p in training, the rest scaled up.  (c, t, h, w) -> (c, t, h, w)"""

    causality = "frame"
    passes_extra = True
    p: float = 0.5
    """Probability in training that an element is dropped."""

    def out(self, *xs: Shape) -> Shape:
        require(0 <= self.p < 1, "`p` out of range", got=self.p, want="0 <= p < 1")
        return xs[0]

    def keeps(self, xs: tuple[Shape, ...], y: Shape, training: bool) -> Keeps:
        return Keeps(own_bytes=y.elements) if training and self.p else RESHAPED

    def label(self, x: Shape, y: Shape) -> str:
        return f"dropout {self.p:g}"

    def row(self, x: Shape | None = None) -> str:
        return f"dropout {number(self.p)}"

    def torch(self, *xs: Shape) -> Layer:
        return Layer("{m}({0})", "nn.Dropout", (Argument("p", self.p, 0.5),))

    @classmethod
    def example(cls, draw: Draw) -> Example:
        return cls(p=draw.choice((0.0, 0.2, 0.5))), (draw.shape(),)
