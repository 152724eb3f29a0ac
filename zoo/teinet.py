"""TEINet (arXiv:1911.09435): motion first enhances channels, then neighbours in time interact within each channel.

Both stand before the 3x3 of every bottleneck. Enhancement (MEM) weighs channels by a comparison of the next frame's
mean with this one's; interaction (TIM) is a kernel in time for each channel that starts as TSM's shift.
`teinet_r50_sigmoid_inside` has the sigmoid before the last layer of the enhancement, as a third-party code has it.
"""

from archdsl.blocks import ChannelTimeConv, MotionEnhanced
from archdsl.language import Arch, Model
from archdsl.rewrites import with_modules
from archdsl.spec.scalars import Count
from archdsl.zoo import resnet, tsm


def teinet(name: str, depth: Count = 50, segments: Count = 8, sigmoid: str = "last", classes: Count = 400) -> Arch:
    """MEM, then TIM, in all bottlenecks."""
    arch = tsm.host(name, resnet.stages(depth, resnet.BOTTLENECK), segments, classes)
    return with_modules(arch, {"between": (MotionEnhanced(sigmoid=sigmoid), ChannelTimeConv())})


def teinet_ensemble(name: str, depth: Count = 50, classes: Count = 400) -> Arch:
    """Two nets trained apart, of eight and of sixteen segments of one clip."""
    small, large = (teinet(name, depth, segments, classes=classes) for segments in (8, 16))
    return tsm.ensemble(name, small, large)


models = (
    Model(name="teinet_r50", family=teinet),
    Model(name="teinet_r50_16f", family=teinet, parameters=dict(segments=16)),
    Model(name="teinet_r50_en", family=teinet_ensemble),
    Model(name="teinet_r50_sigmoid_inside", family=teinet, parameters=dict(sigmoid="inside")),
)
