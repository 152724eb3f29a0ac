"""STM (arXiv:1908.02486): in each bottleneck, what is and what moves, side by side.

The 3x3 kernel is preceded by a kernel in time for each channel (CSTM); beside both, squeezed channels of the next frame
minus those of this one (CMM) are expanded again and added. No code was released; the paper leaves open where batch
norms stand and how CMM strides. Here the 3x3 keeps its norm and activation, CMM has none and strides on its last 1x1.
"""

from archdsl.blocks import Block, ChannelMotion, ChannelTimeConv
from archdsl.language import Arch, Model
from archdsl.rewrites import with_modules
from archdsl.spec.scalars import Count
from archdsl.zoo import resnet, tsm


def stm(name: str, depth: Count = 50, segments: Count = 8, classes: Count = 400) -> Arch:
    """Both modules in all bottlenecks."""

    def motion(block: Block) -> Block:
        return ChannelMotion(stride=block.stride)

    arch = tsm.host(name, resnet.stages(depth, resnet.BOTTLENECK), segments, classes)
    return with_modules(arch, {"between": ChannelTimeConv(), "beside": motion})


models = (
    Model(name="stm_r50", family=stm),
    Model(name="stm_r50_16f", family=stm, parameters=dict(segments=16)),
)
