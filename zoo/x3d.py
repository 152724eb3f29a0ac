"""X3D (arXiv:2004.04730): a tiny 2-D net expanded step by step, along time, space, width, depth and bottleneck width.

What the search found is a few factors, and these are the parameters here: `width` and `depth` multiply the base net
(widths 12, 24, 48, 96; depths 1, 2, 5, 3), `inner` the width within a block. Nothing is strided in time. Every second
block has squeeze and excitation. The head keeps the window of its training crop, so larger crops are classified at
several positions. PySlowFast and mmaction2 put a norm on every projected shortcut; PyTorchVideo leaves it away where
the channels stay (`_ptv`): in the first block of res2, 48 parameters. `x2d` is the net that the search starts from;
`archdsl expand x2d` walks from it to the others.
"""

from fractions import Fraction
from math import ceil
from typing import Any

from archdsl.blocks import AvgPool, Conv, ExpandedBottleneck, Norm, SqueezeExcite
from archdsl.blocks.squeeze import divisible
from archdsl.language import Arch, Classifier, Clip, Model, Pathway, Stage, repeat
from archdsl.spec.scalars import Count, Ratio

WIDTHS, DEPTHS = (12, 24, 48, 96), (1, 2, 5, 3)
GATE = SqueezeExcite(ratio=Fraction(1, 16), multiple=8, over="thw")
BARE = dict(norm=Norm(kind="none"), bias=False)


def round_width(channels: int, factor: Fraction) -> int:
    """The multiple of 8 nearest to the product, and the next one where that loses more than a tenth."""
    return divisible(channels * factor, 8)


def round_depth(times: int, factor: Fraction) -> int:
    """Rounded up."""
    return ceil(times * factor)


def stage(channels: int, inner: int, times: int, bare_stride: bool) -> Stage:
    """Blocks 0, 2, 4... are gated; the first strides."""
    block = ExpandedBottleneck(channels=channels, inner=inner, stride=2, bare_stride=bare_stride)
    blocks = repeat(block, times)
    return Stage(*(block if i % 2 else block.but(middle_se=GATE) for i, block in enumerate(blocks)))


def x3d(
    name: str,
    frames: Count,
    every: Count,
    crop: Count,
    width: Ratio = Fraction(2),
    depth: Ratio = Fraction("2.2"),
    inner: Ratio = Fraction("2.25"),
    bare_stride: bool = False,
) -> Arch:
    """The net sees one of `every` frames of the clip. The factors may be written as decimals, which are exact."""
    wide, deep, within = map(Fraction, (width, depth, inner))
    widths = [round_width(channels, wide) for channels in WIDTHS]
    flat = Conv(channels=widths[0], kernel=(1, 3, 3), stride=(1, 2, 2), act="none", **BARE)
    stages = {"stem": Stage(flat, Conv(channels=widths[0], kernel=(5, 1, 1), groups="depthwise"))}
    for i, (channels, times) in enumerate(zip(widths, DEPTHS)):
        stages[f"res{2 + i}"] = stage(channels, int(channels * within), round_depth(times, deep), bare_stride)
    side = ceil(crop / 32)
    stages["conv5"] = Stage(Conv(channels=int(widths[-1] * within)))
    stages["fc"] = Stage(AvgPool(kernel=(0, side, side), pad="valid"), Conv(channels=2048, **BARE))
    clip = Clip(frames=frames, size=crop, fps=30)
    head = Classifier(classes=400, pool="none", dropout=0.5)
    return Arch(name=name, clip=clip, pathways=dict(rgb=Pathway(every=every, stages=stages)), head=head)


def rounded(number: Fraction, places: int) -> str:
    """A factor as a decimal, to one place or to a twentieth."""
    return str(float(Fraction(round(number * places), places)))


def seen(frames: int, every: int) -> dict[str, int]:
    """So many frames for the net, one of `every` of the clip."""
    return dict(frames=frames * every, every=every)


def faster(p: dict[str, Any], by: Fraction) -> dict[str, Any]:
    """More frames of the same time."""
    frames = p["frames"] // p["every"]
    more = round(frames * by)
    return p | seen(more, max(round(Fraction(p["every"] * frames, more)), 1))


AXES = dict(
    tau=faster,
    t=lambda p, by: p | seen(round(p["frames"] // p["every"] * by), p["every"]),
    s=lambda p, by: p | dict(crop=8 * round(p["crop"] * by / 8)),
    w=lambda p, by: p | dict(width=rounded(Fraction(p["width"]) * by, 10)),
    b=lambda p, by: p | dict(inner=rounded(Fraction(p["inner"]) * by, 20)),
    d=lambda p, by: p | dict(depth=rounded(Fraction(p["depth"]) * by, 10)),
)
"""The paper's axes: frame rate, duration, space, width, bottleneck width, depth."""
X2D = dict(frames=24, every=24, crop=112, width="2", depth="1", inner="1")
XS, S = dict(frames=48, every=12, crop=160), dict(frames=78, every=6, crop=160)
M, L = dict(frames=80, every=5, crop=224), dict(frames=80, every=5, crop=312, depth="5")
models = (
    Model(name="x2d", family=x3d, parameters=X2D, axes=AXES),
    Model(name="x3d_xs", family=x3d, parameters=XS),
    Model(name="x3d_s", family=x3d, parameters=S),
    Model(name="x3d_m", family=x3d, parameters=M),
    Model(name="x3d_l", family=x3d, parameters=L),
    Model(name="x3d_xl", family=x3d, parameters=dict(width="2.9", **L)),
    Model(name="x3d_xs_ptv", family=x3d, parameters=dict(bare_stride=True, **XS)),
    Model(name="x3d_s_ptv", family=x3d, parameters=dict(bare_stride=True, **S)),
    Model(name="x3d_m_ptv", family=x3d, parameters=dict(bare_stride=True, **M)),
    Model(name="x3d_l_ptv", family=x3d, parameters=dict(bare_stride=True, **L)),
)
