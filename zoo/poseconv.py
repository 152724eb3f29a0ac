"""PoseConv3D (arXiv:2104.13586): skeletons as volumes of heat-maps, one channel per joint, read by a 3-D ResNet.

The net is the Slow pathway of SlowFast made small for maps of 56 x 56: half the channels, a stem that keeps height and
width, no res5, and temporal kernels in res3 and res4. Time is halved in res4.
"""

from fractions import Fraction

from archdsl.blocks import Bottleneck, Conv, MaxPool
from archdsl.language import Arch, Classifier, Clip, Edge, Model, Pathway, Several, Stage, TimeConv, TimeDeconv, repeat
from archdsl.spec.scalars import Count
from archdsl.zoo import slowfast

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


def rgbpose(name: str, frames: Count = 8, joints: Count = 17, depths: Depths = (4, 6, 3), classes: Count = 60) -> Arch:
    """Frames at 224 x 224 and four times as many heat-maps at 56 x 56; each stream has scores of its own.

    Frames per second are nominal: both clips are spread over the whole video.
    """
    clips = dict(
        rgb_clip=Clip(frames=frames, size=224, fps=8),
        pose_clip=Clip(modality="heatmaps", channels=joints, frames=4 * frames, size=56, pixel=4, fps=32),
    )
    pose = stages(depths)
    pose["res4"] = Stage(*repeat(Bottleneck(channels=512, kernel_t=3, stride=2), depths[2]))
    pathways = dict(
        rgb=slowfast.pathway(50, slowfast.SLOW, every=1, clip="rgb_clip"), pose=Pathway(clip="pose_clip", stages=pose)
    )
    there = TimeConv(width=1, kernel=7, norm="none", act="none")
    back = TimeDeconv(width=Fraction(1, 16), kernel=7)
    edges = (
        Edge(source="pose", target="rgb", after=("res2", "res3"), into=("res3", "res4"), transform=there),
        Edge(source="rgb", target="pose", after=("res3", "res4"), into=("res2", "res3"), transform=back),
    )
    heads = {key: Classifier(reads=(key,), classes=classes, dropout=0.5) for key in pathways}
    return Arch(name=name, clips=clips, pathways=pathways, edges=edges, head=Several(heads=heads))


models = (
    Model(name="posec3d_slowonly", family=posec3d),
    Model(name="posec3d_slowonly_gym", family=posec3d, parameters=dict(classes=99)),
    Model(name="posec3d_slowonly_k400", family=posec3d, parameters=dict(depths=(3, 4, 6), classes=400)),
    Model(name="rgbpose_conv3d", family=rgbpose),
)
