"""VGG (arXiv:1409.1556): stacks of 3x3 kernels, halved by pools; and VGG-M-2048 (arXiv:1405.3531), a two-stream tower.

Each frame is flattened by itself, so that the fully connected layers read images. The pool to 7x7 before them, which
torchvision added, does nothing at 224 and lets any size in. VGG-M rounds its pools up, as Caffe does: floor would give
fc6 a 5x5 map instead of 6x6.
"""

from archdsl.blocks import (
    AdaptiveAvgPool,
    Block,
    Conv,
    Dropout,
    FlattenSpace,
    Linear,
    LocalResponseNorm,
    MaxPool,
    Norm,
    NormField,
)
from archdsl.language import Arch, Classifier, Clip, Model, Pathway, Stage, repeat, row_of
from archdsl.spec.scalars import Count

DEPTHS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
WIDTHS = (64, 128, 256, 512, 512)
NONE = Norm(kind="none")
POOL = MaxPool(kernel=(1, 2, 2), stride=(1, 2, 2), pad="valid")
LRN = LocalResponseNorm(size=5, alpha=1e-4, beta=0.75, k=2)


def vgg(name: str, depth: Count = 16, norm: NormField = NONE, classes: Count = 1000) -> Arch:
    """Five stages of 3x3 kernels, each ended by a pool, then three fully connected layers."""
    return image(name, 224, stages(depth, norm), Classifier(classes=classes, dropout=0.5))


def stages(depth: int = 16, norm: Norm = NONE) -> dict[str, Stage]:
    """conv1 ... fc7."""
    made = convolutions(depth, norm)
    made["fc6"] = Stage(AdaptiveAvgPool(size=(0, 7, 7)), FlattenSpace(), Linear(channels=4096), Dropout(p=0.5))
    made["fc7"] = Stage(Linear(channels=4096))
    return made


def convolutions(depth: int = 16, norm: Norm = NONE, pool: MaxPool = POOL) -> dict[str, Stage]:
    """conv1 ... conv5, each ended by the pool."""
    made = {}
    for i, (channels, times) in enumerate(zip(WIDTHS, row_of(DEPTHS, depth=depth))):
        conv = Conv(channels=channels, kernel=(1, 3, 3), bias=True, norm=norm)
        made[f"conv{1 + i}"] = Stage(*repeat(conv, times), pool)
    return made


def vgg_m(name: str, classes: Count = 1000) -> Arch:
    """Five convolutions and three fully connected layers, the last but one 2048 wide."""
    return image(name, 224, vgg_m_stages(), Classifier(classes=classes, dropout=0.5))


def vgg_m_stages(dropout: float = 0.5, second: tuple[Block, ...] = (LRN,)) -> dict[str, Stage]:
    """conv1 ... fc7. `second` follows conv2: the temporal tower of the two-stream network has nothing there."""

    def conv(channels: int, kernel: int, stride: int, pad: int) -> Conv:
        window = dict(kernel=(1, kernel, kernel), stride=(1, stride, stride), pad=(0, pad, pad))
        return Conv(channels=channels, norm=NONE, init="normal", **window)

    pool = MaxPool(kernel=(1, 3, 3), stride=(1, 2, 2), pad="valid", ceil=True)
    return {
        "conv1": Stage(conv(96, 7, 2, 0), LRN, pool),
        "conv2": Stage(conv(256, 5, 2, 1), *second, pool),
        "conv3": Stage(conv(512, 3, 1, 1)),
        "conv4": Stage(conv(512, 3, 1, 1)),
        "conv5": Stage(conv(512, 3, 1, 1), pool),
        "fc6": Stage(FlattenSpace(), Linear(channels=4096), Dropout(p=dropout)),
        "fc7": Stage(Linear(channels=2048)),
    }


def image(name: str, size: int, stages: dict[str, Stage], head: Classifier) -> Arch:
    """One image, or frames each by itself."""
    return Arch(name=name, clip=Clip(frames=1, size=size), pathways=dict(rgb=Pathway(stages=stages)), head=head)


def of(name: str, depth: int, norm: Norm = NONE) -> Model:
    return Model(name=name, family=vgg, parameters=dict(depth=depth, norm=norm))


models = (
    of("vgg11", 11),
    of("vgg13", 13),
    of("vgg16", 16),
    of("vgg19", 19),
    of("vgg11_bn", 11, Norm()),
    of("vgg13_bn", 13, Norm()),
    of("vgg16_bn", 16, Norm()),
    of("vgg19_bn", 19, Norm()),
    Model(name="vgg_m_2048", family=vgg_m),
)
