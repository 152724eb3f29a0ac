"""SPP-net (arXiv:1406.4729): the largest of 1, 2 x 2, 3 x 3 and 6 x 6 parts of a map, for a layer that reads any.

ZF-5 as the authors' Caffe net has it, with the pools that it lists for a map of 13 x 13. Detection reads the same parts
of a box's window on the map; its convolutions are not trained for it, and classes have an SVM each.
"""

from archdsl.blocks import Branches, Conv, Dropout, FlattenSpace, Linear, LocalResponseNorm, MaxPool, Norm
from archdsl.language import Arch, Classifier, Clip, Model, Pathway, Stage
from archdsl.spec.scalars import Count

PARTS = {1: (13, 13), 2: (7, 7), 3: (5, 4), 6: (3, 2)}
"""Parts along each side -> window and stride on 13 x 13."""


def sppnet(name: str, classes: Count = 1000) -> Arch:
    """Five convolutions, the parts, three wide layers."""
    pool = MaxPool(kernel=(1, 3, 3), stride=(1, 2, 2), pad="valid", ceil=True)
    lrn = LocalResponseNorm(size=3, alpha=5e-5 / 3, beta=0.75, k=1)

    def conv(channels: int, kernel: int, stride: int, pad: int) -> Conv:
        window = dict(kernel=(1, kernel, kernel), stride=(1, stride, stride), pad=(0, pad, pad))
        return Conv(channels=channels, norm=Norm(kind="none"), init="normal", **window)

    def part(window: int, stride: int) -> tuple[MaxPool, FlattenSpace]:
        return pool.but(kernel=(1, window, window), stride=(1, stride, stride)), FlattenSpace()

    parts = Branches(branches={f"parts{n}": part(*sizes) for n, sizes in PARTS.items()})
    wide = (Linear(channels=4096), Dropout(p=0.5))
    stages = {
        "conv1": Stage(conv(96, 7, 2, 1), lrn, pool),
        "conv2": Stage(conv(256, 5, 2, 0), lrn, pool),
        "conv3": Stage(conv(384, 3, 1, 1)),
        "conv4": Stage(conv(384, 3, 1, 1)),
        "conv5": Stage(conv(256, 3, 1, 1)),
        "fc6": Stage(parts, *wide),
        "fc7": Stage(*wide),
    }
    clip, head = Clip(frames=1, size=224), Classifier(classes=classes)
    return Arch(name=name, clip=clip, pathways=dict(rgb=Pathway(stages=stages)), head=head)


models = (
    Model(name="sppnet_zf5", family=sppnet),
    Model(name="sppnet_zf5_voc", family=sppnet, parameters=dict(classes=21)),
)
