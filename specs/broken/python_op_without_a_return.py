# Frames.out returns no Shape
#   at      main.own.0.frames
#   written python_op_without_a_return.py:19
#   got     None
#   want    Shape
#   fix     a `return` in out

from dataclasses import dataclass

from archdsl import Arch, Clip, Pathway, Stage, ops
from archdsl.blocks import Block, Conv
from archdsl.language import Classifier


@dataclass(frozen=True, kw_only=True)
class Frames(ops.Op):
    """Every second frame.  (c, t, h, w) -> (c, t / 2, h, w)"""

    def out(self, x):
        x._replace(t=x.t // 2)


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
