"""ResNet (arXiv:1512.03385) and its wide (arXiv:1605.07146) and grouped (ResNeXt, arXiv:1611.05431) forms.

A stage is one residual block repeated; from stage to stage the map halves and the widths double. So a net is a depth,
which says how often and which kind of block, and the first block's fields. `resnet50` strides on the 3x3 kernel, as
torchvision and nearly all later work do (v1.5); `resnet50_v1` on the first 1x1, as the paper. Nothing starts at zero:
zero_init came later (arXiv:1706.02677).
"""

from fractions import Fraction
from typing import Literal

from archdsl.blocks import Basic, Bottleneck, Conv, MaxPool, Residual, SqueezeExcite
from archdsl.errors import SpecError
from archdsl.language import Arch, Classifier, Clip, Model, Pathway, Stage, repeat, row_of
from archdsl.spec.scalars import Count

BASIC, BOTTLENECK = Basic(channels=64, zero_init=False), Bottleneck(channels=256, zero_init=False)
V1 = BOTTLENECK.but(stride_on="a")
DEPTHS = {
    18: (BASIC, (2, 2, 2, 2)),
    34: (BASIC, (3, 4, 6, 3)),
    50: (BOTTLENECK, (3, 4, 6, 3)),
    101: (BOTTLENECK, (3, 4, 23, 3)),
    152: (BOTTLENECK, (3, 8, 36, 3)),
}
"""The block of res2, and the blocks in each stage."""


def stages(depth: int = 50, block: Residual | None = None) -> dict[str, Stage]:
    """stem, res2 ... res5; `block` is the block of res2, where it is not the plain one of that depth."""
    plain, repeats = row_of(DEPTHS, depth=depth)
    block = block or plain
    if isinstance(block, Basic) != isinstance(plain, Basic):
        kind = "basic blocks" if isinstance(block, Basic) else "bottlenecks"
        raise SpecError(f"no network of {kind} at this depth", at="depth", got=f"{depth}", want=depths_like(block))
    stem = Conv(channels=64, kernel=(1, 7, 7), stride=(1, 2, 2))
    made = {"stem": Stage(stem, MaxPool(kernel=(1, 3, 3), stride=(1, 2, 2)))}
    for i, times in enumerate(repeats):
        wide = block.scaled(Fraction(2**i), "floor").but(stride=2 if i else 1)
        made[f"res{2 + i}"] = Stage(*repeat(wide, times))
    return made


def depths_like(block: Residual) -> str:
    """The depths of nets whose blocks are basic, or bottlenecks, as this one is."""
    return ", ".join(str(n) for n, (own, _) in DEPTHS.items() if isinstance(own, Basic) == isinstance(block, Basic))


def resnet(
    name: str,
    depth: Count = 50,
    groups: Count = 1,
    width: Count = 64,
    stride_on: Literal["a", "b"] = "b",
    se: bool = False,
    classes: Count = 1000,
) -> Arch:
    """One image, or frames each by itself; the classifier reads the mean.

    The 3x3 kernels of res2 have `groups` of `width` channels; those of basic blocks are 1 of 64, and stride on the
    first kernel.
    """
    block = row_of(DEPTHS, depth=depth)[0]
    if (groups, width, stride_on) != (1, 64, "b"):
        if isinstance(block, Basic):
            got = f"depth={depth} with groups={groups}, width={width}, stride_on={stride_on}"
            want = f"groups=1, width=64, stride_on=b, or depth {depths_like(BOTTLENECK)}"
            raise SpecError("no such basic block", at="depth", got=got, want=want)
        wider = {} if (groups, width) == (1, 64) else dict(inner=groups * width, groups=groups)
        block = block.but(stride_on=stride_on, **wider)
    return image(name, stages(depth, block.but(se=SqueezeExcite()) if se else block), classes)


def image(name: str, stages: dict[str, Stage], classes: int = 1000) -> Arch:
    """A classifier of one image."""
    clip, head = Clip(frames=1, size=224), Classifier(classes=classes)
    return Arch(name=name, clip=clip, pathways=dict(rgb=Pathway(stages=stages)), head=head)


def of(name: str, depth: int, **parameters: object) -> Model:
    return Model(name=name, family=resnet, parameters=dict(depth=depth, **parameters))


models = (
    of("resnet18", 18),
    of("resnet34", 34),
    of("resnet50", 50),
    of("resnet101", 101),
    of("resnet152", 152),
    of("resnet50_v1", 50, stride_on="a"),
    of("resnet101_v1", 101, stride_on="a"),
    of("resnet152_v1", 152, stride_on="a"),
    of("wide_resnet50_2", 50, width=128),
    of("wide_resnet101_2", 101, width=128),
    of("resnext50_32x4d", 50, groups=32, width=4),
    of("resnext101_32x4d", 101, groups=32, width=4),
    of("resnext101_32x8d", 101, groups=32, width=8),
    of("resnext101_64x4d", 101, groups=64, width=4),
)
