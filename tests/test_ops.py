"""Ops by hand: sizes, costs, order of values and refusals, each with a number worked out on paper."""

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
from archdsl.ops import Op, Shape, key_of
from archdsl.testing import graph_of


def run(op: Op, *xs: Tensor) -> Tensor:
    """The op on one clip's maps (c, t, h, w)."""
    module = build_graph(graph_of(op, tuple(Shape(*x.shape) for x in xs))).eval()
    batch = {f"x{i}": x[None] for i, x in enumerate(xs)}
    with torch.no_grad():
        result: Tensor = module(batch if len(xs) > 1 else batch["x0"])[0]
    return result


def numbered(*shape: int) -> Tensor:
    """0, 1, 2, ... in a map."""
    return torch.arange(float(torch.Size(shape).numel())).reshape(shape)


def frames(t: int) -> Tensor:
    """A map whose frame i holds i."""
    return torch.arange(float(t)).reshape(1, t, 1, 1)


def fault(op: Op, *shapes: Shape) -> str:
    with pytest.raises(SpecError) as caught:
        op.out(*shapes)
    return str(caught.value)


# Sizes and costs


def test_the_stem_of_a_resnet() -> None:
    stem = ops.Conv(out_channels=64, kernel=(1, 7, 7), stride=(1, 2, 2))
    assert stem.out(Shape(3, 4, 224, 224)) == (64, 4, 112, 112)
    cost = stem.cost(Shape(3, 4, 224, 224))
    assert cost.params == 64 * 3 * 7 * 7 == 9_408
    assert cost.macs == cost.conv_macs == 9_408 * 4 * 112 * 112 == 472_055_808


def test_groups_divide_weights() -> None:
    conv = ops.Conv(out_channels=64, kernel=(3, 3, 3), groups=64, bias=True)
    cost = conv.cost(Shape(64, 8, 14, 14))
    assert cost.params == 64 * 27 + 64
    assert cost.macs == 64 * 27 * 8 * 14 * 14


def test_a_transposed_conv_doubles() -> None:
    conv = ops.TransposedConv(out_channels=5, kernel=(1, 4, 4), stride=(1, 2, 2), pad=(0, 1, 1))
    assert conv.out(Shape(3, 2, 7, 9)) == (5, 2, 14, 18)
    assert conv.cost(Shape(3, 2, 7, 9)).params == 3 * 5 * 16
    assert conv.cost(Shape(3, 2, 7, 9)).macs == 3 * 5 * 16 * 2 * 7 * 9, "every input element times every weight"


def test_norms_are_not_macs() -> None:
    x = Shape(8, 2, 3, 3)
    for norm, per_element in ((ops.BatchNorm(), 2), (ops.GroupNorm(groups=4), 5), (ops.LayerNorm(), 5)):
        cost = norm.cost(x)
        assert (cost.macs, cost.params, cost.norm_elements, cost.fvcore_extra) == (0, 16, 144, 144 * per_element)


def test_a_classifier_at_every_position() -> None:
    cost = ops.Linear(out_features=400).cost(Shape(2304, 1, 2, 2))
    assert cost.params == 2304 * 400 + 400
    assert cost.linear_macs == 2304 * 400 * 4


@pytest.mark.parametrize(
    ("n", "k", "s", "pads", "size"),
    [
        (224, 7, 2, (2, 3), 112),
        (56, 3, 2, (0, 1), 28),
        (7, 3, 2, (1, 1), 4),
        (7, 2, 1, (0, 1), 7),
        (4, 1, 2, (0, 0), 2),
    ],
)
def test_tf_same_pads_as_tensorflow(n: int, k: int, s: int, pads: tuple[int, int], size: int) -> None:
    """total = max((ceil(n / s) - 1) s + k - n, 0), the odd element behind."""
    conv = ops.Conv(out_channels=1, kernel=(1, 1, k), stride=(1, 1, s), pad="tf_same")
    assert conv.pads(Shape(1, 1, 1, n))[2] == pads
    assert conv.out(Shape(1, 1, 1, n)).w == size


