"""Channel separation (arXiv:1904.02811): space and time are mixed within a channel, channels by 1x1x1 kernels."""

from __future__ import annotations

from typing import Literal

from archdsl.blocks import Block, Bottleneck
from archdsl.language import Arch
from archdsl.rewrites.stages import with_stages


def depthwise(arch: Arch, *, interaction: Literal["reduced", "preserved"] = "reduced") -> Arch:
    """Every bottleneck's middle kernel made depthwise.

    `preserved` puts a full 1x1x1 before it (ip-CSN), `reduced` does not (ir-CSN).
    """

    def separated(block: Block) -> tuple[Block, ...]:
        if not isinstance(block, Bottleneck):
            return (block,)
        mix = {"mix": True} if interaction == "preserved" else {}
        return (block.but(groups="depthwise", **mix),)

    return with_stages(arch, separated)
