"""Masked autoencoders as spatiotemporal learners (arXiv:2205.09113): ViTs over tubelets, as fine-tuned.

Every 2 x 16 x 16 tubelet is a token, beside them a class token, with learnt positions of space and of time. The mean of
the tokens, without the class token, is normalised and classified.
"""

from typing import Literal

from archdsl.blocks import ClassToken, LayerNorm, Mean, Patches, Positions, TakeMap, Transformer
from archdsl.language import Arch, Classifier, Clip, Model, Pathway, Stage, repeat, row_of
from archdsl.spec.scalars import Count
from archdsl.zoo import vit

CHANNELS = {"b": 768, "l": 1024, "h": 1280}
"""Those of ViT-B, -L and -H, which have its blocks and heads."""


def mae_st(
    name: str, width: Literal["b", "l", "h"] = "b", frames: Count = 16, size: Count = 224, classes: Count = 400
) -> Arch:
    """ViT-B, -L or -H."""
    channels = row_of(CHANNELS, width=width)
    depth, heads = vit.WIDTHS[channels]
    tokens = Stage(Patches(kernel=(2, 16, 16), channels=channels), ClassToken(), Positions(over=("hw", "t")))
    body = Stage(*repeat(Transformer(heads=heads), depth))
    stages = {"tokens": tokens, "body": body, "pool": Stage(TakeMap(), Mean(over="thw"), LayerNorm())}
    clip = Clip(frames=frames, size=size)
    head = Classifier(classes=classes, pool="none")
    return Arch(name=name, clip=clip, pathways=dict(main=Pathway(drop_path=0.1, stages=stages)), head=head)


models = (
    Model(name="mae_st_vit_b_16x4", family=mae_st),
    Model(name="mae_st_vit_l_16x4", family=mae_st, parameters=dict(width="l")),
    Model(name="mae_st_vit_h_16x4", family=mae_st, parameters=dict(width="h")),
)
