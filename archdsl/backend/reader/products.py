"""Steps that multiply and add: convolutions, linear layers, attention."""

from __future__ import annotations

from math import prod, sqrt

from torch.fx import Node

from archdsl.backend.reader.aten import (
    MOVES,
    Call,
    argument,
    elements,
    on_axes,
    op_name,
    padding_of,
    shape_of,
    three,
)
from archdsl.backend.reader.functions import added_numbers, one, unknown, window_fields
from archdsl.backend.reader.steps import Steps, TracedStep, TracedValue

LARGEST_JOINT = 3
"""Products in one: queries, keys and values."""


def linear(steps: Steps, node: Call) -> TracedValue:
    """A matrix times the channels; several where their results lie side by side and are taken apart."""
    x, weight, bias = node.args[0], node.args[1], argument(node, 2, "bias")
    return products(steps, node, x, weight, bias, joint_count(node))


def products(steps: Steps, node: Call, x: Call, weight: Call, bias: Call, count: int) -> TracedValue:
    """`count` linear steps of one matrix."""
    out, inside = shape_of(weight)[0] // count, prod(shape_of(weight)[1:])
    roles = {**steps.roles(weight=weight, **({"bias": bias} if bias is not None else {})), **steps.beside(x)}
    made: list[int] = []
    for i in range(count):
        parts = {
            role: (name, i, count) if role in ("weight", "bias") else (name, 0, 1) for role, (name, *_) in roles.items()
        }
        fields = (inside, out, *(("without bias",) if "bias" not in parts else ()))
        macs = elements(node) // count * inside
        step = TracedStep("linear", fields, (steps.value(x).steps,), parts, shape_of(node), macs, node)
        made += steps.add(step).steps
    return TracedValue(tuple(made), (), tuple(made) if count > 1 else ())


def joint_count(node: Call) -> int:
    """How many equal parts the result of a product is taken apart into, and read in no other way; 1 where it is not."""
    waiting: list[Call] = [node]
    ends: list[Call] = []
    while waiting:
        for reader in waiting.pop().users:
            if op_name(reader) in MOVES:
                waiting.append(reader)
            else:
                ends.append(reader)
    for count in range(LARGEST_JOINT, 1, -1):
        if ends and shape_of(node)[-1] % count == 0:
            parts = [part_of(end, count) if end.args and isinstance(end.args[0], Node) else None for end in ends]
            if all(part is not None for part in parts) and {i for part in parts for i in part or ()} == {*range(count)}:
                return count
    return 1


