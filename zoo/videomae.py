"""VideoMAE (arXiv:2203.12602) and VideoMAE V2 (arXiv:2303.16727): plain ViTs over tubelets, for classification.

Every 2 x 16 x 16 tubelet of 16 frames is a token that attends to all others; there is no class token, positions are
fixed sines, and the mean of all tokens is classified. Keys have no bias. V2 adds ViT-g with patches of 14 pixels.
"""

from fractions import Fraction
from typing import Literal

from archdsl.blocks import LayerNorm, Mean, Patches, SinePositions, Transformer
from archdsl.language import Arch, Classifier, Clip, Model, Pathway, Stage, repeat, row_of
from archdsl.spec.scalars import Count
from archdsl.zoo import vit

Width = Literal["s", "b", "l", "h", "g"]
SIZES = {
    "s": (384, *vit.WIDTHS[384], 4, 16),
    "b": (768, *vit.WIDTHS[768], 4, 16),
    "l": (1024, *vit.WIDTHS[1024], 4, 16),
    "h": (1280, *vit.WIDTHS[1280], 4, 16),
    "g": (1408, 40, 16, Fraction(48, 11), 14),
}
"""Channels, blocks, heads, hidden channels in channels, and pixels of a patch; those of ViT but for ViT-g."""


def videomae(name: str, width: Width = "b", frames: Count = 16, size: Count = 224, classes: Count = 400) -> Arch:
    """ViT-S, -B, -L, -H or -g, as fine-tuned: the mean of all tokens, normalised, is classified."""
    channels, depth, heads, mlp, side = row_of(SIZES, width=width)
    tokens = Stage(Patches(kernel=(2, side, side), channels=channels), SinePositions())
    body = Stage(*repeat(Transformer(heads=heads, mlp=mlp, bias="qv"), depth))
    stages = {"tokens": tokens, "body": body, "pool": Stage(Mean(over="thw"), LayerNorm())}
    pathways = dict(main=Pathway(drop_path=0.1, stages=stages))
    return Arch(
        name=name, clip=Clip(frames=frames, size=size), pathways=pathways, head=Classifier(classes=classes, pool="none")
    )


models = (
    Model(name="videomae_vit_s", family=videomae, parameters=dict(width="s")),
    Model(name="videomae_vit_b", family=videomae),
    Model(name="videomae_vit_l", family=videomae, parameters=dict(width="l")),
    Model(name="videomae_vit_h", family=videomae, parameters=dict(width="h")),
    Model(name="videomae_v2_vit_s", family=videomae, parameters=dict(width="s")),
    Model(name="videomae_v2_vit_b", family=videomae),
    Model(name="videomae_v2_vit_l", family=videomae, parameters=dict(width="l")),
    Model(name="videomae_v2_vit_h", family=videomae, parameters=dict(width="h")),
    Model(name="videomae_v2_vit_g", family=videomae, parameters=dict(width="g")),
)
