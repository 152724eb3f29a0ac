"""YOLO (arXiv:1506.02640, 1612.08242, 1804.02767): boxes said once for all from a grid, and the Darknets behind it.

As the authors' darknet has them. Version 1 ends in one wide layer that says 49 cells' classes and two boxes for each;
version 2 says five anchors of each cell of a 13x13 map, which also sees a finer one, its squares of 2x2 laid side by
side; version 3 says three anchors on each of three maps. Darknet-19 and -53 are their classifiers.
"""

from typing import Literal

from archdsl.blocks import (
    Block,
    Branches,
    Conv,
    Dropout,
    FlattenSpace,
    Linear,
    MaxPool,
    Norm,
    Resize,
    SpaceToChannels,
)
from archdsl.language import AnchorDetector, Arch, Classifier, Clip, Edge, GridDetector, Model, Pathway, Stage
from archdsl.spec.scalars import Count

POOL = MaxPool(kernel=(1, 2, 2), stride=(1, 2, 2), pad="valid")
PLAIN = dict(norm=Norm(kind="none"))
V1 = (
    ((192, 3),),
    ((128, 1), (256, 3), (256, 1), (512, 3)),
    (*((256, 1), (512, 3)) * 4, (512, 1), (1024, 3)),
    (*((512, 1), (1024, 3)) * 2, (1024, 3)),
)
"""Channels and kernels of version 1 between its pools, behind the stem."""
V2 = (
    ((32, 3),),
    ((64, 3),),
    ((128, 3), (64, 1), (128, 3)),
    ((256, 3), (128, 1), (256, 3)),
    ((512, 3), (256, 1), (512, 3), (256, 1), (512, 3)),
    ((1024, 3), (512, 1), (1024, 3), (512, 1), (1024, 3)),
)
"""Those of Darknet-19."""
V3 = ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4))
"""Channels and residual blocks of each stage of Darknet-53."""
VOC = ((1.3221, 1.73145), (3.19275, 4.00944), (5.05587, 8.09892), (9.47112, 4.84053), (11.2364, 10.0071))
COCO = ((0.57273, 0.677385), (1.87446, 2.06253), (3.33843, 5.47434), (7.88282, 3.52778), (9.77052, 9.16828))
"""Anchors of version 2, in cells of 32 pixels."""
V3_ANCHORS = (
    ((116, 90), (156, 198), (373, 326)),
    ((30, 61), (62, 45), (59, 119)),
    ((10, 13), (16, 30), (33, 23)),
)
"""Those of version 3, in pixels, of steps 32, 16 and 8."""


def conv(channels: int, kernel: int, stride: int = 1, **fields: object) -> Conv:
    """A convolution as darknet has it: 0.1 of what is below 0 is kept."""
    return Conv(channels=channels, kernel=(1, kernel, kernel), stride=(1, stride, stride), act="leaky", **fields)


def darknet19_stages() -> dict[str, Stage]:
    """conv1 ... conv6, each but the first behind a pool."""
    return {f"conv{i}": Stage(*(POOL,) * (i > 1), *(conv(*row) for row in rows)) for i, rows in enumerate(V2, 1)}


