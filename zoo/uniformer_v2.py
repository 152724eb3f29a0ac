"""UniFormerV2 (arXiv:2211.09552): an image ViT of CLIP, and a query that reads the whole clip after its last layers.

The ViT attends within frames, each with a copy of the class token. After some of its layers the query reads all tokens,
to which a depthwise convolution has added positions; its tokens do not flow back. A learnt share of each channel of the
class tokens' mean stands for the frames in what is classified. `local` puts convolutions over time in front of the
attention (`once`) and in front of the perceptron too (`twice`).
"""

from typing import Literal

from archdsl.blocks import (
    ClassToken,
    FramePositionConv,
    FrameRows,
    FrameTimeConv,
    FrameToken,
    LayerNorm,
    Mean,
    Norm,
    Patches,
    Perceptron,
    Positions,
    Queries,
    TakeToken,
    Transformer,
)
from archdsl.errors import SpecError
from archdsl.language import (
    Arch,
    Classifier,
    Clip,
    CrossAttention,
    Edge,
    Model,
    Pathway,
    Stage,
    Through,
    repeat,
    row_of,
)
from archdsl.spec.scalars import Count
from archdsl.zoo import vit

WIDTHS = {"b": (768, 16), "l": (1024, 14)}
"""Channels and pixels of a patch; ViT has their blocks and heads."""
NORM = Norm(kind="layer", eps=1e-5)


def uniformer_v2(
    name: str,
    width: Literal["b", "l"] = "b",
    frames: Count = 8,
    size: Count = 224,
    local: Literal["none", "once", "twice"] = "none",
    stride_t: Literal[1, 2] = 1,
    taps: Count = 4,
    frozen: bool = False,
    classes: Count = 400,
) -> Arch:
    """The query reads the last `taps` layers. With `stride_t` 2 patches are of 3 frames; `frozen`: the query alone."""
    channels, side = row_of(WIDTHS, width=width)
    depth, heads = vit.WIDTHS[channels]
    if taps > depth:
        raise SpecError("more layers read than there are", at="taps", got=f"taps={taps}", want=f"at most {depth}")
    over_time = (FrameTimeConv(),)
    block = Transformer(
        heads=heads,
        attend="hw",
        act="quick_gelu",
        norm=NORM,
        before=over_time if local != "none" else (),
        between=over_time if local == "twice" else (),
    )
    kernel, pad = ((1, side, side), "valid") if stride_t == 1 else ((3, side, side), (1, 0, 0))
    patches = Patches(kernel=kernel, stride=(stride_t, side, side), pad=pad, channels=channels, bias=False)
    tokens = (patches, ClassToken(std=channels**-0.5), Positions(over="hw", std=channels**-0.5))
    main = {"tokens": Stage(*tokens, FrameRows(), LayerNorm(eps=1e-5)), "body": Stage(*repeat(block, depth))}
    reader = Perceptron(act="quick_gelu", norm=NORM, dropout=0.5, zero_init=True)
    query = {"query": Stage(Queries(std=0.0))} | {f"layer{i + 1}": Stage(reader) for i in range(taps)}
    query["token"] = Stage(TakeToken())
    read = Edge(
        source="main",
        target="query",
        after=tuple(f"body.{i}" for i in range(depth - taps, depth)),
        into=("query", *(f"layer{i + 1}" for i in range(taps - 1))),
        transform=(Through(blocks=(FramePositionConv(),)), CrossAttention(heads=heads, norm=NORM)),
        merge="sum",
    )
    edges = [read]
    if not frozen:
        main["frames"] = Stage(FrameToken(), Mean(over="t"))
        share = Edge(source="main", target="query", after="frames", into="token", merge="learnt_mix", name="share")
        edges.append(share)
    pathways = dict(main=Pathway(stages=main), query=Pathway(after="main.tokens", stages=query))
    head = Classifier(reads=("query",), norm=NORM, pool="none", dropout=0.5, classes=classes)
    clip = Clip(frames=frames, size=size)
    return Arch(name=name, clip=clip, pathways=pathways, edges=tuple(edges), head=head)


LARGE = dict(width="l")
models = (
    Model(name="uniformer_v2_b16", family=uniformer_v2),
    Model(name="uniformer_v2_b16_local", family=uniformer_v2, parameters=dict(local="twice")),
    Model(
        name="uniformer_v2_b16_ssv2",
        family=uniformer_v2,
        parameters=dict(frames=16, local="twice", stride_t=2, taps=8, classes=174),
    ),
    *(
        Model(
            name=f"uniformer_v2_l14{form}{f'_{frames}' * (frames > 8)}",
            family=uniformer_v2,
            parameters=dict(**LARGE, **more, frames=frames),
        )
        for form, more, counts in (("", {}, (8, 16, 32)), ("_336", dict(size=336), (8, 32, 64)))
        for frames in counts
    ),
    Model(name="uniformer_v2_l14_336_frozen", family=uniformer_v2, parameters=dict(**LARGE, size=336, frozen=True)),
)
