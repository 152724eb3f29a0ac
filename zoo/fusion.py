"""Large-scale video classification (Karpathy et al., CVPR 2014): where in an image net should time collapse?

All four are one net: five convolutions with response norms and pools, two layers of 4096. A single frame; early
fusion, the first kernel spans all ten frames; late fusion, two towers of equal weights 15 frames apart meet at the
first fully connected layer; slow fusion, the first three kernels see 4, then 2, then 2 steps of time. The paper gives
no padding: none for the first kernel, half a kernel for the others.
"""

from archdsl.blocks import Conv, Flatten, Linear, LocalResponseNorm, MaxPool, Norm
from archdsl.errors import SpecError
from archdsl.language import Arch, Classifier, Clip, Edge, Model, Pathway, Stage
from archdsl.spec.scalars import Count, Whole

LRN = LocalResponseNorm(size=5, alpha=1e-4, beta=0.5, k=2)
POOL = MaxPool(kernel=(1, 2, 2), stride=(1, 2, 2), pad="valid")
FLAT, EARLY, SLOW = ((1, 1), (1, 1), (1, 1)), ((10, 1), (1, 1), (1, 1)), ((4, 2), (2, 2), (2, 2))
"""Temporal kernel and stride of the first three convolutions, never padded in time."""
Times = tuple[tuple[Count, Count], tuple[Count, Count], tuple[Count, Count]]


def conv(channels: int, side: int, stride: int = 1, time: tuple[int, int] = (1, 1)) -> Conv:
    """A square kernel; `time` is its temporal kernel and stride."""
    half = 0 if stride > 1 else side // 2
    window = dict(kernel=(time[0], side, side), stride=(time[1], stride, stride), pad=(0, half, half))
    return Conv(channels=channels, norm=Norm(kind="none"), init="normal", **window)


def tower(times: Times = FLAT) -> dict[str, Stage]:
    """conv1 ... conv5."""
    return {
        "conv1": Stage(conv(96, 11, 3, times[0]), LRN, POOL),
        "conv2": Stage(conv(256, 5, time=times[1]), LRN, POOL),
        "conv3": Stage(conv(384, 3, time=times[2])),
        "conv4": Stage(conv(384, 3)),
        "conv5": Stage(conv(256, 3), POOL),
    }


CONNECTED = {"fc6": Stage(Flatten(), Linear(channels=4096)), "fc7": Stage(Linear(channels=4096))}


def one_tower(name: str, frames: Count = 10, times: Times = FLAT) -> Arch:
    """Time collapses within the convolutions."""
    return network(name, frames, dict(main=Pathway(stages={**tower(times), **CONNECTED})))


def late_fusion(name: str, frames: Count = 16, apart: Whole = 15) -> Arch:
    """The first frame and the one `apart` later, through the same weights."""
    if apart >= frames:
        raise SpecError("no frame so far apart", at="apart", got=f"apart={apart}", want=f"at most {frames - 1}")
    first = Pathway(every=frames, stages={**tower(), **CONNECTED})
    second = Pathway(every=frames, start=apart, tied_to="first", stages=tower())
    edge = Edge(source="second", target="first", after="conv5")
    return network(name, frames, dict(first=first, second=second), (edge,))


def network(name: str, frames: int, pathways: dict[str, Pathway], edges: tuple[Edge, ...] = ()) -> Arch:
    """487 sports."""
    head = Classifier(reads=(next(iter(pathways)),), classes=487, pool="none")
    return Arch(name=name, clip=Clip(frames=frames, size=170, fps=30), pathways=pathways, edges=edges, head=head)


models = (
    Model(name="single_frame", family=one_tower, parameters=dict(frames=1)),
    Model(name="early_fusion", family=one_tower, parameters=dict(times=EARLY)),
    Model(name="late_fusion", family=late_fusion),
    Model(name="slow_fusion", family=one_tower, parameters=dict(times=SLOW)),
)
