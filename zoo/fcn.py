"""Fully convolutional networks (arXiv:1411.4038): a classifier of images slid over one, its scores enlarged to pixels.

The authors' nets are VGG-16 whose wide layers are convolutions. What fc7 says is enlarged 32 times (32s), or twice and
summed with what pool4 says (16s), and again with pool3 (8s); transposed kernels start as linear enlargement. The image
is padded by 100 so that any size passes fc6, and scores are cut back to it. torchvision's `fcn_r50` is a ResNet that
strides by 8 with a head of its own and, in training, a second head behind res4.
"""

from typing import Literal

from archdsl.blocks import Bottleneck, Conv, Deconv, Dropout, MaxPool, Norm
from archdsl.language import Arch, Clip, CropTo, Dense, Edge, Model, Pathway, Several, Stage, row_of
from archdsl.spec.scalars import Count
from archdsl.zoo import alexnet, resnet, vgg

BARE = dict(norm=Norm(kind="none"), act="none")
CEIL = dict(pad="valid", ceil=True)
SKIPS: dict[str, tuple[tuple[str, int], ...]] = {"32s": (), "16s": (("conv4", 5),), "8s": (("conv4", 5), ("conv3", 9))}
"""Stages whose pools are scored too, with the rows and columns that are left out before their scores."""
ENDS = {"32s": (64, 32, 19), "16s": (32, 16, 27), "8s": (16, 8, 31)}
"""Kernel and stride of the last enlargement, and what is left out before the image."""


def fcn_vgg16(name: str, variant: Literal["32s", "16s", "8s"] = "8s", size: Count = 500, classes: Count = 21) -> Arch:
    """VGG-16, scores of its end and of earlier pools, each sum enlarged."""
    stages = vgg.convolutions(16, pool=MaxPool(kernel=(1, 2, 2), stride=(1, 2, 2), **CEIL))
    first, *rest = stages["conv1"].blocks
    stages["conv1"] = Stage(first.but(pad=(0, 100, 100)), *rest)
    return scored(name, stages, 7, row_of(SKIPS, variant=variant), row_of(ENDS, variant=variant), size, classes)


def fcn_alexnet(name: str, size: Count = 500, classes: Count = 21) -> Arch:
    """CaffeNet's convolutions, its scores enlarged 32 times."""
    stages = alexnet.caffenet(pads=(100, 0))
    return scored(name, stages, 6, (), (63, 32, 18), size, classes)


def scored(
    name: str,
    stages: dict[str, Stage],
    kernel: int,
    skips: tuple[tuple[str, int], ...],
    end: tuple[int, int, int],
    size: int,
    classes: int,
) -> Arch:
    """Wide layers behind the stages, their scores, those of earlier stages, and the way up."""

    def score() -> Stage:
        return Stage(Conv(channels=classes, init="zeros", **BARE))

    def up(kernel: int, stride: int) -> Stage:
        window = dict(kernel=(1, kernel, kernel), stride=(1, stride, stride))
        return Stage(Deconv(channels=classes, bias=False, init="bilinear", **window, **BARE))

    wide = Conv(channels=4096, norm=BARE["norm"], kernel=(1, kernel, kernel), pad="valid")
    stages |= {"fc6": Stage(wide, Dropout(p=0.5)), "fc7": Stage(wide.but(kernel=(1, 1, 1)), Dropout(p=0.5))}
    stages["score"] = score()
    pathways, edges = {}, []
    for stage, offset in skips:
        stages[f"up_{stage}"] = up(4, 2)
        pathways[stage] = Pathway(after=f"main.{stage}", stages={"score": score()})
        cut = CropTo(offset=offset)
        edges.append(
            Edge(source=stage, target="main", after="score", into=f"up_{stage}", transform=(cut,), merge="sum")
        )
    stages["up"] = up(*end[:2])
    return Arch(
        name=name,
        clip=Clip(frames=1, size=size),
        pathways=dict(main=Pathway(stages=stages), **pathways),
        edges=edges,
        head=Dense(classes=classes, kernel=0, crop=end[2], reads=("main",)),
    )


def stride_8(depth: int, block: Bottleneck | None = None) -> dict[str, Stage]:
    """A ResNet whose last two stages dilate instead of stride; the first block of each as the stage before."""
    made = resnet.stages(depth, block)
    for stage, before in (("res4", 1), ("res5", 2)):
        first, *rest = made[stage].blocks
        made[stage] = Stage(first.but(stride=1, dilation=before), *(block.but(dilation=2 * before) for block in rest))
    return made


def on_resnet(name: str, depth: int, ends: dict[str, Stage], size: int, classes: int, aux: bool) -> Arch:
    """torchvision's segmenters: stages behind a ResNet, and in training a second head behind res4."""
    return behind(name, stride_8(depth), ends, size, classes, ("res4", 256) if aux else None)


def behind(
    name: str, trunk: dict[str, Stage], ends: dict[str, Stage], size: int, classes: int, aux: tuple[str, int] | None
) -> Arch:
    """Stages behind a trunk, and in training a second head of some channels behind one of its stages."""
    pathways = {"rgb": Pathway(stages=trunk), "out": Pathway(after="rgb", stages=ends)}
    head = Dense(classes=classes, init="default", reads=("out",))
    if aux:
        stage, channels = aux
        pathways["aux"] = Pathway(after=f"rgb.{stage}", stages={"head": fcn_head(channels)})
        head = Several(heads=dict(scores=head, aux=head.but(reads=("aux",))), auxiliary=dict(aux=0.5))
    return Arch(name=name, clip=Clip(frames=1, size=size), pathways=pathways, head=head)


def fcn_head(channels: int) -> Stage:
    """A convolution to a quarter of the channels."""
    return Stage(Conv(channels=channels, kernel=(1, 3, 3), init="default"), Dropout(p=0.1))


def fcn_resnet(name: str, depth: Count = 50, size: Count = 520, classes: Count = 21, aux: bool = True) -> Arch:
    """A quarter of the channels, scores, linearly enlarged."""
    return on_resnet(name, depth, {"head": fcn_head(512)}, size, classes, aux)


models = (
    Model(name="fcn32s_vgg16", family=fcn_vgg16, parameters=dict(variant="32s")),
    Model(name="fcn16s_vgg16", family=fcn_vgg16, parameters=dict(variant="16s")),
    Model(name="fcn8s_vgg16", family=fcn_vgg16, parameters=dict(variant="8s")),
    Model(name="fcn32s_alexnet", family=fcn_alexnet),
    Model(name="fcn_r50", family=fcn_resnet),
    Model(name="fcn_r101", family=fcn_resnet, parameters=dict(depth=101)),
)
