"""Graphs of joints: ST-GCN (arXiv:1801.07455), ST-GCN++ (arXiv:2205.09443), 2s-AGCN (arXiv:1805.07694), CTR-GCN.

A skeleton is a map of joints by persons at each time. A block passes features along bones, then convolves over time;
what differs is which joints a joint reads and by which weights. The mean over time, joints and persons is classified.
"""

from typing import Literal

from archdsl.blocks import GraphBlock, JointNorm
from archdsl.language import Arch, Classifier, Clip, Model, Pathway, Stage, repeat
from archdsl.language.skeleton import SKELETONS, Skeleton
from archdsl.spec.scalars import Count

Layout = Literal["coco", "ntu", "ntu_hands"]
HANDS = {(21, 22): (21, 7), (23, 24): (23, 11)}
"""MMAction2's NTU: the tips of the hands are joined to the wrists, in CTR-GCN to the thumbs."""
NTU_HANDS = Skeleton(joints=25, bones=tuple(HANDS.get(bone, bone) for bone in SKELETONS["ntu"].bones), centre=20)
PLACES = {"coco": SKELETONS["coco"], "ntu": SKELETONS["ntu"], "ntu_hands": NTU_HANDS}


def trunk(block: GraphBlock, persons: bool) -> dict[str, Stage]:
    """Ten blocks of 64, 128 and 256 channels; time is halved at the fifth and the eighth."""
    first = block.but(shortcut=False)
    return {
        "stage1": Stage(JointNorm(persons=persons), first, *repeat(block, 3)),
        "stage2": Stage(*repeat(block.but(channels=128, stride_t=2), 3)),
        "stage3": Stage(*repeat(block.but(channels=256, stride_t=2), 3)),
    }


def skeleton_net(
    name: str,
    graph: Literal["masked", "learnt", "adaptive", "channels"],
    layout: Layout = "coco",
    frames: Count = 100,
    persons: Count = 2,
    classes: Count = 60,
) -> Arch:
    """`graph` is that of ST-GCN, ST-GCN++, one stream of 2s-AGCN or CTR-GCN (arXiv:2107.12213), with its kernels."""
    block = GraphBlock(channels=64, graph=graph)
    if graph == "channels":
        block = block.but(kernel_t=5, dilations=(1, 2))
    if graph == "learnt":
        block = block.but(kernel_t=3, dilations=(1, 2, 3, 4), mixed=True)
    clip = Clip(modality="skeleton", frames=frames, skeleton=PLACES[layout], persons=persons)
    pathway = Pathway(stages=trunk(block, persons=graph in ("adaptive", "channels")))
    return Arch(name=name, clip=clip, pathways=dict(joints=pathway), head=Classifier(classes=classes))


NTU_3D = dict(layout="ntu_hands")

models = (
    Model(name="stgcn", family=skeleton_net, parameters=dict(graph="masked")),
    Model(name="stgcn_3d", family=skeleton_net, parameters=dict(graph="masked", **NTU_3D)),
    Model(name="stgcnpp", family=skeleton_net, parameters=dict(graph="learnt")),
    Model(name="stgcnpp_3d", family=skeleton_net, parameters=dict(graph="learnt", **NTU_3D)),
    Model(name="agcn", family=skeleton_net, parameters=dict(graph="adaptive")),
    Model(name="agcn_3d", family=skeleton_net, parameters=dict(graph="adaptive", **NTU_3D)),
    Model(name="ctrgcn", family=skeleton_net, parameters=dict(graph="channels", layout="ntu", frames=64)),
)
