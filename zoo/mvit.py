"""Multiscale vision transformers: MViT (arXiv:2104.11227) and MViTv2 (arXiv:2112.01526).

Stages double the channels and halve height and width, which queries are pooled by; keys and values are pooled so that
they stay as small as those of the last stage. Heads double, their width stays. The second version pools queries
everywhere, adds them to what attention gives, and has relative positions along each axis instead of learnt ones; it
widens in the attention of a stage's first block, the first version in the perceptron of a stage's last one. `kernel` 0:
windows one longer than their stride, and no pool without one.
"""

from typing import Literal

from archdsl.blocks import (
    ClassToken,
    GlobalPool,
    LayerNorm,
    Norm,
    Patches,
    Perceptron,
    PooledTransformer,
    Positions,
    Reversible,
    TakeMap,
)
from archdsl.language import Arch, Classifier, Clip, Model, Pathway, Stage, TokenClassifier, repeat, row_of
from archdsl.spec.scalars import Count, Share, Whole

VARIANTS = {"base": (96, 1, (1, 2, 11, 2)), "deep": (96, 1, (2, 3, 16, 3)), "large": (144, 2, (2, 6, 36, 4))}
"""Channels and heads of the first stage, and blocks of each."""


def table_sizes(t: int, size: int, stage: int, first: bool) -> tuple[int, int, int] | None:
    """Sizes of the tables of a block where they are not those of its maps: the authors round halves down, maps up."""
    down, up = size // 4, -(-size // 4)
    for _ in range(stage):
        before, down, up = (down, up), down // 2, -(-up // 2)
    wide = stage == 3 and first  # keys and values are as large as the map before
    known, real = before if wide else (down, up)
    return None if known == real else (t, known, known)


def mvit(
    name: str,
    version: Literal[1, 2] = 1,
    variant: Literal["base", "deep", "large"] = "base",
    frames: Count = 16,
    size: Count = 224,
    stride_kv: Count = 8,
    kernel: Whole = 3,
    widen: Literal["attention", "mlp"] | None = None,
    pool: Literal["token", "mean"] = "token",
    drop_path: Share | None = None,
    classes: Count = 400,
) -> Arch:
    """One frame is an image: patches and pools are then 2-D. `stride_kv` is that of keys and values in stage 1."""
    channels, attention_heads, depths = row_of(VARIANTS, variant=variant)
    k_t, s_t = (1, 1) if frames == 1 else (3, 2)
    widen = widen or ("attention" if version == 2 else "mlp")
    patches = Patches(kernel=(k_t, 7, 7), stride=(s_t, 4, 4), pad="same", channels=channels)
    tables = () if version == 2 else (Positions(over=("hw", "t")),)
    stages = {"tokens": Stage(patches, ClassToken(), *tables)}
    for i, depth in enumerate(depths):
        block = PooledTransformer(
            heads=attention_heads * 2**i,
            widen=widen,
            kernel=(k_t, kernel, kernel) if kernel else None,
            stride_kv=(1, max(stride_kv // 2**i, 1), max(stride_kv // 2**i, 1)),
            pool_queries=version == 2,
            relative=version == 2,
            residual=version == 2,
        )
        blocks = [block] * depth
        if i:
            blocks[0] = block.but(stride=(1, 2, 2))
        if i and widen == "attention":
            blocks[0] = blocks[0].but(channels=channels * 2**i)
        if i < 3 and widen == "mlp":
            blocks[-1] = blocks[-1].but(channels=channels * 2 ** (i + 1))
        if version == 2:
            sizes = [table_sizes(frames // s_t, size, i, j == 0) for j in range(depth)]
            blocks = [one.but(sizes=found) if found else one for one, found in zip(blocks, sizes)]
        stages[f"stage{i + 1}"] = Stage(*blocks)
    head = TokenClassifier(classes=classes, dropout=0.5)
    if pool == "mean":
        stages["pool"] = Stage(TakeMap(), GlobalPool(), LayerNorm())
        head = Classifier(classes=classes, pool="none")
    pathway = Pathway(drop_path=drop_path, stages=stages)
    return Arch(name=name, clip=Clip(frames=frames, size=size), pathways=dict(main=pathway), head=head)


MERGING = Perceptron(mlp=2, norm=Norm(kind="none"))
"""What makes one map of two streams side by side."""


def reversible(
    name: str,
    frames: Count = 16,
    size: Count = 224,
    stride_kv: Count = 8,
    merge: Literal["average", "mlp"] = "average",
    bias: bool = False,
    classes: Count = 400,
) -> Arch:
    """Two streams between blocks that change the map, `merge` in front of these, side by side at the end."""
    channels, attention_heads, depths = VARIANTS["base"]
    k_t, s_t = (1, 1) if frames == 1 else (3, 2)
    patches = Patches(kernel=(k_t, 7, 7), stride=(s_t, 4, 4), pad="same", channels=channels)
    stages = {"tokens": Stage(patches, Positions(over=("hw", "t")))}
    for i, depth in enumerate(depths):
        stride = max(stride_kv // 2**i, 1)
        block = PooledTransformer(
            heads=attention_heads * 2**i, kernel=(k_t, 3, 3), stride_kv=(1, stride, stride), bias=bias
        )
        widening = block.but(channels=channels * 2**i, stride=(1, 2, 2), shortcut="query")
        before = (MERGING, widening) if merge == "mlp" else (widening,)
        streams = Reversible(
            blocks=repeat(block, depth - (i > 0)), merge="concat" if i == 3 or merge == "mlp" else "average"
        )
        stages[f"stage{i + 1}"] = Stage(*before, streams) if i else Stage(streams)
    stages["norm"] = Stage(LayerNorm())
    head = Classifier(classes=classes, dropout=0.5)
    return Arch(name=name, clip=Clip(frames=frames, size=size), pathways=dict(main=Pathway(stages=stages)), head=head)


V2 = dict(version=2)
models = (
    Model(name="mvit_v1_b_16x4", family=mvit),
    Model(name="mvit_v1_b_32x3", family=mvit, parameters=dict(frames=32)),
    Model(name="mvit_v1_b24_32x3", family=mvit, parameters=dict(variant="deep", frames=32, kernel=0)),
    Model(name="mvit_v1_b_image", family=mvit, parameters=dict(frames=1, stride_kv=4, classes=1000)),
    Model(name="mvit_v2_s_16x4", family=mvit, parameters=V2),
    Model(name="mvit_v2_s_16x4_ssv2", family=mvit, parameters=dict(**V2, classes=174)),
    Model(name="mvit_v2_b_32x3", family=mvit, parameters=dict(**V2, variant="deep", frames=32)),
    Model(name="mvit_v2_l_40x3", family=mvit, parameters=dict(**V2, variant="large", frames=40, size=312)),
    Model(
        name="mvit_v2_l_16x4_maskfeat",
        family=mvit,
        parameters=dict(**V2, variant="large", widen="mlp", pool="mean"),
    ),
    Model(name="rev_mvit_b_16x4", family=reversible),
    Model(
        name="rev_mvit_b_image",
        family=reversible,
        parameters=dict(frames=1, stride_kv=4, merge="mlp", bias=True, classes=1000),
    ),
)
