"""ResNet (arXiv:1512.03385) and its wide (arXiv:1605.07146) and grouped (ResNeXt, arXiv:1611.05431) forms.

A stage is one residual block repeated; from stage to stage the map halves and the widths double. So a net is a depth
and its first block. `resnet50` strides on the 3x3 kernel, as torchvision and nearly all later work do (v1.5);
`resnet50_v1` on the first 1x1, as the paper. Nothing starts at zero: zero_init came later (arXiv:1706.02677).
"""

from fractions import Fraction

from archdsl.blocks import Basic, Bottleneck, Conv, MaxPool, Residual
from archdsl.language import Arch, Classifier, Clip, Model, Pathway, Stage, repeat

DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
BASIC, BOTTLENECK = Basic(channels=64, zero_init=False), Bottleneck(channels=256, zero_init=False)
V1 = BOTTLENECK.but(stride_on="a")


def stages(depth: int = 50, block: Residual = BOTTLENECK) -> dict[str, Stage]:
    """stem, res2 ... res5; `block` is the block of res2."""
    stem = Conv(channels=64, kernel=(1, 7, 7), stride=(1, 2, 2))
    made = {"stem": Stage(stem, MaxPool(kernel=(1, 3, 3), stride=(1, 2, 2)))}
    for i, times in enumerate(DEPTHS[depth]):
        wide = block.scaled(Fraction(2**i), "floor").but(stride=2 if i else 1)
        made[f"res{2 + i}"] = Stage(*repeat(wide, times))
    return made


def resnet(name: str, depth: int = 50, block: Residual = BOTTLENECK, classes: int = 1000) -> Arch:
    """One image, or frames each by itself; the classifier reads the mean."""
    pathway = Pathway(stages=stages(depth, block))
    clip, head = Clip(frames=1, size=224), Classifier(classes=classes)
    return Arch(name=name, clip=clip, pathways=dict(rgb=pathway), head=head)


def of(name: str, depth: int, block: Residual = BOTTLENECK) -> Model:
    return Model(name=name, family=resnet, parameters=dict(depth=depth, block=block))


models = (
    of("resnet18", 18, BASIC),
    of("resnet34", 34, BASIC),
    of("resnet50", 50),
    of("resnet101", 101),
    of("resnet152", 152),
    of("resnet50_v1", 50, V1),
    of("resnet101_v1", 101, V1),
    of("resnet152_v1", 152, V1),
    of("wide_resnet50_2", 50, BOTTLENECK.but(inner=128)),
    of("wide_resnet101_2", 101, BOTTLENECK.but(inner=128)),
    of("resnext50_32x4d", 50, BOTTLENECK.but(inner=128, groups=32)),
    of("resnext101_32x4d", 101, BOTTLENECK.but(inner=128, groups=32)),
    of("resnext101_32x8d", 101, BOTTLENECK.but(inner=256, groups=32)),
    of("resnext101_64x4d", 101, BOTTLENECK.but(inner=256, groups=64)),
)
