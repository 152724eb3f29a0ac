"""Graphs of joints. The source of each is put into the emitted file, so it uses nothing but torch, nn and F."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from archdsl.backend.runtime.constants import Constants


def bones_matrix(joints: int, bones: tuple[tuple[int, int], ...]) -> Tensor:
    """1 at [near, far] of each bone.  -> (joints, joints)"""
    found = torch.zeros(joints, joints, device="cpu")
    for far, near in bones:
        found[near, far] = 1
    return found


def by_direction(joints: int, bones: tuple[tuple[int, int], ...]) -> Tensor:
    """Itself, those that bones lead to, those they come from, averaged.  -> (3, joints, joints)"""
    inward = bones_matrix(joints, bones)
    kinds = [torch.eye(joints, device="cpu"), inward, inward.T]
    return torch.stack([kind / kind.sum(dim=0).clamp(min=1) for kind in kinds])


def by_distance(joints: int, bones: tuple[tuple[int, int], ...], centre: int) -> Tensor:
    """A joint itself, neighbours as far from the centre or farther, nearer ones, averaged.  -> (3, joints, joints)"""
    near = bones_matrix(joints, bones)
    near = ((near + near.T) > 0).float()
    linked = near + torch.eye(joints, device="cpu")
    means = linked / linked.sum(dim=0)
    steps = torch.full((joints,), float("inf"), device="cpu")
    steps[centre] = 0
    steps[near[centre] > 0] = 1  # beyond a bone distances are not told apart
    outer = (steps[:, None] >= steps[None, :]).float()
    return torch.stack([means * torch.eye(joints, device="cpu"), means * near * outer, means * near * (1 - outer)])


class GraphMix(Constants):
    """Sums over the neighbours of each joint.  (n, 3 c, t, v, m) -> (n, c, t, v, m)"""

    def __init__(
        self, joints: int, bones: tuple[tuple[int, int], ...], centre: int, partition: str, learnt: str
    ) -> None:
        super().__init__()
        means = by_distance(joints, bones, centre) if partition == "distance" else by_direction(joints, bones)
        start = torch.ones_like(means) if learnt == "mask" else means
        self.weight = nn.Parameter(start.to(torch.get_default_device()))
        if learnt == "mask":
            self.constant("means", means)
        self.masked = learnt == "mask"

    def forward(self, x: Tensor) -> Tensor:
        means = self.get_buffer("means") * self.weight if self.masked else self.weight
        rows = x.unflatten(1, (3, -1)).permute(0, 5, 2, 3, 1, 4).flatten(4)
        return (rows @ means.to(rows.dtype).flatten(0, 1)).permute(0, 2, 3, 4, 1)


class ChannelGraphMix(nn.Module):
    """Sums over all joints by relations of each channel.  (n, 3 c, t, v, m), (n, 3 c, v, v, m) -> (n, c, t, v, m)"""

    def __init__(self, joints: int, bones: tuple[tuple[int, int], ...]) -> None:
        super().__init__()
        self.weight = nn.Parameter(by_direction(joints, bones).to(torch.get_default_device()))
        self.alpha = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, relations: Tensor) -> Tensor:
        parts = (self.alpha * relations).unflatten(1, (3, -1)) + self.weight[:, None, :, :, None]
        mixed = parts.flatten(1, 2).permute(0, 1, 4, 2, 3).to(x.dtype) @ x.permute(0, 1, 4, 3, 2)
        return mixed.unflatten(1, (3, -1)).sum(dim=1).permute(0, 1, 4, 3, 2)


class AdaptiveGraphMix(nn.Module):
    """Three sums over all joints by learnt means and by likeness.  (n, c, t, v, m), twice (n, 3 e, t, v, m)"""

    def __init__(self, joints: int, bones: tuple[tuple[int, int], ...]) -> None:
        super().__init__()
        self.weight = nn.Parameter(by_direction(joints, bones).to(torch.get_default_device()))
        self.alpha = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, one: Tensor, other: Tensor) -> Tensor:
        one, other = (z.unflatten(1, (3, -1)).permute(0, 5, 1, 2, 3, 4).flatten(3, 4) for z in (one, other))
        likeness = (one.mT @ other / one.shape[3]).tanh()
        parts = (self.alpha * likeness + self.weight).to(x.dtype).transpose(2, 3).flatten(3)
        mixed = x.permute(0, 4, 1, 2, 3).flatten(2, 3) @ parts
        return mixed.unflatten(3, (3, -1)).unflatten(2, (-1, x.shape[2])).permute(0, 4, 2, 3, 5, 1).flatten(1, 2)


class JointNorm(nn.BatchNorm1d):
    """A batch norm of each channel of each joint.  (n, c, t, v, m) -> (n, c, t, v, m)"""

    def forward(self, x: Tensor, persons: bool = False) -> Tensor:
        n, c, t, v, m = x.shape
        rows = x.permute(0, 4, 3, 1, 2)
        rows = super().forward(rows.reshape(n, m * v * c, t) if persons else rows.reshape(n * m, v * c, t))
        return rows.reshape(n, m, v, c, t).permute(0, 3, 4, 2, 1)
