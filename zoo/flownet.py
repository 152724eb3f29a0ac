"""FlowNet-S (arXiv:1504.06852): optical flow as a network reads it off two frames, their channels side by side.

A clip has two frames, and flow goes from the second to the first: it says where each element of the second is found
in the first. It leaves at a quarter of the frames' size.
"""

from archdsl.blocks import FlowNetS
from archdsl.language import Arch, Clip, Dense, Model, Pathway, Stage
from archdsl.spec.scalars import Count


def flownet_s(name: str, height: Count = 384, width: Count = 512) -> Arch:
    """The flow in the unit it is trained in, 20 pixels."""
    flow = Pathway(pairs=2, stages={"net": Stage(FlowNetS())})
    clip, head = Clip(frames=2, height=height, width=width), Dense(classes=2, kernel=3, enlarge=False, predicts="flow")
    return Arch(name=name, clip=clip, pathways={"flow": flow}, head=head)


models = (Model(name="flownet_s", family=flownet_s),)
