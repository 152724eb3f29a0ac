"""Random ops, each with shapes that it accepts."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from archdsl import ops as o
from archdsl.errors import SpecError
from archdsl.ops import Op, Shape
from archdsl.ops.flow import LEARNT

Case = tuple[Op, tuple[Shape, ...]]
"""An op and the shapes of what it reads."""
Draw = Callable[[st.SearchStrategy[Any]], Any]

TRIPLES = st.tuples(*[st.integers(1, 3)] * 3)
NEAR = st.sampled_from([1, 1, 1, 2, 3])
INITS = st.sampled_from(["msra", "msra_in", "xavier", "normal", "identity", "shift", "swap", "default"])
STARTS = st.sampled_from([None, None, 0.0, 0.5])
MODES = st.sampled_from(["nearest", "trilinear"])
SHARES = st.sampled_from([Fraction(1, 4), Fraction(1, 2)])
SCALED = st.sampled_from([{}, {"affine": False}, {"zero_init": True}])
SCALES = st.sampled_from([Fraction(1, 2), Fraction(1), Fraction(3, 2), Fraction(2)])


def maps(c: int = 6, t: int = 7, s: int = 9, least: int = 1) -> st.SearchStrategy[Shape]:
    """Shapes of small maps, at most (c, t, s, s) and at least `least` along time and space."""
    return st.builds(Shape, st.integers(1, c), st.integers(least, t), st.integers(least, s), st.integers(least, s))


def accepts(case: Case) -> bool:
    """Whether the op takes these shapes."""
    op, shapes = case
    try:
        op.out(*shapes)
    except SpecError:
        return False
    return True


def windowed(kind: type[o.Window], dilated: bool = True, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Case]:
    """A window of any padding rule over a map at least as large as the window."""

    @st.composite
    def case(draw: Draw) -> Case:
        kernel = draw(st.tuples(*[st.integers(0, 4)] * 3))
        dilation = draw(st.tuples(NEAR, NEAR, NEAR)) if dilated else (1, 1, 1)
        half = st.tuples(*[st.integers(0, max(k // 2, 0)) for k in kernel])
        pad = draw(
            st.one_of(st.sampled_from(["same", "valid", "tf_same"]), half, st.tuples(*[half.map(lambda p: p[:2])] * 3))
        )
        least = [d * (k - 1) + 1 for d, k in zip(dilation, kernel)]
        c, *sizes = draw(maps())
        x = Shape(c, *(max(n, k) for n, k in zip(sizes, least)))
        made = {name: draw(value) for name, value in fields.items()}
        return kind(kernel=kernel, stride=draw(TRIPLES), dilation=dilation, pad=pad, **made), (x,)

    return case().filter(accepts)


@st.composite
def convs(draw: Draw) -> Case:
    """A convolution whose channels fall into its groups."""
    op, (x,) = draw(windowed(o.Conv, out_channels=st.integers(1, 4), bias=st.booleans(), init=INITS, bias_start=STARTS))
    assert isinstance(op, o.Conv)
    groups = draw(st.sampled_from([1, 1, 2, 3, x.c]))
    fields = {**vars(op), "groups": groups, "out_channels": op.out_channels * groups}
    return o.Conv(**fields), (x._replace(c=x.c if groups == x.c else x.c * groups),)


@st.composite
def transposed_convs(draw: Draw) -> Case:
    """A transposed convolution, padded within its kernel."""
    kernel, stride, dilation = draw(TRIPLES), draw(TRIPLES), draw(TRIPLES)
    groups = draw(st.sampled_from([1, 2]))
    op = o.TransposedConv(
        out_channels=groups * draw(st.integers(1, 3)),
        kernel=kernel,
        stride=stride,
        dilation=dilation,
        pad=draw(st.tuples(*[st.integers(0, d * (k - 1)) for k, d in zip(kernel, dilation)])),
        extra=draw(st.tuples(*[st.integers(0, max(s, d) - 1) for s, d in zip(stride, dilation)])),
        groups=groups,
        bias=draw(st.booleans()),
        init=draw(INITS),
    )
    x = draw(maps(c=3, t=5, s=5))
    x = x._replace(c=x.c * groups)
    assume(accepts((op, (x,))))
    return op, (x,)


@st.composite
def group_norms(draw: Draw) -> Case:
    """A group norm over more than one element per group, as torch wants in training."""
    groups = draw(st.integers(1, 4))
    x = draw(maps(c=3, least=2))
    return o.GroupNorm(groups=groups, **draw(SCALED)), (x._replace(c=x.c * groups),)


@st.composite
def concats(draw: Draw) -> Case:
    """Two to four maps that differ in channels only."""
    x = draw(maps())
    return o.Concat(), tuple(x._replace(c=c) for c in draw(st.lists(st.integers(1, 6), min_size=2, max_size=4)))


@st.composite
def stretched(draw: Draw, kind: type[Op]) -> Case:
    """Two maps, some axes of the second being 1."""
    x = draw(maps())
    return kind(), (x, Shape(*(draw(st.sampled_from([1, n])) for n in x)))


@st.composite
def every(draw: Draw) -> Case:
    """A frame step that divides the frames."""
    step, x = draw(st.integers(1, 4)), draw(maps())
    return o.TakeEvery(step=step, start=draw(st.integers(0, step - 1))), (x._replace(t=x.t * step),)


@st.composite
def chosen(draw: Draw, kind: type[o.TakeChosen]) -> Case:
    """At most as many frames as there are."""
    x = draw(maps(t=40))
    return kind(count=draw(st.integers(1, x.t))), (x,)


@st.composite
def packs(draw: Draw) -> Case:
    """Frames that fall into packs."""
    factor, x = draw(st.integers(1, 4)), draw(maps())
    return o.TimeToChannels(factor=factor), (x._replace(t=x.t * factor),)


@st.composite
def pairs(draw: Draw, op: st.SearchStrategy[Op], c: int | None = None) -> Case:
    """Two maps of one width and any sizes."""
    x, y = draw(maps(t=3, s=4)), draw(maps(t=3, s=4))
    return draw(op), (x._replace(c=c or x.c), y._replace(c=c or x.c))


@st.composite
def weighted(draw: Draw) -> Case:
    """Values, and a weight for each at every position."""
    x, values = draw(maps(t=3, s=4)), draw(maps(t=3, s=4))
    return o.Gather(mean=draw(st.booleans())), (x._replace(c=values.positions), values)


@st.composite
def own_kernels(draw: Draw) -> Case:
    """A map, and an odd kernel for each of its channels."""
    x = draw(maps())
    return o.OwnTimeConv(), (x, Shape(x.c, draw(st.sampled_from([1, 3, 5])), 1, 1))


@st.composite
def own_offsets(draw: Draw) -> Case:
    """A map whose channels fall into groups, and an offset for each."""
    x, groups = draw(maps()), draw(st.integers(1, 4))
    return o.OwnTimeShift(), (x._replace(c=x.c * groups), Shape(groups, 1, 1, 1))


@st.composite
def snippets(draw: Draw) -> Case:
    """Frames that fall into snippets."""
    x, length = draw(maps(t=3)), draw(st.integers(2, 5))
    return o.SnippetSteps(length=length), (x._replace(t=x.t * length),)


@st.composite
def regions(draw: Draw) -> Case:
    """A map without time, and boxes."""
    op = o.RoiAlign(size=draw(st.integers(1, 7)), step=draw(SCALES), aligned=draw(st.booleans()))
    return op, (draw(maps(t=1)), Shape(4, draw(st.integers(1, 5)), 1, 1))


@st.composite
def anchors(draw: Draw) -> Case:
    """A sequence with four channels for each of several lengths."""
    scales = tuple(draw(st.lists(st.integers(1, 9), min_size=1, max_size=3)))
    op = o.SegmentProposals(scales=scales, top=draw(st.integers(1, 6)), overlap=draw(st.sampled_from([0.3, 0.7])))
    return op, (Shape(4 * len(scales), draw(st.integers(1, 12)), 1, 1),)


@st.composite
def segments(draw: Draw) -> Case:
    """A sequence and segments of it."""
    op = o.SoiPool(bins=draw(st.integers(1, 7)), extend=draw(SHARES))
    return op, (draw(maps(t=20, s=1)), Shape(2, draw(st.integers(1, 5)), 1, 1))


def flows() -> st.SearchStrategy[Case]:
    """Flow layers of all forms."""
    return plain(
        o.TvL1Flow,
        iterations=st.integers(1, 3),
        kernels=st.sampled_from(["channel", "dense"]),
        gradient=st.sampled_from(["central", "sobel"]),
        learn=st.sets(st.sampled_from(LEARNT)).map(lambda parts: tuple(sorted(parts))),
        frames=st.sampled_from(["shrink", "repeat"]),
        normalise=st.sampled_from(["clip", "batch"]),
    )


def alike(kind: type[Op]) -> st.SearchStrategy[Case]:
    """Two to four maps of one shape."""
    return st.tuples(st.just(kind()), st.builds(lambda x, n: (x,) * n, maps(), st.integers(2, 4)))


@st.composite
def mean_joins(draw: Draw) -> Case:
    """Maps of one shape, and how often one is left out."""
    _, shapes = draw(alike(o.Add))
    return o.MeanJoin(drop=draw(st.sampled_from([0.0, 0.15, 0.5]))), shapes


def on(op: st.SearchStrategy[Any], x: st.SearchStrategy[Shape] | None = None) -> st.SearchStrategy[Case]:
    """An op of one map that takes any map (or those of `x`)."""
    return st.tuples(op, st.tuples(maps() if x is None else x)).filter(accepts)


def plain(kind: type[Op], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Case]:
    """An op of one map with independent fields."""
    return on(st.builds(kind, **fields))


TO_SIZE = st.tuples(*[st.integers(0, 9)] * 3)
POINT = maps(t=1, s=1)

OP_STRATEGIES: dict[type[Op], st.SearchStrategy[Case]] = {
    o.Source: maps().map(lambda x: (o.Source(shape=x), ())),
    o.Conv: convs(),
    o.TransposedConv: transposed_convs(),
    o.MaxPool: windowed(o.MaxPool, ceil=st.booleans()),
    o.AvgPool: windowed(o.AvgPool, dilated=False, ceil=st.booleans(), count_pad=st.booleans()),
    o.AdaptiveAvgPool: plain(o.AdaptiveAvgPool, size=TO_SIZE),
    o.AdaptiveMaxPool: plain(o.AdaptiveMaxPool, size=TO_SIZE),
    o.Mean: plain(o.Mean, over=st.sampled_from(["t", "hw", "thw", "c", "cthw", "w"])),
    o.BatchNorm: on(st.one_of(SCALED, st.just({"scale": False})).map(lambda fields: o.BatchNorm(**fields))),
    o.GroupNorm: group_norms(),
    o.LayerNorm: plain(o.LayerNorm, affine=st.booleans()),
    o.LocalResponseNorm: plain(o.LocalResponseNorm, size=st.integers(1, 5), alpha=st.sampled_from([1e-4, 0.5])),
    o.Relu: plain(o.Relu),
    o.Relu6: plain(o.Relu6),
    o.LeakyRelu: plain(o.LeakyRelu, slope=st.sampled_from([0.01, 0.1])),
    o.Silu: plain(o.Silu),
    o.Sigmoid: plain(o.Sigmoid),
    o.Hardsigmoid: plain(o.Hardsigmoid),
    o.Tanh: plain(o.Tanh),
    o.ScaledTanh: plain(o.ScaledTanh),
    o.Hardswish: plain(o.Hardswish),
    o.Gelu: plain(o.Gelu),
    o.Softmax: plain(o.Softmax, axis=st.sampled_from("cthw")),
    o.Dropout: plain(o.Dropout, p=st.sampled_from([0.0, 0.2, 0.5])),
    o.Linear: plain(
        o.Linear,
        out_features=st.integers(1, 8),
        bias=st.booleans(),
        init=st.sampled_from(["normal", "default"]),
        bias_start=STARTS,
    ),
    o.Concat: concats(),
    o.Add: alike(o.Add),
    o.Average: alike(o.Average),
    o.MeanJoin: mean_joins(),
    o.Mul: stretched(o.Mul),
    o.StretchedAdd: stretched(o.StretchedAdd),
    o.Mix: st.tuples(st.builds(o.Mix, share=SHARES), maps().map(lambda x: (x, x))),
    o.Affine: plain(o.Affine, scale=st.sampled_from([1.0, 2.0]), shift=st.sampled_from([0.0, -0.5])),
    o.TimeShift: plain(o.TimeShift, share=st.integers(2, 8), past_only=st.booleans()),
    o.FrameStep: st.tuples(st.builds(o.FrameStep, by=st.sampled_from([1, -1])), maps().map(lambda x: (x, x))),
    o.SnippetSteps: snippets(),
    o.SetFrame: plain(o.SetFrame, frame=st.integers(-3, 3), value=st.sampled_from([0.0, 1.0])),
    o.SwapTime: plain(o.SwapTime),
    o.OwnTimeConv: own_kernels(),
    o.OwnTimeShift: own_offsets(),
    o.FrameTuples: plain(o.FrameTuples, size=st.integers(1, 4), count=st.integers(1, 3)),
    o.SumOverTime: plain(o.SumOverTime),
    o.RepeatChannels: plain(o.RepeatChannels, times=st.integers(1, 3)),
    o.TakeEvery: every(),
    o.TakeLinspace: chosen(o.TakeLinspace),
    o.TakeSegments: chosen(o.TakeSegments),
    o.TakeSnippets: plain(o.TakeSnippets, count=st.integers(1, 3), length=st.integers(1, 3)),
    o.MaxOverTime: plain(o.MaxOverTime),
    o.TopOverTime: plain(o.TopOverTime, k=st.integers(1, 3)),
    o.WeightedOverTime: plain(o.WeightedOverTime),
    o.Maximum: st.tuples(st.just(o.Maximum()), maps().map(lambda x: (x, x))),
    o.Bilinear: st.tuples(
        st.just(o.Bilinear()), st.builds(lambda x, c: (x, x._replace(c=c)), maps(), st.integers(1, 4))
    ),
    o.RepeatFrames: plain(o.RepeatFrames, times=st.integers(1, 4)),
    o.TimeToChannels: packs(),
    o.FrameDifference: plain(o.FrameDifference),
    o.TvL1Flow: flows(),
    o.DropFrames: plain(o.DropFrames, front=st.integers(0, 2), back=st.integers(0, 2)),
    o.Gray: on(st.just(o.Gray()), maps().map(lambda x: x._replace(c=3))),
    o.PickChannels: plain(o.PickChannels, channels=st.lists(st.integers(0, 2), min_size=1, max_size=4).map(tuple)),
    o.TakeChannels: plain(o.TakeChannels, start=st.integers(0, 3), count=st.integers(1, 4)),
    o.ChannelShuffle: plain(o.ChannelShuffle, groups=st.integers(1, 4)),
    o.Flatten: plain(o.Flatten),
    o.FlattenSpace: plain(o.FlattenSpace),
    o.Vector: on(st.just(o.Vector()), POINT),
    o.Series: on(st.just(o.Series()), maps(s=1)),
    o.Resize: plain(o.Resize, scale=st.tuples(SCALES, SCALES, SCALES), mode=MODES),
    o.ResizeTo: st.tuples(st.builds(o.ResizeTo, mode=MODES, onto=st.booleans()), st.tuples(maps(), maps())),
    o.Affinity: pairs(st.builds(o.Affinity, scale=st.booleans())),
    o.PairSum: pairs(st.just(o.PairSum()), c=1),
    o.Gather: weighted(),
    o.RoiAlign: regions(),
    o.Gain: plain(o.Gain, start=st.sampled_from([0.0, 1.0])),
    o.Past: plain(o.Past, frames=st.integers(1, 4), lowest=st.just(False)),
    o.PastShift: plain(o.PastShift, share=st.integers(1, 4)),
    o.MeanSoFar: plain(o.MeanSoFar),
    o.NewestFrame: plain(o.NewestFrame),
    o.BoundaryMatch: on(
        st.builds(o.BoundaryMatch, samples=NEAR, per_bin=NEAR, margin=SHARES, durations=NEAR), maps(s=1)
    ),
    o.ValidProposals: plain(o.ValidProposals),
    o.SegmentProposals: anchors(),
    o.SoiPool: segments(),
}
"""Every op there is, with shapes it accepts. A new op has a line here; a test says the table is whole."""


def ops(*kinds: type[Op]) -> st.SearchStrategy[Case]:
    """(op, shapes of what it reads): one of every op there is, or of the kinds given."""
    return st.sampled_from(kinds or tuple(OP_STRATEGIES)).flatmap(OP_STRATEGIES.__getitem__)
