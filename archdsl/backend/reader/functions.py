"""Steps that are functions of values: norms, pools, sums, means, gates."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Any

from torch.fx import Node

from archdsl.backend.reader.aten import (
    Call,
    argument,
    bare,
    elements,
    on_axes,
    op_name,
    shape_of,
    three,
)
from archdsl.backend.reader.steps import Steps, TracedStep, TracedValue, joined_values


def one(steps: Steps, node: Call, kind: str, *fields: Any, macs: int = 0, **roles: Any) -> TracedValue:
    """A step that reads one value."""
    first = node.args[0]
    weights = {**steps.roles(**roles), **steps.beside(first)}
    return steps.add(TracedStep(kind, fields, (steps.value(first).steps,), weights, shape_of(node), macs, node))


def unknown(steps: Steps, node: Call, name: str) -> TracedValue:
    """A step that is not known: its name, its sizes, what it reads."""
    reads = tuple(steps.value(x).steps for x in node.args if steps.value(x).steps)
    weights = steps.beside(*node.args)
    return steps.add(TracedStep(name, (), reads, weights, shape_of(node), 0, node, known=False))


def batch_norm(steps: Steps, node: Call) -> TracedValue:
    """Norm by statistics that were gathered."""
    names, known = ("weight", "bias", "running_mean", "running_var"), steps.traced.weights
    roles = {role: known.get(x.name) for role, x in zip(names, node.args[1:5]) if isinstance(x, Node)}
    value = one(steps, node, "batch_norm", shape_of(node.args[0])[1], "eps", float(node.args[-1]))
    steps.all[value.steps[0]].weights |= {role: (name, 0, 1) for role, name in roles.items() if name}
    return value


def norm_weights(node: Call) -> dict[str, Any]:
    """The weights of a norm."""
    return {role: x for i, role in ((2, "weight"), (3, "bias")) if isinstance(x := argument(node, i, role), Node)}


def layer_norm(steps: Steps, node: Call) -> TracedValue:
    """Norm over channels."""
    eps = float(argument(node, 4, "eps", 1e-5) or 0)
    return one(steps, node, op_name(node), prod(node.args[1]), "eps", eps, **norm_weights(node))


def group_norm(steps: Steps, node: Call) -> TracedValue:
    """Norm over groups of channels."""
    return one(
        steps, node, "group_norm", node.args[1], "eps", float(argument(node, 4, "eps", 1e-5)), **norm_weights(node)
    )


def sums_step(steps: Steps, node: Call) -> TracedValue:
    """A sum; sums of sums are one, and constants are left out."""
    if node.kwargs.get("alpha", 1) != 1:
        return unknown(steps, node, op_name(node))
    return summed(steps, node, [x for x in node.args[:2] if isinstance(x, Node) and not steps.value(x).constant])


def summed(steps: Steps, node: Call, terms: list[Node]) -> TracedValue:
    """The sum of some values."""
    reads: list[tuple[int, ...]] = []
    weights = [name for x in terms for name in steps.value(x).weights]
    if len(terms) == 1 and not weights:
        return steps.value(terms[0])
    for x in terms:
        found = steps.value(x).steps
        inner = steps.all[found[0]] if len(found) == 1 else None
        if inner and inner.kind == "sum" and inner.node is x and len(x.users) == 1:
            steps.all[found[0]].kind = "gone"
            reads += inner.reads
            weights += [name for name, *_ in inner.weights.values()]
        elif found:
            reads.append(found)
    names = dict.fromkeys(weights)
    roles = {f"beside{i}": (name, 0, 1) for i, name in enumerate(names)}
    fields = (len(reads), *added_numbers(steps, names))
    return steps.add(TracedStep("sum", fields, tuple(reads), roles, shape_of(node), 0, node, commutes=True))


def added_numbers(steps: Steps, names: Iterable[str]) -> tuple[Any, ...]:
    """How many learnt numbers are added, in however many tables."""
    count = sum(prod(steps.sizes[name]) for name in names)
    return ("and", count, "learnt") if count else ()


def times_step(steps: Steps, node: Call) -> TracedValue:
    """A product of numbers: by a factor, by a weight, by another value."""
    a, b = node.args[:2]
    values = [x for x in (a, b) if isinstance(x, Node) and not steps.value(x).constant]
    if len(values) < 2 and not isinstance(b, Node):
        factor = float(b) if op_name(node) == "mul" else 1 / float(b)
        steps.scalars[round(factor, 6)] += factor != 1
        return steps.value(a)
    if len(values) < 2 or op_name(node) != "mul":
        return (
            unknown(steps, node, op_name(node)) if op_name(node) != "mul" else joined_values(map(steps.value, values))
        )
    first, second = (steps.value(x).steps for x in values)
    if not first or not second:  # a weight for each channel
        return steps.add(TracedStep("scale", (), (first or second,), steps.beside(*values), shape_of(node), 0, node))
    for gate, x in ((first, second), (second, first)):
        step = steps.all[gate[0]]
        if len(gate) == 1 and step.kind == "sigmoid" and step.reads == (x,):
            return steps.add(TracedStep("silu", (), (x,), steps.beside(*values), shape_of(node), 0, node))
    reads = (first, second)
    return steps.add(TracedStep("mul", (), reads, steps.beside(*values), shape_of(node), 0, node, commutes=True))


def mean_step(steps: Steps, node: Call) -> TracedValue:
    """The mean over some axes; a mean of means is one."""
    x = node.args[0]
    ratio = elements(x) // max(elements(node), 1)
    if ratio == 1:
        return steps.value(x)
    found = steps.value(x).steps
    inner = steps.all[found[0]] if len(found) == 1 else None
    if (
        inner
        and inner.kind == "mean"
        and not steps.value(x).weights
        and len(inner.node.users if inner.node else ()) == 1
    ):
        inner.kind, ratio = "gone", ratio * int(inner.fields[0])
        return steps.add(TracedStep("mean", (ratio,), inner.reads, inner.weights, shape_of(node), 0, node))
    return one(steps, node, "mean", ratio)


def pool(steps: Steps, node: Call) -> TracedValue:
    """A window without weights; a mean where it covers everything."""
    x, average = node.args[0], op_name(node).startswith("avg")
    axes = 2 if "2d" in op_name(node) else 3
    window: dict[str, Any] = {
        "kernel": three(on_axes(node.args[1], axes)),
        "stride": three(on_axes(argument(node, 2, "stride") or node.args[1], axes)),
        "pad": three(on_axes(argument(node, 3, "padding", 0), axes), 0),
        "dilation": (1, 1, 1) if average else three(on_axes(argument(node, 4, "dilation", 1), axes)),
    }
    if average and window["kernel"][-axes:] == shape_of(x)[-axes:] and window["pad"] == (0, 0, 0):
        return mean_step(steps, node)
    if window["kernel"] == window["stride"] == (1, 1, 1):
        return steps.value(x)
    ceil = bool(argument(node, 4 if average else 5, "ceil_mode", False))
    window["ceil"] = ceil
    if average:
        window["count_pad"] = bool(argument(node, 5, "count_include_pad", True)) or window["pad"] == (0, 0, 0)
    padded = () if window.get("count_pad", True) else ("padding not counted",)
    value = one(steps, node, "avg_pool" if average else "max_pool", window["kernel"], *window_fields(window), *padded)
    steps.all[value.steps[0]].window = window
    return value


def adaptive_pool(steps: Steps, node: Call) -> TracedValue:
    """A pool to a size: a mean where that is 1, nothing where it is the map's own."""
    if elements(node) == elements(node.args[0]):
        return steps.value(node.args[0])
    if bare(shape_of(node)) == bare(shape_of(node.args[0])[: -len(node.args[1])]):
        return mean_step(steps, node)
    return one(steps, node, op_name(node), tuple(node.args[1]))


def gelu(steps: Steps, node: Call) -> TracedValue:
    """GELU, exact or by a tanh."""
    return one(steps, node, "gelu", *(("tanh",) if argument(node, 1, "approximate", "none") == "tanh" else ()))


def softmax_step(steps: Steps, node: Call) -> TracedValue:
    """Shares along an axis."""
    return one(steps, node, "softmax")


def concatenation(steps: Steps, node: Call) -> TracedValue:
    """Channels side by side, in order; tokens beside others are no step."""
    values, dim = node.args[0], argument(node, 1, "dim", 0)
    reads = [found for x in values if (found := steps.value(x).steps)]
    if len(shape_of(node)) >= 4 and dim == 1 and len(reads) > 1:
        return steps.add(TracedStep("concat", (), tuple(reads), steps.beside(*values), shape_of(node), 0, node))
    return joined_values(map(steps.value, values))


def window_fields(window: dict[str, Any]) -> tuple[Any, ...]:
    """What a window has beside its kernel: a word and sizes each."""
    usual = {"stride": (1, 1, 1), "pad": (0, 0, 0), "dilation": (1, 1, 1)}
    return tuple(part for name, plain in usual.items() if window[name] != plain for part in (name, window[name]))
