"""Inception: several kernels look at the same map side by side, and their results are put together.

GoogLeNet (arXiv:1409.4842, Table 1), the batch-normalised BN-Inception (arXiv:1502.03167) in the form that Temporal
Segment Networks use, and Inception v3 (arXiv:1512.00567, Table 1), which factorises kernels into rows and columns.
`googlenet_bvlc` is the paper's net; torchvision's `googlenet` and TensorFlow's `inception_v1` have batch norm and a
3x3 kernel where the paper has 5x5. With `aux` the auxiliary classifiers are further outputs, in training and after.
"""

from archdsl.blocks import (
    AdaptiveAvgPool,
    AvgPool,
    Block,
    Branches,
    Conv,
    FlattenSpace,
    Linear,
    LocalResponseNorm,
    MaxPool,
    Norm,
    NormField,
    Pad,
)
from archdsl.language import Arch, Classifier, Clip, Head, Model, Pathway, Several, Stage

V1 = {
    "mixed_3b": (64, 96, 128, 16, 32, 32),
    "mixed_3c": (128, 128, 192, 32, 96, 64),
    "mixed_4b": (192, 96, 208, 16, 48, 64),
    "mixed_4c": (160, 112, 224, 24, 64, 64),
    "mixed_4d": (128, 128, 256, 24, 64, 64),
    "mixed_4e": (112, 144, 288, 32, 64, 64),
    "mixed_4f": (256, 160, 320, 32, 128, 128),
    "mixed_5b": (256, 160, 320, 32, 128, 128),
    "mixed_5c": (384, 192, 384, 48, 128, 128),
}
"""1x1; 1x1 -> 3x3; 1x1 -> 5x5; pool -> 1x1. Named as TensorFlow names them; the paper's 3a is mixed_3b."""
TV = dict(norm=Norm(eps=1e-3), init="normal")
SLIM = Norm(eps=1e-3, momentum=3e-4, scale=False)
CAFFE = dict(norm=Norm(kind="none"), init="xavier")
FLOOR, CEIL = dict(pad="valid"), dict(pad="valid", ceil=True)
LRN = LocalResponseNorm(size=5, alpha=1e-4 / 5, beta=0.75, k=1.0)
"""Caffe's alpha stands for the mean of five squares, ours for their sum."""


def conv(channels: int, kernel: int | tuple[int, int] = 1, stride: int = 1, **style: object) -> Conv:
    """A convolution of height x width."""
    h, w = (kernel, kernel) if isinstance(kernel, int) else kernel
    return Conv(channels=channels, kernel=(1, h, w), stride=(1, stride, stride), **style)


def square(kind: type[Block], side: int, stride: int = 1, **fields: object) -> Block:
    """A pool of side x side."""
    return kind(kernel=(1, side, side), stride=(1, stride, stride), **fields)


def mixed(*branches: object) -> Stage:
    """Branches side by side, named as TensorFlow names them."""
    return Stage(Branches(branches={f"b{i}": blocks for i, blocks in enumerate(branches)}))


def v1_stages(five: int, style: dict, pool: dict, last_pool: int, lrn: tuple[Block, ...] = ()) -> dict[str, Stage]:
    """GoogLeNet's stages; `five` is the side of the kernel called 5x5, `style` and `pool` are those of all layers."""
    same = dict(pad=style.get("pad", "same"))

    def module(one: int, three_in: int, three: int, five_in: int, five_out: int, after_pool: int) -> Stage:
        threes = (conv(three_in, **style), conv(three, 3, **style))
        fives = (conv(five_in, **style), conv(five_out, five, **style))
        return mixed(conv(one, **style), threes, fives, (square(MaxPool, 3, **same), conv(after_pool, **style)))

    stages = dict(
        conv_1a=Stage(conv(64, 7, 2, **style)),
        pool_2a=Stage(square(MaxPool, 3, 2, **pool), *lrn),
        conv_2b=Stage(conv(64, **style)),
        conv_2c=Stage(conv(192, 3, **style), *lrn),
        pool_3a=Stage(square(MaxPool, 3, 2, **pool)),
    )
    for name, widths in V1.items():
        if name == "mixed_4b":
            stages["pool_4a"] = Stage(square(MaxPool, 3, 2, **pool))
        if name == "mixed_5b":
            stages["pool_5a"] = Stage(square(MaxPool, last_pool, 2, **pool))
        stages[name] = module(*widths)
    return stages


