# not a block
#   written python_without_a_block_in_a_stage.py:11
#   got     'res2'
#   want    {conv: {channels: 64}}, {bottleneck: {channels: 256}, repeat: 3}, ...
#   fix     resize

from archdsl import Arch, Clip, Edge, Pathway, Stage
from archdsl.blocks import Bottleneck, Conv
from archdsl.language import Classifier, TimeConv

stage = Stage(
    Conv(channels=8),
    "res2",
)
