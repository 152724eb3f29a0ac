"""Causal networks (arXiv:2103.11511): no frame sees a later one, so that a stream can be read as it comes."""

from __future__ import annotations

from archdsl.language import Arch


def causal(arch: Arch, *, name: str | None = None) -> Arch:
    """The arch with its kernels over time reaching back only, and means over time those of all frames so far.

    Shapes and parameters stay. The scores of a clip are those after its last frame. Ops that need later frames are told
    by `compile`. A network whose time is not strided reads a clip in pieces, too: `network.step(frames, state)`; where
    it chooses among the clip's frames, these are the frames chosen.
    """
    made: Arch = arch.but(name=name or arch.name, causal=True)
    return made