@given(st.integers(1, 60), st.integers(1, 9), st.integers(1, 5))
def test_tf_same_gives_the_size_over_the_stride(n: int, k: int, s: int) -> None:
    pool = ops.MaxPool(kernel=(k, 1, 1), stride=(s, 1, 1), pad="tf_same")
    front, back = pool.pads(Shape(1, n, 1, 1))[0]
    assert front <= back <= front + 1
    assert pool.out(Shape(1, n, 1, 1)).t == -(-n // s)


def test_ceil_keeps_a_last_window_and_drops_one_in_the_padding() -> None:
    assert ops.MaxPool(kernel=(1, 3, 3), stride=(1, 2, 2), pad="valid").out(Shape(1, 1, 112, 112)).w == 55
    assert ops.MaxPool(kernel=(1, 3, 3), stride=(1, 2, 2), pad="valid", ceil=True).out(Shape(1, 1, 112, 112)).w == 56
    assert ops.MaxPool(kernel=(2, 1, 1), stride=(2, 1, 1), pad=(1, 0, 0), ceil=True).out(Shape(1, 4, 1, 1)).t == 3
    assert ops.MaxPool(kernel=(2, 1, 1), stride=(2, 1, 1), pad=(1, 0, 0), ceil=True).out(Shape(1, 3, 1, 1)).t == 2


# Order of values


def test_every_eighth_frame_and_linspace_differ() -> None:
    x = frames(32)
    assert run(ops.TakeEvery(step=8), x).flatten().tolist() == [0, 8, 16, 24]
    assert run(ops.TakeEvery(step=8, start=3), x).flatten().tolist() == [3, 11, 19, 27]
    assert run(ops.TakeLinspace(count=4), x).flatten().tolist() == [0, 10, 20, 31]
    assert run(ops.TakeSegments(count=4), x).flatten().tolist() == [4, 12, 20, 28]


def test_padded_channels_are_zeros_behind() -> None:
    assert run(ops.PadChannels(channels=4), numbered(2, 1, 1, 2)).flatten(1).tolist() == [
        [0, 1],
        [2, 3],
        [0, 0],
        [0, 0],
    ]


def test_scans_of_known_weights() -> None:
    """Terms 0: gates are half open. A GRU halves its state with every step, an LSTM keeps half of its cell."""
    gru = build_graph(graph_of(ops.GruScan(), (Shape(3, 3, 1, 1),)))
    lstm = build_graph(graph_of(ops.LstmScan(), (Shape(4, 2, 1, 1),)))
    for weight in (*gru.parameters(), *lstm.parameters()):
        weight.data.zero_()
    new = torch.zeros(1, 3, 3, 1, 1)
    new[:, 2, 0] = 1e9  # n = 1 at the first step, 0 after it
    assert gru(new).flatten().tolist() == [0.5, 0.25, 0.125]
    open_input = torch.zeros(1, 4, 2, 1, 1)
    open_input[:, 2, 0] = 1e9  # g = 1 at the first step, 0 after it
    cells = torch.tensor([0.5, 0.25])
    torch.testing.assert_close(lstm(open_input).flatten(), 0.5 * torch.tanh(cells))


@given(st.integers(1, 32), st.sampled_from([1, 2, 4, 8]))
def test_linspace_is_pyslowfasts(count: int, alpha: int) -> None:
    """torch.linspace(0, t - 1, t // alpha).long(), in whole numbers.

    float32 misses a whole number at larger sizes, first at 40 of 160 (torch 2.13: 52 for 53).
    """
    t = count * alpha
    if (t, count) == (160, 40):
        return
    assert list(ops.TakeLinspace(count=count).frames(t)) == torch.linspace(0, t - 1, count).long().tolist()


@given(st.integers(1, 60), st.data())
def test_chosen_frames_are_in_order_and_within(t: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, t))
    for op in (ops.TakeLinspace(count=count), ops.TakeSegments(count=count)):
        chosen = op.frames(t)
        assert len(set(chosen)) == len(chosen) == count
        assert list(chosen) == sorted(chosen)
        assert 0 <= chosen[0] <= chosen[-1] < t


