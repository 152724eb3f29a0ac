"""Random small archs: pathways at several frame rates, edges both ways, a classifier; key frames; masks."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from archdsl.blocks import (
    BLOCKS,
    AvgPool,
    Basic,
    Block,
    Bottleneck,
    ClassToken,
    Conv,
    Hide,
    Keep,
    LayerNorm,
    Linear,
    MaskTokens,
    MaxPool,
    Norm,
    Patches,
    Positions,
    SinePositions,
    Transformer,
)
from archdsl.blocks.step_fields import OPS_BY_KEY
from archdsl.language import (
    HEADS,
    TRANSFORMS,
    Arch,
    Classifier,
    Clip,
    CrossAttention,
    Dense,
    Edge,
    MaskedFeatures,
    MaskedPixels,
    Pathway,
    ResizeTo,
    Stage,
    TimeConv,
    TimeDeconv,
    TimeRepeat,
    TimeSample,
    TimeToChannels,
    Transform,
    Warp,
    repeat,
)
from archdsl.report.explanation.examples import example_of
from archdsl.rewrites import with_key_frames
from archdsl.testing.ops import Chooser
from archdsl.testing.variants import neighbour

PATHWAY_NAMES = ("slow", "fast", "third")
STAGE_NAMES = ("stem", "res2", "res3", "res4")
FRAMES, SIZE = 8, 16


@st.composite
def arches(draw: Any) -> Arch:
    """An arch that compiles, of any words of the language.

    Half are pathways with edges between them. The others are the smallest arch with some block, op, transform or head,
    and its neighbours, in which any other block may stand.
    """
    if draw(st.booleans()):
        return draw(plain_arches())
    kind = draw(st.sampled_from((*BLOCKS, *OPS_BY_KEY.values(), *TRANSFORMS, *HEADS)))
    found = example_of(kind)
    return neighbour(found[1].arch, Chooser(draw)) if found else draw(plain_arches())


@st.composite
def plain_arches(draw: Any) -> Arch:
    """An arch that compiles: 1 to 3 pathways of 1 to 4 stages, frame choices, edges of every transform, a head.

    One in four has key frames, one in sixteen is trained by masks.
    """
    kind = draw(st.integers(0, 15))
    if kind >= 11:
        return draw(masked_arches() if kind == 11 else keyed_arches())
    strides = draw(st.lists(st.sampled_from([1, 2]), min_size=1, max_size=4))
    names = PATHWAY_NAMES[: draw(st.integers(1, 3))]
    rates = {name: draw(st.sampled_from([1, 2, 4])) for name in names}
    clips = draw(drawn_clips(names))
    pathways = {name: draw(drawn_pathways(strides, rates[name], clip_name(name, clips))) for name in names}
    return Arch(
        name=draw(st.sampled_from(["net", "a_net", "Net2"])),
        clips=clips,
        pathways=pathways,
        edges=draw(drawn_edges(pathways, rates)) if len(names) > 1 else (),
        head=Classifier(
            classes=draw(st.integers(1, 10)),
            pool=draw(st.sampled_from(["average", "max"])),
            dropout=draw(st.sampled_from([0.0, 0.5])),
            window=draw(st.sampled_from([None, 1])),
        ),
    )


@st.composite
def keyed_arches(draw: Any) -> Arch:
    """An arch that also runs frame by frame: a pathway of key frames, one that says flow between them, a dense head."""
    strides = draw(st.lists(st.sampled_from([1, 2]), min_size=1, max_size=3))
    key, flow = (
        Pathway(stages={name: draw(drawn_stages(stride, kernels_t=(1,))) for name, stride in zip(STAGE_NAMES, strides)})
        for _ in range(2)
    )
    head = Dense(
        classes=draw(st.integers(1, 10)), enlarge=draw(st.booleans()), act=draw(st.sampled_from(["none", "softmax"]))
    )
    alone = Arch(name="keyed", clips=draw(drawn_clips(("slow",))), pathways={"slow": key}, head=head)
    warp = Warp(by=draw(st.sampled_from([Fraction(1), Fraction(5, 2)])), scale=draw(st.booleans()))
    return with_key_frames(alone, every=draw(st.sampled_from([2, 4, 8])), flow=flow, by=warp)


@st.composite
def masked_arches(draw: Any) -> Arch:
    """Tokens of which a mask keeps some, an encoder of these, a decoder that fills in others; tubes or small parts."""
    times, side = draw(st.sampled_from([1, 2, 4])), draw(st.sampled_from([2, 4]))
    units, rotary = times * side**2, draw(st.booleans())
    block = Transformer(heads=2, mlp=2, rotary=rotary)
    places = st.sampled_from([(), (), (SinePositions(),), (Positions(over=("hw", "t")),), (Positions(tokens=False),)])
    first = (*draw(st.sampled_from([(), (Hide(),)])), Patches(kernel=(2, 4, 4), channels=16))
    tokens = Stage(*first, *draw(st.sampled_from([(), (ClassToken(),)])), *draw(places))
    keep = Stage(Keep(count=draw(st.integers(1, units))))
    masked = MaskTokens(count=draw(st.integers(1, units)), kinds=draw(st.sampled_from([1, 1, 3])))
    decoder = {
        "embed": Stage(LayerNorm(), Linear(channels=24, act="none", init="trunc_normal")),
        "tokens": Stage(masked, *draw(places)),
        "body": Stage(block),
    }
    return Arch(
        name="masked",
        clips={
            "clip": Clip(frames=FRAMES, size=SIZE),
            "mask": Clip(modality="mask", frames=times, size=side, channels=draw(st.sampled_from([2, 3]))),
        },
        pathways={
            "main": Pathway(clip="clip", stages={"tokens": tokens, "keep": keep, "body": Stage(block)}),
            "decoder": Pathway(after="main", stages=decoder),
        },
        head=draw(st.sampled_from([MaskedPixels(patch=(2, 4, 4)), MaskedFeatures(channels=5)])),
    )


@st.composite
def drawn_clips(draw: Any, names: tuple[str, ...]) -> dict[str, Clip]:
    """One clip for all pathways, or one each."""
    fps = draw(st.sampled_from([None, Fraction(30), Fraction(25, 2)]))
    if len(names) == 1 or draw(st.booleans()):
        return {"clip": Clip(frames=FRAMES, size=SIZE, fps=fps)}
    kinds = st.sampled_from(["rgb", "gray", "flow", "rgb_diff", "heatmaps"])
    return {
        f"{name}_clip": Clip(modality=draw(kinds), frames=FRAMES, height=SIZE, width=SIZE, fps=fps) for name in names
    }


def clip_name(name: str, clips: dict[str, Clip]) -> str | None:
    """Which clip a pathway names: its own, or none where there is but one."""
    return f"{name}_clip" if f"{name}_clip" in clips else None


@st.composite
def drawn_pathways(draw: Any, strides: list[int], rate: int, clip: str | None) -> Pathway:
    """A pathway that keeps one of `rate` frames, by any of the choices, with given spatial strides."""
    key = draw(st.sampled_from(["every", "linspace", "segments"]))
    choice = {key: rate if key == "every" else FRAMES // rate}
    stages = {name: draw(drawn_stages(stride)) for name, stride in zip(STAGE_NAMES, strides)}
    return Pathway(
        clip=clip,
        width_ratio=draw(st.sampled_from([Fraction(1), Fraction(1, 2), Fraction(1, 4)])),
        stages=stages,
        **choice,
    )


@st.composite
def drawn_stages(draw: Any, stride: int, kernels_t: Sequence[int] = (1, 3)) -> Stage:
    """One or two kinds of block; the first strides."""
    first = draw(strided(stride, kernels_t))
    more = draw(st.lists(st.one_of(strided(1, kernels_t), pools(kernels_t)), max_size=1))
    return Stage(*repeat(first, draw(st.integers(1, 2))), *more)


@st.composite
def strided(draw: Any, stride: int, kernels_t: Sequence[int]) -> Block:
    """A convolving block of small width at a spatial stride."""
    norm = draw(st.sampled_from([Norm(), Norm(eps=1e-3), Norm(kind="layer"), Norm(kind="none")]))
    act = draw(st.sampled_from(["relu", "silu", "none"]))
    channels, kernel_t = draw(st.sampled_from([8, 16])), draw(st.sampled_from(kernels_t))
    kinds: list[type[Block]] = [Conv, Basic, Bottleneck]
    kind = draw(st.sampled_from(kinds))
    if kind is Conv:
        return Conv(channels=channels, kernel=(kernel_t, 3, 3), stride=(1, stride, stride), norm=norm, act=act)
    own = Conv(channels=channels, kernel=(kernel_t, 1, 1), stride=(1, stride, stride), act="none")
    shortcut = draw(st.sampled_from([(), (), (own,)]))
    return kind(channels=channels, kernel_t=kernel_t, stride=stride, norm=norm, act=act, shortcut=shortcut)


def pools(kernels_t: Sequence[int]) -> st.SearchStrategy[Block]:
    """A pool that keeps the size."""
    return st.sampled_from([MaxPool(kernel=(1, 3, 3)), AvgPool(kernel=(max(kernels_t), 1, 3), count_pad=False)])


@st.composite
def drawn_edges(draw: Any, pathways: dict[str, Pathway], rates: dict[str, int]) -> tuple[Edge, ...]:
    """Edges between pathways in any direction, sum only where it is the first into its place."""
    pairs = [(a, b) for a in pathways for b in pathways if a != b]
    taken: set[tuple[str, str]] = set()
    edges = []
    for source, target in draw(st.lists(st.sampled_from(pairs), unique=True, max_size=3)):
        stages = list(pathways[source].stages)
        after = draw(st.sampled_from(stages))
        into = draw(st.sampled_from(stages[stages.index(after) :]))
        fresh = (target, into) not in taken
        taken.add((target, into))
        within = [f"{after}.{i}" for i in range(len(pathways[source].stages[after].blocks))]
        place = draw(st.sampled_from([after, *within]))
        ratio = Fraction(width(pathways[target], into), width(pathways[source], place)) if fresh else None
        merge, transform = draw(transforms(Fraction(rates[target], rates[source]), ratio))
        resize = () if after == into else (ResizeTo(mode=draw(st.sampled_from(["nearest", "trilinear"]))),)
        edges.append(
            Edge(
                source=source,
                target=target,
                after=place,
                into=None if after == into else into,
                transform=(*transform, *resize),
                merge=merge,
            )
        )
    return tuple(edges)


def width(pathway: Pathway, place: str) -> int:
    """Channels that leave a stage, or a block in it by number."""
    stage, _, number = place.partition(".")
    blocks = pathway.stages[stage].blocks[: int(number) + 1 if number else None]
    widths = [block.channels for block in blocks if isinstance(block, Conv | Basic | Bottleneck)]
    return int(widths[-1] * pathway.width_ratio)


@st.composite
def transforms(draw: Any, alpha: Fraction, ratio: Fraction | None) -> tuple[str, tuple[Transform, ...]]:
    """(merge, transforms) that carry a map over the ratio of frame steps, and of widths where a sum may follow."""
    act = draw(st.sampled_from(["relu", "none"]))
    if draw(st.integers(0, 5)) == 5:
        reader = CrossAttention(heads=draw(st.sampled_from([1, 2])))  # over all of a map: sizes may differ
        return draw(st.sampled_from(["sum", "learnt_mix", "concat"])), (reader,)
    if ratio is not None and draw(st.booleans()):
        conv: Transform = (
            TimeConv(width=ratio, act=act, kernel=3) if alpha >= 1 else TimeDeconv(width=ratio, act=act, kernel=3)
        )
        return draw(st.sampled_from(["sum", "concat"])), (conv,)
    whole = TimeRepeat(whole=draw(st.booleans()))
    kept: list[tuple[Transform, ...]] = [(whole,), (TimeDeconv(width=Fraction(1, 2), kernel=1),)]
    if alpha >= 1:
        kept = [(TimeSample(),), (TimeToChannels(),), (TimeConv(),), (TimeConv(norm=Norm(kind="none"), act=act),)]
    if alpha == 1:
        kept.append(())
    return "concat", draw(st.sampled_from(kept))
