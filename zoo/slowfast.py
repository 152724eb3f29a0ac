"""SlowFast (arXiv:1812.03982): a Slow pathway sees few frames with many channels, a Fast one many frames with few.

This is PySlowFast's network: batch norm and ReLU on the lateral convolutions, the 7x7 head window of the 224 crop at
every size, widths rounded down. Slow takes every tau-th frame, as the paper writes; PySlowFast's loader takes a
truncated linspace instead, which includes the last frame: `linspace` says that.
"""

from fractions import Fraction
from typing import Literal

from archdsl.blocks import Bottleneck, Chain, Conv, FrameDifference, Gray, MaxPool, Resize
from archdsl.errors import SpecError
from archdsl.language import (
    Arch,
    Classifier,
    Clip,
    Edge,
    Model,
    Pathway,
    ResizeTo,
    Stage,
    TimeConv,
    TimeDeconv,
    TimeSample,
    TimeToChannels,
    Transforms,
    repeat,
    row_of,
)
from archdsl.spec.scalars import Count, Ratio, Whole

DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
STAGES = ("stem", "res2", "res3", "res4")
SLOW, FAST = (1, 1, 1, 3, 3), (5, 3, 3, 3, 3)
Kernels = tuple[Count, Count, Count, Count, Count]
"""The temporal kernels of stem and stages."""


def pathway(
    depth: int,
    kernel_t: Kernels,
    every: int,
    res4_3d: int | None = None,
    data: Chain = (),
    width_ratio: Fraction = Fraction(1),
    clip: str | None = None,
) -> Pathway:
    """A ResNet; in res4 only the first `res4_3d` blocks have its temporal kernel, by default all."""
    repeats = row_of(DEPTHS, depth=depth)
    first = repeats[2] if res4_3d is None else res4_3d
    if first > repeats[2]:
        got = f"{first} of the {repeats[2]} blocks of res4"
        raise SpecError("wrong value for res4_3d", at="res4_3d", got=got, want=f"0 to {repeats[2]}")
    stem = Conv(channels=64, kernel=(kernel_t[0], 7, 7), stride=(1, 2, 2))
    stages = {"stem": Stage(*data, stem, MaxPool(kernel=(1, 3, 3), stride=(1, 2, 2)))}
    for i, times in enumerate(repeats):
        blocks = repeat(Bottleneck(channels=256 << i, kernel_t=kernel_t[1 + i], stride=1 if i == 0 else 2), times)
        flat = (block.but(kernel_t=1) for block in blocks[first:]) if i == 2 else ()
        stages[f"res{2 + i}"] = Stage(*(blocks[:first] if i == 2 else blocks), *flat)
    return Pathway(clip=clip, every=every, width_ratio=width_ratio, stages=stages)


def single(
    name: str,
    frames: Count,
    every: Count,
    depth: Count = 50,
    kernel_t: Kernels = SLOW,
    width_ratio: Ratio = Fraction(1),
) -> Arch:
    """One pathway alone."""
    own = {"fast" if kernel_t == FAST else "slow": pathway(depth, kernel_t, every, width_ratio=width_ratio)}
    return network(name, frames, own)


