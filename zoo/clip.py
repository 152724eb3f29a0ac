"""CLIP (arXiv:2103.00020, Tables 19 and 20), and CLIP4Clip (arXiv:2104.08860), which reads frames of a video with it.

Two towers meet in a cosine: a ViT, whose class token stands for a frame, and a transformer over the tokens of a text,
each of which reads those before it; the one that ends the text stands for it. A network takes several texts beside a
clip (`texts`), and gives a score for each.
"""

from typing import Literal

from archdsl.blocks import (
    Block,
    Branches,
    ClassToken,
    Embed,
    EndToken,
    FrameRows,
    FrameToken,
    L2Norm,
    LayerNorm,
    Linear,
    Lstm,
    Mean,
    Norm,
    Patches,
    Positions,
    Transformer,
)
from archdsl.blocks.transformer import Attend
from archdsl.language import Arch, Clip, Model, Pathway, Similarity, Stage, repeat, row_of
from archdsl.spec.scalars import Count

EPS = 1e-5
NORM = Norm(kind="layer", eps=EPS)
TOWERS = {768: (12, 12, 512, 8), 1024: (24, 16, 768, 12)}
"""Of each width of the image tower: its blocks and heads, channels and heads of the text tower."""
TEXT_BLOCKS = 12
LONGEST_TEXT = 77
"""Entries of the table of positions of a text."""
Over = Literal["mean", "lstm", "transformer"]


def layer(heads: int, **fields: object) -> Transformer:
    """A block as OpenAI's towers have it."""
    return Transformer(heads=heads, act="quick_gelu", norm=NORM, **fields)


def frame_tokens(width: int, patch: int) -> Stage:
    """Each frame as a row: its class token, then its patches."""
    patches = Patches(kernel=(1, patch, patch), channels=width, bias=False)
    return Stage(patches, ClassToken(), Positions(over="hw"), FrameRows(), LayerNorm(eps=EPS))


def frame_stages(width: int, patch: int) -> dict[str, Stage]:
    """The image tower up to its last block, each frame by itself."""
    depth, attention_heads, *_ = row_of(TOWERS, width=width)
    body = Stage(*repeat(layer(attention_heads, attend="hw"), depth))
    return {"tokens": frame_tokens(width, patch), "body": body}


def text(width: int) -> dict[str, Stage]:
    """The text tower; of each text the token that ends it, in the channels that both towers share."""
    *_, channels, attention_heads = row_of(TOWERS, width=width)
    so_far = Attend(over="t", frames=0)
    return {
        "tokens": Stage(Embed(channels=channels), Positions(over="t", entries=LONGEST_TEXT)),
        "body": Stage(*repeat(layer(attention_heads, attend=so_far), TEXT_BLOCKS)),
        "embed": Stage(LayerNorm(eps=EPS), EndToken(), Linear(channels=channels, bias=False, act="none")),
    }


def over_time(over: Over, channels: int, heads: int) -> tuple[Block, ...]:
    """CLIP4Clip's reading of the frames' vectors, added to them, and their mean."""
    positions = Positions(over="t", entries=LONGEST_TEXT)
    chains: dict[Over, tuple[Block, ...]] = {
        "mean": (),
        "lstm": (Lstm(hidden=channels, biases=2),),
        "transformer": (positions, *repeat(layer(heads), 4)),
    }
    read = (Branches(branches={"same": (), "read": chains[over]}, merge="sum"),) if chains[over] else ()
    return (*read, L2Norm(), Mean(over="t"))


def clip(
    name: str,
    width: Count = 768,
    patch: Count = 16,
    frames: Count = 1,
    over: Over = "mean",
    size: Count = 224,
    tokens: Count = LONGEST_TEXT,
    texts: Count = 1,
) -> Arch:
    """The vectors of `frames` frames, read `over` time; texts of `tokens` tokens each."""
    *_, channels, heads = row_of(TOWERS, width=width)
    embed = Stage(FrameToken(), LayerNorm(eps=EPS), Linear(channels=channels, bias=False, act="none"))
    whole = {"clip": Stage(*over_time(over, channels, heads))} if frames > 1 else {}
    pathways = dict(
        image=Pathway(clip="video", stages={**frame_stages(width, patch), "embed": embed, **whole}),
        text=Pathway(clip="words", stages=text(width)),
    )
    clips = dict(
        video=Clip(frames=frames, size=size),
        words=Clip(modality="text", frames=tokens, height=texts, width=1),
    )
    return Arch(name=name, clips=clips, pathways=pathways, head=Similarity())


CLIP4CLIP = dict(patch=32, frames=12, tokens=32)

models = (
    Model(name="clip_vit_b32", family=clip, parameters=dict(patch=32)),
    Model(name="clip_vit_b16", family=clip),
    Model(name="clip_vit_l14", family=clip, parameters=dict(width=1024, patch=14)),
    Model(name="clip_vit_l14_336", family=clip, parameters=dict(width=1024, patch=14, size=336)),
    Model(name="clip4clip_b32", family=clip, parameters=CLIP4CLIP),
    Model(name="clip4clip_b32_lstm", family=clip, parameters={**CLIP4CLIP, "over": "lstm"}),
    Model(name="clip4clip_b32_transformer", family=clip, parameters={**CLIP4CLIP, "over": "transformer"}),
)
