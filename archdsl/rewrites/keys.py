"""Key frames (Deep Feature Flow, arXiv:1611.07715): features of some frames, moved by flow to the others."""

from __future__ import annotations

from archdsl.errors import SpecError
from archdsl.language import Arch, Edge, Pathway, Transform, Warp
from archdsl.rewrites.pathway_choice import chosen_pathway


def with_key_frames(
    arch: Arch,
    *,
    every: int,
    flow: Pathway,
    by: Transform | None = None,
    pathway: str | None = None,
    name: str | None = None,
) -> Arch:
    """The arch with a pathway run on frames 0, every, 2 every, ... only; other frames take its end from the last one.

    `flow` reads each of the others beside its key frame; `by` moves what the pathway ends in by what `flow` ends in,
    by default a Warp. What read the pathway's end reads all frames as before. Such a network also reads a clip frame
    by frame: `network.step(frames, state)`. `pathway` may be left out where there is one only. The clip's frames must
    be a multiple of `every`. Raises SpecError where frames are already chosen.
    """
    key, own = chosen_pathway(arch, pathway)
    if "flow" in arch.pathways:
        raise SpecError("a second pathway named 'flow'", written=arch.written, got="flow", want="another name")
    moved = Edge(
        source="flow",
        target=key,
        after=(list(flow.stages)[-1],),
        into=(list(own.stages)[-1],),
        transform=(by or Warp(),),
        merge="interleave",
    )
    pathways = {**arch.pathways, key: own.but(every=every), "flow": flow.but(pairs=every, clip=own.clip)}
    made: Arch = arch.but(
        name=name or arch.name, pathways=pathways, edges=(*arch.edges, moved), head=arch.head.but(reads=arch.ends)
    )
    return made
