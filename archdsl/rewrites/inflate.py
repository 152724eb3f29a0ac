"""Inflation (I3D, arXiv:1705.07750): a net for images becomes one for video, its square windows cubes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from archdsl.blocks import AvgPool, Basic, Block, Bottleneck, Conv, Deconv, MaxPool
from archdsl.language import Arch
from archdsl.rewrites.stages import with_stages


def inflate(
    arch: Arch, *, frames: int, flat: Iterable[str] = (), strides: bool = True, name: str | None = None
) -> Arch:
    """Every 1 x k x k window as k x k x k, over clips of `frames` frames.

    Stages named in `flat` keep their windows in space. Without `strides` time is never strided. Windows that are not
    square and those that already see time stay. A bottleneck's middle kernel grows, a basic block's both.
    """
    clips = {key: clip.but(frames=frames) for key, clip in arch.clips.items()}
    made: Arch = arch.but(name=name or arch.name, clips=clips)
    return with_stages(made, lambda block: (inflated(block, strides),), keep=flat)


def inflated(block: Block, strides: bool) -> Block:
    """One block that sees as far in time as in space."""
    if isinstance(block, Basic | Bottleneck) and block.shortcut:
        block = block.but(shortcut=tuple([inflated(part, strides) for part in block.shortcut]))
    match block:
        case Conv() | Deconv() | MaxPool() | AvgPool():
            return inflated_window(block, strides)
        case Bottleneck():
            stride_t = {"stride_t": block.stride} if strides and block.stride > 1 else {}
            _, h, w = block.kernel
            made: Block = block.but(kernel=(h, h, w), **stride_t) if block.kernel[0] == 1 and h == w else block
            return made
        case Basic():
            stride_t = {"stride_t": block.stride} if strides and block.stride > 1 else {}
            made = block.but(kernel_t=3, **stride_t) if block.kernel_t == 1 else block
            return made
    return block


def inflated_window(block: Conv | Deconv | MaxPool | AvgPool, strides: bool) -> Block:
    """A window of its own with time as a third equal side."""
    (t, h, w), (_, sh, sw) = block.kernel, block.stride
    if t != 1 or h != w:
        return block
    changes: dict[str, Any] = {"kernel": (h, h, w)} if h > 1 else {}
    if strides and sh == sw > 1:
        changes["stride"] = (sh, sh, sw)
    if isinstance(block.pad, tuple) and changes:
        changes["pad"] = (block.pad[1], *block.pad[1:])
    if isinstance(block, Deconv) and changes:
        changes["extra"] = (block.extra[1] if strides else 0, *block.extra[1:])
    if isinstance(block, Conv) and max(block.dilation) > 1 and h > 1:
        changes["dilation"] = (block.dilation[1], *block.dilation[1:])
    made: Block = block.but(**changes)
    return made