def slowfast(
    name: str,
    frames: Count = 64,
    tau: Count = 16,
    alpha: Count = 8,
    beta_inv: Count = 8,
    depth: Count = 50,
    res4_3d: Whole = 6,
    lateral: Transforms = (TimeConv(kernel=5),),
    merge: Literal["concat", "sum", "max"] = "concat",
    back: bool = False,
    data: Chain = (),
    flow: bool = False,
    window: Count | None = 7,
) -> Arch:
    """Fast takes a frame every tau/alpha and has 1/beta_inv of the channels. `back` adds edges from Slow to Fast."""
    if tau % alpha:
        want = ", ".join(str(n) for n in range(1, tau + 1) if tau % n == 0)
        raise SpecError("tau is not a multiple of alpha", at="alpha", got=f"tau={tau}, alpha={alpha}", want=want)
    if not lateral and merge != "concat":
        raise SpecError("`merge` without `lateral`", at="merge", got=f"merge={merge}", want="a transform as lateral")
    fast = dict(every=tau // alpha, width_ratio=Fraction(1, beta_inv), data=data, clip="flow" if flow else None)
    slow = dict(every=tau, clip="rgb" if flow else None)
    there = [Edge(source="fast", target="slow", after=STAGES, transform=lateral, merge=merge)] if lateral else []
    again = TimeDeconv(kernel=5, width=Fraction(1, beta_inv))
    return_ = [Edge(source="slow", target="fast", after=STAGES, transform=again)] if back else []
    pathways = dict(
        slow=pathway(depth, SLOW, res4_3d=res4_3d, **slow), fast=pathway(depth, FAST, res4_3d=res4_3d, **fast)
    )
    return network(name, frames, pathways, (*there, *return_), flow, window)


def network(
    name: str,
    frames: int,
    pathways: dict[str, Pathway],
    edges: tuple[Edge, ...] = (),
    flow: bool = False,
    window: int | None = 7,
) -> Arch:
    """Pathways with the head of the paper: pools joined, half dropped, 400 classes."""
    rgb = Clip(frames=frames, size=224, fps=30)
    clips = dict(rgb=rgb, flow=rgb.but(modality="flow")) if flow else dict(clip=rgb)
    head = Classifier(classes=400, window=window, dropout=0.5)
    return Arch(name=name, clips=clips, pathways=pathways, edges=edges, head=head)


def tiny(name: str, frames: Count = 16, alpha: Count = 4, beta_inv: Count = 4, classes: Count = 8) -> Arch:
    """The idea at a size that trains on a CPU in a minute."""

    def small(kernels: tuple[int, ...], every: int | None, width_ratio: Fraction = Fraction(1)) -> Pathway:
        stem = Conv(channels=32, kernel=(kernels[0], 5, 5), stride=(1, 2, 2))
        stages = {"stem": Stage(stem, MaxPool(kernel=(1, 3, 3), stride=(1, 2, 2)))}
        for i, kernel_t in enumerate(kernels[1:]):
            stages[f"res{2 + i}"] = Stage(Bottleneck(channels=64 << i, kernel_t=kernel_t, stride=1 if i == 0 else 2))
        return Pathway(every=every, width_ratio=width_ratio, stages=stages)

    slow, fast = small((1, 1, 3, 3), alpha), small((5, 3, 3, 3), None, Fraction(1, beta_inv))
    edge = Edge(source="fast", target="slow", after=STAGES[:3], transform=TimeConv(kernel=5))
    head = Classifier(classes=classes)
    return Arch(
        name=name,
        clip=Clip(frames=frames, size=64, fps=30),
        pathways=dict(slow=slow, fast=fast),
        edges=(edge,),
        head=head,
    )


HALF = (Resize(scale=(1, "1/2", "1/2")),)
W8 = dict(tau=8, alpha=4)


def ablation(name: str, **parameters: object) -> Model:
    """A row of Table 5: SlowFast 4x16 R50 with one thing changed."""
    return Model(name=name, family=slowfast, parameters=parameters)


models = (
    Model(name="slow_4x16_r50", family=single, parameters=dict(frames=64, every=16)),
    Model(name="slow_8x8_r50", family=single, parameters=dict(frames=64, every=8)),
    Model(name="fast_32x2_r50", family=single, parameters=dict(frames=64, every=2, kernel_t=FAST, width_ratio="1/8")),
    Model(name="slowfast_4x16_r50", family=slowfast),
    Model(name="slowfast_8x8_r50", family=slowfast, parameters=dict(lateral=TimeConv(kernel=7), **W8)),
    Model(name="slowfast_8x8_r101", family=slowfast, parameters=dict(depth=101, **W8)),
    Model(name="slowfast_16x8_r101", family=slowfast, parameters=dict(depth=101, frames=128, **W8)),
    Model(name="slowfast_8x8_r101_101_101", family=slowfast, parameters=dict(depth=101, res4_3d=23, **W8)),
    ablation("slowfast_4x16_r50_no_lateral", lateral=()),
    ablation("slowfast_4x16_r50_ttoc_sum", lateral=TimeToChannels(), merge="sum"),
    ablation("slowfast_4x16_r50_ttoc_concat", lateral=TimeToChannels()),
    ablation("slowfast_4x16_r50_t_sample", lateral=TimeSample()),
    ablation("slowfast_4x16_r50_bidirectional", back=True),
    ablation("slowfast_4x16_r50_beta4", beta_inv=4),
    ablation("slowfast_4x16_r50_beta6", beta_inv=6),
    ablation("slowfast_4x16_r50_beta12", beta_inv=12),
    ablation("slowfast_4x16_r50_beta16", beta_inv=16),
    ablation("slowfast_4x16_r50_beta32", beta_inv=32),
    ablation("slowfast_4x16_r50_gray", data=(Gray(),)),
    ablation("slowfast_4x16_r50_time_diff", data=(FrameDifference(),)),
    ablation("slowfast_4x16_r50_flow", flow=True),
    ablation("slowfast_4x16_r50_half", beta_inv=4, data=HALF, lateral=(TimeConv(), ResizeTo()), window=None),
    Model(name="slowfast_tiny", family=tiny),
)
