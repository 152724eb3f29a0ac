"""SlowFast networks (arXiv:1812.03982): a Slow pathway sees few frames with many channels, a Fast one the reverse."""

from fractions import Fraction

from archdsl.blocks import Bottleneck, Conv, MaxPool
from archdsl.language import Arch, Classifier, Clip, Edge, Pathway, Stage, TimeConv, repeat

DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}


def pathway(depth: int, *, every: int, kernel_t: tuple[int, int, int, int, int], res4_3d: int = 99, **fields) -> Pathway:
    def stage(channels: int, times: int, kernel: int, stride: int = 2, first: int = 99) -> Stage:
        block = Bottleneck(channels=channels, kernel_t=kernel, stride=stride)
        blocks = repeat(block, times)
        return Stage(*blocks[:first], *(b.but(kernel_t=1) for b in blocks[first:]))

    stem, *kernels = kernel_t
    n2, n3, n4, n5 = DEPTHS[depth]
    stages = dict(
        stem=Stage(Conv(channels=64, kernel=(stem, 7, 7), stride=(1, 2, 2)), MaxPool(kernel=(1, 3, 3), stride=(1, 2, 2))),
        res2=stage(256, n2, kernels[0], stride=1),
        res3=stage(512, n3, kernels[1]),
        res4=stage(1024, n4, kernels[2], first=res4_3d),
        res5=stage(2048, n5, kernels[3]),
    )
    return Pathway(every=every, stages=stages, **fields)


def slowfast(name: str, *, tau: int, alpha: int, lateral: int = 5, depth: int = 50, frames=64) -> Arch:
    slow = pathway(depth, every=tau, kernel_t=(1, 1, 1, 3, 3))
    fast = pathway(depth, every=tau // alpha, kernel_t=(5, 3, 3, 3, 3), width_ratio=Fraction(1, 8))
    edge = Edge(source="fast", target="slow", after=("stem", "res2", "res3", "res4"), transform=TimeConv(kernel=lateral))
    return Arch(
        name=name,
        clip=Clip(frames=frames, size=224, fps=30),
        pathways=dict(slow=slow, fast=fast),
        edges=(edge,),
        head=Classifier(classes=400, window=7, dropout=0.5),
    )
