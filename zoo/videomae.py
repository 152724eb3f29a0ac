"""VideoMAE (arXiv:2203.12602) and VideoMAE V2 (arXiv:2303.16727): plain ViTs over tubelets, and their pre-training.

Every 2 x 16 x 16 tubelet of 16 frames is a token that attends to all others; there is no class token, positions are
fixed sines, and the mean of all tokens is classified. Keys have no bias. V2 adds ViT-g with patches of 14 pixels.

In pre-training a tenth of the tubes through all frames is kept; a narrow decoder fills in the pixels of the others. V2
has the decoder see half of all places only.
"""

from fractions import Fraction
from typing import Literal

from archdsl.blocks import Keep, LayerNorm, Linear, MaskTokens, Mean, Patches, SinePositions, Transformer
from archdsl.language import Arch, Classifier, Clip, MaskedPixels, Model, Pathway, Stage, repeat, row_of
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


DECODERS = {"s": (192, 3), "b": (384, 6), "l": (512, 8), "h": (512, 8), "g": (512, 8)}
"""Channels and heads of the decoder behind each encoder."""
HIDDEN = Fraction(9, 10)
"""Of all tubes."""


Init = Literal["trunc_normal", "xavier"]


def encoder(width: Width, init: Init = "trunc_normal") -> tuple[Stage, Stage]:
    """Tokens, and the blocks that read them."""
    channels, depth, heads, mlp, side = row_of(SIZES, width=width)
    tokens = Stage(Patches(kernel=(2, side, side), channels=channels), SinePositions())
    return tokens, Stage(*repeat(Transformer(heads=heads, mlp=mlp, bias="qv", init=init), depth))


def videomae(name: str, width: Width = "b", frames: Count = 16, size: Count = 224, classes: Count = 400) -> Arch:
    """ViT-S, -B, -L, -H or -g, as fine-tuned: the mean of all tokens, normalised, is classified."""
    tokens, body = encoder(width)
    stages = {"tokens": tokens, "body": body, "pool": Stage(Mean(over="thw"), LayerNorm())}
    pathways = dict(main=Pathway(drop_path=0.1, stages=stages))
    return Arch(
        name=name, clip=Clip(frames=frames, size=size), pathways=pathways, head=Classifier(classes=classes, pool="none")
    )


def videomae_pretrain(
    name: str,
    width: Width = "b",
    decoder_depth: Count = 4,
    dual: bool = False,
    norm: bool = True,
    frames: Count = 16,
    size: Count = 224,
) -> Arch:
    """ViT-S, -B, -L, -H or -g and a decoder. With `dual` masks the decoder reads tokens of half of all places.

    `norm` is the encoder's last one, which Hugging Face's models with `use_mean_pooling` lack.
    """
    tokens, body = encoder(width, init="xavier")
    channels, heads = row_of(DECODERS, width=width)
    mlp, side = SIZES[width][3:]
    times, places = frames // 2, (size // side) ** 2
    kept = places - int(HIDDEN * places)
    mask = Clip(modality="mask", channels=2, frames=times if dual else 1, size=size // side)
    keep = Keep(count=times * kept if dual else kept)
    masked = MaskTokens(count=times * places // 2 if dual else places - kept)
    end = {"norm": Stage(LayerNorm())} if norm else {}
    decoder = {
        "embed": Stage(Linear(channels=channels, bias=False, act="none", init="default")),
        "tokens": Stage(masked, SinePositions()),
        "body": Stage(*repeat(Transformer(heads=heads, mlp=mlp, bias="qv", init="xavier"), decoder_depth)),
    }
    return Arch(
        name=name,
        clips=dict(clip=Clip(frames=frames, size=size), mask=mask),
        pathways=dict(
            main=Pathway(clip="clip", stages={"tokens": tokens, "keep": Stage(keep), "body": body, **end}),
            decoder=Pathway(after="main", stages=decoder),
        ),
        head=MaskedPixels(patch=(2, side, side)),
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
    Model(name="videomae_vit_s_pretrain", family=videomae_pretrain, parameters=dict(width="s")),
    Model(name="videomae_vit_b_pretrain", family=videomae_pretrain),
    Model(name="videomae_vit_l_pretrain", family=videomae_pretrain, parameters=dict(width="l", decoder_depth=12)),
    Model(name="videomae_vit_h_pretrain", family=videomae_pretrain, parameters=dict(width="h")),
    *(
        Model(
            name=f"videomae_v2_vit_{width}_pretrain", family=videomae_pretrain, parameters=dict(width=width, dual=True)
        )
        for width in SIZES
    ),
)
