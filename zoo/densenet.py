"""DenseNet-BC (arXiv:1608.06993, Table 1): a layer adds few channels beside all it reads; transitions halve them.

Norm and activation come before each convolution. The widths follow from what the layers add, so that a transition's
width is the only sum written here.
"""

from archdsl.blocks import AvgPool, Conv, DenseLayer, MaxPool, Norm, NormAct
from archdsl.language import Arch, Classifier, Clip, Model, Pathway, Stage, repeat, row_of
from archdsl.spec.scalars import Count

DEPTHS = {
    121: ((6, 12, 24, 16), 32),
    161: ((6, 12, 36, 24), 48),
    169: ((6, 12, 32, 32), 32),
    201: ((6, 12, 48, 32), 32),
}
"""Layers of each dense block, and the channels that a layer adds."""


def densenet(name: str, depth: Count = 121, growth: Count | None = None, classes: Count = 1000) -> Arch:
    """Four dense blocks with `growth` new channels a layer, by default the depth's; the stem gives twice as many."""
    layers, usual = row_of(DEPTHS, depth=depth)
    growth = growth or usual
    channels = 2 * growth
    stem = Conv(channels=channels, kernel=(1, 7, 7), stride=(1, 2, 2), init="msra_in")
    stages = {"stem": Stage(stem, MaxPool(kernel=(1, 3, 3), stride=(1, 2, 2)))}
    for i, times in enumerate(layers, 1):
        stages[f"dense{i}"] = Stage(*repeat(DenseLayer(growth=growth), times))
        channels = (channels + times * growth) // 2
        if i < 4:
            half = Conv(channels=channels, norm=Norm(kind="none"), bias=False, act="none", init="msra_in")
            pool = AvgPool(kernel=(1, 2, 2), stride=(1, 2, 2), pad="valid")
            stages[f"transition{i}"] = Stage(NormAct(), half, pool)
    stages["norm5"] = Stage(NormAct())
    head = Classifier(classes=classes)
    return Arch(name=name, clip=Clip(frames=1, size=224), pathways=dict(rgb=Pathway(stages=stages)), head=head)


models = (
    Model(name="densenet121", family=densenet, parameters=dict(depth=121)),
    Model(name="densenet161", family=densenet, parameters=dict(depth=161)),
    Model(name="densenet169", family=densenet, parameters=dict(depth=169)),
    Model(name="densenet201", family=densenet, parameters=dict(depth=201)),
)
