"""TSM, the Temporal Shift Module (arXiv:1811.08383): 2-D nets that see time for nothing.

Before the first kernel of a residual branch an eighth of the channels is taken from the next frame and an eighth from
the one before; the shortcut sees the frame as it is. No parameters, no arithmetic. The host is TSN: a ResNet (every
second block is shifted where res4 has 23) or MobileNet v2 over segments. `tsm_r50_online` shifts from the past only and
reads a stream frame by frame, `tsm_r50_pool` halves the frames after res2, `tsm_r50_block` shifts the shortcut too,
which costs accuracy.
"""

from typing import Literal

from archdsl.blocks import NonLocal, TimeShift
from archdsl.language import Arch, Model, Stage, overridden, row_of
from archdsl.rewrites import causal, insert_nonlocal, pool_in_time, shift_in_time, together
from archdsl.spec.scalars import Count
from archdsl.zoo import mobilenet, mobileone, resnet, tsn


def host(name: str, stages: dict[str, Stage], segments: int = 8, classes: int = 400) -> Arch:
    """One net on each segment's middle frame; scores are averaged."""
    return tsn.tsn(name, stages, segments=segments, segment_frames=8, classes=classes, dropout=0.5)


def tsm(
    name: str,
    depth: Count = 50,
    segments: Count = 8,
    place: Literal["branch", "block"] = "branch",
    online: bool = False,
    pool: bool = False,
    nonlocal_block: NonLocal | None = None,
) -> Arch:
    """On a ResNet."""
    each = 2 if row_of(resnet.DEPTHS, depth=depth)[1][2] >= 23 else 1
    arch = shift_in_time(host(name, resnet.stages(depth), segments), place=place, each=each)
    arch = causal(arch) if online else arch
    arch = pool_in_time(arch) if pool else arch
    return insert_nonlocal(arch, dict(res3=(0, 2), res4=(0, 2, 4)), block=nonlocal_block) if nonlocal_block else arch


def tsm_mobilenet(name: str, segments: Count = 8) -> Arch:
    """On MobileNet v2: in front of the blocks that have a shortcut."""
    stages = mobilenet.v2(name).pathways["rgb"].stages
    return shift_in_time(host(name, stages, segments))


def tsm_mobileone(name: str, variant: str = "s4", segments: Count = 16, folded: bool = False) -> Arch:
    """On MobileOne: in front of every sum of branches, which then still folds; the stem's three channels stay."""
    stages = {
        stage: Stage(*(one for block in held.blocks for one in ((TimeShift(), block) if stage != "stem" else (block,))))
        for stage, held in mobileone.stages(variant, folded).items()
    }
    return host(name, stages, segments)


def ensemble(name: str, small: Arch, large: Arch) -> Arch:
    """Two nets trained apart, of eight and of sixteen segments of one clip."""
    return together(name, small=overridden(small, frames=large.clips["clip"].frames), large=large)


def tsm_ensemble(name: str, depth: Count = 50) -> Arch:
    """On a ResNet, with eight and with sixteen segments."""
    return ensemble(name, tsm(name, depth), tsm(name, depth, segments=16))


def late(pairwise: str) -> NonLocal:
    """mmaction2's block: what is attended to is pooled after it is projected; no bias beside the batch norm."""
    return NonLocal(pairwise=pairwise, pool_at="after", out_bias=False)


models = (
    Model(name="tsm_r50", family=tsm),
    Model(name="tsm_r50_16f", family=tsm, parameters=dict(segments=16)),
    Model(name="tsm_r50_en", family=tsm_ensemble),
    Model(name="tsm_r101", family=tsm, parameters=dict(depth=101)),
    Model(name="tsm_mobilenet_v2", family=tsm_mobilenet),
    Model(name="tsm_mobileone_s4", family=tsm_mobileone),
    Model(name="tsm_r50_online", family=tsm, parameters=dict(online=True)),
    Model(name="tsm_r50_pool", family=tsm, parameters=dict(pool=True)),
    Model(name="tsm_r50_block", family=tsm, parameters=dict(place="block")),
    Model(name="tsm_r50_nl_embedded", family=tsm, parameters=dict(nonlocal_block=late("embedded_gaussian"))),
    Model(name="tsm_r50_nl_dot", family=tsm, parameters=dict(nonlocal_block=late("dot_product"))),
    Model(name="tsm_r50_nl_gaussian", family=tsm, parameters=dict(nonlocal_block=late("gaussian"))),
)
