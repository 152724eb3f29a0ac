"""SSD (arXiv:1512.02325): boxes of many sizes said at once from maps of many steps; and SSDlite (arXiv:1801.04381).

`ssd300_vgg16` is torchvision's, with 91 places for COCO's 90 classes; the authors' Caffe nets have 21 and 81, boxes of
other sides for VOC, and a seventh map at 512 pixels. The map of conv4_3 is brought to unit length and scaled.
`ssd300_mobilenet_v1` is a widely used Caffe net, its norms merged into biases, which says boxes with 1x1 kernels;
`ssdlite320_mobilenet_v3_large` is torchvision's, of depthwise kernels.
"""

from itertools import pairwise
from math import ceil, sqrt
from typing import Literal

from archdsl.blocks import Block, Conv, Depthwise, InvertedResidual, L2Norm, MaxPool, Norm
from archdsl.language import AnchorDetector, Arch, Clip, Model, Pathway, Stage, repeat, row_of
from archdsl.spec.scalars import Count
from archdsl.zoo import mobilenet, vgg

NONE = dict(norm=Norm(kind="none"))
Sides = tuple[tuple[float, float], ...]
SIDES = {
    (300, "coco"): (0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05),
    (300, "voc"): (0.1, 0.2, 0.37, 0.54, 0.71, 0.88, 1.05),
    (512, "coco"): (0.04, 0.1, 0.26, 0.42, 0.58, 0.74, 0.9, 1.06),
    (512, "voc"): (0.07, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9, 1.05),
}
"""Sides of the boxes of each map in sides of the image, and one beyond the last."""
STEPS = {300: (8, 16, 32, 64, 100, 300), 512: (8, 16, 32, 64, 128, 256, 512)}


def boxes(side: float, next_side: float | None, ratios: tuple[int, ...], size: int) -> Sides:
    """A square, one between it and the next map's, and pairs of flat and upright ones, within the image."""
    between = [] if next_side is None else [(sqrt(side * next_side),) * 2]
    flat = [(side * sqrt(r), side / sqrt(r)) for r in ratios]
    pairs = [pair for w, h in flat for pair in ((w, h), (h, w))]
    return tuple((min(w, 1) * size, min(h, 1) * size) for w, h in ((side, side), *between, *pairs))


def extra(before: int, channels: int, **last: object) -> Stage:
    """A 1x1 and a 3x3 convolution; the second strides, or is not padded."""
    conv = Conv(channels=before, init="xavier", **NONE)
    return Stage(conv, conv.but(channels=channels, **last))


def in_turn(stages: dict[str, Stage | dict[str, Stage]]) -> dict[str, Pathway]:
    """Pathways one behind the other, so that the head may read the end of each."""
    made, before = {}, None
    for name, given in stages.items():
        made[name] = Pathway(after=before, stages=given if isinstance(given, dict) else {"extra": given})
        before = name
    return made


def ssd(name: str, classes: Count = 91, size: Literal[300, 512] = 300, sides: Literal["coco", "voc"] = "coco") -> Arch:
    """Six maps from 38x38 on, or seven from 64x64 on; a pool rounds up for the first."""
    stages = vgg.convolutions(16)
    stages["conv3"] = Stage(*stages["conv3"].blocks[:-1], vgg.POOL.but(ceil=True))
    *convs, pool = stages.pop("conv4").blocks
    fifth = stages.pop("conv5").blocks[:-1]
    wide = Conv(channels=1024, kernel=(1, 3, 3), dilation=(1, 6, 6), init="xavier", **NONE)
    thin = MaxPool(kernel=(1, 3, 3))
    stride, valid = dict(kernel=(1, 3, 3), stride=(1, 2, 2)), dict(kernel=(1, 3, 3), pad="valid")
    later = [valid, valid] if size == 300 else [stride, stride, dict(kernel=(1, 4, 4), pad=(0, 1, 1))]
    extras = {f"conv{8 + i}": extra(128, 256, **window) for i, window in enumerate(later)}
    pathways = in_turn(
        {
            "rgb": stages | {"conv4": Stage(*convs)},
            "fc7": {
                "conv5": Stage(pool, *fifth),
                "fc": Stage(thin, wide, wide.but(kernel=(1, 1, 1), dilation=(1, 1, 1))),
            },
            "conv6": extra(256, 512, **stride),
            "conv7": extra(128, 256, **stride),
        }
        | extras
    )
    pathways["conv4"] = Pathway(after="rgb", stages={"norm": Stage(L2Norm(scale=20))})
    edges, maps = row_of(SIDES, size=size, sides=sides), len(STEPS[size])
    ratios = ((2,), *[(2, 3)] * (maps - 3), (2,), (2,))
    head = AnchorDetector(
        classes=classes,
        sides=tuple(boxes(a, b, own, size) for a, b, own in zip(edges, edges[1:], ratios)),
        steps=STEPS[size],
        offset=0.5,
        init="xavier",
        reads=("conv4", "fc7", "conv6", "conv7", *extras),
    )
    return Arch(name=name, clip=Clip(frames=1, size=size), pathways=pathways, head=head)


