"""MTV, multiview transformers (arXiv:2201.04288): views of tubelets of several lengths, each with a ViT of its own.

The longer the tubelets, the smaller the ViT. Every view has a class token for each of its steps in time; the steps that
fall on one of the view with the fewest attend together. Before some layers each view reads the next finer one by
attention. Last, the class tokens of all views, those of coarse ones again and again, are one sequence for a global
encoder.
"""

from fractions import Fraction
from itertools import pairwise
from typing import Literal

from archdsl.blocks import (
    ClassToken,
    FrameClassToken,
    FrameRows,
    FramesToRows,
    FrameToken,
    Patches,
    Positions,
    RowsToFrames,
    Transformer,
)
from archdsl.language import (
    Arch,
    Clip,
    CrossAttention,
    Edge,
    Model,
    Pathway,
    Stage,
    TimeRepeat,
    TokenClassifier,
    repeat,
    row_of,
)
from archdsl.spec.scalars import Count

SIZES = {"ti": (192, 12, 3), "s": (384, 12, 6), "b": (768, 12, 12), "l": (1024, 24, 16)}
"""Channels, blocks and heads of each ViT."""
VIEWS = {"b": (("ti", 8), ("s", 4), ("b", 2)), "l": (("ti", 16), ("s", 8), ("b", 4), ("l", 2))}
"""ViT and frames of a tubelet of each view, the longest tubelets first."""
FUSED = {"b": (5, 11), "l": (11, 23)}
"""Layers before which views read each other, counted from 0."""


def view(size: str, tubelet: int, longest: int, starts: tuple[int, ...]) -> dict[str, Stage]:
    """The stages of one view, parted before the layers `starts`. Steps that fall on one of the longest are one."""
    channels, depth, heads = SIZES[size]
    group, cuts = longest // tubelet, [min(start, depth) for start in (0, *starts, depth)]
    together, apart = ((FramesToRows(factor=group),), (RowsToFrames(factor=group),)) if group > 1 else ((), ())
    tokens = (FrameRows(), FrameClassToken(std=0.0), Positions(over="hw"), *together)
    stages = {"tokens": Stage(Patches(kernel=(tubelet, 16, 16), channels=channels), *tokens)}
    block = Transformer(heads=heads, attend="hw")
    stages |= {f"body{i}": Stage(*repeat(block, b - a)) for i, (a, b) in enumerate(pairwise(cuts), 1) if b > a}
    return stages | {"frames": Stage(*apart, FrameToken())}


def mtv(
    name: str,
    variant: Literal["b", "l"] = "b",
    fusion: bool = True,
    frames: Count = 32,
    size: Count = 224,
    classes: Count = 400,
) -> Arch:
    """MTV-B, Ti/8+S/4+B/2, or MTV-L, Ti/16+S/8+B/4+L/2; without `fusion` views meet in the global encoder only."""
    views = row_of(VIEWS, variant=variant)
    (_, longest), *_, (finest, _) = views
    stages = {size: view(size, tubelet, longest, FUSED[variant]) for size, tubelet in views}
    encoder = Transformer(heads=8, mlp=Fraction(3072, sum(SIZES[size][0] for size, _ in views)))
    stages["all"] = {"join": Stage(ClassToken(std=0.0), Positions()), "encoder": Stage(*repeat(encoder, 12))}
    pathways = {
        key: Pathway(after=finest if key == "all" else None, drop_path=0.1, stages=stages[key]) for key in stages
    }
    names = [size for size, _ in views]
    lateral = [
        Edge(
            source=fine,
            target=coarse,
            after=("body1", "body2"),
            transform=CrossAttention(heads=SIZES[coarse][2], over="hw"),
            merge="sum",
        )
        for coarse, fine in pairwise(names)
    ]
    joined = [
        Edge(
            source=size,
            target=finest,
            after="frames",
            transform=TimeRepeat(whole=True),
            merge="prepend",
            name=f"{size}_tokens",
        )
        for size in reversed(names[:-1])
    ]
    edges = (*(lateral if fusion else ()), *joined)
    head = TokenClassifier(reads=("all",), classes=classes)
    return Arch(name=name, clip=Clip(frames=frames, size=size), pathways=pathways, edges=edges, head=head)


models = (
    Model(name="mtv_b", family=mtv),
    Model(name="mtv_b_no_fusion", family=mtv, parameters=dict(fusion=False)),
    Model(name="mtv_l", family=mtv, parameters=dict(variant="l", classes=600)),
)
