"""I3D (arXiv:1705.07750): Inception v1 inflated, its square windows made cubes.

The first two pools leave time alone, the last one averages two frames, and the scores of the frames left are averaged.
As DeepMind's Sonnet code has it: SAME padding, batch norm with a shift and no scale. The two-stream net adds the
scores of an RGB and a flow I3D, which are trained apart.
"""

from typing import Literal

from archdsl.blocks import Norm
from archdsl.language import Arch, Classifier, Model, Several
from archdsl.rewrites import inflate
from archdsl.spec.scalars import Count
from archdsl.zoo import inception

SONNET = Norm(eps=1e-3, momentum=1e-3, scale=False)
HEAD = Classifier(classes=400, window_t=2, dropout=0.5)


def i3d(name: str, modality: Literal["rgb", "flow", "gray", "rgb_diff"] = "rgb", frames: Count = 64) -> Arch:
    """One stream."""
    image = inception.inception_v1(name, norm=SONNET)
    clip = image.clips["clip"].but(modality=modality, fps=25)
    return inflate(image.but(clips=dict(clip=clip), head=HEAD), frames=frames, flat=("pool_2a", "pool_3a"))


def two_stream(name: str, frames: Count = 64) -> Arch:
    """Both streams, their scores added."""
    streams = dict(appearance=i3d(name, "rgb", frames), motion=i3d(name, "flow", frames))
    clips = {arch.clips["clip"].modality: arch.clips["clip"] for arch in streams.values()}
    reading = zip(streams.items(), clips)
    pathways = {stream: arch.pathways["main"].but(clip=clip) for (stream, arch), clip in reading}
    heads = {stream: HEAD.but(reads=(stream,)) for stream in streams}
    return Arch(name=name, clips=clips, pathways=pathways, head=Several(heads=heads, merge="sum"))


models = (
    Model(name="i3d_inception_rgb", family=i3d),
    Model(name="i3d_inception_flow", family=i3d, parameters=dict(modality="flow")),
    Model(name="i3d_inception", family=two_stream),
)
