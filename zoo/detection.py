"""What each person does, in given boxes (AVA): SlowFast networks rewritten (arXiv:1812.03982, section 5).

The last stage dilates instead of striding, so that RoIAlign reads maps of stride 16. Persons come from a detector of
their own: the network takes a second clip, `boxes`, (n, 4, boxes, 1, 1) in pixels.
"""

from archdsl.blocks import NonLocal
from archdsl.language import Arch, Model, TimeConv, Transforms
from archdsl.rewrites import for_detection
from archdsl.spec.scalars import Count
from archdsl.zoo import nonlocal_net, slowfast


def slow(name: str, boxes: Count = 8, frames: Count = 64, every: Count = 16, depth: Count = 50) -> Arch:
    return for_detection(slowfast.single(name, frames, every, depth), boxes=boxes)


def both(
    name: str,
    boxes: Count = 8,
    frames: Count = 64,
    tau: Count = 16,
    alpha: Count = 8,
    depth: Count = 50,
    lateral: Transforms = (TimeConv(kernel=5),),
) -> Arch:
    return for_detection(slowfast.slowfast(name, frames, tau, alpha, depth=depth, lateral=lateral), boxes=boxes)


def all_pairs(
    name: str,
    boxes: Count = 8,
    frames: Count = 64,
    tau: Count = 8,
    alpha: Count = 4,
    depth: Count = 101,
    nonlocal_block: NonLocal = nonlocal_net.WIDE_POOL,
    after: nonlocal_net.After | None = nonlocal_net.R101["after"],
) -> Arch:
    return for_detection(nonlocal_net.both(name, frames, tau, alpha, depth, nonlocal_block, after), boxes=boxes)


models = (
    Model(name="slow_4x16_r50_ava", family=slow),
    Model(name="slowfast_4x16_r50_ava", family=both),
    Model(name="slowfast_8x8_r50_ava", family=both, parameters=dict(lateral=TimeConv(kernel=7), **slowfast.W8)),
    Model(name="slowfast_8x8_r101_ava", family=both, parameters=dict(depth=101, **slowfast.W8)),
    Model(name="slowfast_8x8_r101_nl_ava", family=all_pairs),
    Model(name="slowfast_16x8_r101_nl_ava", family=all_pairs, parameters=dict(frames=128)),
)
