"""VideoMamba (arXiv:2403.06977): a state that runs along all patches of a clip and back, instead of attention.

Patches of single frames are one sequence, a class token in front; each block scans it from both ends and has no
perceptron. The class token, which only the way back fills, is normalised and classified.
"""

from typing import Literal

from archdsl.blocks import ClassToken, Mamba, Norm, Patches, Positions
from archdsl.language import Arch, Clip, Model, Pathway, Stage, TokenClassifier, repeat, row_of
from archdsl.spec.scalars import Count

SIZES = {"ti": (192, 24), "s": (384, 24), "m": (576, 32)}
"""Channels and blocks."""


def videomamba(
    name: str, width: Literal["ti", "s", "m"] = "ti", frames: Count = 8, size: Count = 224, classes: Count = 400
) -> Arch:
    """VideoMamba-Ti, -S or -M; one frame is an image."""
    channels, depth = row_of(SIZES, width=width)
    tokens = Stage(Patches(kernel=(1, 16, 16), channels=channels), ClassToken(std=0.0), Positions(over=("hw", "t")))
    stages = {"tokens": tokens, "body": Stage(*repeat(Mamba(), depth))}
    head = TokenClassifier(norm=Norm(kind="rms"), classes=classes)
    pathways = dict(main=Pathway(drop_path=0.1, stages=stages))
    return Arch(name=name, clip=Clip(frames=frames, size=size), pathways=pathways, head=head)


models = tuple(
    Model(name=f"videomamba_{width}{form}", family=videomamba, parameters=dict(width=width) | more)
    for form, more in (("", {}), ("_image", dict(frames=1, classes=1000)))
    for width in SIZES
)