def darknet53_stages() -> dict[str, Stage]:
    """A stem, and stages whose first convolution strides."""
    stages = {"stem": Stage(conv(32, 3))}
    for i, (channels, times) in enumerate(V3, 1):
        block = Branches(branches={"main": (conv(channels // 2, 1), conv(channels, 3)), "skip": ()}, merge="sum")
        stages[f"stage{i}"] = Stage(conv(channels, 3, 2), *(block,) * times)
    return stages


def darknet19(name: str, size: Count = 224, classes: Count = 1000) -> Arch:
    """Scores at every place, then their mean."""
    head = Classifier(classes=classes, pool="none", act="none")
    return image(name, darknet19_stages(), head, size)


def darknet53(name: str, size: Count = 256, classes: Count = 1000) -> Arch:
    """The mean, then scores."""
    return image(name, darknet53_stages(), Classifier(classes=classes), size)


def v1(name: str, size: Count = 448, classes: Count = 20) -> Arch:
    """24 convolutions with biases, two wide layers."""
    stages = {"stem": Stage(conv(64, 7, 2, **PLAIN))}
    for i, rows in enumerate(V1, 1):
        stages[f"conv{i}"] = Stage(POOL, *(conv(*row, **PLAIN) for row in rows))
    square = conv(1024, 3, **PLAIN)
    stages["conv5"] = Stage(square.but(stride=(1, 2, 2)), square, square)
    stages["wide"] = Stage(FlattenSpace(), Linear(channels=4096, act="leaky"), Dropout(p=0.5))
    return image(name, stages, GridDetector(classes=classes), size)


def v1_tiny(name: str, size: Count = 448, classes: Count = 20) -> Arch:
    """Eight convolutions with norms, one wide layer."""
    stages = {f"conv{i}": Stage(conv(16 * 2**i, 3), POOL) for i in range(6)}
    stages["conv6"] = Stage(conv(1024, 3), conv(256, 3), FlattenSpace())
    return image(name, stages, GridDetector(classes=classes), size)


def anchored(classes: int, sides: object, act: Literal["softmax", "sigmoid"], reads: tuple[str, ...]) -> AnchorDetector:
    """Boxes within cells, whether they hold a thing, and which."""
    return AnchorDetector(
        classes=classes,
        sides=sides,
        offset=0.5,
        kernel=1,
        objectness=True,
        act=act,
        background=False,
        within="cell",
        above=0.005,
        init="msra",
        reads=reads,
    )


def v2(name: str, anchors: Literal["voc", "coco"] = "voc", size: Count = 416, classes: Count = 20) -> Arch:
    """Darknet-19 to its last map, joined by the one before the last pool."""
    stages = darknet19_stages()
    deep = {"conv6": stages.pop("conv6"), "head": Stage(conv(1024, 3), conv(1024, 3)), "last": Stage(conv(1024, 3))}
    pathways = dict(
        rgb=Pathway(stages=stages),
        fine=Pathway(after="rgb", stages={"parts": Stage(conv(64, 1), SpaceToChannels(side=2))}),
        deep=Pathway(after="rgb", stages=deep),
    )
    joined = Edge(source="fine", target="deep", after="parts", into="head", merge="prepend")
    sides = (tuple((32 * w, 32 * h) for w, h in (VOC if anchors == "voc" else COCO)),)
    head = anchored(classes, sides, "softmax", ("deep",))
    return Arch(name=name, clip=Clip(frames=1, size=size), pathways=pathways, edges=(joined,), head=head)


def v3(name: str, pooled: bool = False, size: Count = 416, classes: Count = 80) -> Arch:
    """Three maps, each finer one joined by the coarser, enlarged; `pooled` sees the coarsest through wide pools too."""

    def five(channels: int) -> tuple[Block, ...]:
        one, three = conv(channels, 1), conv(2 * channels, 3)
        return one, three, one, three, one

    def enlarged(channels: int) -> Stage:
        return Stage(conv(channels, 1), Resize(scale=(1, 2, 2), mode="nearest"))

    coarse = five(512)
    if pooled:
        pools = {f"pool{k}": (MaxPool(kernel=(1, k, k)),) for k in (13, 9, 5)}
        coarse = (*coarse[:3], Branches(branches=pools | {"skip": ()}), conv(512, 1), *coarse[3:])
    pathways = dict(
        rgb=Pathway(stages=darknet53_stages()),
        coarse=Pathway(after="rgb", stages={"head": Stage(*coarse)}),
        coarse_end=Pathway(after="coarse", stages={"last": Stage(conv(1024, 3))}),
        middle=Pathway(after="coarse", stages={"up": enlarged(256), "head": Stage(*five(256))}),
        middle_end=Pathway(after="middle", stages={"last": Stage(conv(512, 3))}),
        fine=Pathway(after="middle", stages={"up": enlarged(128), "head": Stage(*five(128))}),
        fine_end=Pathway(after="fine", stages={"last": Stage(conv(256, 3))}),
    )
    edges = (
        Edge(source="rgb", target="middle", after="stage4", into="up"),
        Edge(source="rgb", target="fine", after="stage3", into="up"),
    )
    head = anchored(classes, V3_ANCHORS, "sigmoid", ("coarse_end", "middle_end", "fine_end"))
    return Arch(name=name, clip=Clip(frames=1, size=size), pathways=pathways, edges=edges, head=head)


def image(name: str, stages: dict[str, Stage], head: Classifier | GridDetector, size: int) -> Arch:
    """One image, or frames each by itself."""
    return Arch(name=name, clip=Clip(frames=1, size=size), pathways=dict(rgb=Pathway(stages=stages)), head=head)


models = (
    Model(name="darknet19", family=darknet19),
    Model(name="darknet53", family=darknet53),
    Model(name="yolo_v1", family=v1),
    Model(name="yolo_v1_tiny", family=v1_tiny),
    Model(name="yolo_v2_voc", family=v2),
    Model(name="yolo_v2_coco", family=v2, parameters=dict(anchors="coco", classes=80, size=608)),
    Model(name="yolo_v3", family=v3),
    Model(name="yolo_v3_spp", family=v3, parameters=dict(pooled=True, size=608)),
)
