"""Which steps aten ops are."""

from __future__ import annotations

from collections.abc import Callable

from archdsl.backend.reader import functions as f
from archdsl.backend.reader import products as p
from archdsl.backend.reader.aten import FACTORIES, MOVES, SELECTS, UNARY, Call, argument, op_name
from archdsl.backend.reader.steps import Steps, TracedStep, TracedValue, joined_values
from archdsl.backend.reader.trace import TracedModule

StepRule = Callable[[Steps, Call], TracedValue]


def moved_value(steps: Steps, node: Call) -> TracedValue:
    """A value in another shape."""
    return steps.value(node.args[0])


def piece(steps: Steps, node: Call) -> TracedValue:
    """One of several values, or their numbers alike."""
    value = steps.value(node.args[0])
    index = node.args[1]
    return value.pieces[index] if value.pieces and isinstance(index, int) else value


def cut_off_at_ends(steps: Steps, node: Call) -> TracedValue:
    """Numbers cut off at two ends: ReLU and ReLU6, whatever they are called."""
    low, high = argument(node, 1, "min_val" if op_name(node) == "hardtanh" else "min"), argument(node, 2, "max")
    if low == 0 and high in (6, None):
        return f.one(steps, node, "relu6" if high == 6 else "relu")
    return f.one(steps, node, op_name(node), low, high)


RULES: dict[str, StepRule] = {
    **dict.fromkeys(MOVES, moved_value),
    **dict.fromkeys(("select", "unbind", "chunk", "split", "split_with_sizes", "slice"), p.apart),
    "getitem": piece,
    "linear": p.linear,
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), p.convolution),
    **dict.fromkeys(("_native_batch_norm_legit_no_training", "native_batch_norm"), f.batch_norm),
    **dict.fromkeys(("layer_norm", "rms_norm"), f.layer_norm),
    "group_norm": f.group_norm,
    "add": f.sums_step,
    **dict.fromkeys(("mul", "div"), f.times_step),
    **dict.fromkeys(("matmul", "bmm", "mm"), p.matmul),
    "scaled_dot_product_attention": p.attention_steps,
    "einsum": p.einsum,
    "mean": f.mean_step,
    **dict.fromkeys(("max_pool3d", "max_pool2d", "avg_pool3d", "avg_pool2d"), f.pool),
    **dict.fromkeys(("max_pool3d_with_indices", "max_pool2d_with_indices"), f.pool),
    **dict.fromkeys(("adaptive_avg_pool3d", "adaptive_avg_pool2d", "adaptive_avg_pool1d"), f.adaptive_pool),
    **dict.fromkeys(("_adaptive_avg_pool3d", "_adaptive_avg_pool2d"), f.adaptive_pool),
    **dict.fromkeys(("softmax", "_softmax"), f.softmax_step),
    "cat": f.concatenation,
    "gelu": f.gelu,
    **dict.fromkeys(("hardtanh", "clamp"), cut_off_at_ends),
}


def value_of_call(steps: Steps, node: Call) -> TracedValue:
    """What one call gives; a step is added where it computes."""
    name = op_name(node)
    known = joined_values(steps.value(x) for x in (*node.args, *node.kwargs.values()))
    if name in FACTORIES:
        return TracedValue()
    if name in RULES and known.steps:
        return RULES[name](steps, node)
    if not known.steps or name in SELECTS:
        return known
    fields = tuple(x for x in node.args[1:] if isinstance(x, int | float))
    return f.unknown(steps, node, name) if name not in UNARY else f.one(steps, node, name, *fields)


def steps_of(traced: TracedModule, sizes: dict[str, tuple[int, ...]]) -> Steps:
    """The steps of a traced module, those that no output is made from left out."""
    steps = Steps(traced, sizes)
    for name in traced.inputs:
        steps.values[name] = steps.add(TracedStep("clip", (), (), {}, tuple(traced.inputs[name].shape)))
    for name, weight in traced.weights.items():
        steps.values[name] = TracedValue((), (weight,) if weight in traced.parameters else ())
    for node in traced.nodes:
        steps.values[node.name] = value_of_call(steps, node)
    return steps
