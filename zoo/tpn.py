"""Temporal Pyramid Network (arXiv:2004.03548): two depths of one ResNet, read at their own tempo, fused both ways.

res4 and res5 are brought to one size in space (spatial modulation) and each to its tempo (temporal modulation: a
convolution over time, then a pool over 8 frames). Level by level they are summed downwards and upwards, each flow is
joined, and both are joined for the head. This is mmaction2's network (cascade: the flow upwards starts from what the
flow downwards left). Its auxiliary classifier on res4 is used in training only: the names with `_aux` have it.
"""

from archdsl.blocks import Conv, MaxPool, Norm, TimeShift
from archdsl.language import Arch, Classifier, Clip, Edge, Model, Pathway, Several, Stage
from archdsl.spec.scalars import Count
from archdsl.zoo import resnet, slowfast

GROUPED = Conv(channels=1024, groups=32, init="xavier")
JOINED = Conv(channels=2048, init="xavier")
BARE = dict(norm=Norm(kind="none"), act="none", bias=False, init="xavier")
SPACE = Conv(channels=2048, kernel=(1, 3, 3), stride=(1, 2, 2), init="xavier")
DOWN = Conv(channels=1024, kernel=(3, 1, 1), **BARE)


def tempo(frames: int) -> Stage:
    """Temporal modulation: one place in time for so many frames."""
    pool = MaxPool(kernel=(frames, 1, 1), stride=(frames, 1, 1), pad="valid", ceil=True)
    return Stage(Conv(channels=1024, kernel=(3, 1, 1), groups=32, **BARE), pool)


def fused(source: str, target: str, after: str, into: str, merge: str) -> Edge:
    return Edge(source=source, target=target, after=after, into=into, merge=merge)


def with_pyramid(arch: Arch, backbone: str, frames: int = 8, aux: bool = False) -> Arch:
    """The arch of one pathway with stages res4 and res5, its head moved behind the pyramid.

    `low` is res4's level and `high` res5's; `up` and `low_up` are their continuations in the flow upwards.
    """
    reads_res4 = f"{backbone}.res4"
    levels = dict(
        low=Pathway(
            after=reads_res4,
            stages=dict(
                space=Stage(SPACE), tempo=tempo(frames), level=Stage(GROUPED), flow=Stage(JOINED), both=Stage(JOINED)
            ),
        ),
        high=Pathway(after=backbone, stages=dict(tempo=tempo(frames), level=Stage(GROUPED))),
        up=Pathway(after="low.tempo", stages=dict(down=Stage(DOWN), level=Stage(GROUPED))),
        low_up=Pathway(after="low.tempo", stages=dict(level=Stage(GROUPED), flow=Stage(JOINED))),
    )
    edges = (
        fused("high", "low", "tempo", "tempo", "sum"),
        fused("high", "low", "level", "level", "concat"),
        fused("high", "up", "tempo", "down", "sum"),
        fused("up", "low_up", "level", "level", "concat"),
        fused("low_up", "low", "flow", "flow", "concat"),
    )
    head = arch.head.but(reads=("low",), window=None)
    if aux:
        levels["aux"] = Pathway(after=reads_res4, stages=dict(space=Stage(SPACE)))
        head = Several(heads=dict(scores=head, aux=arch.head.but(reads=("aux",), window=None)), auxiliary=dict(aux=0.5))
    return arch.but(pathways={**arch.pathways, **levels}, edges=(*arch.edges, *edges), head=head)


def tpn_slow(name: str, frames: Count = 64, every: Count = 8, depth: Count = 50, aux: bool = False) -> Arch:
    return with_pyramid(slowfast.single(name, frames, every, depth), "slow", frames // every, aux)


def tpn_tsm(name: str, segments: Count = 8, depth: Count = 50, aux: bool = False) -> Arch:
    """On a temporal shift network (arXiv:1811.08383): a frame of each segment, channels shifted before every branch."""
    shifted = resnet.stages(depth, resnet.BOTTLENECK.but(before=(TimeShift(),)))
    own = dict(main=Pathway(segments=segments, stages=shifted))
    head = Classifier(classes=174, dropout=0.5)
    arch = Arch(name=name, clip=Clip(frames=10 * segments, size=224), pathways=own, head=head)
    return with_pyramid(arch, "main", segments, aux)


models = (
    Model(name="tpn_slow_r50", family=tpn_slow),
    Model(name="tpn_slow_r50_aux", family=tpn_slow, parameters=dict(aux=True)),
    Model(name="tpn_tsm_r50", family=tpn_tsm),
)
