"""TAL-Net (arXiv:1804.07667): where in a long video actions start and end, and which; Faster R-CNN along time.

A clip of features is (1024, positions, 1, 1), one position for eight frames of a video at 10 frames a second, read by a
two-stream I3D that stays as it is. For every length of a segment a tower of its own sees as far as that segment and its
surroundings reach; what it proposes is read with half its length on both sides. RGB and flow are fused late: each has
all layers to itself, but proposals are chosen by the mean of both, and so are classes and ends.
"""

from fractions import Fraction
from typing import Annotated, Literal

from archdsl.blocks import Scale
from archdsl.language import Arch, Clip, Model, Pathway, SegmentDetector, Stage
from archdsl.spec.scalars import Count, Distinct

SCALES = (1, 2, 3, 4, 5, 6, 8, 11, 16)
"""Lengths of segments for THUMOS'14, in positions."""
AS_THEY_ARE = Stage(Scale(by=1.0))


def tal_net(
    name: str,
    streams: Annotated[tuple[Literal["rgb", "flow"], ...], Distinct] = ("rgb", "flow"),
    *,
    features: Count = 1024,
    positions: Count = 256,
    scales: tuple[Count, ...] = SCALES,
    context: bool = True,
    classes: Count = 20,
) -> Arch:
    """One pathway of features for each stream, and the head that reads them all."""
    clips = {
        f"{stream}_features": Clip(modality="features", channels=features, frames=positions, size=1, fps=Fraction(5, 4))
        for stream in streams
    }
    pathways = {stream: Pathway(clip=f"{stream}_features", stages={"features": AS_THEY_ARE}) for stream in streams}
    head = SegmentDetector(classes=classes, scales=scales, context=context)
    return Arch(name=name, clips=clips, pathways=pathways, head=head)


models = (
    Model(name="tal_net", family=tal_net),
    Model(name="tal_net_rgb", family=tal_net, parameters=dict(streams=("rgb",))),
    Model(name="tal_net_flow", family=tal_net, parameters=dict(streams=("flow",))),
    Model(name="tal_net_without_context", family=tal_net, parameters=dict(context=False)),
)
