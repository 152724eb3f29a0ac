"""Network in Network (arXiv:1312.4400): two 1x1 convolutions after each wide one, and no fully connected layer.

The last 1x1 convolution has one map per class, activated and averaged over the map: a classifier of every position.
`nin_cifar10` is the paper's net for CIFAR-10; `nin` the authors' net for ImageNet (Caffe's model zoo). Pools round up,
as Caffe does.
"""

from archdsl.blocks import AvgPool, Block, Conv, Dropout, MaxPool, Norm
from archdsl.language import Arch, Classifier, Clip, Model, Pathway, Stage
from archdsl.spec.scalars import Count

MAX = MaxPool(kernel=(1, 3, 3), stride=(1, 2, 2), pad="valid", ceil=True)
AVERAGE = AvgPool(kernel=(1, 3, 3), stride=(1, 2, 2), pad="valid", ceil=True)


def mlp(channels: tuple[int, ...], kernel: int, stride: int = 1, pad: int = 0) -> list[Block]:
    """A convolution and the 1x1 convolutions after it."""
    plain = dict(norm=Norm(kind="none"), init="normal")
    window = dict(kernel=(1, kernel, kernel), stride=(1, stride, stride), pad=(0, pad, pad))
    first = Conv(channels=channels[0], **window, **plain)
    return [first, *(Conv(channels=c, **plain) for c in channels[1:])]


def nin(name: str, classes: Count = 1000) -> Arch:
    """For ImageNet: four mlp layers."""
    stages = {
        "mlp1": Stage(*mlp((96, 96, 96), 11, stride=4), MAX),
        "mlp2": Stage(*mlp((256, 256, 256), 5, pad=2), MAX),
        "mlp3": Stage(*mlp((384, 384, 384), 3, pad=1), MAX, Dropout(p=0.5)),
        "mlp4": Stage(*mlp((1024, 1024), 3, pad=1)),
    }
    return image(name, 224, stages, classes)


def nin_cifar10(name: str, classes: Count = 10) -> Arch:
    """For CIFAR-10: three mlp layers."""
    stages = {
        "mlp1": Stage(*mlp((192, 160, 96), 5, pad=2), MAX, Dropout(p=0.5)),
        "mlp2": Stage(*mlp((192, 192, 192), 5, pad=2), AVERAGE, Dropout(p=0.5)),
        "mlp3": Stage(*mlp((192, 192), 3, pad=1)),
    }
    return image(name, 32, stages, classes)


def image(name: str, size: int, stages: dict[str, Stage], classes: int) -> Arch:
    """One image, or frames each by itself."""
    head = Classifier(classes=classes, pool="none", act="relu")
    return Arch(name=name, clip=Clip(frames=1, size=size), pathways=dict(rgb=Pathway(stages=stages)), head=head)


models = (
    Model(name="nin", family=nin),
    Model(name="nin_cifar10", family=nin_cifar10),
)
