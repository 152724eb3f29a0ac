# Unfinished has no build
#   at      main.stem.0
#   written python_block_that_does_not_build.py:19
#   want    a method that adds ops
#   fix     def build(self, g, x): ...

from archdsl import Arch, Clip, Pathway, Stage
from archdsl.blocks import Block
from archdsl.language import Classifier


class Unfinished(Block):
    pass


arch = Arch(
    name="broken",
    clip=Clip(frames=8, size=16),
    pathways=dict(main=Pathway(stages=dict(stem=Stage(Unfinished())))),
    head=Classifier(classes=2),
)
