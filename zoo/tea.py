"""TEA (arXiv:2004.01398): Res2Net's hierarchy in time as well as in space, on channels chosen by motion.

A bottleneck of Res2Net-50 (26 channels in each of four parts): after the first 1x1, channels are weighted by how much
they change to the next frame (motion excitation); each part is convolved in time, channel by channel, before its 3x3
(multiple temporal aggregation). As in the authors' code the last part has no 3x3 but is convolved in time too; it
starts as a shift of half its channels each way, the others as the identity. Weights do not know the number of frames.
"""

from archdsl.blocks import MotionExcitation, Res2Bottleneck
from archdsl.language import Arch, Model
from archdsl.rewrites import with_modules
from archdsl.spec.scalars import Count
from archdsl.zoo import resnet, tsm


def tea(
    name: str, depth: Count = 50, segments: Count = 8, width: Count = 26, parts: Count = 4, classes: Count = 400
) -> Arch:
    """`width` channels in each of `parts`."""
    block = Res2Bottleneck(channels=256, inner=width * parts, parts=parts, apart=True, time_kernel=3, zero_init=False)
    return with_modules(tsm.host(name, resnet.stages(depth, block), segments, classes), {"between": MotionExcitation()})


models = (
    Model(name="tea_r50", family=tea),
    Model(name="tea_r50_16f", family=tea, parameters=dict(segments=16)),
)
