"""What each person does, in given boxes (AVA): SlowFast networks rewritten (arXiv:1812.03982, section 5).

The last stage dilates instead of striding, so that RoIAlign reads maps of stride 16. Persons come from a detector of
their own: the network takes a second clip, `boxes`, (n, 4, boxes, 1, 1) in pixels.
"""

from archdsl.blocks import NonLocal
from archdsl.language import Arch, Model, TimeConv
from archdsl.rewrites import for_detection
from archdsl.zoo import nonlocal_net, slowfast


def slow(name: str, boxes: int = 8, **parameters: object) -> Arch:
    return for_detection(slowfast.single(name, **parameters), boxes=boxes)


def both(name: str, boxes: int = 8, **parameters: object) -> Arch:
    return for_detection(slowfast.slowfast(name, **parameters), boxes=boxes)


def all_pairs(name: str, boxes: int = 8, **parameters: object) -> Arch:
    base = nonlocal_net.nonlocal_net(
        name, slowfast.slowfast, NonLocal(pairwise="dot_product", pool=(2, 2, 2)), **parameters
    )
    return for_detection(base, boxes=boxes)


models = (
    Model(name="slow_4x16_r50_ava", family=slow, parameters=dict(frames=64, every=16)),
    Model(name="slowfast_4x16_r50_ava", family=both),
    Model(name="slowfast_8x8_r50_ava", family=both, parameters=dict(lateral=TimeConv(kernel=7), **slowfast.W8)),
    Model(name="slowfast_8x8_r101_ava", family=both, parameters=dict(depth=101, **slowfast.W8)),
    Model(name="slowfast_8x8_r101_nl_ava", family=all_pairs, parameters=nonlocal_net.R101 | dict(frames=64)),
    Model(name="slowfast_16x8_r101_nl_ava", family=all_pairs, parameters=nonlocal_net.R101),
)
