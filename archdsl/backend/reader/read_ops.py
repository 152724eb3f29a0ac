"""Steps of a traced module as ops of ours; what has no counterpart keeps its name, its sizes and its cost."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

from archdsl import ops
from archdsl.backend.reader.steps import TracedStep
from archdsl.errors import SpecError
from archdsl.ops import Cost, Grid, Op, Shape
from archdsl.ops.layer import Weights

EACH_ALONE = (
    "linear",
    "layer_norm",
    "rms_norm",
    "sum",
    "mul",
    "scale",
    "concat",
    "softmax",
    "gelu",
    "silu",
    "sigmoid",
    "tanh",
)
"""Steps that see each element alone."""
POINTWISE = {
    "relu": ops.Relu(),
    "gelu": ops.Gelu(),
    "silu": ops.Silu(),
    "sigmoid": ops.Sigmoid(),
    "tanh": ops.Tanh(),
    "hardswish": ops.Hardswish(),
    "hardsigmoid": ops.Hardsigmoid(),
    "relu6": ops.Relu6(),
}


@dataclass(frozen=True, kw_only=True)
class ReadOp(Op):
    """What a module does at one place, where no op of ours says it: its name, the shape it gives, what it costs."""

    reads: ClassVar[int | None] = None
    passes_extra: ClassVar[bool] = True
    word: str
    gives: Shape
    params: tuple[tuple[int, ...], ...] = ()
    macs: int = 0
    beside: bool = False
    """Whether each element comes from the one beside it."""

    def out(self, *xs: Shape) -> Shape:
        return self.gives

    def cost(self, *xs: Shape) -> Cost:
        return Cost(params=sum(map(prod, self.params)), matmul_macs=self.macs, activations=self.gives.elements)

    def weights(self, *xs: Shape) -> Weights:
        return {f"weight{i}": shape for i, shape in enumerate(self.params)}

    def place(self, xs: tuple[Shape, ...], grids: tuple[Grid, ...]) -> Grid:
        return grids[0] if self.beside else super().place(xs, grids)

    def label(self, x: Shape, y: Shape) -> str:
        return self.word

    def row(self, x: Shape | None = None) -> str:
        return self.word


def op_of(step: TracedStep, xs: tuple[Shape, ...], gives: Shape, params: tuple[tuple[int, ...], ...]) -> Op:
    """The op of ours that a step is, if that gives the same and costs the same; else its name and sizes."""
    op = counterpart(step, xs[0], gives, params)
    known = ReadOp(word=step.text(), gives=gives, params=params, macs=step.macs, beside=step.kind in EACH_ALONE)
    if op is None:
        return known
    try:
        if any(x.extra for x in xs):
            op.check_extra(xs)
        cost, out = op.cost(*xs), op.out(*xs)
    except (SpecError, ValueError, IndexError):
        return known
    same = out == gives and cost.macs == step.macs and cost.params == sum(map(prod, params))
    return op if same else known


def table_added(params: tuple[tuple[int, ...], ...], x: Shape) -> Op | None:
    """Learnt positions: a table of all, or one of space and one of time."""
    counts = sorted(map(prod, params))
    if counts == [x.positions * x.c]:
        return ops.Positions()
    if counts == sorted((x.h * x.w * x.c, x.t * x.c)) and not x.extra:
        return ops.Positions(over=("hw", "t"))
    return None


def counterpart(step: TracedStep, x: Shape, gives: Shape, params: tuple[tuple[int, ...], ...]) -> Op | None:
    """The op of ours that would do what a step does."""
    window: Any = dict(step.window)
    match step.kind:
        case "conv":
            return ops.Conv(**window)
        case "max_pool":
            return ops.MaxPool(**window)
        case "avg_pool":
            return ops.AvgPool(**{k: v for k, v in window.items() if k != "dilation"})
        case "linear":
            return ops.Linear(out_features=int(step.fields[1]), bias="bias" in step.weights)
        case "batch_norm":
            return ops.BatchNorm(eps=step.fields[2], affine="bias" in step.weights, scale="weight" in step.weights)
        case "layer_norm":
            return ops.LayerNorm(eps=step.fields[2], affine="weight" in step.weights)
        case "sum" if step.fields[0] > 1:
            return ops.Add()
        case "concat":
            return ops.Concat()
        case "mean" if gives.positions == 1:
            return ops.Mean()
        case "mean" if (gives.c, gives.t, gives.extra) == (x.c, x.t, 0) and gives.h == gives.w == 1:
            return ops.Mean(over="hw")
        case "softmax" if gives.positions == 1:
            return ops.Softmax()
        case "mul" if len(step.reads) == 2 and not step.weights:
            return ops.Mul()
        case "group_norm":
            return ops.GroupNorm(groups=step.fields[0], eps=step.fields[2], affine="weight" in step.weights)
        case "gelu" if step.fields == ("tanh",):
            return ops.Gelu(form="tanh")
        case "leaky_relu":
            return ops.LeakyRelu(slope=step.fields[0] if step.fields else 0.01)
        case "sum" if len(step.reads) == 1:
            return table_added(params, x)
    return POINTWISE.get(step.kind)
