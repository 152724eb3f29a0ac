"""VideoPrism (arXiv:2402.13217): a ViT on each frame, then a second one over time at each place; a map of features.

As ViViT's factorised encoder, but no class token: every place of a frame goes on. Products of queries and keys stay
below 50.
"""

from fractions import Fraction
from typing import Literal

from archdsl.blocks import LayerNorm, Patches, Positions, Transformer
from archdsl.language import Arch, Clip, Features, Model, Pathway, Stage, repeat, row_of
from archdsl.spec.scalars import Count

SIZES = {"b": (768, 12, 12, 4), "l": (1024, 24, 16, 4), "g": (1408, 40, 16, Fraction(48, 11))}
"""Channels, blocks within frames, heads, hidden channels in channels."""


def videoprism(name: str, width: Literal["b", "l", "g"] = "b", frames: Count = 16, size: Count = 288) -> Arch:
    """The encoder alone."""
    channels, depth, heads, mlp = row_of(SIZES, width=width)
    block = Transformer(heads=heads, mlp=mlp, attend="hw", cap=50)
    stages = {
        "tokens": Stage(Patches(kernel=(1, 18, 18), channels=channels), Positions(over="hw")),
        "space": Stage(*repeat(block, depth), LayerNorm()),
        "frames": Stage(Positions(over="t")),
        "time": Stage(*repeat(block.but(attend="t"), 4), LayerNorm()),
    }
    clip = Clip(frames=frames, size=size)
    return Arch(name=name, clip=clip, pathways=dict(main=Pathway(stages=stages)), head=Features())


models = (
    Model(name="videoprism_b", family=videoprism),
    Model(name="videoprism_l", family=videoprism, parameters=dict(width="l", frames=8)),
    Model(name="videoprism_g", family=videoprism, parameters=dict(width="g", frames=8)),
)
