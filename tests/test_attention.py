"""Attention against its definition: one query at a time, by hand; what it refuses; what it holds of a stream."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from archdsl import ops
from archdsl.backend import build_graph
from archdsl.errors import SpecError
from archdsl.graph import Builder, Graph
from archdsl.ops import UNIT, Grid, Shape
from archdsl.ops.multi_head import MultiHead
from archdsl.testing import graph_of
from tests.test_memory_ops import predicted, tracked


def attended(op: MultiHead, *xs: Tensor, shapes: tuple[Shape, ...] | None = None) -> Tensor:
    """The op on one clip's q, k and v, given as torch has them."""
    module = build_graph(graph_of(op, shapes or tuple(Shape(*x.shape) for x in xs))).double().eval()
    with torch.no_grad():
        y: Tensor = module({f"x{i}": x[None] for i, x in enumerate(xs)})[0]
    return y


def defined(op: MultiHead, q: Tensor, k: Tensor, v: Tensor, reads: Any) -> Tensor:
    """The sum over what `reads(query place, key place)` allows, for maps (c, t, h, w), head by head."""
    shares = op.heads * k.shape[0] // q.shape[0]
    out = []
    for head in range(op.heads):
        one = head * shares // op.heads
        qs, ks, vs = q.chunk(op.heads)[head], k.chunk(shares)[one], v.chunk(shares)[one]
        y = torch.zeros(len(vs), *q.shape[1:], dtype=q.dtype)
        for at in product(*map(range, q.shape[1:])):
            keys = [key for key in product(*map(range, k.shape[1:])) if reads(at, key)]
            scores = torch.stack([qs[(slice(None), *at)] @ ks[(slice(None), *key)] for key in keys])
            weights = (scores * (op.scale or len(qs) ** -0.5)).softmax(0)
            y[(slice(None), *at)] = sum(w * vs[(slice(None), *key)] for w, key in zip(weights, keys))
        out.append(y)
    return torch.cat(out)


def maps(*sizes: tuple[int, ...]) -> list[Tensor]:
    torch.manual_seed(0)
    return [torch.randn(size, dtype=torch.double) for size in sizes]


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("over", ["thw", "hw", "t", "th", "tw", "h", "w"])
def test_attention_over_axes_is_its_definition(over: Any, fused: bool) -> None:
    """Four heads of queries, two of keys and values."""
    xs = maps((8, 2, 3, 2), (4, 2, 3, 2), (6, 2, 3, 2))
    op = ops.Attention(heads=4, over=over, fused=fused)
    same = [i for i, axis in enumerate("thw") if axis not in over]
    want = defined(op, *xs, reads=lambda at, key: all(at[i] == key[i] for i in same))
    torch.testing.assert_close(attended(op, *xs), want)


def test_pooled_keys_and_a_scale() -> None:
    xs = maps((4, 2, 3, 2), (4, 1, 2, 1), (2, 1, 2, 1))
    op = ops.Attention(heads=2, scale=0.25)
    torch.testing.assert_close(attended(op, *xs), defined(op, *xs, reads=lambda *_: True))


def test_tokens_stand_in_the_sequence() -> None:
    """Two tokens beside 2 frames of 2 x 1."""
    xs, op = maps((4, 1, 1, 6), (4, 1, 1, 6), (4, 1, 1, 6)), ops.Attention(heads=2)
    want = defined(op, *xs, reads=lambda *_: True)
    torch.testing.assert_close(attended(op, *xs, shapes=(Shape(4, 2, 2, 1, 2),) * 3), want)


