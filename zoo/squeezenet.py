"""SqueezeNet (arXiv:1602.07360): AlexNet's accuracy from fire modules and no fully connected layer.

Pools round up, as in the authors' Caffe. 1.1 is the authors' later net: a smaller first kernel and earlier pools, 2.4
times less work. The last 1x1 convolution scores every position; scores are activated, then averaged.
"""

from typing import Annotated, Literal

from archdsl.blocks import Conv, Fire, MaxPool, Norm
from archdsl.language import Arch, Classifier, Clip, Model, Pathway, Stage
from archdsl.spec.scalars import Count, Distinct

POOL = MaxPool(kernel=(1, 3, 3), stride=(1, 2, 2), pad="valid", ceil=True)
FIRES = (16, 16, 32, 32, 48, 48, 64, 64)
"""Squeezed channels of fire2 to fire9; each expands to eight times as many."""
Pools = Annotated[tuple[Literal[2, 3, 4, 5, 6, 7, 8, 9], ...], Distinct]


def squeezenet(name: str, stem: Count = 96, kernel: Count = 7, pools: Pools = (4, 8), classes: Count = 1000) -> Arch:
    """`pools` names the fire modules after which the map is halved."""
    window = dict(kernel=(1, kernel, kernel), stride=(1, 2, 2), pad="valid")
    stages = {"conv1": Stage(Conv(channels=stem, norm=Norm(kind="none"), init="xavier", **window), POOL)}
    for i, squeeze in enumerate(FIRES, 2):
        pool = (POOL,) if i in pools else ()
        stages[f"fire{i}"] = Stage(Fire(squeeze=squeeze, channels=8 * squeeze), *pool)
    head = Classifier(classes=classes, pool="none", dropout=0.5, act="relu")
    return Arch(name=name, clip=Clip(frames=1, size=224), pathways=dict(rgb=Pathway(stages=stages)), head=head)


models = (
    Model(name="squeezenet1_0", family=squeezenet),
    Model(name="squeezenet1_1", family=squeezenet, parameters=dict(stem=64, kernel=3, pools=(3, 5))),
)
