"""The encoder of a network that is pre-trained by masks, of whole clips."""

from __future__ import annotations

from archdsl.blocks import Hide, Keep, MaskTokens
from archdsl.errors import SpecError
from archdsl.language import Arch, Features, Pathway, Stage


def without_masks(arch: Arch, name: str | None = None) -> Arch:
    """A masked network's encoder, which sees all of a clip: the addresses of its weights are the same."""
    pathways = {key: kept for key, pathway in arch.pathways.items() if (kept := unmasked(pathway)) is not None}
    pathways = {key: one for key, one in pathways.items() if not one.after or one.after.partition(".")[0] in pathways}
    if not pathways or pathways == arch.pathways:
        want = "a network with `keep` in its encoder and `mask_tokens` in another pathway"
        raise SpecError(f"{arch.name} has no encoder that a mask hides from", got=", ".join(arch.pathways), want=want)
    clips = {key: clip for key, clip in arch.clips.items() if clip.modality != "mask"}
    edges = tuple(edge for edge in arch.edges if edge.source in pathways and edge.target in pathways)
    made: Arch = arch.but(name=name or arch.name, clips=clips, pathways=pathways, edges=edges, head=Features())
    return made


def unmasked(pathway: Pathway) -> Pathway | None:
    """A pathway without what a mask hides; None for one with mask tokens."""
    stages = {}
    for name, stage in pathway.stages.items():
        if any(isinstance(block, MaskTokens) for block in stage.blocks):
            return None
        blocks = [block for block in stage.blocks if not isinstance(block, Keep | Hide)]
        if blocks:
            stages[name] = Stage(*blocks) if len(blocks) < len(stage.blocks) else stage
    made: Pathway = pathway.but(stages=stages)
    return made
