# not a block
#   written python_without_a_block_in_a_stage.py:11
#   got     'time_shft'
#   want    {conv: {channels: 64}}, {bottleneck: {channels: 256}, repeat: 3}, ...
#   fix     time_shift

from archdsl import Arch, Clip, Edge, Pathway, Stage
from archdsl.blocks import Bottleneck, Conv
from archdsl.language import Classifier, TimeConv

stage = Stage(Conv(channels=8), "time_shft")

arch = Arch(
    name="broken",
    clip=Clip(frames=8, size=16),
    pathways=dict(main=Pathway(stages=dict(stem=stage))),
    head=Classifier(classes=2),
)
