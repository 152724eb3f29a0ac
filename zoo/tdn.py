"""TDN, Temporal Difference Networks (arXiv:2012.10071): differences within a segment, and between segments.

Each segment gives five frames in a row. The net reads the middle one; a second pathway reads the four differences, at
half the size, through a stem and a res2 of its own, and is mixed into the first after stem and res2 (short-term). In
res3 to res5 each bottleneck compares the segments with their neighbours (long-term) and convolves in time, channel by
channel, starting as a shift. The four differences stacked as channels are here a first kernel that spans four frames
and strides by four, which is the same sum. As in the authors' code every kernel but the differences' first has a bias.
"""

from fractions import Fraction

from archdsl.blocks import AvgPool, ChannelTimeConv, Conv, MaxPool, SnippetSteps, TemporalDifference
from archdsl.language import Arch, Clip, Consensus, Edge, Model, Pathway, ResizeTo, Stage, change
from archdsl.rewrites import with_modules
from archdsl.spec.scalars import Count, Ratio
from archdsl.zoo import resnet, tsm

LENGTH = 5
"""Frames of a segment."""


def tdn(name: str, depth: Count = 50, segments: Count = 8, share: Ratio = Fraction(1, 2), classes: Count = 400) -> Arch:
    """`share`: weight of the differences where they are mixed in."""
    stages = resnet.stages(depth, resnet.BOTTLENECK.but(bias=True))
    stages["stem"] = change(stages["stem"], "0.bias", True)
    first = Conv(channels=64, kernel=(4, 7, 7), stride=(4, 2, 2), pad=(0, 3, 3))
    half = AvgPool(kernel=(1, 2, 2), stride=(1, 2, 2), pad="valid")
    stem = Stage(SnippetSteps(length=LENGTH), half, first, MaxPool(kernel=(1, 3, 3), stride=(1, 2, 2)))
    mixed = Edge(source="steps", target="main", after=["stem", "res2"], transform=ResizeTo(), merge="sum", share=share)
    arch = Arch(
        name=name,
        clip=Clip(frames=8 * segments, size=224),
        pathways=dict(
            main=Pathway(segments=segments, stages=stages),
            steps=Pathway(segments=segments, snippet=LENGTH, stages=dict(stem=stem, res2=stages["res2"])),
        ),
        edges=[mixed],
        head=Consensus(classes=classes, dropout=0.5, reads=["main"]),
    )
    modules = {"between": (TemporalDifference(), ChannelTimeConv())}
    return with_modules(arch, modules, stages=("res3", "res4", "res5"), pathway="main")


def tdn_ensemble(name: str, depth: Count = 101, classes: Count = 400) -> Arch:
    """Two nets trained apart, of eight and of sixteen segments of one clip."""
    large = tdn(name, depth, 16, Fraction(1, 4), classes)
    return tsm.ensemble(name, tdn(name, depth, classes=classes), large)


models = (
    Model(name="tdn_r50", family=tdn),
    Model(name="tdn_r50_16f", family=tdn, parameters=dict(segments=16, share=Fraction(1, 4))),
    Model(name="tdn_r101", family=tdn, parameters=dict(depth=101)),
    Model(name="tdn_r101_16f", family=tdn, parameters=dict(depth=101, segments=16, share=Fraction(1, 4))),
    Model(name="tdn_r101_en", family=tdn_ensemble),
)
