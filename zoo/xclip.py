"""X-CLIP (arXiv:2208.02816): CLIP whose frames send each other messages, and whose texts are moved by the video.

In each block of the image tower a frame attends to its own tokens and to a message, which has read those of all frames.
A block over time reads the frames' vectors. Each text's vector reads the patches of the video, and what it reads is
added to it: a text means another thing beside each video.
"""

from typing import Any

from archdsl.blocks import (
    Branches,
    FrameToken,
    LayerNorm,
    Linear,
    Mean,
    MessageTransformer,
    Positions,
    TakeRows,
)
from archdsl.language import Arch, Clip, CrossTransformer, Edge, Model, Pathway, Similarity, Stage, repeat, row_of
from archdsl.spec.scalars import Count
from archdsl.zoo import clip

PROMPT_SCALE = 0.1
"""Start of what the video adds to a text."""


def xclip(
    name: str,
    width: Count = 768,
    patch: Count = 16,
    frames: Count = 8,
    size: Count = 224,
    tokens: Count = clip.LONGEST_TEXT,
    texts: Count = 1,
) -> Arch:
    """The image tower of `width` channels over `frames` frames; texts of `tokens` tokens each."""
    depth, attention_heads, channels, _ = row_of(clip.TOWERS, width=width)
    parts: dict[str, Any] = dict(act="quick_gelu", norm=clip.NORM)
    body = Stage(*repeat(MessageTransformer(heads=attention_heads, **parts), depth))
    into = Linear(channels=channels, bias=False, act="none")
    heads = channels // 64
    over_time = (Positions(over="t"), clip.layer(heads))
    video = {
        "embed": Stage(FrameToken(), LayerNorm(eps=clip.EPS), into),
        "clip": Stage(Branches(branches={"same": (), "read": over_time}, merge="sum"), Mean(over="t")),
    }
    patches = {"embed": Stage(TakeRows(), LayerNorm(eps=clip.EPS), into, Mean(over="t"))}
    prompts = CrossTransformer(heads=heads, layers=2, bias=False, scale=PROMPT_SCALE, **parts)
    return Arch(
        name=name,
        clips=dict(
            video=Clip(frames=frames, size=size), words=Clip(modality="text", frames=tokens, height=texts, width=1)
        ),
        pathways=dict(
            frames=Pathway(clip="video", stages={"tokens": clip.frame_tokens(width, patch), "body": body}),
            clip=Pathway(after="frames", stages=video),
            patches=Pathway(after="frames", stages=patches),
            text=Pathway(clip="words", stages=clip.text(width)),
        ),
        edges=(Edge(source="patches", target="text", after=("embed",), transform=prompts, merge="sum"),),
        head=Similarity(reads=("clip", "text")),
    )


models = (
    Model(name="xclip_b32", family=xclip, parameters=dict(patch=32)),
    Model(name="xclip_b16", family=xclip),
    Model(name="xclip_b16_16f", family=xclip, parameters=dict(frames=16)),
    Model(name="xclip_l14", family=xclip, parameters=dict(width=1024, patch=14)),
    Model(name="xclip_l14_336_16f", family=xclip, parameters=dict(width=1024, patch=14, frames=16, size=336)),
)