def test_a_pack_is_channel_major() -> None:
    """Channel c of frame i in pack p goes to channel c * factor + i of frame p."""
    x = numbered(2, 6, 1, 1)
    y = run(ops.TimeToChannels(factor=3), x)
    for c in range(2):
        for i in range(3):
            for p in range(2):
                assert y[c * 3 + i, p] == x[c, 3 * p + i]


def test_frames_repeat_in_a_row() -> None:
    assert run(ops.RepeatFrames(times=2), frames(3)).flatten().tolist() == [0, 0, 1, 1, 2, 2]


def test_the_first_difference_is_zero() -> None:
    assert run(ops.FrameDifference(), frames(4) ** 2).flatten().tolist() == [0, 1, 3, 5]


def test_grey_of_pure_colours() -> None:
    assert run(ops.Gray(), torch.eye(3).reshape(3, 3, 1, 1)).flatten().tolist() == pytest.approx([0.299, 0.587, 0.114])


def test_flatten_goes_channels_first() -> None:
    assert run(ops.Flatten(), numbered(2, 1, 2, 2)).flatten().tolist() == list(range(8))


def test_padding_stays_out_of_a_mean_where_told() -> None:
    ones = torch.ones(1, 3, 1, 1)
    counting, leaving = (ops.AvgPool(kernel=(3, 1, 1), count_pad=counts) for counts in (True, False))
    assert run(counting, ones).flatten().tolist() == pytest.approx([2 / 3, 1, 2 / 3])
    assert run(leaving, ones).flatten().tolist() == [1, 1, 1]
    uneven: dict[str, Any] = {"kernel": (2, 1, 1), "pad": "tf_same"}
    assert run(ops.AvgPool(**uneven), ones).flatten().tolist() == [1, 1, 0.5]
    assert run(ops.AvgPool(**uneven, count_pad=False), ones).flatten().tolist() == [1, 1, 1]


def test_padding_never_wins_a_maximum() -> None:
    assert run(ops.MaxPool(kernel=(2, 1, 1), pad="tf_same"), -frames(3) - 1).flatten().tolist() == [-1, -2, -3]


def test_adaptive_windows_are_torchs() -> None:
    """Window i of 3 over 7 is [floor(7 i / 3), ceil(7 (i + 1) / 3)): 0..2, 2..4, 4..6."""
    assert run(ops.AdaptiveAvgPool(size=(3, 0, 0)), frames(7)).flatten().tolist() == [1, 3, 5]


def test_nearest_resize_repeats() -> None:
    resize = ops.Resize(scale=(Fraction(2), Fraction(1), Fraction(1)))
    assert run(resize, frames(2)).flatten().tolist() == [0, 0, 1, 1]


def test_merges_by_value() -> None:
    x, y = numbered(1, 1, 1, 2), torch.tensor([10.0]).reshape(1, 1, 1, 1)
    assert run(ops.Mul(), x, y).flatten().tolist() == [0, 10]
    assert run(ops.StretchedAdd(), x, y).flatten().tolist() == [10, 11]
    assert run(ops.Average(), x, 3 * x).flatten().tolist() == [0, 2]
    assert run(ops.Concat(), x, x + 5).flatten().tolist() == [0, 1, 5, 6]


# What an op refuses


