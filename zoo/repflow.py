"""Representation flow (arXiv:1810.01455): TV-L1 unrolled into a layer, so that a net sees motion in its own features.

The layer stands after res3 of a ResNet-50 that has the rest of its weights for appearance: one frame less leaves it,
each flow added to the first of its two frames. Here each channel is an image with kernels of its own, x and y each
along its own axis, and a clip is stretched to 0..255 by itself; the authors' file has kernels over all 32 channels
(`kernels: dense`), takes both derivatives along y, and stretches the batch. Flow-conv-flow seeks the flow of a
convolved flow: two frames less, added to means of three.
"""

from archdsl.blocks import BlockField, Bottleneck, Conv, FlowConvFlow, MaxPool, Norm, RepresentationFlow
from archdsl.language import Arch, Clip, Consensus, Model, Pathway, Stage, repeat
from archdsl.rewrites import insert_flow
from archdsl.spec.scalars import Count
from archdsl.zoo import resnet

LAYER = RepresentationFlow(align="first")


def repflow_2d(
    name: str, frames: Count = 16, after: str = "res3", layer: BlockField | None = LAYER, classes: Count = 400
) -> Arch:
    """Every frame by itself but for the layer; the scores of frames are averaged."""
    pathway = Pathway(stages=resnet.stages(50))
    head = Consensus(classes=classes)
    arch = Arch(name=name, clip=Clip(frames=frames, size=112), pathways=dict(rgb=pathway), head=head)
    return insert_flow(arch, after=after, block=layer) if layer else arch


def repflow_2plus1d(
    name: str, frames: Count = 32, after: str = "res3", layer: BlockField | None = LAYER, classes: Count = 400
) -> Arch:
    """A stem of cubes without padding, then bottlenecks of which the first two and every other one see time."""
    stem = Conv(channels=64, kernel=(7, 7, 7), stride=(2, 2, 2), pad="valid", norm=Norm(eps=1e-3, momentum=0.01))
    stages = {"stem": Stage(stem, MaxPool(kernel=(3, 3, 3), stride=(2, 2, 2), pad="tf_same"))}
    for i, times in enumerate(resnet.DEPTHS[50][1]):
        block = Bottleneck(channels=256 << i, kernel_t=3, stride=2 if i else 1, pad="tf_same", zero_init=False)
        blocks = repeat(block, times)
        stages[f"res{2 + i}"] = Stage(*(b.but(kernel_t=1) if j and j % 2 == 0 else b for j, b in enumerate(blocks)))
    clip, head = Clip(frames=frames, size=224), Consensus(classes=classes, dropout=0.5)
    arch = Arch(name=name, clip=clip, pathways=dict(rgb=Pathway(stages=stages)), head=head)
    return insert_flow(arch, after=after, block=layer) if layer else arch


models = (
    Model(name="repflow_r50_2d", family=repflow_2d),
    Model(name="repflow_r2plus1d_50", family=repflow_2plus1d),
    Model(name="fcf_r2plus1d_50", family=repflow_2plus1d, parameters=dict(layer=FlowConvFlow())),
)
