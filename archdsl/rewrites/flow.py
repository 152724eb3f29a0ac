"""Representation flow (arXiv:1810.01455) put between the stages of a net."""

from __future__ import annotations

from archdsl.blocks import Block, RepresentationFlow
from archdsl.language import Arch, Stage
from archdsl.rewrites.pathway_choice import with_stage_after


def insert_flow(
    arch: Arch, *, after: str, block: Block | None = None, pathway: str | None = None, name: str | None = None
) -> Arch:
    """The arch with a flow layer after a stage, as a stage `flow_<after>` of its own.

    By default each flow is added to the first of its two frames. `pathway` may be left out where there is one only.
    Raises SpecError for a stage that is not there.
    """
    stage = Stage(block or RepresentationFlow(align="first"))
    return with_stage_after(arch, after, stage, "flow", pathway, name)
