"""Faster, Mask and Keypoint R-CNN on a pyramid of maps (arXiv:1506.01497, 1703.06870, 1612.03144), as torchvision's.

Every level proposes boxes of one size; what is cut out of the level that fits a proposal says what it is. For the best
boxes a mask of each class, or a map for each joint, is read off finer cells. torchvision makes images 800 pixels high
and pads them; here the clip has the size that comes of it. Its batch norms learn where it is built anew; the weights
that it ships have them fixed, which changes no output. Its second versions (arXiv:2111.11429) have batch norms in
pyramid and heads, two convolutions in front of proposals and four on a region.
"""

from typing import Literal

from archdsl.blocks import Block, Conv, Deconv, FlattenSpace, Linear, MaxPool, Norm, Resize
from archdsl.language import Arch, Clip, Model, Pathway, Pyramid, RegionDetector, Stage, repeat
from archdsl.spec.scalars import Count
from archdsl.zoo import resnet

NONE = dict(norm=Norm(kind="none"))
NORMED = Conv(channels=256, kernel=(1, 3, 3))
LEVELS = {f"p{i}": f"rgb.res{i}" for i in (2, 3, 4, 5)}
SCALES = (32, 64, 128, 256, 512)
RATIOS = (0.5, 1.0, 2.0)
"""Heights of anchors over widths."""


def rounded(size: float, ratio: float) -> tuple[float, float]:
    """Width and height of an anchor; torchvision rounds half of each."""
    width, height = size * ratio**-0.5, size * ratio**0.5
    return 2.0 * round(width / 2), 2.0 * round(height / 2)


def detector(
    name: str,
    classes: Count = 91,
    masks: tuple[Block, ...] = (),
    keypoints: tuple[Block, ...] = (),
    height: Count = 800,
    width: Count = 1344,
    regions: Count = 1000,
    depth: Count = 50,
    version: Literal[1, 2] = 1,
) -> Arch:
    """A backbone, its pyramid, and a pooled level more for the largest anchors."""
    square, second = Conv(channels=256, kernel=(1, 3, 3), init="normal", **NONE), version == 2
    pathways = {
        "rgb": Pathway(stages=resnet.stages(depth)),
        "p6": Pathway(after="p5", stages={"level": Stage(MaxPool(kernel=(1, 1, 1), stride=(1, 2, 2)))}),
    }
    wide = Linear(channels=1024, init="default")
    head = RegionDetector(
        classes=classes,
        sides=tuple(tuple(rounded(size, ratio) for ratio in RATIOS) for size in SCALES),
        proposing=(square,) * version,
        count=regions,
        cut_from=tuple(LEVELS),
        region=(*repeat(NORMED, 4), FlattenSpace(), wide) if second else (FlattenSpace(), wide, wide),
        masks=masks,
        keypoints=keypoints,
        reads=(*LEVELS, "p6"),
    )
    clip = Clip(frames=1, height=height, width=width)
    pyramid = Pyramid(levels=LEVELS, norm=Norm() if second else Norm(kind="none"))
    return Arch(name=name, clip=clip, pathways=pathways, pyramid=pyramid, head=head)


def faster(
    name: str,
    classes: Count = 91,
    height: Count = 800,
    width: Count = 1344,
    regions: Count = 1000,
    depth: Count = 50,
    version: Literal[1, 2] = 1,
) -> Arch:
    """Boxes alone."""
    return detector(name, classes, (), (), height, width, regions, depth, version)


def mask(
    name: str,
    classes: Count = 91,
    height: Count = 800,
    width: Count = 1344,
    regions: Count = 1000,
    depth: Count = 50,
    version: Literal[1, 2] = 1,
) -> Arch:
    """A mask of each class for each box that is given."""
    square = NORMED if version == 2 else Conv(channels=256, kernel=(1, 3, 3), **NONE)
    up = Deconv(channels=256, kernel=(1, 2, 2), stride=(1, 2, 2), **NONE)
    last = Conv(channels=classes, act="none", **NONE)
    return detector(name, classes, (*repeat(square, 4), up, last), (), height, width, regions, depth, version)


def keypoint(
    name: str,
    points: Count = 17,
    height: Count = 800,
    width: Count = 1344,
    regions: Count = 1000,
    depth: Count = 50,
) -> Arch:
    """A map for each joint of each person that is given; classes are background and person."""
    square = Conv(channels=512, kernel=(1, 3, 3), **NONE)
    window = dict(kernel=(1, 4, 4), stride=(1, 2, 2), pad=(0, 1, 1))
    blocks = (
        *repeat(square, 8),
        Deconv(channels=points, act="none", **window, **NONE),
        Resize(scale=(1, 2, 2)),
    )
    return detector(name, 2, (), blocks, height, width, regions, depth)


models = (
    Model(name="fasterrcnn_r50_fpn", family=faster),
    Model(name="maskrcnn_r50_fpn", family=mask),
    Model(name="keypointrcnn_r50_fpn", family=keypoint),
    Model(name="fasterrcnn_r50_fpn_v2", family=faster, parameters=dict(version=2)),
    Model(name="maskrcnn_r50_fpn_v2", family=mask, parameters=dict(version=2)),
)