def mobilenet_v1(name: str, classes: Count = 21) -> Arch:
    """Boxes from the eleventh pair on."""

    def square(channels: int, stride: int = 1, **fields: object) -> Conv:
        return Conv(channels=channels, kernel=(1, 3, 3), stride=(1, stride, stride), **fields, **NONE)

    pairs, before = {"stem": Stage(square(32, 2))}, 32
    for i, (channels, stride) in enumerate(mobilenet.V1, 1):
        pairs[f"pair{i}"] = Stage(square(before, stride, groups="depthwise"), Conv(channels=channels, **NONE))
        before = channels
    deep = {key: pairs.pop(key) for key in ("pair12", "pair13")}
    stride = dict(kernel=(1, 3, 3), stride=(1, 2, 2))
    extras = ((256, 512), (128, 256), (128, 256), (64, 128))
    more = {f"conv{14 + i}": extra(*channels, **stride) for i, channels in enumerate(extras)}
    pathways = in_turn({"rgb": pairs, "conv13": deep} | more)
    sides = [side / 300 for side in (60, 105, 150, 195, 240, 285, 300)]
    first = boxes(sides[0], None, (2,), 300)
    rest = (boxes(a, b, (2, 3), 300) for a, b in pairwise(sides[1:]))
    head = AnchorDetector(
        classes=classes,
        sides=(first, *rest),
        steps=steps_of(300),
        offset=0.5,
        kernel=1,
        init="xavier",
        above=0.25,
        reads=tuple(pathways),
    )
    return Arch(name=name, clip=Clip(frames=1, size=300), pathways=pathways, head=head)


def steps_of(size: int) -> tuple[float, ...]:
    """Of six maps whose elements part the image evenly, each half of the one before, rounded up."""
    counts = [ceil(size / 16)]
    while len(counts) < 6:
        counts.append(ceil(counts[-1] / 2))
    return tuple(size / n for n in counts)


def lite_v3(name: str, classes: Count = 91) -> Arch:
    """MobileNet v3 with the narrow tail, cut within the block that strides to a thirty-second."""
    norm = Norm(eps=1e-3, momentum=0.03)

    def block(kernel: int, inner: int, channels: int, gated: bool, act: str, stride: int) -> Block:
        window = dict(kernel=(1, kernel, kernel), stride=stride)
        se = mobilenet.SE if gated else None
        return InvertedResidual(channels=channels, inner=inner, se=se, act=act, norm=norm, **window)

    hard = dict(norm=norm, act="hardswish")
    stages = {"stem": Stage(Conv(channels=16, kernel=(1, 3, 3), stride=(1, 2, 2), **hard))}
    stages |= {f"stage{i}": Stage(*(block(*row) for row in rows)) for i, rows in enumerate(mobilenet.LARGE[:-1], 1)}
    stages["expand"] = Stage(Conv(channels=672, **hard))
    narrow = block(5, 480, 80, True, "hardswish", 1)
    deep = {
        "stage6": Stage(block(5, 672, 80, True, "hardswish", 2), *repeat(narrow, 2)),
        "last": Stage(Conv(channels=480, **hard)),
    }
    slim = dict(norm=norm, act="relu6")
    depthwise = Depthwise(**slim)
    more = {
        f"extra{i}": Stage(
            Conv(channels=channels // 2, **slim),
            depthwise.but(stride=(1, 2, 2)),
            Conv(channels=channels, **slim),
        )
        for i, channels in enumerate((512, 256, 256, 128), 1)
    }
    pathways = in_turn({"rgb": stages, "deep": deep} | more)
    scales = [*(0.2 + 0.15 * k for k in range(6)), 1.0]
    head = AnchorDetector(
        classes=classes,
        sides=tuple(boxes(a, b, (2, 3), 320) for a, b in pairwise(scales)),
        steps=steps_of(320),
        offset=0.5,
        kernel=1,
        before_scores=(depthwise,),
        before_shifts=(depthwise,),
        above=0.001,
        overlap=0.55,
        candidates=300,
        count=300,
        reads=tuple(pathways),
    )
    return Arch(name=name, clip=Clip(frames=1, size=320), pathways=pathways, head=head)


models = (
    Model(name="ssd300_vgg16", family=ssd),
    Model(name="ssd300_vgg16_voc", family=ssd, parameters=dict(classes=21, sides="voc")),
    Model(name="ssd512_vgg16_coco", family=ssd, parameters=dict(classes=81, size=512)),
    Model(name="ssd512_vgg16_voc", family=ssd, parameters=dict(classes=21, size=512, sides="voc")),
    Model(name="ssd300_mobilenet_v1_voc", family=mobilenet_v1),
    Model(name="ssdlite320_mobilenet_v3_large", family=lite_v3),
)
