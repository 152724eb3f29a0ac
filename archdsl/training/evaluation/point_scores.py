"""Key points: how many are found near enough, limbs whose ends both are, and pictures of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from archdsl.training.data.annotations.key_points import Limbs
from archdsl.training.evaluation.boxes.box_pictures import MarkedBox, marked_frame
from archdsl.training.evaluation.prediction import Prediction
from archdsl.training.evaluation.results import Results
from archdsl.training.evaluation.top_classes import minutes_seconds

HALF_LIMB = 0.5
"""Of its length, how far the ends of a limb may be off (PCP)."""
HALF_MARK = 1.5
"""Half a side of what marks a point in a picture, in pixels of what the network saw."""


class FoundPoints(NamedTuple):
    """Points of a clip, in its pixels."""

    places: Tensor
    """(t, points, 2)"""
    scores: Tensor
    """(t, points)"""


class JudgedPoints(NamedTuple):
    """Found and true points of a clip."""

    found: Tensor
    """(t, points, 2)"""
    true: Tensor
    """(t, points, 3), the last whether it is known"""
    side: float
    """The longer side of the person's box, in pixels of the clip."""

    @property
    def misses(self) -> Tensor:
        """Distance of each point in pixels.  (t, points)"""
        return (self.found - self.true[..., :2]).norm(dim=2)

    def limbs_found(self, limbs: Limbs) -> Tensor:
        """Of limbs both ends of which are known: whether both are off by half of its length at most.  (n,) of bool"""
        ends = torch.tensor(limbs, dtype=torch.long).reshape(-1, 2)
        one, other = self.true[:, ends[:, 0]], self.true[:, ends[:, 1]]
        long = (one - other)[..., :2].norm(dim=2, keepdim=True)
        near = (self.misses[:, ends] <= HALF_LIMB * long).all(2)
        return near[(one[..., 2] > 0) & (other[..., 2] > 0)]


@dataclass(frozen=True)
class PointScores(Results):
    """The points of all clips."""

    judged: tuple[JudgedPoints, ...]
    points: tuple[str, ...]
    limbs: Limbs
    near: float
    """In longer sides of the person's box."""

    def shares(self, point: int | None = None) -> float:
        """Of known points those that are near enough; of one of them or of all. NaN where none is known."""
        mine = slice(None) if point is None else [point]
        near = [(one.misses <= self.near * one.side)[:, mine][one.true[:, mine, 2] > 0] for one in self.judged]
        return float(torch.cat(near).float().mean())

    @property
    def figures(self) -> dict[str, float]:
        """PCK: points near enough; PCP: limbs, where there are any; the mean distance."""
        misses = torch.cat([one.misses[one.true[..., 2] > 0] for one in self.judged])
        limbs = torch.cat([one.limbs_found(self.limbs) for one in self.judged]).float()
        pcp = {"pcp": float(limbs.mean())} if len(limbs) else {}
        return {"pck": self.shares(), **pcp, "miss_px": float(misses.mean())}

    def lines(self) -> Iterator[dict[str, Any]]:
        for name, one in zip(self.names, self.judged):
            yield {"name": name, "found": one.found.tolist(), "true": one.true.tolist()}

    def files(self, title: str) -> Iterator[tuple[str, str]]:
        """points.csv: PCK of each point."""
        rows = [f"{name},{self.shares(i):.4f}" for i, name in enumerate(self.points)]
        yield "points.csv", "\n".join(["point,pck", *rows, ""])


class SeenPoints(NamedTuple):
    """A frame of a file with its points."""

    second: float
    frame: Tensor
    """(3, h, w) uint8, as the network saw it"""
    places: Tensor
    """(points, 2) in its pixels"""
    whole: Tensor
    """(points, 2) in pixels of the file"""
    scores: Tensor


@dataclass(frozen=True)
class PointPredictions(Prediction):
    """Where the points are in each frame of a file."""

    names: tuple[str, ...]
    frames: tuple[SeenPoints, ...]

    def record(self) -> dict[str, Any]:
        frames = [
            {
                "second": one.second,
                "points": [
                    {"point": name, "x": x, "y": y, "score": score}
                    for name, (x, y), score in zip(self.names, one.whole.tolist(), one.scores.tolist())
                ],
            }
            for one in self.frames
        ]
        return {"path": str(self.path), "frames": frames}

    def text(self) -> str:
        lines = [str(self.path)]
        for one in self.frames:
            said = [f"{name} {x:.0f},{y:.0f}" for name, (x, y) in zip(self.names, one.whole.tolist())]
            lines.append(f"  {minutes_seconds(one.second)}  {'  '.join(said)}")
        return "\n".join(lines)

    def pictures(self) -> Iterator[tuple[str, bytes]]:
        """Each frame with its points."""
        for i, one in enumerate(self.frames):
            marks = [
                MarkedBox((x - HALF_MARK, y - HALF_MARK, x + HALF_MARK, y + HALF_MARK), [], kind)
                for kind, (x, y) in enumerate(one.places.tolist())
            ]
            yield f"{i:05d}.points.svg", marked_frame(one.frame, marks)
