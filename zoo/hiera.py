"""Hiera (arXiv:2306.00989): a hierarchy of plain transformer blocks, made good by masked pre-training.

No convolutions but the first, no relative positions. Stages double the channels and halve height and width, which the
queries of a stage's first block are pooled by. The two first stages attend within units of 8 x 8 patches, of one patch
of time, the two last over the whole map; a stage's first block still reads as the stage before does.
"""

from typing import Literal

from archdsl.blocks import LayerNorm, Mean, Patches, Positions, UnitTransformer
from archdsl.language import Arch, Classifier, Clip, Model, Pathway, Stage, row_of
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


def hiera(
    name: str,
    variant: Literal["t", "s", "b", "bplus", "l", "h"] = "b",
    frames: Count = 16,
    size: Count = 224,
    classes: Count = 400,
) -> Arch:
    """Table 2. One frame is an image, whose patches are 2-D."""
    channels, attention_heads, depths = row_of(SIZES, variant=variant)
    k_t, s_t = (1, 1) if frames == 1 else (3, 2)
    patches = Patches(kernel=(k_t, 7, 7), stride=(s_t, 4, 4), pad="same", channels=channels)
    stages = {"tokens": Stage(patches, Positions(over=("hw",) if frames == 1 else ("hw", "t")))}
    for i, depth in enumerate(depths):
        units = [(1, 8 // 2**stage, 8 // 2**stage) if stage < 2 else None for stage in (max(i - 1, 0), i)]
        block = UnitTransformer(heads=attention_heads * 2**i, unit=units[1], fused=True)
        first = block.but(channels=channels * 2**i, unit=units[0], stride=(1, 2, 2)) if i else block
        stages[f"stage{i + 1}"] = Stage(first, *[block] * (depth - 1))
    stages["pool"] = Stage(Mean(over="thw"), LayerNorm())
    clip = Clip(frames=frames, size=size)
    head = Classifier(classes=classes, pool="none")
    return Arch(name=name, clip=clip, pathways=dict(main=Pathway(drop_path=0.1, stages=stages)), head=head)


IMAGE = dict(frames=1, classes=1000)
models = tuple(
    Model(name=f"hiera_{variant}_{form}", family=hiera, parameters=dict(variant=variant) | more)
    for form, more in (("16x224", {}), ("224", IMAGE))
    for variant in SIZES
)