def test_what_attention_costs_by_hand() -> None:
    """ViT-B over 8 frames of 14 x 14 and a class token: 1569^2 pairs, 768 products for a logit and for a sum each."""
    x = Shape(768, 8, 14, 14, 1)
    assert ops.Attention(heads=12).cost(x, x, x).macs == 2 * 1569**2 * 768
    rows = Shape(768, 8, 197, 1)
    assert ops.Attention(heads=12, over="hw").cost(rows, rows, rows).macs == 2 * 8 * 197**2 * 768
    fused = ops.Attention(heads=12, fused=True).cost(x, x, x)
    assert (fused.macs, fused.macs + fused.fvcore_extra) == (2 * 1569**2 * 768, 0)
    swin = Shape(96, 16, 56, 56)
    assert ops.WindowAttention(heads=3, size=(8, 7, 7)).cost(swin, swin, swin).macs == 2 * 16 * 56**2 * 392 * 96


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("shift", [(0, 0, 0), (1, 1, 0), (0, 1, 1)])
def test_windows_are_their_definition(shift: tuple[int, int, int], fused: bool) -> None:
    """Two reads the other where they lie in one window of the moved map without a border between."""
    xs = maps((4, 4, 2, 4), (4, 4, 2, 4), (4, 4, 2, 4))
    op = ops.WindowAttention(heads=2, size=(2, 2, 2), shift=shift, fused=fused)
    moved = [by * (n > 2) for by, n in zip(shift, (4, 2, 4))]

    def reads(at: Any, key: Any) -> bool:
        return all((a - by) // 2 == (b - by) // 2 for a, b, by in zip(at, key, moved))

    torch.testing.assert_close(attended(op, *xs), defined(op, *xs, reads=reads), rtol=1e-7, atol=1e-7)


def test_pooled_queries_read_the_window_that_they_come_from() -> None:
    xs = maps((4, 1, 2, 2), (4, 1, 4, 4), (4, 1, 4, 4))
    op = ops.WindowAttention(heads=2, size=(1, 2, 2))
    want = defined(op, *xs, reads=lambda at, key: at == tuple(n // d for n, d in zip(key, (1, 2, 2))))
    torch.testing.assert_close(attended(op, *xs), want)


def test_relative_positions_are_their_definition() -> None:
    """Queries of 3 columns over keys of 2: distances in the finer grid, rounded down; a token has none."""
    q, k, v = maps((4, 1, 1, 1 + 2 * 3), (4, 1, 1, 1 + 2 * 2), (4, 1, 1, 1 + 2 * 2))
    shapes = (Shape(4, 1, 2, 3, 1), Shape(4, 1, 2, 2, 1), Shape(4, 1, 2, 2, 1))
    op = ops.RelativeAttention(heads=2)
    module = build_graph(graph_of(op, shapes)).double().eval()
    tables = {name.removeprefix("op.table_"): weight.detach() for name, weight in module.named_parameters()}
    assert {axis: tuple(table.shape) for axis, table in tables.items()} == {"t": (1, 2), "h": (3, 2), "w": (5, 2)}
    wanted = torch.zeros_like(q)
    for head in range(2):
        part = slice(2 * head, 2 * head + 2)
        for i in range(7):
            query = q[part, 0, 0, i]
            logits = [query @ k[part, 0, 0, j] / 2**0.5 for j in range(5)]
            for j in range(1, 5) if i else ():
                (y, x), (row, column) = divmod(i - 1, 3), divmod(j - 1, 2)
                steps = {"t": 0, "h": y - row + 1, "w": int(x - column * 1.5 + 1.5)}
                logits[j] = logits[j] + sum(query @ tables[axis][step] for axis, step in steps.items())
            wanted[part, 0, 0, i] = v[part, 0, 0] @ torch.stack(logits).softmax(0)
    with torch.no_grad():
        torch.testing.assert_close(module({"x0": q[None], "x1": k[None], "x2": v[None]})[0], wanted)


def test_what_works_on_heads_is_what_works_on_each() -> None:
    """Three heads as three maps, with the same weights."""
    (x,) = maps((6, 3, 4, 5))
    conv, norm = ops.HeadConv(heads=3, kernel=(3, 3, 3), stride=(1, 2, 2)), ops.HeadNorm(heads=3)
    for op in (conv, norm):
        whole = build_graph(graph_of(op, (Shape(*x.shape),))).double()
        alone = build_graph(graph_of(replace(op, heads=1), (Shape(2, 3, 4, 5),))).double()
        alone.load_state_dict(whole.state_dict())
        with torch.no_grad():
            torch.testing.assert_close(whole(x[None])[0], torch.cat([alone(part[None])[0] for part in x.chunk(3)]))
    depthwise = torch.nn.Conv3d(2, 2, 3, stride=(1, 2, 2), padding=1, groups=2, bias=False).double()
    one = build_graph(graph_of(replace(conv, heads=1), (Shape(2, 3, 4, 5),))).double()
    one.load_state_dict({"op.weight": depthwise.weight.detach()})
    torch.testing.assert_close(one(x[None, :2]), depthwise(x[None, :2]))


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("over", ["thw", "t"])
@pytest.mark.parametrize("frames", [0, 1, 3])
def test_causal_attention_is_its_definition(frames: int, over: Any, fused: bool) -> None:
    xs = maps((4, 5, 2, 1), (2, 5, 2, 1), (4, 5, 2, 1))
    op = ops.CausalAttention(heads=2, over=over, frames=frames, fused=fused)

    def reads(at: Any, key: Any) -> bool:
        return 0 <= at[0] - key[0] < (frames or 5) and (over == "thw" or at[1:] == key[1:])

    torch.testing.assert_close(attended(op, *xs), defined(op, *xs, reads=reads))


@pytest.mark.parametrize(
    ("op", "shapes", "text"),
    [
        (ops.Attention(heads=5), [(12, 2, 2, 2)] * 3, "channels not divisible by heads"),
        (ops.Attention(heads=4), [(12, 2, 2, 2), (9, 2, 2, 2), (12, 2, 2, 2)], "channels of keys that make no heads"),
        (
            ops.Attention(heads=4),
            [(12, 2, 2, 2), (12, 2, 2, 2), (12, 2, 2, 1)],
            "keys and values at different positions",
        ),
        (
            ops.Attention(heads=2, over="hw"),
            [(4, 2, 2, 2), (4, 1, 2, 2), (4, 1, 2, 2)],
            "that differ in t",
        ),
        (ops.Attention(heads=2, over="t"), [(4, 2, 2, 2, 1)] * 3, "fix     take_map before it"),
        (ops.Attention(heads=2, over="hw"), [(4, 2, 2, 2, 1)] * 3, "fix     frame_rows before it"),
        (ops.WindowAttention(heads=1, size=(1, 2, 2)), [(4, 2, 3, 4)] * 3, "fix     pad_windows: {size: [1, 2, 2]}"),
        (ops.CausalAttention(heads=1), [(4, 2, 3, 4), (4, 1, 3, 4), (4, 1, 3, 4)], "that differ in t"),
    ],
    ids=str,
)
def test_what_attention_refuses(op: MultiHead, shapes: list[tuple[int, ...]], text: str) -> None:
    with pytest.raises(SpecError) as caught:
        op.out(*[Shape(*shape) for shape in shapes])
    assert text in str(caught.value)


def behind_linear(op: MultiHead, *xs: Shape) -> Graph:
    """An attention whose maps are channels last, as linear layers give them."""
    g = Builder()
    clips = [g.source(f"x{i}", x._replace(c=3), Grid(UNIT, UNIT, UNIT)) for i, x in enumerate(xs)]
    linears = [ops.Linear(out_features=x.c, bias=False) for x in xs]
    reads = [g.add(f"linear{i}", linear, clip) for i, (linear, clip) in enumerate(zip(linears, clips))]
    g.outputs["y"] = g.add("op", op, *reads)
    return g.finish()


WINDOWS = partial(ops.WindowAttention, heads=2, size=(2, 5, 5))
SHIFT = (1, 2, 2)
KEPT = [
    *((partial(ops.Attention, heads=2, over=over), [Shape(16, 4, 8, 9)] * 3) for over in ("thw", "hw", "tw")),
    (WINDOWS, [Shape(16, 4, 15, 10)] * 3),
    (WINDOWS, [Shape(16, 2, 5, 5)] * 3),
    (WINDOWS, [Shape(16, 2, 9, 6), Shape(16, 4, 15, 10), Shape(16, 4, 15, 10)]),
    (partial(WINDOWS, shift=SHIFT), [Shape(16, 4, 15, 10)] * 3),
    (partial(WINDOWS, bias=True), [Shape(16, 4, 15, 10)] * 3),
    (partial(WINDOWS, shift=SHIFT, bias=True), [Shape(16, 4, 15, 10)] * 3),
    (partial(ops.CausalAttention, heads=2), [Shape(16, 4, 9, 9)] * 3),
    (partial(ops.CausalAttention, heads=2, over="t", frames=3), [Shape(32, 16, 5, 5)] * 3),
    (partial(ops.RelativeAttention, heads=2), [Shape(16, 4, 10, 10, 1), Shape(16, 4, 5, 5, 1), Shape(16, 4, 5, 5, 1)]),
    (partial(ops.RelativeAttention, heads=4), [Shape(16, 4, 8, 8)] * 3),
]


AS_TRACKED = [
    (op, shapes, training)
    for kind, shapes in KEPT
    for op in (kind(fused=False), kind(fused=True))
    for training in (False, True)
    # told as on a GPU: torch 2.13 has no kernel on a CPU that learns what is added to products
    if not (op.fused and training and op.weights(*shapes))
]


@pytest.mark.parametrize(("op", "shapes", "training"), AS_TRACKED)
def test_what_attention_keeps_as_tracked(op: MultiHead, shapes: list[Shape], training: bool) -> None:
    graph = behind_linear(op, *shapes)
    assert predicted(graph, training) == pytest.approx(tracked(graph, training), rel=0.03, abs=8000)


def test_what_a_causal_network_has_for_attention() -> None:
    x = Shape(4, 4, 2, 2)
    over_time = ops.Attention(heads=2, over="t", scale=0.5)
    assert over_time.causal(x, x, x) == (ops.CausalAttention(heads=2, over="t", scale=0.5),)
    within = ops.Attention(heads=2, over="hw")
    assert within.causal(x, x, x) == (within,)
    for op, y in ((ops.Attention(heads=2), Shape(4, 4, 2, 2, 1)), (ops.WindowAttention(heads=2, size=(2, 2, 2)), x)):
        with pytest.raises(SpecError):
            op.causal(y, y, y)
