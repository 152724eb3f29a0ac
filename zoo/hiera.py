"""Hiera (arXiv:2306.00989): a hierarchy of plain transformer blocks, made good by masked pre-training.

No convolutions but the first, no relative positions. Stages double the channels and halve height and width, which the
queries of a stage's first block are pooled by. The two first stages attend within units of 8 x 8 patches, of one patch
of time, the two last over the whole map; a stage's first block still reads as the stage before does.

In pre-training units are kept or hidden as a whole, and the last stage is not pooled. The ends of three stages, as wide
and fine as the last, are summed; a decoder fills in the pixels of one frame of each hidden patch.
"""

from fractions import Fraction
from typing import Literal

from archdsl.blocks import (
    Hide,
    Keep,
    LayerNorm,
    Linear,
    MaskTokens,
    Mean,
    Patches,
    Positions,
    Transformer,
    UnitTransformer,
)
from archdsl.language import (
    Arch,
    Classifier,
    Clip,
    Edge,
    MaskedPixels,
    Model,
    Pathway,
    Stage,
    Through,
    repeat,
    row_of,
)
from archdsl.spec.scalars import Count

SIZES = {
    "t": (96, 1, (1, 2, 7, 2)),
    "s": (96, 1, (1, 2, 11, 2)),
    "b": (96, 1, (2, 3, 16, 3)),
    "bplus": (112, 2, (2, 3, 16, 3)),
    "l": (144, 2, (2, 6, 36, 4)),
    "h": (256, 4, (2, 6, 36, 4)),
}
"""Channels and heads of the first stage, and blocks of each."""


UNIT = 8
"""Rows and columns of a unit, in patches."""
Variant = Literal["t", "s", "b", "bplus", "l", "h"]
Init = Literal["trunc_normal", "xavier"]


def tokens_of(channels: int, frames: int) -> tuple[Patches, Positions]:
    """Overlapping patches and learnt positions; one frame is an image, whose patches are 2-D."""
    k_t, s_t = (1, 1) if frames == 1 else (3, 2)
    patches = Patches(kernel=(k_t, 7, 7), stride=(s_t, 4, 4), pad="same", channels=channels)
    return patches, Positions(over=("hw",) if frames == 1 else ("hw", "t"))


def body_of(variant: Variant, pools: int, init: Init = "trunc_normal") -> dict[str, Stage]:
    """The four stages, the first `pools` of the last three at half the height and width of the one before."""
    channels, attention_heads, depths = row_of(SIZES, variant=variant)
    stages = {}
    for i, depth in enumerate(depths):
        units = [(1, UNIT // 2**stage, UNIT // 2**stage) if stage < 2 else None for stage in (max(i - 1, 0), i)]
        block = UnitTransformer(heads=attention_heads * 2**i, unit=units[1], init=init, fused=True)
        stride = (1, 2, 2) if i <= pools else (1, 1, 1)
        first = block.but(channels=channels * 2**i, unit=units[0], stride=stride) if i else block
        stages[f"stage{i + 1}"] = Stage(first, *[block] * (depth - 1))
    return stages


def hiera(
    name: str,
    variant: Variant = "b",
    frames: Count = 16,
    size: Count = 224,
    classes: Count = 400,
) -> Arch:
    """Table 2. One frame is an image, whose patches are 2-D."""
    channels = row_of(SIZES, variant=variant)[0]
    stages = {"tokens": Stage(*tokens_of(channels, frames)), **body_of(variant, pools=3)}
    stages["pool"] = Stage(Mean(over="thw"), LayerNorm())
    clip = Clip(frames=frames, size=size)
    head = Classifier(classes=classes, pool="none")
    return Arch(name=name, clip=clip, pathways=dict(main=Pathway(drop_path=0.1, stages=stages)), head=head)


def hiera_mae(name: str, variant: Variant = "b", frames: Count = 16, size: Count = 224) -> Arch:
    """The encoder of kept units and a decoder of 8 blocks; of images 40 % of the units are kept, of videos 10 %."""
    channels = row_of(SIZES, variant=variant)[0]
    image = frames == 1
    step, wide, side = 1 if image else 2, 8 * channels, size // 4 // UNIT
    units = max(frames // step, 1) * side**2
    kept = max(int(units * (Fraction(4, 10) if image else Fraction(1, 10))), 1)
    patches, positions = tokens_of(channels, frames)
    main = {
        "hide": Stage(Hide()),
        "tokens": Stage(patches, positions),
        "keep": Stage(Keep(count=kept)),
        **body_of(variant, pools=2, init="xavier"),
        "norm": Stage(LayerNorm()),
    }
    decoder = {
        "embed": Stage(Linear(channels=512, act="none", init="xavier")),
        "tokens": Stage(MaskTokens(count=units - kept), Positions()),
        "body": Stage(*repeat(Transformer(heads=16, init="xavier", fused=True), 8)),
    }
    joined = (
        Edge(
            source="main",
            target="main",
            after=f"stage{i}",
            into="stage4",
            transform=Through(blocks=(Patches(kernel=(1, UNIT // 2**i, UNIT // 2**i), channels=wide),)),
            merge="sum",
            name=f"stage{i}_fusion",
        )
        for i in (1, 2)
    )
    return Arch(
        name=name,
        clips=dict(
            clip=Clip(frames=frames, size=size),
            mask=Clip(modality="mask", channels=2, frames=max(frames // step, 1), size=side),
        ),
        pathways=dict(main=Pathway(clip="clip", stages=main), decoder=Pathway(after="main", stages=decoder)),
        edges=tuple(joined),
        head=MaskedPixels(patch=(1, 16, 16)),
    )


IMAGE = dict(frames=1, classes=1000)
models = tuple(
    Model(name=f"hiera_{variant}_{form}{end}", family=family, parameters=dict(variant=variant) | more)
    for family, form, end, more in (
        (hiera, "16x224", "", {}),
        (hiera, "224", "", IMAGE),
        (hiera_mae, "16x224", "_mae", {}),
        (hiera_mae, "224", "_mae", dict(frames=1)),
    )
    for variant in SIZES
)
