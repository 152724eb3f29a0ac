"""Optical flow of a pair of frames (FlowNet, arXiv:1504.06852)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from archdsl.errors import SpecError, printable
from archdsl.language import Arch
from archdsl.training.data.annotations.flow_writer import write_pairs
from archdsl.training.data.clips import Batch, Videos
from archdsl.training.data.picture_files import encode_png
from archdsl.training.data.sources.flow_pairs import flow_pairs
from archdsl.training.data.synthetic.scenes import Scenes
from archdsl.training.data.synthetic.truth import Truth
from archdsl.training.data.targets import Targets
from archdsl.training.data.transforms.geometry import Cut
from archdsl.training.data.transforms.moves import move_flow
from archdsl.training.evaluation.flow_picture import flow_colours
from archdsl.training.evaluation.prediction import Prediction, ViewOutput
from archdsl.training.evaluation.results import Results
from archdsl.training.evaluation.scores import check_finite
from archdsl.training.evaluation.top_classes import minutes_seconds
from archdsl.training.tasks.base import Outputs, Task

FLOW_UNIT = 20.0
"""Pixels that an output of 1 stands for."""
LEVEL_WEIGHTS = (0.005, 0.01, 0.02, 0.08, 0.32)
"""Weights of outputs in the loss, the finest first: FlowNet-S's flow2 to flow6."""
UNFOLLOWED = ("mixup", "cutmix", "rand_augment")
"""Augmentations that move or mix pixels; flow does not follow them."""


def flow_back(truth: Truth) -> Tensor:
    """Where each pixel of the second frame is found in the first, (x, y) in pixels.  (2, height, width)"""
    steps = (truth.places[0] - truth.places[1]).flip(1).float()  # rows, columns -> x, y
    return torch.cat([torch.zeros(1, 2), steps])[truth.owners[1]].permute(2, 0, 1)


def end_point_errors(flow: Tensor, target: Tensor) -> Tensor:
    """Distance of flow from the target; 0 where the target is unknown: not finite.  (..., 2, h, w) -> (..., h, w)"""
    known = target.isfinite().all(-3, keepdim=True)
    return torch.linalg.vector_norm(torch.where(known, flow - target, 0.0), dim=-3)


def averaged_flow(target: Tensor, size: tuple[int, int]) -> Tensor:
    """The mean of the known flow in each cell of a coarser map; NaN where there is none.  (n, 2, h, w)"""
    known = target.isfinite().all(1, keepdim=True)
    share = adaptive_avg_pool2d(known.float(), size)
    return adaptive_avg_pool2d(torch.where(known, target, 0.0), size) / share