@pytest.mark.parametrize(
    ("op", "shapes", "text"),
    [
        (
            ops.Conv(out_channels=6, kernel=(1, 1, 1), groups=4),
            [Shape(8, 1, 1, 1)],
            "channels not divisible by groups",
        ),
        (
            ops.Conv(out_channels=1, kernel=(9, 1, 1), pad="valid"),
            [Shape(1, 4, 1, 1)],
            "got     t=4 padded to 4, window 9",
        ),
        (ops.GroupNorm(groups=3), [Shape(8, 1, 1, 1)], "got     8, groups=3"),
        (ops.GroupNorm(groups=8), [Shape(8, 1, 1, 1)], "got     (8, 1, 1, 1) in 8 groups"),
        (ops.TakeEvery(step=8), [Shape(3, 60, 1, 1)], "fix     56 or 64 frames"),
        (ops.TakeLinspace(count=9), [Shape(3, 8, 1, 1)], "more frames selected than there are"),
        (ops.TimeToChannels(factor=4), [Shape(3, 6, 1, 1)], "6 frames in packs of 4"),
        (ops.Gray(), [Shape(2, 6, 1, 1)], "got     c=2"),
        (ops.Vector(), [Shape(2, 1, 2, 1)], "more than one position left"),
        (ops.Concat(), [Shape(2, 4, 5, 6), Shape(3, 4, 5, 7)], "concat of maps that differ in w"),
        (ops.Add(), [Shape(2, 4, 5, 6), Shape(3, 2, 5, 6)], "got     c=2, t=4 and c=3, t=2"),
        (ops.Mul(), [Shape(2, 4, 5, 6), Shape(3, 4, 1, 1)], "product of maps that differ in c"),
        (
            ops.MaxPool(kernel=(1, 3, 3), pad=(0, 2, 2)),
            [Shape(1, 1, 9, 9)],
            "a pool padded by more than half its window",
        ),
        (ops.Dropout(p=1.0), [Shape(1, 1, 1, 1)], "`p` out of range"),
        (
            ops.Resize(scale=(Fraction(1, 4), Fraction(1), Fraction(1))),
            [Shape(1, 3, 1, 1)],
            "empty result of the resize",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Op) else "",
)
def test_a_refusal_says_why(op: Op, shapes: list[Shape], text: str) -> None:
    said = fault(op, *shapes)
    assert text in said
    assert "\n  at " not in said, "an op knows what is wrong, never where"


def test_a_product_names_only_axes_that_cannot_meet() -> None:
    assert fault(ops.Mul(), Shape(2, 4, 5, 6), Shape(3, 1, 5, 6)).startswith("product of maps that differ in c\n")


@pytest.mark.parametrize(
    "make",
    [
        lambda: ops.Conv(out_channels=1, kernel=(1, 1, 1), stride=(0, 1, 1)),
        lambda: ops.MaxPool(kernel=(-1, 1, 1)),
        lambda: ops.AvgPool(kernel=(2, 1, 1), dilation=(2, 1, 1)),
        lambda: ops.TransposedConv(out_channels=1, kernel=(1, 1, 1), pad=(1, 0, 0)),
        lambda: ops.TransposedConv(out_channels=1, kernel=(1, 1, 1), extra=(1, 0, 0)),
        lambda: ops.Mean(over="x"),
        lambda: ops.GroupNorm(groups=2, affine=False, zero_init=True),
    ],
)
def test_fields_that_cannot_be(make: Any) -> None:
    with pytest.raises(SpecError):
        make()


def test_the_tuple_of_ops_is_whole() -> None:
    """Every op of the package that no other is made from; what these are made from are no ops."""
    found, waiting = set(), [ops.Op]
    while waiting:
        kinds = [kind for kind in waiting.pop().__subclasses__() if kind.__module__.startswith("archdsl.ops.")]
        found.update(kind for kind in kinds if not kind.__subclasses__())
        waiting += kinds
    assert found <= set(ops.OPS)
    assert len(set(ops.OPS)) == len(ops.OPS)


def test_names_in_yaml() -> None:
    assert key_of(ops.AdaptiveAvgPool) == "adaptive_avg_pool"
    assert len({key_of(kind) for kind in ops.OPS}) == len(ops.OPS), "every op has a name of its own"
