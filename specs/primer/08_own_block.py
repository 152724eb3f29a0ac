"""The same in Python: a block is a class with fields and `build`, usable at once in its own file."""

from archdsl import Arch, Clip, Pathway, Stage, ops
from archdsl.blocks import Block, Conv, Width
from archdsl.graph import Builder
from archdsl.language import Classifier, repeat
from archdsl.spec.scalars import Count


class Gated(Block):
    """A temporal convolution whose channels are opened and closed by the mean of all positions."""

    channels: Width
    narrow: Count = 4

    def build(self, g: Builder, x: str) -> str:
        y = g.add("mix", ops.Conv(out_channels=self.channels, kernel=(3, 1, 1)), x)
        y = g.add("norm", ops.BatchNorm(), y)
        gate = g.add("pooled", ops.Mean(over="thw"), y)
        gate = g.add("act", ops.Relu(), g.add("squeeze", ops.Linear(out_features=self.channels // self.narrow), gate))
        gate = g.add("gate", ops.Sigmoid(), g.add("open", ops.Linear(out_features=self.channels), gate))
        return g.add("gated", ops.Mul(), y, gate)


arch = Arch(
    name="own_block_in_python",
    clip=Clip(frames=4, size=16, fps=15),
    pathways=dict(
        main=Pathway(
            stages=dict(
                stem=Stage(Conv(channels=16, kernel=(1, 3, 3), stride=(1, 2, 2))),
                mixed=Stage(*repeat(Gated(channels=16), 2)),
            ),
        ),
    ),
    head=Classifier(classes=5),
)
