"""RetinaNet (arXiv:1708.02002): a pyramid of maps, every element of which says what nine anchors hold.

torchvision's: two towers of four convolutions that all levels share, one for classes and one for boxes; levels beyond
the pyramid are strided convolutions of its last; in the second version (arXiv:1912.02424) of the backbone's last map,
and towers have group norms. Classes are 90 of COCO at 91 places, each with a sigmoid of its own.
"""

from typing import Literal

from archdsl.blocks import Conv, Norm, NormAct
from archdsl.language import AnchorDetector, Arch, Clip, Model, Pathway, Pyramid, Stage, repeat
from archdsl.spec.scalars import Count
from archdsl.zoo import rcnn_fpn, resnet

NONE = dict(norm=Norm(kind="none"))
LEVELS = {f"p{i}": f"rgb.res{i}" for i in (3, 4, 5)}
SCALES = tuple((size, int(size * 2 ** (1 / 3)), int(size * 2 ** (2 / 3))) for size in (32, 64, 128, 256, 512))


def retinanet(
    name: str,
    classes: Count = 91,
    height: Count = 800,
    width: Count = 1344,
    depth: Count = 50,
    count: Count = 300,
    version: Literal[1, 2] = 1,
) -> Arch:
    """Five levels from an eighth of the frame on."""
    square = Conv(channels=256, kernel=(1, 3, 3), init="normal", **NONE)
    beyond = square.but(stride=(1, 2, 2), act="none", init="xavier")
    tower = square if version == 1 else square.but(norm=Norm(kind="group"))
    pathways = {
        "rgb": Pathway(stages=resnet.stages(depth)),
        "p6": Pathway(after="p5" if version == 1 else "rgb", stages={"level": Stage(beyond)}),
        "p7": Pathway(after="p6", stages={"level": Stage(NormAct(norm="none"), beyond)}),
    }
    sides = tuple(
        tuple(rcnn_fpn.rounded(size, ratio) for ratio in rcnn_fpn.RATIOS for size in sizes) for sizes in SCALES
    )
    head = AnchorDetector(
        classes=classes,
        sides=sides,
        before_scores=repeat(tower, 4),
        before_shifts=repeat(tower, 4),
        shared=True,
        act="sigmoid",
        background=False,
        prior=0.01,
        deviations=(1, 1, 1, 1),
        count=count,
        above=0.05,
        overlap=0.5,
        candidates=1000,
        per="map",
        reads=(*LEVELS, "p6", "p7"),
    )
    clip = Clip(frames=1, height=height, width=width)
    return Arch(name=name, clip=clip, pathways=pathways, pyramid=Pyramid(levels=LEVELS), head=head)


models = (
    Model(name="retinanet_r50_fpn", family=retinanet),
    Model(name="retinanet_r50_fpn_v2", family=retinanet, parameters=dict(version=2)),
)
