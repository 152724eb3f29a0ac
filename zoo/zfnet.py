"""ZFNet (arXiv:1311.2901): AlexNet in one tower, its first kernel 7x7 at stride 2 instead of 11x11 at stride 4.

Pools round up, which gives the 55, 13 and 6 of the paper's Figure 3. The contrast norm comes after the pool there; its
constants are not printed, and are AlexNet's here. `zfnet` is Figure 3 (384-384-256 channels in conv3 to conv5);
`zfnet_wide` the better net of the paper's Table 2 (512-1024-512), often meant by the name.
"""

from archdsl.blocks import Conv, Dropout, FlattenSpace, Linear, LocalResponseNorm, MaxPool, Norm
from archdsl.language import Arch, Classifier, Clip, Model, Pathway, Stage
from archdsl.spec.scalars import Count

POOL = MaxPool(kernel=(1, 3, 3), stride=(1, 2, 2), pad="valid", ceil=True)


def zfnet(name: str, widths: tuple[Count, Count, Count] = (384, 384, 256), classes: Count = 1000) -> Arch:
    """`widths` are the channels of conv3, conv4 and conv5."""

    def conv(channels: int, kernel: int, stride: int, pad: int) -> Conv:
        window = dict(kernel=(1, kernel, kernel), stride=(1, stride, stride), pad=(0, pad, pad))
        return Conv(channels=channels, norm=Norm(kind="none"), init="normal", **window)

    lrn = LocalResponseNorm(size=5, alpha=1e-4, beta=0.75, k=2)
    third, fourth, fifth = widths
    stages = {
        "conv1": Stage(conv(96, 7, 2, 1), POOL, lrn),
        "conv2": Stage(conv(256, 5, 2, 0), POOL, lrn),
        "conv3": Stage(conv(third, 3, 1, 1)),
        "conv4": Stage(conv(fourth, 3, 1, 1)),
        "conv5": Stage(conv(fifth, 3, 1, 1), POOL),
        "fc6": Stage(FlattenSpace(), Linear(channels=4096), Dropout(p=0.5)),
        "fc7": Stage(Linear(channels=4096)),
    }
    head = Classifier(classes=classes, dropout=0.5)
    return Arch(name=name, clip=Clip(frames=1, size=224), pathways=dict(rgb=Pathway(stages=stages)), head=head)


models = (
    Model(name="zfnet", family=zfnet),
    Model(name="zfnet_wide", family=zfnet, parameters=dict(widths=(512, 1024, 512))),
)
