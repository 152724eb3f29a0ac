"""How an op and shapes that it accepts are drawn: by windows, by pairs, by what falls into groups."""

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
INITS = st.sampled_from(["msra", "msra_in", "xavier", "normal", "identity", "shift", "swap", "zeros", "default"])
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


@st.composite
def scans(draw: Draw, /, kind: type[o.Scan], **fields: st.SearchStrategy[Any]) -> Case:
    """Terms of all gates, and sometimes marks."""
    made = {name: draw(value) for name, value in fields.items()}
    op = kind(kernel=draw(st.sampled_from([1, 3])), bias=draw(st.booleans()), reverse=draw(st.booleans()), **made)
    x = draw(maps(c=4, t=4, s=4))
    marks = draw(st.sampled_from([(), (Shape(1, x.t, 1, 1),)]))
    return op, (x._replace(c=x.c * op.gates), *marks)


@st.composite
def cropped(draw: Draw) -> Case:
    """A map, and one that is no larger."""
    x = draw(maps())
    return o.CropTo(), (x, draw(maps())._replace(h=draw(st.integers(1, x.h)), w=draw(st.integers(1, x.w))))


@st.composite
def key_pairs(draw: Draw) -> Case:
    """Frames that fall into intervals."""
    every, x = draw(st.integers(2, 5)), draw(maps(t=3))
    return o.KeyPairs(every=every), (x._replace(t=x.t * every),)


@st.composite
def carried(draw: Draw, kind: type[Op]) -> Case:
    """Maps of key frames and of the frames between them."""
    x, between = draw(maps(t=3)), draw(st.integers(1, 4))
    return kind(), (x, x._replace(t=x.t * between))


@st.composite
def proposed(draw: Draw) -> Case:
    """Chances and shifts of anchors on a map, and a clip."""
    op = o.Proposals(
        step=draw(st.integers(1, 16)),
        scales=draw(st.sampled_from([(8.0,), (1.0, 2.0)])),
        ratios=draw(st.sampled_from([(1.0,), (0.5, 1.0, 2.0)])),
        deviations=draw(st.sampled_from([(1.0, 1.0, 1.0, 1.0), (0.1, 0.1, 0.4, 0.4)])),
        candidates=draw(st.integers(1, 60)),
        count=draw(st.integers(1, 9)),
        overlap=draw(st.sampled_from([0.3, 0.7])),
        least=draw(st.sampled_from([0.0, 4.0])),
    )
    x, a = draw(maps(t=2, s=5)), len(op.anchors)
    clip = Shape(3, x.t, x.h * op.step, x.w * op.step)
    return op, (x._replace(c=a), x._replace(c=4 * a), clip)


@st.composite
def place_pools(draw: Draw) -> Case:
    """A map for each cell of each class, and boxes."""
    op = o.PlacePool(size=draw(st.integers(1, 3)), step=draw(st.integers(1, 16)))
    x = draw(maps(c=3, t=2))
    return op, (x._replace(c=x.c * op.size**2), Shape(4, x.t, draw(st.integers(1, 5)), 1))


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
