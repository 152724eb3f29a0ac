"""SE-ResNet and SE-ResNeXt (arXiv:1709.01507): each residual branch ends in a gate on its channels.

The gate is part of the block, so these nets are ResNets with another first block. The authors' bottlenecks stride on
the first 1x1 (`seresnet50_v1`); `seresnet50` on the 3x3, as timm's. Squeezing keeps 1/16 of the channels.
"""

from archdsl.blocks import Residual, SqueezeExcite
from archdsl.language import Model
from archdsl.zoo import resnet


def se(name: str, depth: int, block: Residual) -> Model:
    parameters = dict(depth=depth, block=block.but(se=SqueezeExcite()))
    return Model(name=name, family=resnet.resnet, parameters=parameters)


models = (
    se("seresnet18", 18, resnet.BASIC),
    se("seresnet34", 34, resnet.BASIC),
    se("seresnet50", 50, resnet.BOTTLENECK),
    se("seresnet101", 101, resnet.BOTTLENECK),
    se("seresnet152", 152, resnet.BOTTLENECK),
    se("seresnet50_v1", 50, resnet.V1),
    se("seresnet101_v1", 101, resnet.V1),
    se("seresnet152_v1", 152, resnet.V1),
    se("seresnext50_32x4d", 50, resnet.BOTTLENECK.but(inner=128, groups=32)),
    se("seresnext101_32x4d", 101, resnet.BOTTLENECK.but(inner=128, groups=32)),
)
