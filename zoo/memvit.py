"""MeMViT (arXiv:2201.08383): an MViTv2 whose attention reads what clips before left, and actions of persons in boxes.

Keys and values are pooled in front of their linear layers; of clips that came before they are kept, compressed 4 times
along time and twice along height and width, and read by every second block. The boxes of a clip attend to each other
and to those before. A stream takes one clip after the other: `network.step(clips, state)`.
"""

from typing import Literal

from archdsl.blocks import Block, LayerNorm, PooledTransformer, Remembered, TakeMap
from archdsl.language import Arch, Clip, Model, Roi, Stage
from archdsl.spec.scalars import Count, Whole
from archdsl.zoo import mvit


def memvit(
    name: str,
    variant: Literal["base", "deep"] = "base",
    frames: Count = 16,
    size: Count = 224,
    memories: Whole = 2,
    gap: Count = 2,
    boxes: Count = 8,
    classes: Count = 80,
) -> Arch:
    """`memories` clips are read, of every `gap`-th; 0 for the authors' network without, which keeps what compresses."""
    kept = Remembered(clips=memories, gap=gap, kernel=(7, 3, 3), stride=(4, 2, 2))
    arch = mvit.mvit(name, version=2, variant=variant, frames=frames, size=size)
    pathway, made, place = arch.pathways["main"], dict[str, Stage](), 0
    for key, stage in pathway.stages.items():
        blocks = list[Block]()
        for block in stage.blocks:
            if isinstance(block, PooledTransformer):
                block = block.but(pool_first=True, memory=kept.but(read=place % 2 == 0))
                place += 1
            blocks.append(block)
        made[key] = Stage(*blocks)
    made["norm"] = Stage(LayerNorm(), TakeMap())
    between = PooledTransformer(
        heads=8, kernel=None, residual=True, pool_first=True, dropout=0.3, memory=Remembered(clips=memories, gap=gap)
    )
    clips = {"rgb": Clip(frames=frames, size=size), "boxes": Clip(modality="boxes", frames=boxes, size=1)}
    head = Roi(classes=classes, dropout=0.5, blocks=(between,))
    pathways = {"main": pathway.but(clip="rgb", stages=made)}
    return Arch(name=name, clips=clips, pathways=pathways, head=head)


models = (
    Model(name="memvit_16", family=memvit),
    Model(name="memvit_24", family=memvit, parameters=dict(variant="deep", frames=32, gap=3)),
)
