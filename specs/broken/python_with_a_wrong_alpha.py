# concat of maps that differ in t
#   at      edges.stem.fast_to_slow
#   written python_with_a_wrong_alpha.py:13
#   got     slow t=4, fast t=2 after the transform
#   want    equal t
#   fix     alpha: 4, or leave alpha out: it is worked out

from archdsl import Arch, Clip, Edge, Pathway, Stage
from archdsl.blocks import Bottleneck, Conv
from archdsl.language import Classifier, TimeConv

stages = dict(stem=Stage(Conv(channels=8)), res2=Stage(Bottleneck(channels=32)))
edge = Edge(
    source="fast",
    target="slow",
    after=("stem", "res2"),
    transform=TimeConv(alpha=8),
)
arch = Arch(
    name="broken",
    clip=Clip(frames=16, size=16),
    pathways=dict(slow=Pathway(every=4, stages=stages), fast=Pathway(stages=stages)),
    edges=(edge,),
    head=Classifier(classes=2),
)
