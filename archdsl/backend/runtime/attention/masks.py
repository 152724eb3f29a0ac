"""Parts of a map that a mask chooses. The source of each is put into the emitted file, so it uses only torch and nn."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def chosen_units(mask: Tensor, channel: int, count: int) -> Tensor:
    """The numbers of the parts that a channel of a mask chooses, in the order of the map.  -> (n, count)"""
    left = (mask[:, channel].flatten(1) <= 0).long()
    units = left.shape[1]
    return (left * units + torch.arange(units, device=mask.device)).argsort(dim=1)[:, :count]


def places_of_units(size: tuple[int, int, int], mask: Tensor) -> Tensor:
    """The positions of a map of which each part consists.  -> (parts, t', h', w')"""
    t, h, w = size
    units = mask.shape[2:]
    places = torch.arange(t * h * w, device=mask.device).view(
        units[0], t // units[0], units[1], h // units[1], units[2], w // units[2]
    )
    return places.permute(0, 2, 4, 1, 3, 5).flatten(0, 2)


def kept_units(
    x: Tensor, mask: Tensor, size: tuple[int, int, int], counts: tuple[int, ...], first: int = 0, extra: int = 0
) -> Tensor:
    """Parts of a map, one below the other; tokens in front stay.  (n, c, t, h, w) -> (n, c, t', parts h', w')"""
    parts = torch.cat([chosen_units(mask, first + i, count) for i, count in enumerate(counts)], dim=1)
    places = places_of_units(size, mask)[parts].transpose(1, 2)
    rows = x.flatten(2).mT
    index = places.flatten(1)[:, :, None].expand(-1, -1, rows.shape[2])
    y = rows[:, extra:].gather(1, index)
    if extra:
        return torch.cat([rows[:, :extra], y], dim=1).mT[:, :, None, None]
    return y.mT.unflatten(2, (places.shape[1], places.shape[2] * places.shape[3], places.shape[4]))


class MaskTokens(nn.Module):
    """Learnt tokens below the rows of a map, of the kinds that a mask says."""

    def __init__(
        self,
        channels: int,
        size: tuple[int, int, int],
        count: int,
        kinds: int = 1,
        channel: int = 1,
        extra: int = 0,
        std: float = 0.02,
    ) -> None:
        super().__init__()
        self.size, self.count, self.channel, self.extra = size, count, channel, extra
        self.weight = nn.Parameter(std * torch.randn(kinds, channels))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        t, h, w = self.size
        weight = self.weight.to(x.dtype)
        if mask is None:
            tokens = weight[0].expand(x.shape[0], t, h, w, -1)
        else:
            said = mask[:, self.channel].flatten(1).gather(1, chosen_units(mask, self.channel, self.count))
            kinds = (said.round().long() - 1).clamp(0, len(weight) - 1)
            rows = weight[kinds][:, None, :, None, None]
            tokens = rows.expand(-1, t, -1, h // self.count, w, -1).flatten(2, 3)
        if not self.extra:
            return torch.cat([x, tokens.permute(0, 4, 1, 2, 3)], dim=3)
        rows = x.flatten(2).mT
        places = torch.cat([rows[:, self.extra :].unflatten(1, (t, -1, w)), tokens], dim=2)
        return torch.cat([rows[:, : self.extra], places.flatten(1, 3)], dim=1).mT[:, :, None, None]


def hidden(x: Tensor, mask: Tensor, unit: tuple[int, int, int], channel: int) -> Tensor:
    """A map, 0 in the parts that a channel of the mask does not choose."""
    chosen = (mask[:, channel : channel + 1] > 0).to(x.dtype)
    for axis, times in enumerate(unit):
        chosen = chosen.repeat_interleave(times, dim=2 + axis)
    return x * chosen
