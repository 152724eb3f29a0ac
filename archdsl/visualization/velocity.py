"""How fast a whole clip moves, measured on its frames."""

from __future__ import annotations

import torch
from torch import Tensor


def velocity_of(x: Tensor) -> Tensor:
    """(right, down) in pixels per frame: the shift that brings frames closest to the next ones.  (c, t, h, w) -> (2,)

    The peak of their circular cross-correlation summed over all pairs, between pixels by a parabola. What stands still
    in all frames is taken away first.
    """
    x = x.float() - x.float().mean(1, keepdim=True)
    spectra = torch.fft.fft2(x)
    products = (spectra[:, :-1].conj() * spectra[:, 1:]).sum((0, 1))
    likeness = torch.fft.ifft2(products).real
    h, w = likeness.shape
    row, column = divmod(int(likeness.argmax()), w)
    down = row + vertex(likeness[[(row - 1) % h, row, (row + 1) % h], column])
    right = column + vertex(likeness[row, [(column - 1) % w, column, (column + 1) % w]])
    return torch.tensor([centred(right, w), centred(down, h)])


def vertex(three: Tensor) -> float:
    """Where the parabola through three equally distant points has its peak, from the middle one."""
    left, middle, right = three.tolist()
    bend = left - 2 * middle + right
    return 0.0 if bend >= 0 else 0.5 * (left - right) / bend


def centred(place: float, count: int) -> float:
    """A shift around the edges as the nearest to 0."""
    return (place + count / 2) % count - count / 2
