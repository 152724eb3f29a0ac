"""V-JEPA 2 (arXiv:2506.09985): ViTs with rotary positions, pre-trained by predicting features; an attentive probe.

Tubelets of 2 x 16 x 16 attend to all others; queries and keys are turned by their positions in time, height and width,
so that no table depends on the clip's size. The probe on the frozen encoder is three transformer blocks without
positions, a learnt query that pools their map, and a linear layer.

In pre-training the encoder reads the parts of a clip that blocks through all its frames leave free; a narrow predictor
of 12 blocks says the features of the parts within them, which a moving average of the encoder gives of the whole clip.
"""

from fractions import Fraction
from typing import Literal

from archdsl.blocks import AttentivePool, Keep, LayerNorm, Linear, MaskTokens, Norm, Patches, Transformer
from archdsl.language import (
    Arch,
    Classifier,
    Clip,
    Features,
    MaskedFeatures,
    Model,
    Pathway,
    Stage,
    repeat,
    row_of,
)
from archdsl.spec.scalars import Count
from archdsl.zoo import vit

Width = Literal["l", "h", "g"]
SIZES = {
    "l": (1024, *vit.WIDTHS[1024], 4),
    "h": (1280, *vit.WIDTHS[1280], 4),
    "g": (1408, 40, 22, Fraction(48, 11)),
}
"""Channels, blocks, heads, hidden channels in channels."""
PROBE_NORM = Norm(kind="layer", eps=1e-5)


def encoder(width: Width) -> dict[str, Stage]:
    """Its stages: patches, blocks, the last norm."""
    channels, blocks, heads, mlp = row_of(SIZES, width=width)
    return {
        "tokens": Stage(Patches(kernel=(2, 16, 16), channels=channels)),
        "body": Stage(*repeat(Transformer(heads=heads, mlp=mlp, rotary=True, fused=True), blocks)),
        "norm": Stage(LayerNorm()),
    }


def vjepa2(name: str, width: Width = "l", frames: Count = 16, size: Count = 256) -> Arch:
    """The encoder alone: a map of features."""
    pathways = dict(main=Pathway(stages=encoder(width)))
    return Arch(name=name, clip=Clip(frames=frames, size=size), pathways=pathways, head=Features())


def vjepa2_classifier(
    name: str, width: Width = "l", frames: Count = 16, size: Count = 256, depth: Count = 4, classes: Count = 400
) -> Arch:
    """Encoder and probe, whose `depth` counts the block that pools too."""
    blocks = repeat(Transformer(heads=16, norm=PROBE_NORM, fused=True), depth - 1) if depth > 1 else ()
    probe = Stage(*blocks, AttentivePool(heads=16, norm=PROBE_NORM, fused=True))
    pathways = dict(main=Pathway(stages={**encoder(width), "probe": probe}))
    head = Classifier(classes=classes, pool="none")
    return Arch(name=name, clip=Clip(frames=frames, size=size), pathways=pathways, head=head)


CONTEXT, TARGETS = Fraction(1, 5), Fraction(1, 2)
"""Of all tubes of a clip, those that the encoder reads and those whose features are predicted."""


def predictor(width: Width, tubes: int) -> dict[str, Stage]:
    """Its stages behind the kept features: narrower, tokens of 10 kinds for those to come, blocks."""
    return {
        "embed": Stage(Linear(channels=384, act="none", init="trunc_normal")),
        "tokens": Stage(MaskTokens(count=int(TARGETS * tubes), kinds=10, std=0)),
        "body": Stage(*repeat(Transformer(heads=12, rotary=True, fused=True), 12)),
    }


def mask_of(size: int) -> Clip:
    """One element for each tube."""
    return Clip(modality="mask", channels=2, frames=1, size=size // 16)


def vjepa2_pretrain(name: str, width: Width = "l", frames: Count = 16, size: Count = 256) -> Arch:
    """Encoder of the context and predictor."""
    tokens, body, norm = encoder(width).values()
    tubes = (size // 16) ** 2
    main = {"tokens": tokens, "keep": Stage(Keep(count=int(CONTEXT * tubes))), "body": body, "norm": norm}
    return Arch(
        name=name,
        clips=dict(clip=Clip(frames=frames, size=size), mask=mask_of(size)),
        pathways=dict(
            main=Pathway(clip="clip", stages=main), predictor=Pathway(after="main", stages=predictor(width, tubes))
        ),
        head=MaskedFeatures(channels=SIZES[width][0]),
    )


def vjepa2_predictor(name: str, width: Width = "l", frames: Count = 16, size: Count = 256) -> Arch:
    """The predictor alone, which reads the encoder's map."""
    channels, tubes = SIZES[width][0], (size // 16) ** 2
    keep = Stage(Keep(count=int(CONTEXT * tubes)))
    return Arch(
        name=name,
        clips=dict(
            features=Clip(modality="features", channels=channels, frames=frames // 2, size=size // 16),
            mask=mask_of(size),
        ),
        pathways=dict(predictor=Pathway(clip="features", stages={"keep": keep, **predictor(width, tubes)})),
        head=MaskedFeatures(channels=channels),
    )


models = (
    Model(name="vjepa2_vitl", family=vjepa2),
    Model(name="vjepa2_vith", family=vjepa2, parameters=dict(width="h")),
    Model(name="vjepa2_vitg", family=vjepa2, parameters=dict(width="g")),
    Model(name="vjepa2_vitg_384", family=vjepa2, parameters=dict(width="g", size=384)),
    Model(name="vjepa2_vitl_k400", family=vjepa2_classifier),
    Model(name="vjepa2_vith_k400", family=vjepa2_classifier, parameters=dict(width="h")),
    Model(name="vjepa2_vitg_k400", family=vjepa2_classifier, parameters=dict(width="g")),
    Model(name="vjepa2_vitg_384_k400", family=vjepa2_classifier, parameters=dict(width="g", size=384)),
    *(
        Model(name=f"vjepa2_vit{width}_{form}", family=family, parameters=dict(width=width))
        for form, family in (("pretrain", vjepa2_pretrain), ("predictor", vjepa2_predictor))
        for width in SIZES
    ),
)
