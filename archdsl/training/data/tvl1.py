"""Classical TV-L1 optical flow (Zach, Pock, Bischof 2007) for flow computed before training.

The equations are those of the layer (arXiv:1810.01455, Algorithm 1), whose iteration runs here too. Around it stands
what the layer leaves out: a pyramid, warps of the second frame by the flow found so far, a median, and an end when the
flow stays. Defaults and order of steps are those of OpenCV's DualTVL1OpticalFlow, but for what lies beyond the borders:
there the second frame repeats its last pixel and has no slope, so that nothing pulls at the flow. In OpenCV it falls
to 0; as flow is rounded to 1/32 pixel in warps there, none stays none. Unrounded, that edge would drive it away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from archdsl.backend.runtime.flows.flow import TvL1Flow
from archdsl.errors import SpecError
from archdsl.training.data.luma import luma

MIN_LEVEL_SIDE = 16
"""Pixels: smallest side of a pyramid level, except of the frames themselves."""


@dataclass(frozen=True, kw_only=True)
class TvL1:
    """Parameters; the defaults are OpenCV's."""

    tau: float = 0.25
    """Step of the dual variables."""
    weight: float = 0.15
    """Lambda: how much the brightness counts beside the smoothness; smaller is smoother."""
    theta: float = 0.3
    """How far the flow may be from the one that meets the brightness."""
    scales: int = 5
    """Levels of the pyramid."""
    scale_step: float = 0.8
    """Size of a level beside the one below."""
    warps: int = 5
    """How often the second frame is warped at each level."""
    epsilon: float = 0.01
    """Change of the flow, in pixels, below which a level is done."""
    inner: int = 30
    """Iterations between two medians."""
    outer: int = 10
    """Medians for each warp."""
    median: int = 5
    """Side of the median's window; 1 for none."""


def tvl1_flow(frames: Tensor, settings: TvL1 | None = None) -> Tensor:
    """Flow from each frame to the next.  (n, 3 or 1, t, h, w) in 0..255 -> (n, 2, t - 1, h, w)

    In pixels per frame: channel 0 along w, to the right positive, channel 1 along h, downwards positive. What is at
    (x, y) in frame t is at (x, y) + flow in frame t + 1. Red, green and blue become luma (ITU-R BT.601). Pairs of
    frames do not depend on each other; memory is about 60 maps of all pairs.
    """
    if frames.ndim != 5 or frames.shape[1] not in (1, 3) or frames.shape[2] < 2:
        raise SpecError(
            "no frames to find flow between", got=f"{tuple(frames.shape)}", want="(n, 3 or 1, t >= 2, h, w)"
        )
    settings = settings or TvL1()
    with torch.no_grad():
        gray = brightness_maps(frames)
        first, second = (part.transpose(1, 2).flatten(0, 1) for part in (gray[:, :, :-1], gray[:, :, 1:]))
        flow = flow_between(first, second, settings)
        return torch.unflatten(flow, 0, (frames.shape[0], -1)).transpose(1, 2)


def brightness_maps(frames: Tensor) -> Tensor:
    """(n, 3 or 1, t, h, w) -> (n, 1, t, h, w), in single precision at least."""
    frames = frames.to(torch.promote_types(frames.dtype, torch.float32))
    return frames if frames.shape[1] == 1 else luma(frames, 1)


def flow_between(first: Tensor, second: Tensor, settings: TvL1) -> Tensor:
    """Flow between grey images, from coarse to fine: (n, 1, h, w) twice -> (n, 2, h, w)."""
    levels = pyramid(first, second, settings)
    flow = torch.zeros_like(levels[-1][0]).repeat(1, 2, 1, 1)
    for level, (a, b) in enumerate(reversed(levels)):
        flow = flow_at(a, b, resize_bilinear(flow, a.shape[2:]) / settings.scale_step if level else flow, settings)
    return flow


def pyramid(first: Tensor, second: Tensor, settings: TvL1) -> list[tuple[Tensor, Tensor]]:
    """Both images, then smaller ones, each made of the one before."""
    levels = [(first, second)]
    while len(levels) < settings.scales:
        h, w = (round(n * settings.scale_step) for n in levels[-1][0].shape[2:])
        if min(h, w) < MIN_LEVEL_SIDE:
            break
        levels.append((resize_bilinear(levels[-1][0], (h, w)), resize_bilinear(levels[-1][1], (h, w))))
    return levels


