"""SegNet (arXiv:1511.00561) and DeconvNet (arXiv:1505.04366): a net on its way back from the maxima of its pools.

Both are VGG-16 with norms. On the way up, elements return to where each pool found its largest, and convolutions fill
the gaps. SegNet turns at pool5; DeconvNet at fc7, and its convolutions are transposed ones.
"""

from archdsl.blocks import Block, Conv, Deconv, Dropout, LocalResponseNorm, MaxPool, Norm
from archdsl.language import Arch, Clip, Dense, Edge, Model, Pathway, Stage
from archdsl.spec.scalars import Count
from archdsl.zoo import vgg

POOL = MaxPool(kernel=(1, 2, 2), stride=(1, 2, 2), pad="valid", ceil=True)
SQUARE = dict(kernel=(1, 3, 3), bias=True)
UP = ((512, 512, 512), (512, 512, 256), (256, 256, 128), (128, 64))
"""Channels on the way up, from pool5 to pool2; that of pool1 ends in scores."""


def returning(name: str, clip: Clip, stages: dict[str, Stage], into: dict[str, str], head: Dense) -> Arch:
    """The stages, with an edge from before each stage's pool to where its maxima return: stage -> stage."""
    before = {stage: len(stages[stage].blocks) - 2 for stage in into}
    edge = Edge(
        source="main",
        target="main",
        after=tuple(f"{stage}.{place}" for stage, place in before.items()),
        into=tuple(into.values()),
        merge="unpool",
        name="switches",
    )
    return Arch(name=name, clip=clip, pathways=dict(main=Pathway(stages=stages)), edges=(edge,), head=head)


def segnet(name: str, height: Count = 360, width: Count = 480, classes: Count = 11) -> Arch:
    """13 convolutions down, 13 up."""
    stages = vgg.convolutions(16, Norm(), POOL)
    for level, widths in zip((5, 4, 3, 2), UP):
        stages[f"up{level}"] = Stage(*(Conv(channels=channels, **SQUARE) for channels in widths))
    stages["up1"] = Stage(Conv(channels=64, **SQUARE))
    into = {"conv5": "conv5"} | {f"conv{level}": f"up{level + 1}" for level in (4, 3, 2, 1)}
    return returning(
        name, Clip(frames=1, height=height, width=width), stages, into, Dense(classes=classes, kernel=3, enlarge=False)
    )


def segnet_basic(name: str, height: Count = 360, width: Count = 480, classes: Count = 11) -> Arch:
    """Four 7x7 convolutions down, four up, none of which has an activation."""
    conv = Conv(channels=64, kernel=(1, 7, 7), bias=True)
    norm = LocalResponseNorm(size=5, alpha=2e-5, beta=0.75, k=1)
    stages = {f"down{level}": Stage(*(norm,) * (level == 1), conv, POOL) for level in (1, 2, 3, 4)}
    stages |= {f"up{level}": Stage(conv.but(act="none")) for level in (4, 3, 2, 1)}
    into = {"down4": "down4"} | {f"down{level}": f"up{level + 1}" for level in (3, 2, 1)}
    clip = Clip(frames=1, height=height, width=width)
    return returning(name, clip, stages, into, Dense(classes=classes, enlarge=False))


def deconvnet(name: str, size: Count = 224, classes: Count = 21) -> Arch:
    """Down to one element, and up again."""
    side = -(-size // 32)
    stages = vgg.convolutions(16, Norm(), POOL)
    wide = Conv(channels=4096, bias=True)
    stages["fc6"] = Stage(wide.but(kernel=(1, side, side), pad="valid"), Dropout(p=0.5))
    stages["fc7"] = Stage(wide, Dropout(p=0.5))
    stages["up"] = Stage(Deconv(channels=512, kernel=(1, side, side), bias=True))

    def deconv(channels: int) -> Block:
        return Deconv(channels=channels, pad=(0, 1, 1), **SQUARE)

    for level, widths in zip((5, 4, 3, 2, 1), (*UP, (64, 64))):
        stages[f"up{level}"] = Stage(*map(deconv, widths))
    into = {"conv5": "up"} | {f"conv{level}": f"up{level + 1}" for level in (4, 3, 2, 1)}
    return returning(name, Clip(frames=1, size=size), stages, into, Dense(classes=classes, enlarge=False))


models = (
    Model(name="segnet", family=segnet),
    Model(name="segnet_basic", family=segnet_basic),
    Model(name="deconvnet", family=deconvnet),
)
