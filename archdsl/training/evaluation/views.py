"""Multi-view testing: every view of every video once, split over processes, joined to one score per video."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule

from archdsl.errors import SpecError
from archdsl.language import Clip
from archdsl.language.recipes.clips import Views
from archdsl.language.recipes.recipe import Recipe
from archdsl.training.batches import shortened, view_batches
from archdsl.training.data.clips import Batch, Videos
from archdsl.training.distributed import any_process, fail_together, gather_objects, rank_and_size
from archdsl.training.evaluation.scores import Scores
from archdsl.training.precision import autocast_of
from archdsl.training.state.skipped_videos import SkippedVideos

VIEWS_PER_BATCH = 16
"""Default batch size in views."""


class VideoScores(NamedTuple):
    """A video's scores joined so far, the number of their views, and its label."""

    scores: Tensor
    views: int
    label: Tensor


def score_videos(
    network: nn.Module,
    videos: Videos,
    recipe: Recipe,
    clips: Mapping[str, Clip],
    *,
    device: torch.device | None = None,
    workers: int = 0,
    batch: int | None = None,
    skips: SkippedVideos | None = None,
    progress: Callable[[int], None] | None = None,
    frames_read: Mapping[str, tuple[int, ...]] | None = None,
) -> Scores:
    """Scores of all videos, the same in every process. `progress` is called with the number of views done here.

    The network takes clips of the frames in `frames_read` alone, by default of all.
    Each video belongs to one process, so that none is counted twice. Raises SpecError where scores are not finite.
    """
    rank, world = rank_and_size()
    device = device or next(network.parameters()).device
    skips = skips if skips is not None else SkippedVideos()
    feed = view_batches(
        videos,
        recipe,
        clips,
        rank=rank,
        world=world,
        device=device,
        workers=workers,
        skips=skips,
        batch=batch or VIEWS_PER_BATCH,
        frames_read=frames_read,
    )
    found: dict[int, VideoScores] = {}
    with fail_together(), evaluation_mode(network):
        for one in lockstep_batches(feed, network, shortened(clips, frames_read or {}), device):
            with autocast_of(recipe, device):
                scores = average_heads(network(one.clips)).float()
            add_views(found, one, view_scores(scores, recipe.views).cpu(), recipe.views)
            if progress:
                progress(len(one.indices))
    return make_scores(merge_processes(gather_objects(found)), videos, recipe.views, gather_objects(list(skips.names)))


@contextmanager
def evaluation_mode(network: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; the former modes are restored."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def lockstep_batches(
    feed: Iterator[Batch], network: nn.Module, clips: Mapping[str, Clip], device: torch.device
) -> Iterator[Batch]:
    """The batches of this process. With FSDP all processes run the network equally often.

    A process without batches left runs zeros, whose scores are dropped.
    """
    if not isinstance(network, FSDPModule):
        yield from feed
        return
    zeros = {name: torch.zeros(1, *clip.shape, device=device) for name, clip in clips.items()}
    nothing = next(iter(zeros.values())) if len(zeros) == 1 else zeros
    none = torch.zeros(0, device=device)
    while True:
        with fail_together():
            batch = next(feed, None)
        if not any_process(batch is not None):
            return
        yield batch or Batch(nothing, none, none, (), (), (), (), 0.0)


def average_heads(scores: Tensor | dict[str, Tensor]) -> Tensor:
    """Scores of the network; the average of several heads."""
    return torch.stack(list(scores.values())).mean(0) if isinstance(scores, dict) else scores


def view_scores(scores: Tensor, views: Views) -> Tensor:
    """The scores of a view as they are joined: softmax, sigmoid or logits."""
    match views.scores:
        case "softmax":
            return scores.softmax(1)
        case "sigmoid":
            return scores.sigmoid()
        case _:
            return scores


def add_views(found: dict[int, VideoScores], batch: Batch, scores: Tensor, views: Views) -> None:
    """Join the views of a batch into their videos."""
    labels = batch.labels.cpu()
    for row, (index, readable) in enumerate(zip(batch.indices, batch.weights.tolist(), strict=True)):
        if readable:
            one = VideoScores(scores[row].double(), 1, labels[row])
            found[index] = add_view(found[index], one, views) if index in found else one


def add_view(video: VideoScores, view: VideoScores, views: Views) -> VideoScores:
    """A video with one more view: scores are summed, or the maximum is kept."""
    joined = torch.maximum(video.scores, view.scores) if views.join == "max" else video.scores + view.scores
    return VideoScores(joined, video.views + view.views, video.label)


def merge_processes(parts: list[dict[int, VideoScores]]) -> dict[int, VideoScores]:
    """The videos of all processes, in the order of the list."""
    found: dict[int, VideoScores] = {}
    for part in parts:
        assert not found.keys() & part.keys(), "a video was tested twice"
        found |= part
    return dict(sorted(found.items()))


def make_scores(found: dict[int, VideoScores], videos: Videos, views: Views, skipped: list[list[str]]) -> Scores:
    """Scores of the videos, with the names of unreadable ones."""
    if not found:
        got = f"{len(videos)} videos, none of which could be read"
        raise SpecError("nothing to test", got=got, want="videos", fix="`archdsl data check` says why")
    rows = [one.scores if views.join == "max" else one.scores / one.views for one in found.values()]
    scores = torch.stack(rows).float()
    names = tuple(videos.name(index) for index in found)
    check_finite(dict(zip(names, scores)))
    labels = torch.stack([one.label for one in found.values()])
    missing = tuple(sorted({name for part in skipped for name in part} - set(names)))
    return Scores(videos.classes, videos.multi_label, names, scores, labels, missing)


def check_finite(scores: Mapping[str, Tensor]) -> None:
    """Raises SpecError where some scores are not finite."""
    odd = [name for name, rows in scores.items() if not rows.isfinite().all()]
    if odd:
        raise SpecError(
            "scores are not finite",
            got=f"{len(odd)} of {len(scores)} videos: {', '.join(odd[:3])}",
            want="finite scores",
            fix="use other weights, or recipe.precision: fp32",
        )
