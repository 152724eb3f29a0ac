# Frames.cost does not match `weights`
#   at      main.own.0.frames
#   written python_op_of_other_parameters.py:21
#   got     16
#   want    8

from dataclasses import dataclass

from archdsl import Arch, Clip, Pathway, Stage, ops
from archdsl.blocks import Block, Conv
from archdsl.language import Classifier


@dataclass(frozen=True, kw_only=True)
class Frames(ops.Op):
    """A weight for each channel.  (c, t, h, w) -> (c, t, h, w)"""

    def weights(self, x):
        return {"weight": (x.c, 1, 1, 1)}

    def cost(self, x):
        return ops.Cost(params=2 * x.c, activations=x.elements)


class Half(Block):
    def build(self, g, x):
        return g.add("frames", Frames(), x)


stages = dict(stem=Stage(Conv(channels=8)), own=Stage(Half()))
arch = Arch(
    name="broken",
    clip=Clip(frames=8, size=16),
    pathways=dict(main=Pathway(stages=stages)),
    head=Classifier(classes=5),
)
