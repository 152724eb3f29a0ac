"""MobileNet v1 (arXiv:1704.04861), v2 (arXiv:1801.04381) and v3 (arXiv:1905.02244): depthwise kernels between 1x1 ones.

v1 is the authors' net in TensorFlow: SAME padding, every layer normed and cut at 6. v2 and v3 are torchvision's, which
pads both sides alike; at 224 the maps have the sizes of the authors' nets. v3 takes its gates and widths from a search,
and scores after a wide layer behind the pool.
"""

from fractions import Fraction

from archdsl.blocks import AvgPool, Conv, InvertedResidual, Linear, Norm, SqueezeExcite
from archdsl.blocks.squeeze import divisible
from archdsl.language import Arch, Classifier, Clip, Model, Pathway, Stage, repeat, row_of
from archdsl.spec.scalars import Count, Ratio

V1 = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))
"""Output channels and stride of v1's pairs (Table 1)."""
V2 = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Expansion, output channels, repeats and stride of v2's stages (Table 2)."""
RE, HS = "relu", "hardswish"
LARGE = (
    ((3, 16, 16, False, RE, 1),),
    ((3, 64, 24, False, RE, 2), (3, 72, 24, False, RE, 1)),
    ((5, 72, 40, True, RE, 2), (5, 120, 40, True, RE, 1), (5, 120, 40, True, RE, 1)),
    ((3, 240, 80, False, HS, 2), (3, 200, 80, False, HS, 1), (3, 184, 80, False, HS, 1), (3, 184, 80, False, HS, 1)),
    ((3, 480, 112, True, HS, 1), (3, 672, 112, True, HS, 1)),
    ((5, 672, 160, True, HS, 2), (5, 960, 160, True, HS, 1), (5, 960, 160, True, HS, 1)),
)
SMALL = (
    ((3, 16, 16, True, RE, 2),),
    ((3, 72, 24, False, RE, 2), (3, 88, 24, False, RE, 1)),
    ((5, 96, 40, True, HS, 2), (5, 240, 40, True, HS, 1), (5, 240, 40, True, HS, 1)),
    ((5, 120, 48, True, HS, 1), (5, 144, 48, True, HS, 1)),
    ((5, 288, 96, True, HS, 2), (5, 576, 96, True, HS, 1), (5, 576, 96, True, HS, 1)),
)
"""Kernel, inner channels, output channels, gate, activation, stride of v3's blocks (Tables 1 and 2), stage by stage."""
V3 = {"large": (LARGE, 1280), "small": (SMALL, 1024)}
"""The blocks, and the width of the last layer."""
SE = SqueezeExcite(ratio=Fraction(1, 4), multiple=8, gate="hardsigmoid")


def v1(name: str, width: Ratio = Fraction(1), classes: Count = 1000) -> Arch:
    """Thirteen pairs of a depthwise 3x3 and a 1x1; `width` scales all channels, rounded down."""
    rule = dict(norm=Norm(eps=1e-3, momentum=3e-4), act="relu6", pad="tf_same")
    stages = {"stem": Stage(Conv(channels=32, kernel=(1, 3, 3), stride=(1, 2, 2), **rule))}
    before = 32
    for i, (channels, stride) in enumerate(V1, 1):
        window = dict(kernel=(1, 3, 3), stride=(1, stride, stride), groups="depthwise")
        stages[f"pair{i}"] = Stage(Conv(channels=before, **window, **rule), Conv(channels=channels, **rule))
        before = channels
    return image(name, stages, Classifier(classes=classes, dropout=0.001), width)


def v2(name: str, width: Ratio = Fraction(1), classes: Count = 1000) -> Arch:
    """Inverted residual blocks; channels are rounded to multiples of 8, and the last layer never gets narrower."""
    stages = {"stem": Stage(Conv(channels=divisible(32 * width, 8), kernel=(1, 3, 3), stride=(1, 2, 2), act="relu6"))}
    for i, (expand, channels, times, stride) in enumerate(V2, 1):
        block = InvertedResidual(channels=divisible(channels * width, 8), expand=expand, stride=stride)
        stages[f"stage{i}"] = Stage(*repeat(block, times))
    stages["last"] = Stage(Conv(channels=divisible(1280 * max(width, 1), 8), act="relu6"))
    return image(name, stages, Classifier(classes=classes, dropout=0.2))


def v3_stages(variant: str = "large", dilated: bool = False) -> dict[str, Stage]:
    """Blocks as the table lists them and a convolution six times as wide; maybe the last stage at rate 2, unstrided."""
    table, _ = row_of(V3, variant=variant)
    norm = Norm(eps=1e-3, momentum=0.01)

    def block(kernel: int, inner: int, channels: int, gated: bool, act: str, stride: int) -> InvertedResidual:
        window = dict(kernel=(1, kernel, kernel), stride=stride)
        return InvertedResidual(channels=channels, inner=inner, se=SE if gated else None, act=act, norm=norm, **window)

    stages = {"stem": Stage(Conv(channels=16, kernel=(1, 3, 3), stride=(1, 2, 2), norm=norm, act=HS))}
    stages |= {f"stage{i}": Stage(*(block(*row) for row in rows)) for i, rows in enumerate(table, 1)}
    if dilated:
        name = f"stage{len(table)}"
        stages[name] = Stage(*(one.but(stride=1, dilation=2) for one in stages[name].blocks))
    return stages | {"last": Stage(Conv(channels=6 * table[-1][-1][2], norm=norm, act=HS))}


def v3(name: str, variant: str = "large", classes: Count = 1000) -> Arch:
    """The mean of each frame, and a wide layer."""
    _, last = row_of(V3, variant=variant)
    stages = v3_stages(variant)
    stages["last"] = Stage(*stages["last"].blocks, AvgPool(kernel=(1, 0, 0)), Linear(channels=last, act=HS))
    return image(name, stages, Classifier(classes=classes, dropout=0.2))


def image(name: str, stages: dict[str, Stage], head: Classifier, width: Fraction = Fraction(1)) -> Arch:
    """One image, or frames each by itself."""
    pathway = Pathway(stages=stages, width_ratio=width)
    return Arch(name=name, clip=Clip(frames=1, size=224), pathways=dict(rgb=pathway), head=head)


models = (
    Model(name="mobilenet_v1", family=v1),
    Model(name="mobilenet_v1_075", family=v1, parameters=dict(width=Fraction(3, 4))),
    Model(name="mobilenet_v1_050", family=v1, parameters=dict(width=Fraction(1, 2))),
    Model(name="mobilenet_v1_025", family=v1, parameters=dict(width=Fraction(1, 4))),
    Model(name="mobilenet_v2", family=v2),
    Model(name="mobilenet_v2_140", family=v2, parameters=dict(width=Fraction(7, 5))),
    Model(name="mobilenet_v3_large", family=v3),
    Model(name="mobilenet_v3_small", family=v3, parameters=dict(variant="small")),
)
