"""GRU-RCN (arXiv:1511.06432): convolutional GRUs over the maps of five layers of VGG-16, frame by frame.

Each level has a state with its own map's size, whose last value is averaged over space and classified; five softmax
scores are averaged. In the stacked form the state of a level also reaches the gates of the level above at the same
step, pooled to its size: an edge from level to level, whose terms are 0 for the candidate. Levels are written one after
the other, each over all its steps: what a level is at a step depends on levels below at that step, never above, so
that the outcome is that of a loop over steps which has the levels within.
"""

from itertools import pairwise
from typing import Literal

from archdsl.blocks import Branches, Conv, ConvGru, GruScan, MaxPool, NewestFrame, Norm, PadChannels
from archdsl.language import Arch, Classifier, Clip, Edge, Model, Pathway, Several, Stage
from archdsl.language.transforms import Through
from archdsl.spec.scalars import Count
from archdsl.zoo import vgg

LEVELS = {
    "level1": ("conv2", 64, 3),
    "level2": ("conv3", 128, 3),
    "level3": ("conv4", 256, 3),
    "level4": ("conv5", 256, 3),
    "level5": ("fc7", 512, 1),
}
"""Stage of VGG-16 (its pool is its end), channels of the state, side of the kernels."""
HALF, WHOLE = MaxPool(kernel=(1, 2, 2), stride=(1, 2, 2), pad="valid"), MaxPool(kernel=(1, 0, 0), pad="valid")


def gru_rcn(name: str, direction: Literal["ahead", "both"] = "ahead", frames: Count = 10, classes: Count = 101) -> Arch:
    """Levels side by side; `both` directions have states of their own, joined after their last steps."""
    pathways = backbone(name)
    for level, (after, hidden, kernel) in LEVELS.items():
        gru = ConvGru(hidden=hidden, kernel=kernel, biases=0, give="last")
        both = Branches(branches=dict(ahead=gru, back=gru.but(reverse=True)))
        pathways[level] = Pathway(after=f"rgb.{after}", stages=dict(gru=Stage(both if direction == "both" else gru)))
    return network(name, pathways, (), frames, classes)


def gru_rcn_stacked(name: str, frames: Count = 10, classes: Count = 101) -> Arch:
    """A level's terms of the map, those of the level below added, then the part that reads the state."""
    pathways = backbone(name)
    for level, (after, hidden, kernel) in LEVELS.items():
        terms, scan = Stage(linear(3 * hidden, kernel)), Stage(GruScan(kernel=kernel))
        stages = dict(terms=terms, gru=scan, last=Stage(NewestFrame()))
        pathways[level] = Pathway(after=f"rgb.{after}", stages=stages)
    edges = tuple(upwards(*levels) for levels in pairwise(LEVELS))
    return network(name, pathways, edges, frames, classes)


def upwards(below: str, above: str) -> Edge:
    """The state of one level into the gates of the next."""
    _, hidden, kernel = LEVELS[above]
    pool = WHOLE if above == "level5" else HALF
    gates = Through(blocks=(pool, linear(2 * hidden, kernel), PadChannels(channels=3 * hidden)))
    return Edge(source=below, target=above, after="gru", into="terms", transform=gates, merge="sum")


def linear(channels: int, kernel: int) -> Conv:
    """A convolution and nothing else."""
    rest = dict(norm=Norm(kind="none"), act="none", bias=False, init="default")
    return Conv(channels=channels, kernel=(1, kernel, kernel), **rest)


def backbone(name: str) -> dict[str, Pathway]:
    """VGG-16 to its last layer but one."""
    return dict(rgb=Pathway(stages=vgg.vgg(name).pathways["rgb"].stages))


def network(name: str, pathways: dict[str, Pathway], edges: tuple[Edge, ...], frames: int, classes: int) -> Arch:
    """A classifier for each level, their scores averaged."""
    heads = {level: Classifier(reads=(level,), classes=classes, dropout=0.7, act="softmax") for level in LEVELS}
    head = Several(heads=heads, merge="average")
    return Arch(name=name, clip=Clip(frames=frames, size=224), pathways=pathways, edges=edges, head=head)


models = (
    Model(name="gru_rcn_vgg16", family=gru_rcn),
    Model(name="gru_rcn_vgg16_stacked", family=gru_rcn_stacked),
    Model(name="gru_rcn_vgg16_bidirectional", family=gru_rcn, parameters=dict(direction="both")),
)
