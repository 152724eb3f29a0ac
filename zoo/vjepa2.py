"""V-JEPA 2 (arXiv:2506.09985): ViTs with rotary positions, pre-trained by predicting features; an attentive probe.

Tubelets of 2 x 16 x 16 attend to all others; queries and keys are turned by their positions in time, height and width,
so that no table depends on the clip's size. The probe on the frozen encoder is three transformer blocks without
positions, a learnt query that pools their map, and a linear layer.
"""

from fractions import Fraction
from typing import Literal

from archdsl.blocks import AttentivePool, LayerNorm, Norm, Patches, Transformer
from archdsl.language import Arch, Classifier, Clip, Features, Model, Pathway, Stage, repeat, row_of
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


models = (
    Model(name="vjepa2_vitl", family=vjepa2),
    Model(name="vjepa2_vith", family=vjepa2, parameters=dict(width="h")),
    Model(name="vjepa2_vitg", family=vjepa2, parameters=dict(width="g")),
    Model(name="vjepa2_vitg_384", family=vjepa2, parameters=dict(width="g", size=384)),
    Model(name="vjepa2_vitl_k400", family=vjepa2_classifier),
    Model(name="vjepa2_vith_k400", family=vjepa2_classifier, parameters=dict(width="h")),
    Model(name="vjepa2_vitg_k400", family=vjepa2_classifier, parameters=dict(width="g")),
    Model(name="vjepa2_vitg_384_k400", family=vjepa2_classifier, parameters=dict(width="g", size=384)),
)
