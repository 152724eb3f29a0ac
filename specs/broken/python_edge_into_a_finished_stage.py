# an edge back into an earlier stage
#   at      edges.stem.main_to_main
#   written python_edge_into_a_finished_stage.py:17
#   got     main.res2 into main.stem, which comes before it
#   want    the same stage or a later one
#   fix     into: res2, or a later stage

from archdsl import Arch, Clip, Edge, Pathway, Stage
from archdsl.blocks import Bottleneck, Conv
from archdsl.language import Classifier, TimeConv

stages = dict(stem=Stage(Conv(channels=8)), res2=Stage(Conv(channels=8)))
arch = Arch(
    name="broken",
    clip=Clip(frames=8, size=16),
    pathways=dict(main=Pathway(stages=stages)),
    edges=(Edge(source="main", target="main", after="res2", into="stem", merge="sum"),),
    head=Classifier(classes=2),
)
