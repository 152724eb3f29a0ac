"""Vision Transformer (arXiv:2010.11929, Table 1): an image cut into patches, each of which attends to all others.

A learnt class token stands beside the patches; its feature is classified. As an image model it is a video model of one
frame; over several frames patches of all frames attend to each other.
"""

from archdsl.blocks import ClassToken, LayerNorm, Patches, Positions, Reversible, Transformer
from archdsl.language import Arch, Classifier, Clip, Model, Pathway, Stage, TokenClassifier, repeat, row_of
from archdsl.spec.scalars import Count

WIDTHS = {384: (12, 6), 768: (12, 12), 1024: (24, 16), 1280: (32, 16)}
"""Blocks and heads of each width: Small, Base, Large, Huge (Small is DeiT's, arXiv:2012.12877, Table 1)."""


def reversible(name: str, width: Count = 768, patch: Count = 16, size: Count = 224, classes: Count = 1000) -> Arch:
    """Rev-ViT (CVPR 2022): two streams, side by side at the end; the mean of all patches is classified."""
    depth, attention_heads = row_of(WIDTHS, width=width)
    tokens = Stage(Patches(kernel=(1, patch, patch), channels=width), Positions())
    body = Reversible(blocks=repeat(Transformer(heads=attention_heads), depth), merge="concat")
    stages = {"tokens": tokens, "body": Stage(body, LayerNorm())}
    pathways = dict(main=Pathway(stages=stages))
    return Arch(name=name, clip=Clip(frames=1, size=size), pathways=pathways, head=Classifier(classes=classes))


def vit(name: str, width: Count = 768, patch: Count = 16, size: Count = 224, classes: Count = 1000) -> Arch:
    """`width` channels, patches of `patch` x `patch` pixels."""
    depth, attention_heads = row_of(WIDTHS, width=width)
    tokens = Stage(Patches(kernel=(1, patch, patch), channels=width), ClassToken(), Positions())
    stages = {"tokens": tokens, "body": Stage(*repeat(Transformer(heads=attention_heads), depth))}
    pathways = dict(main=Pathway(stages=stages))
    return Arch(name=name, clip=Clip(frames=1, size=size), pathways=pathways, head=TokenClassifier(classes=classes))


models = (
    Model(name="vit_s16", family=vit, parameters=dict(width=384)),
    Model(name="vit_b16", family=vit),
    Model(name="vit_l16", family=vit, parameters=dict(width=1024)),
    Model(name="vit_h14", family=vit, parameters=dict(width=1280, patch=14)),
    Model(name="rev_vit_s16", family=reversible, parameters=dict(width=384)),
    Model(name="rev_vit_b16", family=reversible),
)
