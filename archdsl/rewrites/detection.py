"""A classifier of clips becomes one of what each person does (arXiv:1812.03982, section 5)."""

from __future__ import annotations

from archdsl.blocks import Block, Residual
from archdsl.errors import SpecError
from archdsl.language import Arch, Classifier, Clip, Pathway, Roi, Stage


def for_detection(
    arch: Arch, *, classes: int = 80, boxes: int = 8, aligned: bool = True, name: str | None = None
) -> Arch:
    """The arch on given boxes: every pathway's last stage dilated instead of strided, a head that reads each box.

    `boxes` is the number of boxes of a clip; the clip that holds them is called `boxes`.
    """
    if len(arch.clips) != 1 or not isinstance(arch.head, Classifier):
        raise SpecError(
            "not a classifier of one clip",
            written=arch.written,
            got=f"{len(arch.clips)} clips, {type(arch.head).__name__}",
            want="one clip, Classifier",
        )
    (clip,) = arch.clips
    pathways = {
        key: (pathway if pathway.after else pathway.but(clip=clip)).but(stages=dilated(pathway))
        for key, pathway in arch.pathways.items()
    }
    given = Clip(modality="boxes", frames=boxes, size=1)
    head = Roi(classes=classes, dropout=arch.head.dropout, aligned=aligned)
    made: Arch = arch.but(name=name or arch.name, clips={**arch.clips, "boxes": given}, pathways=pathways, head=head)
    return made


def dilated(pathway: Pathway) -> dict[str, Stage]:
    """The stages, the last without its stride: its kernels reach as far by dilation."""
    *before, (last, stage) = pathway.stages.items()
    stride = max((block.stride for block in stage.blocks if isinstance(block, Residual)), default=1)
    return {**dict(before), last: Stage(*(unstrided(block, stride) for block in stage.blocks))}


def unstrided(block: Block, stride: int) -> Block:
    """A residual block at stride 1; each of the stage's dilates by what the first strided."""
    made: Block = block.but(stride=1, dilation=block.dilation * stride) if isinstance(block, Residual) else block
    return made
