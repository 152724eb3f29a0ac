"""InternVideo2 (arXiv:2403.15377): plain ViTs over patches of single frames, joint in time and space.

Up to 6 billion weights. Root-mean-square norms, of queries and keys over all heads too; branches start nearly at
nothing. The mean of all tokens reads them by attention, and what it reads is normalised and classified.
"""

from fractions import Fraction
from typing import Literal

from archdsl.blocks import ClassToken, LayerNorm, MeanQueryPool, Norm, Patches, Positions, Transformer
from archdsl.language import Arch, Classifier, Clip, Model, Pathway, Stage, repeat, row_of
from archdsl.spec.scalars import Count

SIZES = {
    "s": (384, 12, 6, 4),
    "b": (768, 12, 12, 4),
    "l": (1024, 24, 16, 4),
    "1b": (1408, 40, 16, Fraction(48, 11)),
    "6b": (3200, 48, 25, 4),
}
"""Channels, blocks, heads, hidden channels in channels."""
NORM = Norm(kind="rms", eps=1e-6)


def internvideo2(
    name: str,
    width: Literal["s", "b", "l", "1b", "6b"] = "b",
    frames: Count = 8,
    size: Count = 224,
    classes: Count = 400,
) -> Arch:
    """Patches of 14 x 14 pixels of every frame."""
    channels, depth, heads, mlp = row_of(SIZES, width=width)
    block = Transformer(heads=heads, mlp=mlp, norm=NORM, qk_norm=NORM, bias=False, layer_scale=1e-5)
    stages = {
        "tokens": Stage(Patches(kernel=(1, 14, 14), channels=channels), ClassToken(), Positions()),
        "body": Stage(*repeat(block, depth)),
        "pool": Stage(MeanQueryPool(channels=768, heads=16), LayerNorm(eps=1e-5)),
    }
    pathways = dict(main=Pathway(drop_path=0.1, stages=stages))
    head = Classifier(classes=classes, pool="none")
    return Arch(name=name, clip=Clip(frames=frames, size=size), pathways=pathways, head=head)


models = tuple(
    Model(
        name=f"internvideo2_{width}{f'_{frames}' * (frames > 8)}",
        family=internvideo2,
        parameters=dict(width=width, frames=frames),
    )
    for width in SIZES
    for frames in (8, 16)
)
