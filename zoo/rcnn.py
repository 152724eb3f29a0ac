"""R-CNN, Fast R-CNN and Faster R-CNN (arXiv:1311.2524, 1504.08083, 1506.01497), and OverFeat (arXiv:1312.6229).

As the authors' Caffe nets have them. R-CNN classifies crops that a person cuts out; Fast R-CNN takes the largest of
each cell of a given box from one map of the image; Faster R-CNN proposes the boxes itself. OverFeat is the classifier
that its dense search runs; its regressor is no part of it here.
"""

from archdsl.blocks import Block, Conv, Dropout, FlattenSpace, Linear, LocalResponseNorm, MaxPool, Norm
from archdsl.language import Arch, Classifier, Clip, Detector, Model, Pathway, Stage, row_of
from archdsl.spec.scalars import Count
from archdsl.zoo import alexnet, vgg

NONE = dict(norm=Norm(kind="none"))
WIDE = (Linear(channels=4096), Dropout(p=0.5))
CEIL = MaxPool(kernel=(1, 2, 2), stride=(1, 2, 2), pad="valid", ceil=True)


def vgg16() -> dict[str, Stage]:
    """To conv5_3, pools rounded up."""
    stages = vgg.convolutions(16, pool=CEIL)
    return stages | {"conv5": Stage(*stages["conv5"].blocks[:-1])}


def caffenet() -> dict[str, Stage]:
    """To conv5, padded so that an element lies in the middle of what it sees."""
    return alexnet.caffenet(pads=(5, 1), last=False)


def zf() -> dict[str, Stage]:
    """ZFNet to conv5, padded alike; norms over three channels."""
    pool = MaxPool(kernel=(1, 3, 3), stride=(1, 2, 2), pad=(0, 1, 1), ceil=True)
    lrn = LocalResponseNorm(size=3, alpha=5e-5 / 3, beta=0.75, k=1)

    def conv(channels: int, kernel: int, stride: int = 1) -> Conv:
        return Conv(channels=channels, kernel=(1, kernel, kernel), stride=(1, stride, stride), init="normal", **NONE)

    return {
        "conv1": Stage(conv(96, 7, 2), lrn, pool),
        "conv2": Stage(conv(256, 5, 2), lrn, pool),
        "conv3": Stage(conv(384, 3)),
        "conv4": Stage(conv(384, 3)),
        "conv5": Stage(conv(256, 3)),
    }


TRUNKS = {"vgg16": (vgg16, 7), "caffenet": (caffenet, 6), "zf": (zf, 6)}
"""The stages, and cells along each side of a box."""


def crops(name: str, trunk: str = "vgg16", size: Count = 224, classes: Count = 21) -> Arch:
    """R-CNN: what a crop shows."""
    stages = {"vgg16": vgg.convolutions, "caffenet": alexnet.caffenet}[trunk]()
    stages |= {"fc6": Stage(FlattenSpace(), *WIDE), "fc7": Stage(*WIDE)}
    return image(name, stages, Classifier(classes=classes), size)


def fast(
    name: str,
    trunk: str = "vgg16",
    classes: Count = 21,
    height: Count = 600,
    width: Count = 1000,
    regions: Count = 300,
) -> Arch:
    """Given boxes."""
    made, cells = row_of(TRUNKS, trunk=trunk)
    head = Detector(classes=classes, size=cells, region=(FlattenSpace(), *WIDE, *WIDE), boxes="boxes")
    clips = {
        "clip": Clip(frames=1, height=height, width=width),
        "boxes": Clip(modality="boxes", frames=regions, size=1),
    }
    return Arch(name=name, clips=clips, pathways=dict(rgb=Pathway(clip="clip", stages=made())), head=head)


def faster(
    name: str,
    trunk: str = "vgg16",
    classes: Count = 21,
    scales: tuple[Count, ...] = (8, 16, 32),
    height: Count = 600,
    width: Count = 1000,
    regions: Count = 300,
) -> Arch:
    """Boxes of the network's own."""
    made, cells = row_of(TRUNKS, trunk=trunk)
    channels = 512 if trunk == "vgg16" else 256
    head = Detector(
        classes=classes,
        size=cells,
        scales=scales,
        deviations=(1, 1, 1, 1),
        count=regions,
        least=16,
        proposing=(Conv(channels=channels, kernel=(1, 3, 3), init="normal", **NONE),),
        region=(FlattenSpace(), *WIDE, *WIDE),
    )
    clip = Clip(frames=1, height=height, width=width)
    return Arch(name=name, clip=clip, pathways=dict(rgb=Pathway(stages=made())), head=head)


def overfeat(name: str, accurate: bool = False, classes: Count = 1000) -> Arch:
    """Five or six convolutions, pools that do not overlap, no response norms."""

    def conv(channels: int, kernel: int, stride: int = 1, pad: int = 0) -> Conv:
        window = dict(kernel=(1, kernel, kernel), stride=(1, stride, stride), pad=(0, pad, pad))
        return Conv(channels=channels, init="normal", **window, **NONE)

    def pool(side: int) -> MaxPool:
        return MaxPool(kernel=(1, side, side), stride=(1, side, side), pad="valid")

    first: tuple[Block, ...] = (conv(96, 7, 2), pool(3)) if accurate else (conv(96, 11, 4), pool(2))
    second: tuple[Block, ...] = (conv(256, 7), pool(2)) if accurate else (conv(256, 5), pool(2))
    square = [conv(channels, 3, pad=1) for channels in ((512, 512, 1024, 1024) if accurate else (512, 1024, 1024))]
    wide = 4096 if accurate else 3072
    stages = {
        "conv1": Stage(*first),
        "conv2": Stage(*second),
        **{f"conv{i}": Stage(one) for i, one in enumerate(square[:-1], 3)},
        f"conv{2 + len(square)}": Stage(square[-1], pool(3 if accurate else 2)),
        "fc1": Stage(FlattenSpace(), Linear(channels=wide), Dropout(p=0.5)),
        "fc2": Stage(Linear(channels=4096), Dropout(p=0.5)),
    }
    return image(name, stages, Classifier(classes=classes), 221 if accurate else 231)


def image(name: str, stages: dict[str, Stage], head: Classifier, size: int) -> Arch:
    """One image, or frames each by itself."""
    return Arch(name=name, clip=Clip(frames=1, size=size), pathways=dict(rgb=Pathway(stages=stages)), head=head)


models = (
    Model(name="rcnn_caffenet_ilsvrc13", family=crops, parameters=dict(trunk="caffenet", size=227, classes=200)),
    Model(name="rcnn_caffenet_voc", family=crops, parameters=dict(trunk="caffenet", size=227)),
    Model(name="rcnn_vgg16_voc", family=crops),
    Model(name="fast_rcnn_vgg16_voc", family=fast),
    Model(name="fast_rcnn_caffenet_voc", family=fast, parameters=dict(trunk="caffenet")),
    Model(name="faster_rcnn_vgg16_voc", family=faster),
    Model(name="faster_rcnn_zf_voc", family=faster, parameters=dict(trunk="zf")),
    Model(name="overfeat_fast", family=overfeat),
    Model(name="overfeat_accurate", family=overfeat, parameters=dict(accurate=True)),
)
