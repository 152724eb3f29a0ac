"""Long-term recurrent convolutional networks (LRCN, arXiv:1411.4389): an image net for each frame, an LSTM over them.

The authors' net is a hybrid of CaffeNet and ZFNet up to its first wide layer (LRCN-fc6), then one LSTM; a classifier
reads every step, and a clip's scores are the mean of their softmax. It sees RGB with 256 channels in the state, and
flow, as an image of x, y and magnitude, with 1024. `lrcn_googlenet` has GoogLeNet instead, and the clip markers of
Caffe's LSTM as a second clip, `markers`: 0 at a frame begins anew. `lrcn_inception_v1` is what I3D is compared with.
All of them are causal, so that they read streams: a mean over the steps so far is that over all after the last.
"""

from typing import Literal

from archdsl.blocks import Block, Conv, Dropout, FlattenSpace, Linear, LocalResponseNorm, Lstm, MaxPool, Mean, Norm
from archdsl.language import Arch, Classifier, Clip, Consensus, Head, Model, Pathway, Stage
from archdsl.spec.scalars import Count
from archdsl.zoo import inception

LRN = LocalResponseNorm(size=5, alpha=1e-4 / 5, beta=0.75, k=1.0)
"""Caffe's alpha stands for the mean of five squares, ours for their sum."""


def lrcn(
    name: str,
    hidden: Count = 256,
    modality: Literal["rgb", "flow", "rgb_diff"] = "rgb",
    classes: Count = 101,
    each: bool = False,
) -> Arch:
    """The authors' net. `each`: scores of every step, for the loss that they train with, instead of their mean."""
    pool = MaxPool(kernel=(1, 3, 3), stride=(1, 2, 2), pad="valid", ceil=True)

    def conv(channels: int, kernel: int, stride: int, pad: int, groups: int = 1) -> Conv:
        window = dict(kernel=(1, kernel, kernel), stride=(1, stride, stride), pad=(0, pad, pad))
        return Conv(channels=channels, groups=groups, norm=Norm(kind="none"), init="normal", **window)

    stages = {
        "conv1": Stage(conv(96, 7, 2, 0), pool, LRN),
        "conv2": Stage(conv(384, 5, 2, 0, groups=2), pool, LRN),
        "conv3": Stage(conv(512, 3, 1, 1)),
        "conv4": Stage(conv(512, 3, 1, 1, groups=2)),
        "conv5": Stage(conv(384, 3, 1, 1, groups=2), pool),
        "fc6": Stage(FlattenSpace(), Linear(channels=4096), Dropout(p=0.9)),
        "lstm": Stage(Lstm(hidden=hidden)),
    }
    clip = Clip(modality=modality, channels=3, frames=16, size=227)
    return network(name, dict(clip=clip), stages, steps(classes, each))


def lrcn_googlenet(name: str, hidden: Count = 256, classes: Count = 101, each: bool = False) -> Arch:
    """BVLC's GoogLeNet, the mean of its last map, and an LSTM that clip markers reset."""
    backbone = inception.googlenet(name, original=True).pathways["main"].stages
    ends: tuple[Block, ...] = (Mean(over="hw"), Dropout(p=0.4))
    stages = {**backbone, "pool_5c": Stage(*ends), "lstm": Stage(Lstm(hidden=hidden, marks="markers"))}
    markers = Clip(modality="features", channels=1, frames=16, size=1)
    return network(name, dict(rgb=Clip(frames=16, size=224), markers=markers), stages, steps(classes, each))


def lrcn_inception(name: str, hidden: Count = 512, frames: Count = 25, classes: Count = 400) -> Arch:
    """The ConvNet+LSTM that I3D is compared with (arXiv:1705.07750): the last step alone is classified."""
    backbone = inception.inception_v1(name).pathways["main"].stages
    stages = {**backbone, "lstm": Stage(Mean(over="hw"), Lstm(hidden=hidden, give="last"))}
    return network(name, dict(clip=Clip(frames=frames, size=224)), stages, Classifier(classes=classes))


def steps(classes: int, each: bool) -> Head:
    """A classifier that reads every step."""
    if each:
        return Consensus(classes=classes, dropout=0.5, over="each")
    return Classifier(classes=classes, pool="none", dropout=0.5, act="softmax")


def network(name: str, clips: dict[str, Clip], stages: dict[str, Stage], head: Head) -> Arch:
    """One pathway over the first clip."""
    main = Pathway(clip=next(iter(clips)), stages=stages)
    return Arch(name=name, clips=clips, pathways=dict(main=main), head=head, causal=True)


models = (
    Model(name="lrcn_caffenet", family=lrcn),
    Model(name="lrcn_caffenet_flow", family=lrcn, parameters=dict(hidden=1024, modality="flow")),
    Model(name="lrcn_googlenet", family=lrcn_googlenet),
    Model(name="lrcn_inception_v1", family=lrcn_inception),
)
