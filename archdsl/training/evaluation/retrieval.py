"""Clips and texts that find each other: recall at 1, 5 and 10, and the median rank, both ways."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import Tensor

from archdsl.training.evaluation.results import Results

RECALL_RANKS = 1, 5, 10
"""Ranks up to which the right one counts as found."""


class TextPair(NamedTuple):
    """The vectors of a clip and of its text, of length 1 each, summed over views."""

    clip: Tensor
    text: Tensor


def ranks(scores: Tensor, right: Tensor) -> list[int]:
    """The rank of the best right one in each row; wrong ones with the same score stand before it.  (n, m), (n, m)"""
    best = torch.where(right, scores, -torch.inf).amax(1, keepdim=True)
    found: list[int] = (1 + ((scores >= best) & ~right).sum(1)).tolist()
    return found


@dataclass(frozen=True)
class RetrievalScores(Results):
    """Vectors of all clips and of their texts; clips with the same text are equally right."""

    clips: Tensor
    """(n, c)"""
    texts: Tensor
    """(n, c)"""
    captions: tuple[tuple[str, ...], ...]

    @property
    def ranks(self) -> tuple[list[int], list[int]]:
        """(of the text of each clip, of the clip of each text), from 1 on."""
        numbers = {caption: i for i, caption in enumerate(dict.fromkeys(self.captions))}
        same = torch.tensor([numbers[caption] for caption in self.captions])
        right = same[:, None] == same
        scores = self.clips @ self.texts.T
        return ranks(scores, right), ranks(scores.T, right)

    @property
    def figures(self) -> dict[str, float]:
        """Recalls are shares of 1; a median rank of 1 is the best."""
        texts, clips = self.ranks
        found: dict[str, float] = {}
        for way, some in (("text", texts), ("clip", clips)):
            found |= {f"{way}_r{k}": sum(rank <= k for rank in some) / len(some) for k in RECALL_RANKS}
        return found | {"text_rank_loss": float(median(texts)), "clip_rank_loss": float(median(clips))}

    def lines(self) -> Iterator[dict[str, Any]]:
        for name, caption, text, clip in zip(self.names, self.captions, *self.ranks):
            yield {"name": name, "caption": " ".join(caption), "text_rank": text, "clip_rank": clip}
