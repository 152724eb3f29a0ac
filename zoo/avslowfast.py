"""Audiovisual SlowFast (arXiv:2001.08740): a third pathway reads the sound and tells Slow what it hears.

A log-mel spectrogram is a clip of one row: time, 1, frequency bands along the width. Its pathway has half of Slow's
channels and 16 times its rate; strides in time bring both together. Each of its stages is averaged over frequency,
brought to Slow's rate and to all channels that Slow has after Fast's are joined, and added to every place. This is
PyTorchVideo's network; sound runs at 60 spectra a second, 2 for each frame, so that both clips span the same time.
"""

from archdsl.blocks import AcousticBottleneck, AvgPool, Conv, CrossConv, Mean
from archdsl.language import Arch, Classifier, Clip, Edge, Model, Pathway, Stage, Through, TimeConv, repeat, row_of
from archdsl.spec.scalars import Count, Share
from archdsl.zoo import slowfast


def hearing(depth: int, width: int, stem_stride: int, kernel_t: int = 1) -> Pathway:
    """A ResNet over a spectrogram; its first two stages keep time and frequency apart. Stage i halves both."""
    stem = CrossConv(channels=width, kernel=(9, 1, 9), stride=(1, 1, stem_stride))
    stages = {"stem": Stage(stem)}
    for i, times in enumerate(row_of(slowfast.DEPTHS, depth=depth)):
        stride = dict(stride=2, stride_t=2) if i else {}
        block = AcousticBottleneck(channels=4 * width << i, separable=i < 2, kernel_t=kernel_t, **stride)
        stages[f"res{2 + i}"] = Stage(*repeat(block, times))
    return Pathway(clip="audio", stages=stages)


def telling(channels: int, stage: str, drop: float) -> Edge:
    """Sound into sight: 5 x 1 x 1 to a quarter of the channels, then to ten times those at Slow's rate."""
    quarter = Through(blocks=(Mean(over="w"), Conv(channels=channels // 4, kernel=(5, 1, 1))))
    transform = (quarter, TimeConv(kernel=5, width=10))
    return Edge(source="sound", target="slow", after=stage, transform=transform, merge="stretched_sum", drop=drop)


def avslowfast(
    name: str, frames: Count = 64, tau: Count = 8, alpha: Count = 4, depth: Count = 50, drop: Share = 0.0
) -> Arch:
    """`drop`: how often a step of training hears nothing (DropPathway; 0.8 in the paper, 0 in PyTorchVideo)."""
    seen = slowfast.slowfast(name, frames, tau, alpha, depth=depth, lateral=TimeConv(kernel=7), window=None)
    pathways = {key: pathway.but(clip="clip") for key, pathway in seen.pathways.items()}
    told = [telling(channels, stage, drop) for channels, stage in zip((32, 128, 256, 512), slowfast.STAGES)]
    sound = Clip(modality="audio", frames=2 * frames, height=1, width=80, fps=60)
    pathways["sound"] = hearing(depth, 32, 1)
    return seen.but(clips={**seen.clips, "audio": sound}, pathways=pathways, edges=(*seen.edges, *told))


def acoustic(name: str, frames: Count = 128, depth: Count = 50) -> Arch:
    """The sound alone. Frequency is strided by 3 at once; the head's window is that of a shorter spectrogram."""
    sound = Clip(modality="audio", frames=frames, height=1, width=80, fps=60)
    whole = hearing(depth, 64, 3, kernel_t=3)
    pathway = whole.but(stages={**whole.stages, "pool": Stage(AvgPool(kernel=(4, 1, 2), pad="valid"))})
    head = Classifier(classes=400, pool="none", dropout=0.5)
    return Arch(name=name, clips=dict(audio=sound), pathways=dict(sound=pathway), head=head)


models = (
    Model(name="avslowfast_r50_8x8", family=avslowfast),
    Model(name="acoustic_r50", family=acoustic),
)