def part_of(node: Call, count: int) -> list[int] | None:
    """Which of `count` equal parts of its first argument a call gives; None where it gives none."""
    name, shape = op_name(node), shape_of(node.args[0])
    dim = argument(node, 2 if name in ("split", "split_with_sizes", "chunk") else 1, "dim", 0)
    if not shape or not isinstance(dim, int):
        return None
    size = shape[dim]
    if name == "select":
        index = node.args[2]
        return [index % size] if size == count and isinstance(index, int) else None
    if name == "unbind":
        return [*range(count)] if size == count else None
    if name in ("chunk", "split", "split_with_sizes"):
        pieces = node.meta["val"]
        alike = len(pieces) == count and len({tuple(x.shape) for x in pieces}) == 1
        return [*range(count)] if alike else None
    if name == "slice":
        start, end = argument(node, 2, "start") or 0, argument(node, 3, "end")
        width = min(size if end is None else end, size) - start
        return [start // width] if width * count == size and width and start % width == 0 else None
    return None


def apart(steps: Steps, node: Call) -> TracedValue:
    """What is chosen of a value: one of several products side by side, or just some of its numbers."""
    value = steps.value(node.args[0])
    if not value.joint:
        return value
    found = part_of(node, len(value.joint))
    assert found is not None
    pieces = tuple(TracedValue((value.joint[i],), value.weights) for i in found)
    return pieces[0] if op_name(node) in ("select", "slice") else TracedValue(value.joint, value.weights, (), pieces)


def convolution(steps: Steps, node: Call) -> TracedValue:
    """A window of weights; a linear step where it covers one element."""
    x, weight, bias = node.args[0], node.args[1], argument(node, 2, "bias")
    shape, axes = shape_of(weight), len(shape_of(weight)) - 2
    window = {
        "kernel": three(shape[2:]),
        "stride": three(on_axes(argument(node, 3, "stride", 1), axes)),
        "pad": padding_of(argument(node, 4, "padding", 0), shape[2:]),
        "dilation": three(on_axes(argument(node, 5, "dilation", 1), axes)),
        "groups": argument(node, 6, "groups", 1),
    }
    if window["kernel"] == window["stride"] == (1, 1, 1) and window["groups"] == 1:
        return products(steps, node, x, weight, bias, 1)
    names = steps.value(weight).weights
    own = steps.sizes[names[0]] if len(names) == 1 else shape
    channels = own[0] if own[1] > 1 or window["groups"] == 1 else "by channel"
    fields = (window["kernel"], channels, *window_fields(window), *(("bias",) if bias is not None else ()))
    roles = dict(weight=weight, **({"bias": bias} if bias is not None else {}))
    value = one(steps, node, "conv", *fields, macs=elements(node) * prod(shape[1:]), **roles)
    steps.all[value.steps[0]].window = {**window, "out_channels": shape[0], "bias": bias is not None}
    return value


def matmul(steps: Steps, node: Call) -> TracedValue:
    """A product of two values, or of one and a matrix of weights."""
    a, b = node.args[:2]
    inside = shape_of(a)[-1]
    weight = steps.weight(b)
    if weight and not steps.value(b).steps and steps.sizes[weight[""][0]] in ((shape_of(b)[-1], inside),):
        fields = (inside, shape_of(b)[-1], "without bias")
        roles = {"weight": weight[""], **steps.beside(a)}
        step = TracedStep(
            "linear", fields, (steps.value(a).steps,), roles, shape_of(node), elements(node) * inside, node
        )
        return steps.add(step)
    reads = tuple(found for x in (a, b) if (found := steps.value(x).steps))
    macs = elements(node) * inside
    return steps.add(TracedStep("matmul", (), reads, steps.beside(a, b), shape_of(node), macs, node))


def einsum(steps: Steps, node: Call) -> TracedValue:
    """A product of two values over letters."""
    text, operands = str(node.args[0]).replace(" ", ""), node.args[1]
    given = text.partition("->")[0].split(",")
    if len(operands) != 2 or "." in text:
        return unknown(steps, node, "einsum")
    lengths = {letter: n for word, x in zip(given, operands) for letter, n in zip(word, shape_of(x))}
    reads = tuple(found for x in operands if (found := steps.value(x).steps))
    macs = prod(lengths.values())
    return steps.add(TracedStep("matmul", (), reads, steps.beside(*operands), shape_of(node), macs, node))


def attention_steps(steps: Steps, node: Call) -> TracedValue:
    """Pairs of queries and keys, a softmax, the mean of values."""
    q, k, v = node.args[:3]
    mask = argument(node, 3, "attn_mask")
    scale = argument(node, 6, "scale") or 1 / sqrt(shape_of(q)[-1])
    steps.scalars[round(float(scale), 6)] += scale != 1
    pairs = (*shape_of(q)[:-1], shape_of(k)[-2])
    macs = prod(pairs) * shape_of(q)[-1]
    reads = (steps.value(q).steps, steps.value(k).steps)
    value = steps.add(TracedStep("matmul", (), reads, steps.beside(q, k), pairs, macs, node))
    if isinstance(mask, Node) and not steps.value(mask).constant:
        given = steps.value(mask)
        fields = (1 + bool(given.steps), *added_numbers(steps, given.weights))
        reads = (value.steps, *((given.steps,) if given.steps else ()))
        value = steps.add(TracedStep("sum", fields, reads, steps.beside(mask), pairs, 0, node, commutes=True))
    value = steps.add(TracedStep("softmax", (), (value.steps,), {}, pairs, 0, node))
    reads = (value.steps, steps.value(v).steps)
    return steps.add(
        TracedStep("matmul", (), reads, steps.beside(v), shape_of(node), prod(pairs) * shape_of(v)[-1], node)
    )
