"""Perception Encoders (arXiv:2504.13181): ViTs with learnt positions and rotary ones, for frames of a video too.

Half of the channels of each head turn by a patch's column, the others by its row, counted from 1 where a class token
stands at 0. `core` networks end in a learnt query that reads all tokens and a linear layer into the space that texts
share; the features of `lang` and `spatial` ones are the map of their last block, of which `lang` has a few less.
"""

from fractions import Fraction
from typing import Literal

from archdsl.blocks import AttentivePool, ClassToken, LayerNorm, Norm, Patches, Positions, Transformer
from archdsl.blocks.masks import Turned
from archdsl.language import Arch, Classifier, Clip, Features, Model, Pathway, Stage, repeat, row_of
from archdsl.spec.scalars import Count

SIZES = {
    "t": (16, 192, 12, 3, 4, 512),
    "s": (16, 384, 12, 6, 4, 512),
    "b": (16, 768, 12, 12, 4, 1024),
    "l": (14, 1024, 24, 16, 4, 1024),
    "g": (14, 1536, 50, 16, Fraction(35, 6), 1280),
}
"""Patch, channels, blocks, heads, hidden channels in channels, channels shared with texts."""
LEFT_OUT = {"l": 1, "g": 3}
"""Last blocks that `lang` networks lack."""
EPS = 1e-5


def perception_encoder(
    name: str,
    kind: Literal["core", "lang", "spatial"] = "core",
    width: Literal["t", "s", "b", "l", "g"] = "b",
    size: Count = 224,
    bias: bool = True,
) -> Arch:
    """`bias`: of the layer into the shared space, which timm's form has and the authors' lacks."""
    patch, channels, depth, heads, mlp, shared = row_of(SIZES, width=width)
    token = (ClassToken(),) if width != "g" else ()
    scaled = kind == "lang" or (kind == "spatial" and width == "g")
    norm = Norm(kind="layer", eps=EPS)
    block = Transformer(
        heads=heads,
        mlp=mlp,
        norm=norm,
        rotary=Turned(over=("w", "h"), one_angle=True, start=len(token)),
        layer_scale=0.1 if scaled else None,
    )
    patches = Patches(kernel=(1, patch, patch), channels=channels, bias=False)
    stages = {
        "tokens": Stage(patches, *token, Positions(), LayerNorm(eps=EPS)),
        "body": Stage(*repeat(block, depth - LEFT_OUT.get(width, 0) * (kind == "lang"))),
    }
    head = Features()
    if kind == "core":
        stages["pool"] = Stage(AttentivePool(heads=8, norm=norm, out=True, residual=False))
        head = Classifier(classes=shared, pool="none", bias=bias)
    return Arch(name=name, clip=Clip(frames=1, size=size), pathways=dict(main=Pathway(stages=stages)), head=head)


models = (
    Model(name="vit_pe_core_b16", family=perception_encoder),
    Model(name="vit_pe_core_l14", family=perception_encoder, parameters=dict(width="l", size=336)),
    Model(name="vit_pe_core_g14", family=perception_encoder, parameters=dict(width="g", size=448)),
    Model(name="vit_pe_lang_g14", family=perception_encoder, parameters=dict(kind="lang", width="g", size=448)),
    Model(name="vit_pe_spatial_b16", family=perception_encoder, parameters=dict(kind="spatial", size=512)),
    Model(name="vit_pe_spatial_l14", family=perception_encoder, parameters=dict(kind="spatial", width="l", size=448)),
    Model(name="vit_pe_spatial_g14", family=perception_encoder, parameters=dict(kind="spatial", width="g", size=448)),
)