def resize_bilinear(x: Tensor, size: tuple[int, ...]) -> Tensor:
    """Linear interpolation; centres of the corners' pixels move, corners stay."""
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def flow_at(first: Tensor, second: Tensor, flow: Tensor, settings: TvL1) -> Tensor:
    """Flow at one level, from the flow of the level above: (n, 2, h, w). Duals begin at 0 and outlive the warps."""
    layer = flow_layer(settings, first)
    slopes = torch.cat(layer.slope(second).chunk(2), dim=1)
    u = torch.cat(flow.chunk(2, dim=1))  # both directions lie in the batch, as in the layer
    state = (u, torch.zeros_like(u), torch.zeros_like(u))
    for _ in range(settings.warps):
        flow = torch.cat(state[0].chunk(2), dim=1)
        image, slope = (
            warp_bicubic(second, flow, "border"),
            torch.cat(warp_bicubic(slopes, flow, "zeros").chunk(2, dim=1)),
        )
        moved_x, moved_y = (slope * state[0]).chunk(2)
        state = solve_level(layer, state, image - moved_x - moved_y - first, slope, settings)
    return torch.cat(state[0].chunk(2), dim=1)


def flow_layer(settings: TvL1, like: Tensor) -> TvL1Flow:
    """The layer of one channel that learns nothing, with these numbers."""
    parts = ("gradient", "divergence", "theta", "lambda", "tau")
    layer = TvL1Flow(1, **{f"learn_{part}": False for part in parts}).to(like)
    for name, value in (("theta", settings.theta), ("lambda_", settings.weight), ("tau", settings.tau)):
        getattr(layer, name).fill_(value)
    return layer


FlowState = tuple[Tensor, Tensor, Tensor]
"""Flow (2n, 1, h, w), along w then along h in the batch, and its dual variables."""


def solve_level(layer: TvL1Flow, state: FlowState, residual: Tensor, slope: Tensor, settings: TvL1) -> FlowState:
    """Medians and iterations, for each pair of images until its flow stays."""
    n, still = residual.shape[0], settings.epsilon**2 * residual[0].numel()
    moving = torch.ones(n, dtype=torch.bool, device=residual.device)
    for _ in range(settings.outer):
        state = (where_moving(moving, median_filter(state[0], settings.median), state[0]), *state[1:])
        for _ in range(settings.inner):
            new = layer.nearer(*state, residual, slope)
            change = (new[0] - state[0]).square().flatten(1).sum(1).reshape(2, n).sum(0)
            u, dual_x, dual_y = (where_moving(moving, a, b) for a, b in zip(new, state))
            state, moving = (u, dual_x, dual_y), moving & (change > still)
            if not moving.any():
                return state
    return state


def where_moving(moving: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """The new map (2n, c, h, w) of those pairs that still move."""
    return torch.where(moving.repeat(2)[:, None, None, None], new, old)


def median_filter(x: Tensor, side: int) -> Tensor:
    """The median of a square window; beyond the borders the last pixel is repeated.  (n, 1, h, w) -> (n, 1, h, w)"""
    if side == 1:
        return x
    padded = F.pad(x, (side // 2,) * 4, mode="replicate")
    return padded.unfold(2, side, 1).unfold(3, side, 1).flatten(4).median(4).values


def warp_bicubic(x: Tensor, flow: Tensor, beyond: Literal["zeros", "border"]) -> Tensor:
    """What x (n, c, h, w) holds at every pixel plus flow, by cubic interpolation."""
    h, w = x.shape[2:]
    columns = torch.arange(w, dtype=x.dtype, device=x.device) + flow[:, 0]
    rows = torch.arange(h, dtype=x.dtype, device=x.device)[:, None] + flow[:, 1]
    # grid_sample counts from -1 to 1 between the centres of the outermost pixels
    place = torch.stack([2 * columns / max(w - 1, 1) - 1, 2 * rows / max(h - 1, 1) - 1], dim=-1)
    return F.grid_sample(x, place, mode="bicubic", padding_mode=beyond, align_corners=True)
