"""Res2Net (arXiv:1904.01169): a ResNet whose 3x3 kernels are a hierarchy of small ones, so a block sees many scales.

As the authors' code has it: the first block of each stage keeps its parts apart and pools the last one.
26w x 4s: four parts of 26 channels in res2, twice as many in each further stage.
"""

from archdsl.blocks import Res2Bottleneck
from archdsl.language import Arch, Model
from archdsl.spec.scalars import Count
from archdsl.zoo import resnet


def res2net(name: str, depth: Count = 50, width: Count = 26, parts: Count = 4) -> Arch:
    """`width` channels in each of `parts`."""
    block = Res2Bottleneck(channels=256, inner=width * parts, parts=parts, apart=True, zero_init=False)
    return resnet.image(name, resnet.stages(depth, block))


models = (
    Model(name="res2net50_26w_4s", family=res2net),
    Model(name="res2net50_48w_2s", family=res2net, parameters=dict(width=48, parts=2)),
    Model(name="res2net50_14w_8s", family=res2net, parameters=dict(width=14, parts=8)),
    Model(name="res2net50_26w_6s", family=res2net, parameters=dict(parts=6)),
    Model(name="res2net50_26w_8s", family=res2net, parameters=dict(parts=8)),
    Model(name="res2net101_26w_4s", family=res2net, parameters=dict(depth=101)),
)