def googlenet(name: str, aux: bool = False, original: bool = False) -> Arch:
    """torchvision's net, or with `original` the paper's as BVLC's Caffe model: 5x5 kernels, biases, no batch norm."""
    style = CAFFE if original else TV
    stages = v1_stages(5, style, CEIL, 3, (LRN,)) if original else v1_stages(3, style, CEIL, 2)
    pools = square(AvgPool, 5, 3, **CEIL) if original else AdaptiveAvgPool(size=(0, 4, 4))
    hidden = (pools, conv(128, **style), FlattenSpace(), Linear(channels=1024))
    sides = dict(aux1="mixed_4b", aux2="mixed_4e") if aux else {}
    head = Classifier(classes=1000, dropout=0.4 if original else 0.2)
    return network(name, 224, stages, head, {side: (after, 0.7, hidden) for side, after in sides.items()})


def inception_v1(name: str, norm: NormField = SLIM, pad: Pad = "tf_same") -> Arch:
    """TensorFlow's net (slim), the parent of I3D and S3D: SAME padding, batch norm without scale."""
    stages = v1_stages(3, dict(norm=norm, init="normal", pad=pad), dict(pad=pad), 2)
    return network(name, 224, stages, Classifier(classes=1000, dropout=0.2))


V2 = {
    "mixed_3a": (64, 64, 64, 64, 96, 32),
    "mixed_3b": (64, 64, 96, 64, 96, 64),
    "mixed_3c": (0, 128, 160, 64, 96, 0),
    "mixed_4a": (224, 64, 96, 96, 128, 128),
    "mixed_4b": (192, 96, 128, 96, 128, 128),
    "mixed_4c": (160, 128, 160, 128, 160, 128),
    "mixed_4d": (96, 128, 192, 160, 192, 128),
    "mixed_4e": (0, 128, 192, 192, 256, 0),
    "mixed_5a": (352, 192, 320, 160, 224, 128),
    "mixed_5b": (352, 192, 320, 192, 224, 128),
}
"""1x1; 1x1 -> 3x3; 1x1 -> 3x3 -> 3x3; pool -> 1x1. Those without a 1x1 halve the map."""


def bn_inception_stages() -> dict[str, Stage]:
    """BN-Inception's stages, for whoever reads other clips with it."""
    style = dict(bias=True)

    def module(
        pool: type[Block], one: int, three_in: int, three: int, double_in: int, double: int, after: int
    ) -> Stage:
        s = 1 if one else 2
        threes = (conv(three_in, **style), conv(three, 3, s, **style))
        doubles = (conv(double_in, **style), conv(double, 3, **style), conv(double, 3, s, **style))
        if s == 2:
            return mixed(threes, doubles, square(pool, 3, 2, **CEIL))
        return mixed(conv(one, **style), threes, doubles, (square(pool, 3), conv(after, **style)))

    stem = Stage(conv(64, 7, 2, **style), square(MaxPool, 3, 2, **CEIL))
    stages = dict(stem=stem, conv2=Stage(conv(64, **style), conv(192, 3, **style), square(MaxPool, 3, 2, **CEIL)))
    for name, widths in V2.items():
        stages[name] = module(MaxPool if widths[0] == 0 or name == "mixed_5b" else AvgPool, *widths)
    return stages


def bn_inception(name: str) -> Arch:
    """The Caffe net of Temporal Segment Networks: biases before batch norm, pools rounded up."""
    return network(name, 224, bn_inception_stages(), Classifier(classes=1000))


