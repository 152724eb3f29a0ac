"""Where the joints of one person are: DeepPose (arXiv:1312.4659) and stacked hourglasses (arXiv:1603.06937).

DeepPose is AlexNet in one tower whose last layer says x and y of 14 joints; its later stages are the same net on crops
around each joint. An hourglass narrows to a sixteenth of its map and widens again, adding at each size what it had;
each of a stack says a map for each of 16 joints, which goes back into the next.
"""

from archdsl.blocks import Block, Branches, Conv, Dropout, FlattenSpace, Linear, MaxPool, Norm, NormAct, Resize
from archdsl.language import Arch, Clip, Edge, KeyPoints, Model, Pathway, Several, Stage
from archdsl.spec.scalars import Count
from archdsl.zoo import alexnet

NONE = dict(norm=Norm(kind="none"))
POOL = MaxPool(kernel=(1, 2, 2), stride=(1, 2, 2), pad="valid")


def deeppose(name: str, joints: Count = 14) -> Arch:
    """x and y of each joint, in sides of the person's box."""
    conv = alexnet.conv
    wide = (Linear(channels=4096), Dropout(p=0.5))
    stages = {
        "conv1": Stage(conv(96, 11, stride=(1, 4, 4), pad="valid"), alexnet.POOL),
        "conv2": Stage(conv(256, 5), alexnet.POOL),
        "conv3": Stage(conv(384, 3)),
        "conv4": Stage(conv(384, 3)),
        "conv5": Stage(conv(256, 3), alexnet.POOL),
        "fc6": Stage(FlattenSpace(), *wide),
        "fc7": Stage(*wide),
        "joints": Stage(Linear(channels=2 * joints, act="none")),
    }
    return Arch(name=name, clip=Clip(frames=1, size=227), pathways=dict(rgb=Pathway(stages=stages)), head=KeyPoints())


def point(channels: int, **fields: object) -> Conv:
    return Conv(channels=channels, bias=True, init="default", **fields)


def residual(channels: int, before: int | None = None) -> Block:
    """Norm and activation first, three kernels with half of the channels between."""
    bare = dict(norm=Norm(kind="none"), act="none")
    half, square = point(channels // 2, **bare), point(channels // 2, kernel=(1, 3, 3), **bare)
    main = (NormAct(), half, NormAct(), square, NormAct(), point(channels, **bare))
    skip = () if before in (None, channels) else (point(channels, **bare),)
    return Branches(branches={"main": main, "skip": skip}, merge="sum")


def hourglass(depth: int, channels: int) -> Block:
    """A map, and what it says at half of its size and less, enlarged."""
    one = residual(channels)
    inner = hourglass(depth - 1, channels) if depth > 1 else one
    low = (POOL, one, inner, one, Resize(scale=(1, 2, 2), mode="nearest"))
    return Branches(branches={"up": (one,), "low": low}, merge="sum")


def stacked(name: str, stacks: Count = 8, channels: Count = 256, joints: Count = 16, size: Count = 256) -> Arch:
    """Each hourglass reads what the one before read, what it made of it, and its maps."""
    bare = dict(norm=Norm(kind="none"), act="none")
    stem = (
        point(64, kernel=(1, 7, 7), stride=(1, 2, 2)),
        residual(channels // 2, 64),
        POOL,
        residual(channels // 2),
        residual(channels, channels // 2),
    )
    stages, maps, edges, before = {"stem": Stage(*stem)}, {}, [], "stem"
    for i in range(1, stacks + 1):
        stages[f"glass{i}"] = Stage(hourglass(4, channels), residual(channels))
        stages[f"line{i}"] = Stage(point(channels))
        maps[f"maps{i}"] = Pathway(after=f"main.line{i}", stages={"joints": Stage(point(joints, **bare))})
        if i == stacks:
            break
        stages[f"next{i}"] = Stage(point(channels, **bare))
        maps[f"back{i}"] = Pathway(after=f"maps{i}", stages={"back": Stage(point(channels, **bare))})
        edges.append(
            Edge(source="main", target="main", after=before, into=f"next{i}", merge="sum", merged=True, name=f"on{i}")
        )
        edges.append(Edge(source=f"back{i}", target="main", after="back", into=f"next{i}", merge="sum"))
        before = f"next{i}"
    head = Several(heads={f"stack{i}": KeyPoints(reads=(f"maps{i}",)) for i in range(1, stacks + 1)})
    clip = Clip(frames=1, size=size)
    return Arch(name=name, clip=clip, pathways=dict(main=Pathway(stages=stages), **maps), edges=edges, head=head)


models = (
    Model(name="deeppose", family=deeppose),
    Model(name="hourglass_1", family=stacked, parameters=dict(stacks=1)),
    Model(name="hourglass_8", family=stacked),
)
