"""DETR (arXiv:2005.12872): a ResNet, a transformer over its last map, and learnt queries that each say a box or none.

As the authors have it, and transformers after them: batch norms of the backbone are fixed, norms of the transformer
follow each sum. COCO's classes have 91 places; one more stands for no object.
"""

from archdsl.blocks import Norm
from archdsl.language import Arch, Clip, Model, Pathway, SetDetector, Stage
from archdsl.spec.scalars import Count
from archdsl.zoo import resnet

FROZEN = Norm(kind="frozen")


def detr(
    name: str, depth: Count = 50, classes: Count = 92, queries: Count = 100, height: Count = 800, width: Count = 1066
) -> Arch:
    """The map at a thirty-second of the image."""
    stages = resnet.stages(depth, resnet.BOTTLENECK.but(norm=FROZEN))
    stem, pool = stages["stem"].blocks
    stages["stem"] = Stage(stem.but(norm=FROZEN), pool)
    clip, head = Clip(frames=1, height=height, width=width), SetDetector(classes=classes, queries=queries)
    return Arch(name=name, clip=clip, pathways=dict(rgb=Pathway(stages=stages)), head=head)


models = (
    Model(name="detr_r50", family=detr),
    Model(name="detr_r101", family=detr, parameters=dict(depth=101)),
)
