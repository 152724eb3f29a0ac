"""TANet (arXiv:2005.06803): a ResNet whose every bottleneck holds a temporal adaptive module.

Between the first 1x1 and the 3x3, each channel is gated frame by frame and then convolved in time with a kernel that
the clip makes for it. The kernel comes from all frames through layers over time, so a net is tied to its segments.
"""

from archdsl.blocks import TemporalAdaptive
from archdsl.language import Arch, Model
from archdsl.rewrites import with_modules
from archdsl.spec.scalars import Count
from archdsl.zoo import resnet, tsm


def tanet(name: str, depth: Count = 50, segments: Count = 8, classes: Count = 400) -> Arch:
    """TAM in all bottlenecks."""
    return with_modules(
        tsm.host(name, resnet.stages(depth, resnet.BOTTLENECK), segments, classes), {"between": TemporalAdaptive()}
    )


def tanet_ensemble(name: str, depth: Count = 50, classes: Count = 400) -> Arch:
    """Two nets trained apart, of eight and of sixteen segments of one clip."""
    small, large = (tanet(name, depth, segments, classes=classes) for segments in (8, 16))
    return tsm.ensemble(name, small, large)


models = (
    Model(name="tanet_r50", family=tanet),
    Model(name="tanet_r50_16f", family=tanet, parameters=dict(segments=16)),
    Model(name="tanet_r50_en", family=tanet_ensemble),
    Model(name="tanet_r152_16f", family=tanet, parameters=dict(depth=152, segments=16)),
)