def v3_stages() -> dict[str, Stage]:
    """Inception v3 as torchvision builds it."""

    def c(*args: object, **fields: object) -> Conv:
        return conv(*args, **TV, **fields)

    row, column, seven, high = (1, 3), (3, 1), (1, 7), (7, 1)
    mean, halving = square(AvgPool, 3), square(MaxPool, 3, 2, **FLOOR)

    def a(pool: int) -> Stage:
        double = (c(64), c(96, 3), c(96, 3))
        return mixed(c(64), (c(48), c(64, 5)), double, (mean, c(pool)))

    def sevens(n: int) -> Stage:
        double = (c(n), c(n, high), c(n, seven), c(n, high), c(192, seven))
        return mixed(c(192), (c(n), c(n, seven), c(192, high)), double, (mean, c(192)))

    def wide() -> Stage:
        parted = Branches(branches=dict(row=c(384, row), column=c(384, column)))
        return mixed(c(320), (c(384), parted), (c(448), c(384, 3), parted), (mean, c(192)))

    down_7 = (c(192), c(192, seven), c(192, high), c(192, 3, 2, **FLOOR))
    return dict(
        stem=Stage(c(32, 3, 2, **FLOOR), c(32, 3, **FLOOR), c(64, 3), halving),
        conv4=Stage(c(80), c(192, 3, **FLOOR), halving),
        mixed_5b=a(32),
        mixed_5c=a(64),
        mixed_5d=a(64),
        mixed_6a=mixed(c(384, 3, 2, **FLOOR), (c(64), c(96, 3), c(96, 3, 2, **FLOOR)), halving),
        mixed_6b=sevens(128),
        mixed_6c=sevens(160),
        mixed_6d=sevens(160),
        mixed_6e=sevens(192),
        mixed_7a=mixed((c(192), c(320, 3, 2, **FLOOR)), down_7, halving),
        mixed_7b=wide(),
        mixed_7c=wide(),
    )


def inception_v3(name: str, aux: bool = False) -> Arch:
    """299 pixels in, 8x8 positions out."""
    hidden = (square(AvgPool, 5, 3, **FLOOR), conv(128, **TV), conv(768, 5, **TV, **FLOOR))
    sides = dict(aux=("mixed_6e", 0.0, hidden)) if aux else {}
    return network(name, 299, v3_stages(), Classifier(classes=1000, dropout=0.5), sides, 0.4)


def network(
    name: str,
    size: int,
    stages: dict[str, Stage],
    head: Head,
    sides: dict[str, tuple] | None = None,
    share: float = 0.3,
) -> Arch:
    """One frame, one pathway, and for each side (stage, dropout, blocks) an auxiliary classifier.

    Their losses count `share` (arXiv:1409.4842, section 5; 0.4 in slim's training of Inception v3).
    """
    pathways, heads = dict(main=Pathway(stages=stages)), dict(scores=head.but(reads=("main",)))
    for side, (after, dropout, blocks) in (sides or {}).items():
        pathways[side] = Pathway(after=f"main.{after}", stages=dict(hidden=Stage(*blocks)))
        heads[side] = Classifier(classes=1000, dropout=dropout, reads=(side,))
    clip = Clip(frames=1, size=size)
    several = Several(heads=heads, auxiliary=dict.fromkeys(sides or {}, share))
    return Arch(name=name, clip=clip, pathways=pathways, head=several if sides else head)


models = (
    Model(name="googlenet", family=googlenet),
    Model(name="googlenet_aux", family=googlenet, parameters=dict(aux=True)),
    Model(name="googlenet_bvlc", family=googlenet, parameters=dict(original=True)),
    Model(name="googlenet_bvlc_aux", family=googlenet, parameters=dict(original=True, aux=True)),
    Model(name="inception_v1", family=inception_v1),
    Model(name="bn_inception", family=bn_inception),
    Model(name="inception_v3", family=inception_v3),
    Model(name="inception_v3_aux", family=inception_v3, parameters=dict(aux=True)),
)
