"""What torch keeps of an op: tensors saved for backward, temporaries, and how gradients are handed on.

Read off autograd's derivatives (torch 2.13) and the text of the ops; the benchmark sets it beside measured peaks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

INDEX = 8
"""Bytes of an index (int64), as pools keep them."""
STATISTICS = 8
"""Bytes of a mean and an inverse deviation, in float32."""


@dataclass(frozen=True)
class Keeps:
    """One op at run time. Elements are of the working width, for one clip; bytes are for one clip too."""

    reads: tuple[int, ...] = ()
    """Which of the maps it reads are saved."""
    result: bool = False
    """Whether its result is saved."""
    own: int = 0
    """Elements saved beside those: padded copies, inner results."""
    own_bytes: int = 0
    """Bytes saved beside those: indices, masks, statistics."""
    passing: int = 0
    """Elements of temporaries that stand beside the result while it is made."""
    shared: int = 0
    """Elements of those temporaries that all clips of a batch share: masks, tables of positions."""
    shared_bytes: int = 0
    """Bytes saved for all clips together: indices of such tables."""
    view: bool = False
    """The result lies in the storage of what is read first."""
    gradient: Literal["new", "same", "part"] = "new"
    """Of what is read: a tensor of its own, the result's own gradient where sizes agree, or a part of that."""
    passing_back: int = 0
    """Elements of temporaries in backward."""


NOTHING = Keeps()
INPUT = Keeps(reads=(0,))
INPUTS = Keeps(reads=(0, 1))
RESULT = Keeps(result=True)
RESHAPED = Keeps(view=True, gradient="same")
COPIED = Keeps(gradient="same")
