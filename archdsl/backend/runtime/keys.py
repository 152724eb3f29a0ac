"""Key frames in torch: pairs, warps, order, and networks that run frame by frame. The source is put into the file."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from archdsl.backend.runtime.stream import check_state


def key_pairs(x: Tensor, every: int) -> Tensor:
    """(n, c, t, h, w) -> (n, 2c, t - t / every, h, w): each current frame, then the key frame before it."""
    n, c, _, h, w = x.shape
    parts = x.reshape(n, c, -1, every, h, w)
    current = parts[:, :, :, 1:]
    return torch.cat([current, parts[:, :, :, :1].expand_as(current)], dim=1).flatten(2, 3)


def interleave(keys: Tensor, current: Tensor) -> Tensor:
    """(n, c, k, h, w), (n, c, (m - 1) k, h, w) -> (n, c, m k, h, w): behind each key frame its current frames."""
    intervals = zip(torch.split(keys, 1, dim=2), torch.split(current, current.shape[2] // keys.shape[2], dim=2))
    return torch.cat([part for interval in intervals for part in interval], dim=2)


def pointed_to(flow: Tensor) -> tuple[Tensor, Tensor]:
    """Flow (n, 2, t, h, w) in elements -> where it points, across and down, (n, t, h, w) each."""
    h, w = flow.shape[3:]
    flow = flow.to(torch.promote_types(flow.dtype, torch.float32))  # bfloat16 is too coarse for a place
    rows, columns = (torch.arange(size, device=flow.device, dtype=flow.dtype) for size in (h, w))
    # torch's -1 and 1 are the outer borders here, which, unlike the middles, also differ in a map of one element
    return (2 * (flow[:, 0] + columns) + 1) / w - 1, (2 * (flow[:, 1] + rows[:, None]) + 1) / h - 1


def warp(x: Tensor, flow: Tensor) -> Tensor:
    """(n, c, t, h, w) read at p + flow(p), flow (n, 2, t, h, w) in elements; 0 outside."""
    n, c, t, h, w = x.shape
    grid = torch.stack(pointed_to(flow), dim=-1).flatten(0, 1)
    y = F.grid_sample(x.transpose(1, 2).flatten(0, 1), grid.to(x.dtype), align_corners=False)
    return y.reshape(n, t, c, h, w).transpose(1, 2)


def held_warp(keys: Tensor, flow: Tensor) -> Tensor:
    """`warp` of each frame's key frame: (n, c, k, h, w), (n, 2, t, h, w) -> (n, c, t, h, w), channels last."""
    (n, c, k, h, w), t = keys.shape, flow.shape[2]
    across, down = (((at + 1) * size - 1) / 2 for at, size in zip(pointed_to(flow), (w, h)))
    frames = (torch.arange(n * t, device=flow.device) // (t // k) * h * w).view(n, t, 1, 1)
    places, shares = [], []
    for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
        row, column = down.floor() + i, across.floor() + j
        inside = (row >= 0) & (row < h) & (column >= 0) & (column < w)
        row, column = (torch.where(inside, at, 0).long() for at in (row, column))
        places.append(frames + row * w + column)
        shares.append(inside * (1 - (down - down.floor() - i).abs()) * (1 - (across - across.floor() - j).abs()))
    rows, share = keys.permute(0, 2, 3, 4, 1).flatten(0, 3), torch.stack(shares, -1).flatten(0, 3).to(keys.dtype)
    y = F.embedding_bag(torch.stack(places, -1).flatten(0, 3), rows, mode="sum", per_sample_weights=share)
    return y.view(n, t, h, w, c).permute(0, 4, 1, 2, 3)


def keyed(network: Any, frames: Tensor, state: dict[str, tuple[Tensor, ...]], every: int) -> tuple[Any, Any]:
    """What a network gives for further frames, one by one: a key frame, then every - 1 current ones, and so on."""
    check_state(state, {"clips", "key_frames"}, frames.shape[0])
    *held, age = state["key_frames"] if state else (torch.tensor(0),)
    given = []
    for frame in torch.split(frames, 1, dim=2):
        if int(age) % every == 0:
            outputs, held = network.key_frame(frame)
        else:
            outputs = network.current_frame(frame, *held)
        given.append(outputs)
        age = age % every + 1
    if isinstance(given[0], dict):
        joined: Any = {name: torch.cat([one[name] for one in given], dim=2) for name in given[0]}
    else:
        joined = torch.cat(given, dim=2)
    return joined, {"clips": (frames.new_empty(frames.shape[0], 0),), "key_frames": (*held, age)}
