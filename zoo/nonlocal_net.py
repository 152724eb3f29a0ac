"""C2D, I3D on ResNets, and non-local networks (arXiv:1711.07971): a ResNet on frames, kernels in time, then all pairs.

C2D sees time only in its pools. I3D is C2D with temporal kernels in every second block. A non-local network is either,
or Slow, or SlowFast, with blocks in between that let each position read every other. These are PySlowFast's networks
(8 frames, every 8th) and mmaction2's I3D, which takes 32 frames and halves them twice before its first block.
"""

from collections.abc import Callable, Mapping

from archdsl.blocks import Conv, MaxPool, NonLocal
from archdsl.errors import SpecError
from archdsl.language import Arch, Classifier, Clip, Model, Pathway, Stage
from archdsl.rewrites import insert_nonlocal, with_temporal_kernels
from archdsl.spec.scalars import Count, Whole
from archdsl.zoo import resnet, slowfast

FLAT = (1, 1, 1, 1, 1)
KERNELS = dict(res2=3, res3=(3, 1), res4=(3, 1), res5=(1, 3))
FIVE = dict(res3=(1, 3), res4=(1, 3, 5))
After = Mapping[str, tuple[Whole, ...]]
"""Stage -> the blocks in it, numbered from 0, after which a non-local one stands."""
DOT = NonLocal(pairwise="dot_product")
WIDE_POOL = DOT.but(pool=(2, 2, 2))
HALVED = Stage(MaxPool(kernel=(2, 1, 1), stride=(2, 1, 1), pad="valid"))


def halved(pathway: Pathway) -> Pathway:
    """Pairs of frames pooled after res2."""
    stem, res2, *rest = pathway.stages.items()
    return pathway.but(stages=dict([stem, res2, ("pool2", HALVED), *rest]))


def with_pairs(arch: Arch, block: NonLocal | None, after: After | None) -> Arch:
    """The arch with non-local blocks, by default five; in SlowFast in its Slow pathway."""
    if block:
        return insert_nonlocal(arch, FIVE if after is None else after, block=block, pathway="slow")
    if after is not None:
        raise SpecError("no block to insert there", at="after", got=f"after={after}", want="nonlocal_block beside it")
    return arch


def c2d(
    name: str,
    frames: Count = 64,
    every: Count = 8,
    depth: Count = 50,
    pool: bool = True,
    nonlocal_block: NonLocal | None = None,
    after: After | None = None,
) -> Arch:
    """No kernel sees more than a frame; without the pool and non-local blocks only the head joins them."""
    arch = slowfast.single(name, frames, every, depth, FLAT)
    pooled = arch.but(pathways={key: halved(own) for key, own in arch.pathways.items()}) if pool else arch
    return with_pairs(pooled, nonlocal_block, after)


def i3d(
    name: str,
    frames: Count = 64,
    every: Count = 8,
    depth: Count = 50,
    nonlocal_block: NonLocal | None = None,
    after: After | None = None,
) -> Arch:
    """C2D with 5 frames in the stem and 3 in the first kernel of every second block, of res2 in every one."""
    arch = with_temporal_kernels(c2d(name, frames, every, depth), dict(stem=5, **KERNELS))
    return with_pairs(arch, nonlocal_block, after)


def i3d_32(
    name: str,
    frames: Count = 64,
    depth: Count = 50,
    nonlocal_block: NonLocal | None = None,
    after: After | None = None,
) -> Arch:
    """mmaction2's: 32 frames, halved by the stem's convolution, by its pool, and after res2."""
    stem = Stage(Conv(channels=64, kernel=(5, 7, 7), stride=(2, 2, 2)), MaxPool(kernel=(1, 3, 3), stride=(2, 2, 2)))
    stages = resnet.stages(depth, resnet.BOTTLENECK.but(zero_init=True)) | {"stem": stem}
    own = dict(slow=halved(Pathway(every=2, stages=stages)))
    head = Classifier(classes=400, dropout=0.5)
    arch = Arch(name=name, clip=Clip(frames=frames, size=224, fps=30), pathways=own, head=head)
    return with_pairs(with_temporal_kernels(arch, KERNELS), nonlocal_block, after)


def slow(
    name: str,
    frames: Count = 64,
    every: Count = 8,
    depth: Count = 50,
    nonlocal_block: NonLocal = DOT,
    after: After | None = None,
) -> Arch:
    """Slow alone."""
    return with_pairs(slowfast.single(name, frames, every, depth), nonlocal_block, after)


def both(
    name: str,
    frames: Count = 64,
    tau: Count = 8,
    alpha: Count = 4,
    depth: Count = 50,
    nonlocal_block: NonLocal = DOT,
    after: After | None = None,
) -> Arch:
    """SlowFast."""
    return with_pairs(slowfast.slowfast(name, frames, tau, alpha, depth=depth), nonlocal_block, after)


def late(pairwise: str) -> NonLocal:
    """mmaction2's block: what is attended to is pooled after it is projected; no bias beside the batch norm."""
    return NonLocal(pairwise=pairwise, pool_at="after", out_bias=False)


def of(name: str, family: Callable[..., Arch], block: NonLocal = NonLocal(scale=True), **parameters: object) -> Model:
    return Model(name=name, family=family, parameters=dict(nonlocal_block=block, **parameters))


R101 = dict(depth=101, frames=128, after=dict(res4=(6, 13, 20)))

models = (
    Model(name="c2d_8x8_r50", family=c2d),
    Model(name="c2d_8x8_r50_nopool", family=c2d, parameters=dict(pool=False)),
    of("c2d_8x8_r50_nl", c2d),
    Model(name="i3d_8x8_r50", family=i3d),
    Model(name="i3d_8x8_r101", family=i3d, parameters=dict(depth=101)),
    of("i3d_8x8_r50_nl", i3d),
    Model(name="i3d_32x2_r50", family=i3d_32),
    of("i3d_32x2_r50_nl_gaussian", i3d_32, late("gaussian")),
    of("i3d_32x2_r50_nl_embedded", i3d_32, late("embedded_gaussian")),
    of("i3d_32x2_r50_nl_dot", i3d_32, late("dot_product")),
    of("i3d_32x2_r50_nl_concatenation", i3d_32, late("concatenation")),
    of("slow_8x8_r50_nl", slow, DOT),
    of("slow_4x16_r50_nl_embedded", slow, late("embedded_gaussian"), every=16),
    of("slow_8x8_r50_nl_embedded", slow, late("embedded_gaussian")),
    of("slowfast_8x8_r50_nl", both, DOT),
    of("slowfast_16x8_r101_nl", both, WIDE_POOL, **R101),
    of("slowfast_16x8_r101_nl_pool_122", both, DOT, **R101),
)
