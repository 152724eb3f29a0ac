"""Random erasing, mixup and cutmix, with their labels."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log, sqrt
from random import Random

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from archdsl.language.recipes.clips import Augment
from archdsl.ops import Shape
from archdsl.training.data.clips import Erased

AREA = (0.02, 1 / 3)
"""Share of the frame that is erased (arXiv:1708.04896; PySlowFast)."""
ASPECT = (0.3, 1 / 0.3)
ERASE_TRIES = 100
"""Attempts at a rectangle that fits, as in PySlowFast."""


def draw_erased(shape: Shape, chance: float, rng: Random) -> Erased | None:
    """With a probability, a rectangle and normal noise for it, through all frames.

    Drawn on the CPU, so that the noise is the same on every device.
    """
    if rng.random() >= chance:
        return None
    height, width = shape.h, shape.w
    for _ in range(ERASE_TRIES):
        area = height * width * (AREA[0] + rng.random() * (AREA[1] - AREA[0]))
        aspect = exp(log(ASPECT[0]) + rng.random() * (log(ASPECT[1]) - log(ASPECT[0])))
        h, w = round(sqrt(area * aspect)), round(sqrt(area / aspect))
        if 0 < h < height and 0 < w < width:
            top, left = int(rng.random() * (height - h + 1)), int(rng.random() * (width - w + 1))
            seeded = torch.Generator().manual_seed(rng.getrandbits(63))
            return Erased(top, left, torch.randn(shape.c, shape.t, h, w, generator=seeded))
    return None


def erase(x: Tensor, erased: Erased | None) -> Tensor:
    """Fill a rectangle with noise.  (c, t, h, w) in network values"""
    if erased is None:
        return x
    top, left, noise = erased
    x = x.clone()
    x[..., top : top + noise.shape[-2], left : left + noise.shape[-1]] = noise
    return x


def mix_clips(
    clips: Tensor | dict[str, Tensor],
    labels: Tensor,
    readable: Sequence[bool],
    augment: Augment,
    classes: int,
    seed: object,
) -> tuple[Tensor | dict[str, Tensor], Tensor]:
    """Mix each clip with the next readable one of the batch (mixup), or paste a rectangle of that one (cutmix).

    Labels become shares, (n, classes). With both in the recipe, each batch uses a random one of them.
    """
    if not augment.mixup and not augment.cutmix:
        return clips, labels
    rng = Random(f"{seed} mixed")
    cut = bool(augment.cutmix) and (not augment.mixup or rng.random() < 0.5)
    alpha = augment.cutmix if cut else augment.mixup
    share = rng.betavariate(alpha, alpha)
    place = (rng.random(), rng.random())
    partner = partners(readable)
    named = clips if isinstance(clips, dict) else {"": clips}
    made, kept = {}, share
    for name, x in named.items():
        if cut:
            made[name], kept = paste_rectangle(x, rows(x, partner), share, place)
        else:
            made[name] = x * share + rows(x, partner) * (1 - share)
    shares = labels if labels.is_floating_point() else one_hot(labels, classes).float()
    return made if isinstance(clips, dict) else made[""], shares * kept + rows(shares, partner) * (1 - kept)


def partners(readable: Sequence[bool]) -> list[int]:
    """For each clip the next readable one, after the last the first; for an unreadable one itself."""
    places = [place for place, one in enumerate(readable) if one]
    following = dict(zip(places, (*places[1:], *places[:1])))
    return [following.get(place, place) for place in range(len(readable))]


def rows(x: Tensor, places: Sequence[int]) -> Tensor:
    """Some rows of a batch; indices would have to be copied to the device."""
    return torch.stack([x[place] for place in places])


def paste_rectangle(x: Tensor, other: Tensor, share: float, place: tuple[float, float]) -> tuple[Tensor, float]:
    """Paste a rectangle of other clips through all frames; returns the share left of the first (arXiv:1905.04899).

    The rectangle's area is 1 - share before it is clipped at the borders; its centre is anywhere in the frame.
    """
    height, width = x.shape[-2:]
    half = sqrt(1 - share) / 2
    top, bottom = (round(height * min(1, max(0, place[0] + side))) for side in (-half, half))
    left, right = (round(width * min(1, max(0, place[1] + side))) for side in (-half, half))
    x = x.clone()
    x[..., top:bottom, left:right] = other[..., top:bottom, left:right]
    return x, 1 - (bottom - top) * (right - left) / (height * width)
