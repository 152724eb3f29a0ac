"""DeepLab: classifiers that dilate instead of stride, and see each element of a map at several scales at once.

v1 (arXiv:1412.7062) is VGG-16 at stride 8 whose fc6 is a 3x3 kernel with a large field of view. v2 (arXiv:1606.00915)
sums what four such heads with different rates say (ASPP). v3 (arXiv:1706.05587), here as torchvision builds it on a
ResNet at stride 8 or a MobileNet v3 at 16, joins three rates, a 1x1 kernel and the mean of the image. v1 and v2 say
it at an eighth of the image; the authors enlarge it linearly, and refine it by a dense CRF outside of the network.
"""

from archdsl.blocks import AvgPool, Block, Branches, Conv, Dropout, MaxPool, Norm
from archdsl.language import Arch, Clip, Dense, Edge, Model, Pathway, ResizeTo, Stage, Through
from archdsl.spec.scalars import Count
from archdsl.zoo import fcn, mobilenet, resnet, vgg

NONE = dict(norm=Norm(kind="none"))
LARGE, SMALL = (6, 12, 18, 24), (2, 4, 8, 12)
"""Rates of ASPP-L and ASPP-S."""
Rates = tuple[Count, ...]


def vgg_stride_8() -> dict[str, Stage]:
    """VGG-16 whose pools are 3x3; the last two do not stride, and conv5 dilates."""
    pool = MaxPool(kernel=(1, 3, 3), stride=(1, 2, 2), pad=(0, 1, 1), ceil=True)
    made = vgg.convolutions(16, pool=pool)
    for name in ("conv4", "conv5"):
        *convs, _ = made[name].blocks
        made[name] = Stage(*convs, pool.but(stride=(1, 1, 1)))
    *convs, last = made["conv5"].blocks
    made["conv5"] = Stage(*(conv.but(dilation=(1, 2, 2)) for conv in convs), last)
    return made


def field(rate: int) -> tuple[Block, ...]:
    """fc6 at a rate, and fc7."""
    wide = Conv(channels=1024, kernel=(1, 3, 3), dilation=(1, rate, rate), **NONE)
    return wide, Dropout(p=0.5), Conv(channels=1024, **NONE), Dropout(p=0.5)


def largefov(name: str, rate: Count = 12, size: Count = 321, classes: Count = 21) -> Arch:
    """v1: one large field of view."""
    fc6, drop, fc7, _ = field(rate)
    stages = vgg_stride_8() | {"fc6": Stage(fc6, drop), "fc7": Stage(fc7, drop)}
    return image(name, stages, Dense(classes=classes, enlarge=False), size)


def aspp_vgg16(name: str, rates: Rates = LARGE, size: Count = 321, classes: Count = 21) -> Arch:
    """v2 on VGG-16: heads of three layers, summed."""
    score = Conv(channels=classes, act="none", init="normal", **NONE)
    stages = vgg_stride_8() | {"aspp": summed({rate: (*field(rate), score) for rate in rates})}
    return image(name, stages, Dense(classes=classes, kernel=0, enlarge=False), size)


def aspp_resnet(name: str, depth: Count = 101, rates: Rates = LARGE, size: Count = 321, classes: Count = 21) -> Arch:
    """v2 on a ResNet: one 3x3 kernel for each rate, summed."""

    def score(rate: int) -> tuple[Block, ...]:
        window = dict(kernel=(1, 3, 3), dilation=(1, rate, rate))
        return (Conv(channels=classes, act="none", init="normal", **window, **NONE),)

    stages = fcn.stride_8(depth, resnet.V1) | {"aspp": summed({rate: score(rate) for rate in rates})}
    return image(name, stages, Dense(classes=classes, kernel=0, enlarge=False), size)


def summed(chains: dict[int, tuple[Block, ...]]) -> Stage:
    """What is said at each rate, summed."""
    return Stage(Branches(branches={f"rate{rate}": chain for rate, chain in chains.items()}, merge="sum"))


