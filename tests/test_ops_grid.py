"""Time and space as types, against brute force: what each element really sees."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from archdsl import ops
from archdsl.backend import build_graph
from archdsl.errors import SpecError
from archdsl.graph import Builder, Graph
from archdsl.ops import UNIT, Axis, Grid, Shape

GRID = Grid(UNIT, UNIT, UNIT)


@st.composite
def windows(draw: Any) -> ops.Window | ops.TakeEvery:
    """A window along time with an odd or even kernel, or one of every few frames."""
    if draw(st.integers(0, 4)) == 0:
        step = draw(st.integers(2, 3))
        return ops.TakeEvery(step=step, start=draw(st.integers(0, step - 1)))
    k, s, d = draw(st.integers(1, 5)), draw(st.integers(1, 3)), draw(st.integers(1, 2))
    pad = draw(st.sampled_from(["same", "valid", (k // 2, 0, 0), ((1, 0), (0, 0), (0, 0))]))
    return ops.Conv(out_channels=1, kernel=(k, 1, 1), stride=(s, 1, 1), dilation=(d, 1, 1), pad=pad, init="default")


def chain(stack: list[Any], t: int) -> tuple[Graph, str]:
    """The ops one after the other on one channel of t frames."""
    g = Builder()
    x = g.source("x", Shape(1, t, 1, 1), GRID)
    for i, op in enumerate(stack):
        if isinstance(op, ops.TakeEvery) and g.shape(x).t % op.step:
            continue
        x = g.add(f"op{i}", op, x)
    g.outputs["y"] = x
    return g.finish(), x


def seen(graph: Graph, x: str, i: int) -> set[int]:
    """The source frames that element i of x depends on, as if the source had no borders."""
    node = graph.nodes[x]
    op = node.op
    if isinstance(op, ops.Source):
        return {i}
    (read,) = node.reads
    if isinstance(op, ops.TakeEvery):
        return seen(graph, read, i * op.step + op.start)
    assert isinstance(op, ops.Window)
    shape = graph.shapes[read]
    front = op.pads(shape)[0][0]
    first = i * op.stride[0] - front
    return {frame for j in range(op.window(shape)[0]) for frame in seen(graph, read, first + j * op.dilation[0])}


@given(st.lists(windows(), min_size=1, max_size=4), st.integers(0, 3))
def test_step_start_and_span_by_index_sets(stack: list[Any], i: int) -> None:
    graph, x = chain(stack, t=1296)  # three steps of 3 leave 48: more than the largest window
    axis = graph.grids[x].t
    frames, following = seen(graph, x, i), seen(graph, x, i + 1)
    assert max(frames) - min(frames) + 1 == axis.span
    assert Fraction(max(frames) + min(frames), 2) == axis.start + i * axis.step
    assert min(following) - min(frames) == axis.step


@given(st.lists(windows(), min_size=1, max_size=3))
def test_step_start_and_span_by_gradients(stack: list[Any]) -> None:
    """The frames that move an element far from the borders, as torch sees it."""
    graph, x = chain(stack, t=240)
    axis, i = graph.grids[x].t, graph.shapes[x].t // 2
    network = build_graph(graph)
    with torch.no_grad():
        for weight in network.parameters():
            weight.fill_(1.0)
    clip = torch.zeros(1, 1, 240, 1, 1, requires_grad=True)
    network(clip)[0, 0, i, 0, 0].backward()
    assert isinstance(clip.grad, Tensor)
    moved = clip.grad.flatten().nonzero().flatten().tolist()
    assert max(moved) - min(moved) + 1 == axis.span
    assert Fraction(max(moved) + min(moved), 2) == axis.start + i * axis.step


def placed(op: ops.Op, *axes: tuple[int, Axis]) -> Axis:
    """The time axis after an op that reads maps of so many frames at such places."""
    shapes = tuple(Shape(4, t, 1, 1) for t, _ in axes)
    return op.place(shapes, tuple(GRID._replace(t=axis) for _, axis in axes)).t


def test_a_resnet_stem_sees_eleven_pixels_every_four() -> None:
    """7 at stride 2, then a pool of 3 at stride 2: 7 + 2 * 2 = 11, centred on pixel 0."""
    conv = ops.Conv(out_channels=1, kernel=(7, 1, 1), stride=(2, 1, 1)).place((Shape(1, 224, 1, 1),), (GRID,))
    pool = ops.MaxPool(kernel=(3, 1, 1), stride=(2, 1, 1)).place((Shape(1, 112, 1, 1),), (conv,))
    assert pool.t == Axis(Fraction(4), Fraction(0), Fraction(11))


def test_chosen_frames() -> None:
    assert placed(ops.TakeEvery(step=16), (64, UNIT)) == (16, 0, 1)
    assert placed(ops.TakeSegments(count=4), (32, UNIT)) == (8, 4, 1), "frames 4, 12, 20, 28"
    linspace = placed(ops.TakeLinspace(count=4), (32, UNIT))
    assert (linspace.step, linspace.start) == (8, Fraction(13, 4)), (
        "frames 0, 10, 20, 31 have the centre 15.25 = 3.25 + 1.5 * 8"
    )


def test_a_pack_sees_all_its_frames() -> None:
    assert placed(ops.TimeToChannels(factor=8), (32, Axis(Fraction(2), Fraction(0), Fraction(1)))) == (16, 0, 15)


def test_repeated_frames_lie_closer() -> None:
    assert placed(ops.RepeatFrames(times=4), (8, Axis(Fraction(8), Fraction(0), Fraction(1)))) == (2, 0, 1)


def test_a_strided_conv_and_its_transpose_meet_on_one_step() -> None:
    down = ops.Conv(out_channels=1, kernel=(3, 1, 1), stride=(2, 1, 1)).place((Shape(1, 16, 1, 1),), (GRID,))
    up = ops.TransposedConv(out_channels=1, kernel=(3, 1, 1), stride=(2, 1, 1), pad=(1, 0, 0), extra=(1, 0, 0))
    back = up.place((Shape(1, 8, 1, 1),), (down,)).t
    assert (back.step, back.start) == (1, 0)
    assert back.span == 5, "an element of the way back reads at most two neighbours of span 3, two frames apart"


def test_global_pool_sees_everything_from_the_middle() -> None:
    assert placed(ops.AdaptiveAvgPool(), (8, UNIT)) == (8, Fraction(7, 2), 8)
    assert placed(ops.Mean(over="thw"), (8, UNIT)) == (8, Fraction(7, 2), 8)


def test_a_merge_sees_as_far_as_its_farthest() -> None:
    assert placed(ops.Concat(), (8, UNIT), (8, UNIT._replace(span=Fraction(9)))).span == 9


# What the builder says of maps that lie elsewhere


def merged(a: Grid, b: Grid, t: int = 8) -> Builder:
    g = Builder()
    x = g.source("slow", Shape(1, t, 4, 4), a)
    g.add("sum", ops.Add(), x, g.source("fast", Shape(1, t, 4, 4), b))
    return g


def test_equal_sizes_at_different_steps_do_not_meet() -> None:
    g = merged(GRID, GRID._replace(t=Axis(Fraction(2), Fraction(0), Fraction(1))))
    with pytest.raises(SpecError, match="merged maps have different steps along t") as caught:
        g.finish()
    assert "got     one element every 1 frames and every 2 frames" in str(caught.value)


def test_steps_are_compared_in_seconds_where_known() -> None:
    """Every frame at 15 per second and every other one at 30 are one place apart."""
    slow = GRID._replace(tick=Fraction(1, 15))
    fast = Grid(Axis(Fraction(2), Fraction(0), Fraction(1)), UNIT, UNIT, Fraction(1, 30))
    assert merged(slow, fast).finish().warnings == ()
    with pytest.raises(SpecError, match="steps along t"):
        merged(slow, fast._replace(t=UNIT)).finish()


def test_starts_apart_by_more_than_half_a_step_are_warned_of() -> None:
    (warning,) = merged(GRID, GRID._replace(h=UNIT._replace(start=Fraction(3, 4)))).finish().warnings
    assert warning.what == "merged maps start more than half a step apart along h"
    assert merged(GRID, GRID._replace(h=UNIT._replace(start=Fraction(1, 2)))).finish().warnings == ()


def test_one_element_lies_everywhere() -> None:
    assert merged(GRID, GRID._replace(t=Axis(Fraction(9), Fraction(4), Fraction(9))), t=1).finish().warnings == ()