class Flow(Task):
    """Targets are (2, h, w): x and y in pixels from the second frame to the first; NaN where they are not known.

    Every output learns the flow at its own size, in units of 20 pixels; the finest one is tested.
    """

    name = "flow"

    @classmethod
    def default_recipe(cls, arch: Arch, *, built_in: bool) -> str:
        return "smoke_flow" if built_in else "flownet_chairs"

    def built_in(self, data: str, split: str) -> Scenes:
        self.check_pair()
        return self.scenes(data, split, flow_back, ())

    def files(self, data: str, split: str) -> Videos:
        """A folder laid out as FlyingChairs."""
        self.check_pair()
        return flow_pairs(data, split, next(iter(self.plan.arch.clips)))

    def write_built_in(self, out: Path, counts: Mapping[str, int]) -> Iterator[Path]:
        """FlyingChairs' folder."""
        return write_pairs(out, {split: self.built_in(f"motion:{count}", split) for split, count in counts.items()})

    def check_pair(self) -> None:
        """Raises SpecError where the network does not read two frames, or has outputs that are no flow of them."""
        arch, outputs = self.plan.arch, self.plan.outputs
        clips = [*arch.clips.values()]
        if len(clips) > 1 or clips[0].modality != "rgb" or clips[0].frames != 2 or clips[0].shape.c != 3:
            got = ", ".join(f"{clip.frames} frames of {clip.modality}" for clip in clips)
            raise SpecError(
                f"{self.plan.name} does not read a pair of frames",
                at="clip",
                written=arch.written,
                got=got,
                want="one clip of 2 frames of rgb",
            )
        odd = [f"{name} of shape {shape}" for name, shape in outputs.items() if shape[:2] != (2, 1) or len(shape) != 4]
        if odd or len(outputs) > len(LEVEL_WEIGHTS):
            raise SpecError(
                f"{self.plan.name} does not output flow",
                at="head",
                written=arch.head.written,
                got=", ".join(odd) or f"{len(outputs)} outputs",
                want=f"(2, 1, h, w), from 1 to {len(LEVEL_WEIGHTS)} times",
            )

    def check_classes(self, classes: tuple[str, ...], *, of_run: bool = False, learnt: bool = False) -> None:
        self.check_pair()
        if classes:
            raise SpecError(
                f"{self.plan.name} outputs flow, not classes",
                at="head",
                written=self.plan.arch.head.written,
                got=", ".join(classes[:4]),
                want="pairs of frames with their flow",
            )

    def prepare(self, videos: Videos, device: torch.device) -> None:
        """Nothing. Raises SpecError for an augmentation that flow does not follow."""
        for name in UNFOLLOWED:
            if value := getattr(self.recipe.augment, name):
                raise SpecError(
                    "flow does not follow an augmentation",
                    at=f"recipe.augment.{name}",
                    written=self.recipe.written,
                    got=f"{value:g}",
                    want="0",
                    fix=f"--set recipe.augment.{name}=0",
                )

    def moved(self, targets: Targets, cut: Cut) -> Targets:
        """Flow is known where all pixels are that its resizing reads."""
        known = targets.isfinite().all(0)
        whole = cut.of(known[None, None].float())[0, 0] > 1 - 1e-4
        return torch.where(whole, move_flow(torch.where(known, targets, 0.0), cut), torch.nan)

    def blank(self, videos: Videos) -> Targets:
        return torch.full((2, *self.size), torch.nan)

    def target_bytes(self) -> int:
        height, width = self.size
        return 2 * 4 * height * width

    def levels(self, outputs: Outputs) -> list[Tensor]:
        """The outputs in units of 20 pixels, the finest first.  (n, 2, h, w) each"""
        found = outputs.values() if isinstance(outputs, dict) else [outputs]
        return sorted((x[:, :, 0].float() for x in found), key=lambda x: -x.shape[2] * x.shape[3])

    def loss(self, outputs: Outputs, batch: Batch, totals: Tensor) -> Tensor:
        """End-point errors, summed over the pixels of each output, times its weight."""
        target = batch.targets / FLOW_UNIT
        errors = [end_point_errors(x, averaged_flow(target, (x.shape[2], x.shape[3]))) for x in self.levels(outputs)]
        weighted = [weight * error.sum((1, 2)) for weight, error in zip(LEVEL_WEIGHTS, errors)]
        return torch.stack(weighted).sum(0) / totals

    def said(self, outputs: Outputs) -> list[Tensor]:
        """The flow of each clip in pixels, at the size of its frames.  (2, h, w)"""
        finest = self.levels(outputs)[0]
        return [*(FLOW_UNIT * interpolate(finest, self.size, mode="bilinear", align_corners=False)).cpu()]

    def judged(self, said: Tensor, target: Targets) -> PairError:
        known = int(target.isfinite().all(0).sum())
        return PairError(float(end_point_errors(said, target).double().sum()), known)

    def joined(self, one: PairError, other: PairError) -> PairError:
        return PairError(one.total + other.total, one.pixels + other.pixels)

    def results(self, found: Mapping[int, PairError], videos: Videos, skipped: tuple[str, ...]) -> FlowErrors:
        names = tuple(map(videos.name, found))
        check_finite({name: torch.tensor(one.total) for name, one in zip(names, found.values())})
        if not any(one.pixels for one in found.values()):
            raise SpecError("no flow to compare with", got=f"{len(names)} pairs without known flow", want="known flow")
        return FlowErrors(names, tuple(found.values()), skipped=skipped)

    def prediction(self, path: Path, views: Sequence[ViewOutput], names: tuple[str, ...], top: int) -> FlowFields:
        """The flow of each pair of frames, in its first crop."""
        pairs = tuple(views[:: self.recipe.views.crops])
        check_finite({f"{path} at {one.start:g} s": one.said for one in pairs})
        return FlowFields(path, pairs)


class PairError(NamedTuple):
    """End-point errors of the pixels of a pair of frames whose flow is known."""

    total: float
    pixels: int

    @property
    def mean(self) -> float | None:
        """None where no flow is known."""
        return self.total / self.pixels if self.pixels else None


@dataclass(frozen=True)
class FlowErrors(Results):
    """The errors of all pairs."""

    errors: tuple[PairError, ...]

    @property
    def figures(self) -> dict[str, float]:
        """The mean end-point error over all pixels of all pairs."""
        return {"epe_px": sum(one.total for one in self.errors) / sum(one.pixels for one in self.errors)}

    def lines(self) -> Iterator[dict[str, Any]]:
        for name, one in zip(self.names, self.errors):
            yield {"name": name, "epe_px": one.mean, "pixels": one.pixels}


@dataclass(frozen=True)
class FlowFields(Prediction):
    """The flow of each pair of frames of a video, from the second to the first."""

    pairs: tuple[ViewOutput, ...]

    def record(self) -> dict[str, Any]:
        return {"path": str(self.path), "pairs": [flow_record(one) for one in self.pairs]}

    def text(self) -> str:
        lines = [str(self.path)]
        for one in map(flow_record, self.pairs):
            times = f"{minutes_seconds(one['start'])} to {minutes_seconds(one['end'])}"
            means = f"x {one['mean_x']:+.2f}  y {one['mean_y']:+.2f}"
            lines.append(printable(f"  {times}  mean {means}  longest {one['longest']:.2f} px"))
        return "\n".join(lines)

    def pictures(self) -> Iterator[tuple[str, bytes]]:
        """A picture of each pair in Middlebury's colours."""
        for i, one in enumerate(self.pairs):
            yield f"{i:05d}.flow.png", encode_png(flow_colours(one.said))


def flow_record(pair: ViewOutput) -> dict[str, float]:
    """The times of a pair in seconds, its mean flow and its longest, in pixels."""
    x, y = pair.said.mean((1, 2)).tolist()
    longest = float(pair.said.norm(dim=0).max())
    return {"start": pair.start, "end": pair.end, "mean_x": x, "mean_y": y, "longest": longest}
