"""UniFormer (arXiv:2201.04676): convolutions where maps are large, attention where they are small.

Every block begins with a depthwise convolution that tells positions. The two first stages mix neighbours by a 5x5x5
depthwise convolution, the two last all positions by attention; between them are perceptrons. The last norm is batch
norm.
"""

from typing import Literal

from archdsl.blocks import Block, LocalTransformer, NormAct, Patches, PositionConv, Transformer
from archdsl.language import Arch, Classifier, Clip, Model, Pathway, Stage, row_of
from archdsl.spec.scalars import Count

WIDTHS = (64, 128, 320, 512)
DEPTHS = {"s": ((3, 4, 8, 3), 0.1), "b": ((5, 8, 20, 7), 0.3)}
"""Blocks of each stage, and the largest probability that a branch is dropped."""


def uniformer(
    name: str, variant: Literal["s", "b"] = "s", frames: Count = 16, size: Count = 224, classes: Count = 400
) -> Arch:
    """Table 1 (S) and section 4 (B); heads are 64 channels wide."""
    depths, drop_path = row_of(DEPTHS, variant=variant)
    stages = {}
    for i, (channels, depth) in enumerate(zip(WIDTHS, depths)):
        kernel = (1, 2, 2) if i else (3, 4, 4)
        stride = (1, 2, 2) if i else (2, 4, 4)
        patches = Patches(kernel=kernel, stride=stride, pad=(0 if i else 1, 0, 0), channels=channels, norm="layer")
        mixer: Block = LocalTransformer() if i < 2 else Transformer(heads=channels // 64)
        stages[f"stage{i + 1}"] = Stage(patches, *[PositionConv(), mixer] * depth)
    stages["norm"] = Stage(NormAct(act="none"))
    pathway = Pathway(drop_path=drop_path, stages=stages)
    clip = Clip(frames=frames, size=size)
    return Arch(name=name, clip=clip, pathways=dict(main=pathway), head=Classifier(classes=classes))


models = (
    Model(name="uniformer_s_8", family=uniformer, parameters=dict(frames=8)),
    Model(name="uniformer_s", family=uniformer),
    Model(name="uniformer_s_32", family=uniformer, parameters=dict(frames=32)),
    Model(name="uniformer_b_8", family=uniformer, parameters=dict(variant="b", frames=8)),
    Model(name="uniformer_b", family=uniformer, parameters=dict(variant="b")),
    Model(name="uniformer_b_32", family=uniformer, parameters=dict(variant="b", frames=32)),
)
