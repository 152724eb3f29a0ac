"""Channel-separated networks (arXiv:1904.02811): ResNets whose 3x3x3 kernels are depthwise.

Channels meet in 1x1x1 kernels, space and time within a channel. ir-CSN ("interaction reduced") replaces the middle
kernel of a bottleneck and leaves it at that; ip-CSN ("interaction preserved") puts a full 1x1x1 with norm before it,
so that channels still meet three times. Time is halved with space, from res3 on. `ircsn_r101` is PyTorchVideo's: its
norms have another epsilon, and its head keeps the 7x7 window of the 224 crop at every size.
"""

from typing import Literal

from archdsl.blocks import Conv, MaxPool, Norm
from archdsl.language import Arch, Classifier, Clip, Model, Pathway, Stage, change
from archdsl.rewrites import depthwise
from archdsl.spec.scalars import Count, Positive
from archdsl.zoo import resnet


def resnet3d(name: str, depth: int, frames: int, every: int, eps: float, window: int | None) -> Arch:
    """The net before separation: bottlenecks with cubes in the middle."""
    norm = Norm(eps=eps)
    stages = resnet.stages(depth, resnet.BOTTLENECK.but(kernel=(3, 3, 3), norm=norm, zero_init=True))
    stem = Conv(channels=64, kernel=(3, 7, 7), stride=(1, 2, 2), norm=norm)
    stages["stem"] = Stage(stem, MaxPool(kernel=(1, 3, 3), stride=(1, 2, 2)))
    pathway = Pathway(every=every, stages=stages)
    for stage in ("res3", "res4", "res5"):
        pathway = change(pathway, f"stages.{stage}.stride_t", 2)
    head = Classifier(classes=400, window=window, dropout=0.5)
    return Arch(name=name, clip=Clip(frames=frames, size=224, fps=30), pathways=dict(rgb=pathway), head=head)


def csn(
    name: str,
    depth: Count = 152,
    interaction: Literal["reduced", "preserved"] = "reduced",
    frames: Count = 64,
    every: Count = 2,
    eps: Positive = 1e-3,
    window: Count | None = None,
) -> Arch:
    """32 frames, every second one."""
    return depthwise(resnet3d(name, depth, frames, every, eps, window), interaction=interaction)


models = (
    Model(name="ircsn_r50", family=csn, parameters=dict(depth=50)),
    Model(name="ircsn_r101", family=csn, parameters=dict(depth=101, eps=1e-5, window=7)),
    Model(name="ircsn_r152", family=csn),
    Model(name="ipcsn_r152", family=csn, parameters=dict(interaction="preserved")),
)
