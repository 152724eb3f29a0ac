# unknown field 'sise'
#   at      sise
#   written python_with_an_unknown_field.py:12
#   got     sise: 16
#   want    modality, frames, size, height, width, channels, vocabulary, skeleton, persons, pixel, fps
#   fix     size

from archdsl import Arch, Clip, Edge, Pathway, Stage
from archdsl.blocks import Bottleneck, Conv
from archdsl.language import Classifier, TimeConv

clip = Clip(frames=8, sise=16)

arch = Arch(
    name="broken",
    clip=clip,
    pathways=dict(main=Pathway(stages=dict(stem=Stage(Conv(channels=8))))),
    head=Classifier(classes=2),
)
