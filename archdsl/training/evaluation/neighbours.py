"""Videos beside those whose features are nearest: recall at 1 and 5, each video being looked for among all others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from archdsl.training.evaluation.prediction import Prediction, ViewOutput
from archdsl.training.evaluation.results import Results
from archdsl.training.evaluation.retrieval import ranks
from archdsl.training.evaluation.top_classes import minutes_seconds

NEAREST_COUNTS = 1, 5
"""How many of the nearest videos are looked at."""


@dataclass(frozen=True)
class NeighbourScores(Results):
    """The features of all videos, as vectors of length 1, and which videos are of one class."""

    features: Tensor
    """(n, c)"""
    alike: Tensor
    """(n, n) of bool"""

    @property
    def ranks(self) -> list[int]:
        """Place of the nearest other video of the same class, from 1 on; videos as near stand before it.

        One behind all where there is none.
        """
        itself = torch.eye(len(self.features), dtype=torch.bool)
        scores = (self.features @ self.features.T).masked_fill(itself, -torch.inf)
        return ranks(scores, self.alike & ~itself)

    @property
    def figures(self) -> dict[str, float]:
        """Shares of 1 (arXiv:1511.06452); a video that is alone in its class is never found."""
        places, others = self.ranks, len(self.names) - 1
        return {f"neighbour_r{k}": sum(one <= min(k, others) for one in places) / len(places) for k in NEAREST_COUNTS}

    def lines(self) -> Iterator[dict[str, Any]]:
        for name, rank in zip(self.names, self.ranks):
            yield {"name": name, "neighbour_rank": rank}


@dataclass(frozen=True)
class FeatureVectors(Prediction):
    """The features of a video's windows."""

    views: tuple[ViewOutput, ...]

    def record(self) -> dict[str, Any]:
        windows = [{"start": one.start, "end": one.end, "features": one.said.tolist()} for one in self.views]
        whole = normalize(torch.stack([one.said for one in self.views]).mean(0), dim=0)
        return {"path": str(self.path), "features": whole.tolist(), "windows": windows}

    def text(self) -> str:
        rows = [f"  {minutes_seconds(one.start)} to {minutes_seconds(one.end)}" for one in self.views]
        return "\n".join([f"{self.path}  {len(self.views[0].said)} features, written by --json", *rows])
