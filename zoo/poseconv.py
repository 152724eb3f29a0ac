"""PoseConv3D (arXiv:2104.13586): skeletons as volumes of heat-maps, one channel per joint, read by a 3-D ResNet.

The net is the Slow pathway of SlowFast made small for maps of 56 x 56: half the channels, a stem that keeps height and
width, no res5, and temporal kernels in res3 and res4. Time is halved in res4.
"""

from archdsl.blocks import Bottleneck, Conv, MaxPool
from archdsl.language import Arch, Classifier, Clip, Model, Pathway, Stage, repeat
from archdsl.spec.scalars import Count

Depths = tuple[Count, Count, Count]
"""Blocks of res2, res3, res4."""


def stages(depths: Depths) -> dict[str, Stage]:
    """stem, res2, res3, res4."""
    pool = MaxPool(kernel=(1, 3, 3), stride=(1, 1, 1))
    res2, res3, res4 = depths
    return dict(
        stem=Stage(Conv(channels=32, kernel=(1, 7, 7)), pool),
        res2=Stage(*repeat(Bottleneck(channels=128, stride=2), res2)),
        res3=Stage(*repeat(Bottleneck(channels=256, kernel_t=3, stride=2), res3)),
        res4=Stage(*repeat(Bottleneck(channels=512, kernel_t=3, stride=2, stride_t=2), res4)),
    )


def posec3d(
    name: str,
    frames: Count = 48,
    size: Count = 56,
    joints: Count = 17,
    depths: Depths = (4, 6, 3),
    classes: Count = 60,
) -> Arch:
    """Heat-maps of key points alone."""
    clip = Clip(modality="heatmaps", channels=joints, frames=frames, size=size)
    head = Classifier(classes=classes, dropout=0.5)
    return Arch(name=name, clip=clip, pathways=dict(pose=Pathway(stages=stages(depths))), head=head)


models = (
    Model(name="posec3d_slowonly", family=posec3d),
    Model(name="posec3d_slowonly_gym", family=posec3d, parameters=dict(classes=99)),
    Model(name="posec3d_slowonly_k400", family=posec3d, parameters=dict(depths=(3, 4, 6), classes=400)),
)
