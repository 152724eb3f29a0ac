"""AlexNet: the grouped net of 2012 (Krizhevsky, Sutskever, Hinton) and the one-tower net of 2014 (arXiv:1404.5997).

`alexnet_grouped` is the first: 96-256-384-384-256 channels in two groups, as two GPUs had them, response norms, and
pools that overlap. Its clip is 227 wide, which is what gives the paper's 55x55 map without padding (the paper says
224). `alexnet` is the second as torchvision builds it: 64-192-384-256-256, no groups, no response norms. Fully
connected layers read each frame by itself.
"""

from archdsl.blocks import AdaptiveAvgPool, Conv, Dropout, FlattenSpace, Linear, LocalResponseNorm, MaxPool, Norm
from archdsl.language import Arch, Classifier, Clip, Model, Pathway, Stage
from archdsl.spec.scalars import Count

NONE = Norm(kind="none")
POOL = MaxPool(kernel=(1, 3, 3), stride=(1, 2, 2), pad="valid")


def conv(channels: int, kernel: int, **fields: object) -> Conv:
    return Conv(channels=channels, kernel=(1, kernel, kernel), norm=NONE, **fields)


def alexnet(name: str, classes: Count = 1000) -> Arch:
    """torchvision's: dropout before each of the two wide layers."""
    wide = (Dropout(p=0.5), Linear(channels=4096, init="default"))
    stages = {
        "conv1": Stage(conv(64, 11, stride=(1, 4, 4), pad=(0, 2, 2), init="default"), POOL),
        "conv2": Stage(conv(192, 5, init="default"), POOL),
        "conv3": Stage(conv(384, 3, init="default")),
        "conv4": Stage(conv(256, 3, init="default")),
        "conv5": Stage(conv(256, 3, init="default"), POOL),
        "fc6": Stage(AdaptiveAvgPool(size=(0, 6, 6)), FlattenSpace(), *wide),
        "fc7": Stage(*wide),
    }
    return image(name, 224, stages, Classifier(classes=classes))


def alexnet_grouped(name: str, classes: Count = 1000) -> Arch:
    """The paper's: dropout after each of the two wide layers."""
    lrn = LocalResponseNorm(size=5, alpha=1e-4, beta=0.75, k=2)
    stages = {
        "conv1": Stage(conv(96, 11, stride=(1, 4, 4), pad="valid", init="normal"), lrn, POOL),
        "conv2": Stage(conv(256, 5, groups=2, init="normal"), lrn, POOL),
        "conv3": Stage(conv(384, 3, init="normal")),
        "conv4": Stage(conv(384, 3, groups=2, init="normal")),
        "conv5": Stage(conv(256, 3, groups=2, init="normal"), POOL),
        "fc6": Stage(FlattenSpace(), Linear(channels=4096), Dropout(p=0.5)),
        "fc7": Stage(Linear(channels=4096)),
    }
    return image(name, 227, stages, Classifier(classes=classes, dropout=0.5))


def caffenet(pads: tuple[int, int] = (0, 0), ceil: bool = True, last: bool = True) -> dict[str, Stage]:
    """Caffe's AlexNet, conv1 ... conv5: response norms behind pools that round up, a mean instead of a sum in the norm.

    `pads` are those of conv1 and of pools; without `last` no pool follows conv5.
    """
    pool = POOL.but(ceil=ceil, pad=(0, pads[1], pads[1]))
    lrn = LocalResponseNorm(size=5, alpha=2e-5, beta=0.75, k=1)
    return {
        "conv1": Stage(conv(96, 11, stride=(1, 4, 4), pad=(0, pads[0], pads[0]), init="normal"), pool, lrn),
        "conv2": Stage(conv(256, 5, groups=2, init="normal"), pool, lrn),
        "conv3": Stage(conv(384, 3, init="normal")),
        "conv4": Stage(conv(384, 3, groups=2, init="normal")),
        "conv5": Stage(conv(256, 3, groups=2, init="normal"), *(pool,) * last),
    }


def image(name: str, size: int, stages: dict[str, Stage], head: Classifier) -> Arch:
    """One image, or frames each by itself."""
    return Arch(name=name, clip=Clip(frames=1, size=size), pathways=dict(rgb=Pathway(stages=stages)), head=head)


models = (
    Model(name="alexnet", family=alexnet),
    Model(name="alexnet_grouped", family=alexnet_grouped),
)
