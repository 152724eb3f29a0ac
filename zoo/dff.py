"""Deep Feature Flow (arXiv:1611.07715): features of key frames, moved by flow to the frames between.

The host is ResNet-101 as Caffe had it (the stride on the first 1x1), res5 dilated instead of strided, and a 3x3
convolution at dilation 6 to 1024 channels. The flow net is FlowNet-S at half of the frames' size; what it ends in is
halved once more, so that flow and scales lie on the host's map, a sixteenth of the frame. Frames are pixels of 0 to
255 less their mean.
"""

from archdsl.blocks import AvgPool, Conv, FlowNetS, Scale
from archdsl.language import Arch, Clip, Dense, Detector, HeadField, Model, Pathway, Stage, Warp
from archdsl.rewrites import with_key_frames
from archdsl.rewrites.detection import dilated
from archdsl.spec.scalars import Count
from archdsl.zoo import resnet

HALF = AvgPool(kernel=(1, 2, 2), stride=(1, 2, 2), pad="valid", ceil=True)
RFCN = Detector(classes=31)
DEEPLAB = Dense(classes=19, act="softmax")


def host(
    name: str,
    head: HeadField = RFCN,
    frames: Count = 1,
    height: Count = 600,
    width: Count = 1000,
    depth: Count = 101,
) -> Arch:
    """Every frame by itself."""
    stages = dilated(Pathway(stages=resnet.stages(depth, resnet.V1)))
    stages["reduce"] = Stage(Conv(channels=1024, kernel=(1, 3, 3), dilation=(1, 6, 6), norm="none"))
    clip = Clip(frames=frames, height=height, width=width)
    return Arch(name=name, clip=clip, pathways={"features": Pathway(stages=stages)}, head=head)


def dff(
    name: str,
    head: HeadField = RFCN,
    every: Count = 10,
    frames: Count | None = None,
    height: Count = 600,
    width: Count = 1000,
    depth: Count = 101,
) -> Arch:
    """The host on one frame of `every`."""
    stages = {
        "pool": Stage(Scale(by=1 / 255), HALF),
        "net": Stage(FlowNetS()),
        "onto": Stage(HALF),
    }
    alone = host(name, head, frames or every, height, width, depth)
    return with_key_frames(alone, every=every, flow=Pathway(stages=stages), by=Warp(by="5/2"))


SEGMENTED = dict(head=DEEPLAB, height=1024, width=2048)
models = (
    Model(name="rfcn_r101", family=host),
    Model(name="deeplab_r101", family=host, parameters=SEGMENTED),
    Model(name="dff_r101_rfcn", family=dff),
    Model(name="dff_r101_deeplab", family=dff, parameters=dict(SEGMENTED, every=5)),
)
