"""SE-ResNet and SE-ResNeXt (arXiv:1709.01507): each residual branch ends in a gate on its channels.

The gate is part of the block, so these nets are ResNets with another first block. The authors' bottlenecks stride on
the first 1x1 (`seresnet50_v1`); `seresnet50` on the 3x3, as timm's. Squeezing keeps 1/16 of the channels.
"""

from archdsl.language import Model
from archdsl.zoo import resnet


def of(name: str, depth: int, **parameters: object) -> Model:
    return Model(name=name, family=resnet.resnet, parameters=dict(depth=depth, se=True, **parameters))


models = (
    of("seresnet18", 18),
    of("seresnet34", 34),
    of("seresnet50", 50),
    of("seresnet101", 101),
    of("seresnet152", 152),
    of("seresnet50_v1", 50, stride_on="a"),
    of("seresnet101_v1", 101, stride_on="a"),
    of("seresnet152_v1", 152, stride_on="a"),
    of("seresnext50_32x4d", 50, groups=32, width=4),
    of("seresnext101_32x4d", 101, groups=32, width=4),
)
