"""Separation (S3D, arXiv:1712.04851): a kernel over space and time becomes one over space, then one over time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from archdsl.blocks import Block, Conv, Norm
from archdsl.language import Arch
from archdsl.ops.conv import Init
from archdsl.rewrites.stages import with_stages


def separate(
    arch: Arch, *, keep: Iterable[str] = (), norm: Norm | None = None, init: Init | None = None, name: str | None = None
) -> Arch:
    """Every t x k x k convolution as 1 x k x k and t x 1 x 1 of equal width, each with norm and activation.

    Stages named in `keep` stay whole. `norm` and `init` are those of the second convolution where they are not the
    first's (slim has no norm there and starts it as the identity).
    """
    second = {"norm": norm} if norm else {}
    made: Arch = arch.but(name=name or arch.name)
    return with_stages(made, lambda block: separated(block, second | ({"init": init} if init else {})), keep=keep)


def separated(block: Block, second: dict[str, Any]) -> tuple[Block, ...]:
    """A convolution over space and time in two; anything else as it is."""
    if not isinstance(block, Conv) or block.kernel[0] == 1 or max(block.kernel[1:]) == 1:
        return (block,)
    (t, *space), (st, *stride), (dt, *dilation) = block.kernel, block.stride, block.dilation
    pads = block.pad if isinstance(block.pad, tuple) else None
    first = dict(kernel=(1, *space), stride=(1, *stride), dilation=(1, *dilation))
    after = dict(kernel=(t, 1, 1), stride=(st, 1, 1), dilation=(dt, 1, 1), groups=1)
    if pads:
        none = (0, 0) if isinstance(pads[0], tuple) else 0
        first, after = first | {"pad": (none, *pads[1:])}, after | {"pad": (pads[0], none, none)}
    return block.but(**first), block.but(**(after | second))
