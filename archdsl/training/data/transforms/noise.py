"""Rectangles of noise, clips mixed with each other, and the labels that then hold."""

from __future__ import annotations

from math import exp, log, sqrt
from random import Random

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from archdsl.language.recipes.clips import Augment

AREA = (0.02, 1 / 3)
"""Share of the frame that is erased (arXiv:1708.04896; PySlowFast)."""
ASPECT = (0.3, 1 / 0.3)
TRIES = 100
"""Draws of a rectangle that fits, as in PySlowFast."""


def erased(x: Tensor, chance: float, dice: Random) -> Tensor:
    """One rectangle through all frames filled with normal noise, at a chance.  (c, t, h, w) in network values"""
    if dice.random() >= chance:
        return x
    height, width = x.shape[-2:]
    for _ in range(TRIES):
        area = height * width * (AREA[0] + dice.random() * (AREA[1] - AREA[0]))
        aspect = exp(log(ASPECT[0]) + dice.random() * (log(ASPECT[1]) - log(ASPECT[0])))
        h, w = round(sqrt(area * aspect)), round(sqrt(area / aspect))
        if 0 < h < height and 0 < w < width:
            top, left = int(dice.random() * (height - h + 1)), int(dice.random() * (width - w + 1))
            # drawn on the CPU, so that every device gets the same
            noise = torch.randn(*x.shape[:2], h, w, generator=torch.Generator().manual_seed(dice.getrandbits(63)))
            x = x.clone()
            x[..., top : top + h, left : left + w] = noise.to(x.device, x.dtype)
            return x
    return x


def mixed(
    clips: Tensor | dict[str, Tensor], labels: Tensor, weights: Tensor, augment: Augment, classes: int, seed: object
) -> tuple[Tensor | dict[str, Tensor], Tensor]:
    """Each clip mixed with the next readable one of the batch (mixup), or a rectangle of that put in (cutmix).

    Labels become shares, (n, classes). Where a recipe has both, each batch draws one of them. Nothing is mixed where
    neither is asked for.
    """
    if not augment.mixup and not augment.cutmix:
        return clips, labels
    dice = Random(f"{seed} mixed")
    cut = bool(augment.cutmix) and (not augment.mixup or dice.random() < 0.5)
    alpha = augment.cutmix if cut else augment.mixup
    share = dice.betavariate(alpha, alpha)
    place = (dice.random(), dice.random())
    partner = partners(weights)
    named = clips if isinstance(clips, dict) else {"": clips}
    made, kept = {}, share
    for name, x in named.items():
        if cut:
            made[name], kept = with_rectangle(x, x[partner], share, place)
        else:
            made[name] = x * share + x[partner] * (1 - share)
    shares = labels if labels.is_floating_point() else one_hot(labels, classes).float()
    return made if isinstance(clips, dict) else made[""], shares * kept + shares[partner] * (1 - kept)


def partners(weights: Tensor) -> Tensor:
    """For each clip the next readable one, after the last the first; for an unreadable one itself."""
    found = torch.arange(len(weights), device=weights.device)
    readable = weights.nonzero().flatten()
    found[readable] = readable.roll(-1)
    return found


def with_rectangle(x: Tensor, other: Tensor, share: float, place: tuple[float, float]) -> tuple[Tensor, float]:
    """Clips with a rectangle of others through all frames, and the share that is left of them (arXiv:1905.04899).

    The rectangle's area is 1 - share before it is cut off at the borders; its centre lies anywhere.
    """
    height, width = x.shape[-2:]
    half = sqrt(1 - share) / 2
    top, bottom = (round(height * min(1, max(0, place[0] + side))) for side in (-half, half))
    left, right = (round(width * min(1, max(0, place[1] + side))) for side in (-half, half))
    x = x.clone()
    x[..., top:bottom, left:right] = other[..., top:bottom, left:right]
    return x, 1 - (bottom - top) * (right - left) / (height * width)