def v3_ends() -> dict[str, Stage]:
    """v3: rates of 12, 24 and 36, a point, and the mean of the image."""
    conv = Conv(channels=256, init="default")
    square = conv.but(kernel=(1, 3, 3))
    seen = {"point": (conv,)} | {f"rate{r}": (square.but(dilation=(1, r, r)),) for r in (12, 24, 36)}
    seen["image"] = (AvgPool(kernel=(1, 0, 0), pad="valid"), conv)
    return {
        "aspp": Stage(Branches(branches=seen, fit="enlarge"), conv, Dropout(p=0.5)),
        "head": Stage(square),
    }


def deeplabv3(name: str, depth: Count = 50, size: Count = 520, classes: Count = 21, aux: bool = True) -> Arch:
    """torchvision's, at stride 8."""
    return fcn.on_resnet(name, depth, v3_ends(), size, classes, aux)


def mobilenet_stride_16() -> dict[str, Stage]:
    """MobileNet v3 whose last stage dilates; the first block at an eighth of the image ends a stage, `eighth`."""
    made = {}
    for name, stage in mobilenet.v3_stages(dilated=True).items():
        if name == "stage3":
            made["eighth"], stage = Stage(stage.blocks[0]), Stage(*stage.blocks[1:])
        made[name] = stage
    return made


def deeplabv3_mobilenet(name: str, size: Count = 520, classes: Count = 21, aux: bool = True) -> Arch:
    """torchvision's on MobileNet v3, whose last stage dilates: stride 16."""
    return fcn.behind(name, mobilenet_stride_16(), v3_ends(), size, classes, ("eighth", 10) if aux else None)


def lraspp(name: str, size: Count = 520, classes: Count = 21) -> Arch:
    """Lite R-ASPP (arXiv:1905.02244, section 6.4): the last map times what its mean says of each channel, and one of
    an eighth, both scored and summed.
    """
    narrow = Conv(channels=128, init="default")
    gate = narrow.but(norm=Norm(kind="none"), bias=False, act="sigmoid")
    seen = Branches(
        branches={"map": (narrow,), "mean": (AvgPool(kernel=(1, 0, 0), pad="valid"), gate)}, merge="product"
    )
    score = Conv(channels=classes, act="none", init="default", **NONE)
    pathways = {
        "rgb": Pathway(stages=mobilenet_stride_16()),
        "high": Pathway(after="rgb", stages={"seen": Stage(seen)}),
        "low": Pathway(after="rgb.eighth", stages={"scores": Stage(score)}),
    }
    scored = (ResizeTo(mode="trilinear"), Through(blocks=(score,)))
    down = Edge(source="high", target="low", after="seen", into="scores", transform=scored, merge="sum")
    head, clip = Dense(classes=classes, kernel=0, reads=("low",)), Clip(frames=1, size=size)
    return Arch(name=name, clip=clip, pathways=pathways, edges=(down,), head=head)


def image(name: str, stages: dict[str, Stage], head: Dense, size: int) -> Arch:
    """Each frame by itself."""
    return Arch(name=name, clip=Clip(frames=1, size=size), pathways=dict(rgb=Pathway(stages=stages)), head=head)


models = (
    Model(name="deeplab_largefov_vgg16", family=largefov),
    Model(name="deeplab_v2_vgg16_aspp_l", family=aspp_vgg16),
    Model(name="deeplab_v2_vgg16_aspp_s", family=aspp_vgg16, parameters=dict(rates=SMALL)),
    Model(name="deeplab_v2_r101_aspp_l", family=aspp_resnet),
    Model(name="deeplabv3_r50", family=deeplabv3),
    Model(name="deeplabv3_r101", family=deeplabv3, parameters=dict(depth=101)),
    Model(name="deeplabv3_mobilenet_v3_large", family=deeplabv3_mobilenet),
    Model(name="lraspp_mobilenet_v3_large", family=lraspp),
)
