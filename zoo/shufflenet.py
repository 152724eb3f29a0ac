"""ShuffleNet: cheap pointwise convolutions, and a shuffle that lets their groups hear of each other.

v1 (arXiv:1707.01083, Table 1) convolves in groups and shuffles channels between; v2 (arXiv:1807.11164, Table 5) splits
the channels in two, convolves one half and shuffles after the halves are put together again. The first unit of a
stage halves the map and joins a pooled or convolved shortcut by concatenation. v1's first pointwise convolution
reads too few channels for groups and has none. v2 exists twice: torchvision's halving unit writes equal halves; the
authors' (here `_authors`) keeps the shortcut's width. No classifier of the authors has a bias; before that of 2.0x
they drop a fifth.
"""

from archdsl.blocks import AvgPool, Block, Branches, ChannelPart, ChannelShuffle, Conv, MaxPool
from archdsl.language import Arch, Classifier, Clip, Model, Pathway, Stage, row_of
from archdsl.spec.scalars import Count

REPEATS = (4, 8, 4)
WIDTHS_V1 = {
    (3, "0.5x"): (12, 120, 240, 480),
    (3, "1.0x"): (24, 240, 480, 960),
    (3, "1.5x"): (24, 360, 720, 1440),
    (3, "2.0x"): (48, 480, 960, 1920),
    (8, "0.5x"): (16, 192, 384, 768),
    (8, "1.0x"): (24, 384, 768, 1536),
    (8, "1.5x"): (24, 576, 1152, 2304),
    (8, "2.0x"): (48, 768, 1536, 3072),
}
"""(groups, size) -> widths of stem and stages."""
WIDTHS_V2 = {
    "0.5x": (24, 48, 96, 192, 1024),
    "1.0x": (24, 116, 232, 464, 1024),
    "1.5x": (24, 176, 352, 704, 1024),
    "2.0x": (24, 244, 488, 976, 2048),
}
"""Widths of stem, stages and the last convolution."""


def depthwise(channels: int, stride: int) -> Conv:
    """A 3x3 kernel for each channel, without activation."""
    return Conv(channels=channels, kernel=(1, 3, 3), stride=(1, stride, stride), groups="depthwise", act="none")


def unit_v1(before: int, channels: int, groups: int, stride: int, first: bool) -> Block:
    """Figure 2 b and c of v1: its shuffle stands before the depthwise kernel."""
    reduce = Conv(channels=channels // 4, groups=1 if first else groups)
    expand = Conv(channels=channels - before if stride == 2 else channels, groups=groups, act="none")
    shortcut = AvgPool(kernel=(1, 3, 3), stride=(1, 2, 2)) if stride == 2 else ()
    branches = dict(
        shortcut=shortcut, main=(reduce, ChannelShuffle(groups=groups), depthwise(channels // 4, stride), expand)
    )
    return Branches(branches=branches, merge="concat" if stride == 2 else "sum", act="relu")


def unit_v2(before: int, channels: int, stride: int, keeps: bool = False) -> tuple[Block, ...]:
    """Figure 3 c and d of v2; with `keeps` the halving unit's shortcut keeps its width, the rest is the branch's."""
    half = channels // 2
    left = before if keeps and stride == 2 else half
    split = ((), ()) if stride == 2 else ((ChannelPart(index=0),), (ChannelPart(index=1),))
    shortcut = (depthwise(before, 2), Conv(channels=left)) if stride == 2 else ()
    main = (Conv(channels=half), depthwise(half, stride), Conv(channels=channels - left))
    return Branches(branches=dict(left=(*split[0], *shortcut), right=(*split[1], *main))), ChannelShuffle(groups=2)


def shufflenet_v1(name: str, size_factor: str = "1.0x", groups: Count = 3) -> Arch:
    """Widths for a given cost grow with the number of groups."""
    stem, *widths = row_of(WIDTHS_V1, groups=groups, size_factor=size_factor)
    stages, before = {}, stem
    for i, (width, times) in enumerate(zip(widths, REPEATS)):
        first = unit_v1(before, width, groups, 2, first=i == 0)
        stages[f"stage{2 + i}"] = Stage(first, *[unit_v1(width, width, groups, 1, first=False)] * (times - 1))
        before = width
    return network(name, stem, stages, bias=False)


def shufflenet_v2(name: str, size_factor: str = "1.0x", keeps: bool = False) -> Arch:
    """One more pointwise convolution before the classifier."""
    stem, *widths, last = row_of(WIDTHS_V2, size_factor=size_factor)
    stages, before = {}, stem
    for i, (width, times) in enumerate(zip(widths, REPEATS)):
        stages[f"stage{2 + i}"] = Stage(*unit_v2(before, width, 2, keeps), *unit_v2(width, width, 1) * (times - 1))
        before = width
    dropout = 0.2 if keeps and size_factor == "2.0x" else 0.0
    return network(name, stem, stages | dict(conv5=Stage(Conv(channels=last))), bias=not keeps, dropout=dropout)


def network(name: str, stem: int, stages: dict[str, Stage], bias: bool, dropout: float = 0.0) -> Arch:
    """One frame, a stem that halves twice, 1000 classes."""
    begin = Stage(Conv(channels=stem, kernel=(1, 3, 3), stride=(1, 2, 2)), MaxPool(kernel=(1, 3, 3), stride=(1, 2, 2)))
    pathway, head = Pathway(stages=dict(stem=begin, **stages)), Classifier(classes=1000, bias=bias, dropout=dropout)
    return Arch(name=name, clip=Clip(frames=1, size=224), pathways=dict(main=pathway), head=head)


models = (
    Model(name="shufflenet_v1_x0_5_g3", family=shufflenet_v1, parameters=dict(size_factor="0.5x")),
    Model(name="shufflenet_v1_x1_0_g3", family=shufflenet_v1),
    Model(name="shufflenet_v1_x1_5_g3", family=shufflenet_v1, parameters=dict(size_factor="1.5x")),
    Model(name="shufflenet_v1_x2_0_g3", family=shufflenet_v1, parameters=dict(size_factor="2.0x")),
    Model(name="shufflenet_v1_x0_5_g8", family=shufflenet_v1, parameters=dict(size_factor="0.5x", groups=8)),
    Model(name="shufflenet_v1_x1_0_g8", family=shufflenet_v1, parameters=dict(groups=8)),
    Model(name="shufflenet_v1_x1_5_g8", family=shufflenet_v1, parameters=dict(size_factor="1.5x", groups=8)),
    Model(name="shufflenet_v1_x2_0_g8", family=shufflenet_v1, parameters=dict(size_factor="2.0x", groups=8)),
    Model(name="shufflenet_v2_x0_5", family=shufflenet_v2, parameters=dict(size_factor="0.5x")),
    Model(name="shufflenet_v2_x1_0", family=shufflenet_v2),
    Model(name="shufflenet_v2_x1_5", family=shufflenet_v2, parameters=dict(size_factor="1.5x")),
    Model(name="shufflenet_v2_x2_0", family=shufflenet_v2, parameters=dict(size_factor="2.0x")),
    Model(name="shufflenet_v2_x0_5_authors", family=shufflenet_v2, parameters=dict(size_factor="0.5x", keeps=True)),
    Model(name="shufflenet_v2_x1_0_authors", family=shufflenet_v2, parameters=dict(keeps=True)),
    Model(name="shufflenet_v2_x1_5_authors", family=shufflenet_v2, parameters=dict(size_factor="1.5x", keeps=True)),
    Model(name="shufflenet_v2_x2_0_authors", family=shufflenet_v2, parameters=dict(size_factor="2.0x", keeps=True)),
)
