"""A network tested: every view of every video once, each process its share, one score for each video."""

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
from archdsl.training.batches import view_feed
from archdsl.training.data.clips import Batch, Videos
from archdsl.training.distributed import any_of, as_one, gathered, ranks
from archdsl.training.evaluation.scores import Scores
from archdsl.training.precision import in_precision
from archdsl.training.state.skipped_videos import Skips

BATCH = 16
"""Views that go through the network at once, where nothing else is asked for."""


class Video(NamedTuple):
    """What is known of one video so far: its joined scores, how many views they are of, its label."""

    scores: Tensor
    views: int
    label: Tensor


def scored(
    network: nn.Module,
    videos: Videos,
    recipe: Recipe,
    clips: Mapping[str, Clip],
    *,
    device: torch.device | None = None,
    workers: int = 0,
    batch: int | None = None,
    skips: Skips | None = None,
    progress: Callable[[int], None] | None = None,
) -> Scores:
    """Scores of all videos, the same in every process. `progress` is told the views that are done in this process.

    Each video is one process's, so that none is counted twice. Raises SpecError where scores are no numbers.
    """
    rank, world = ranks()
    device = device or next(network.parameters()).device
    skips = skips if skips is not None else Skips()
    feed = view_feed(
        videos,
        recipe,
        clips,
        rank=rank,
        world=world,
        device=device,
        workers=workers,
        skips=skips,
        batch=batch or BATCH,
    )
    found: dict[int, Video] = {}
    with as_one(), quiet(network):
        for one in in_step(feed, network, clips, device):
            with in_precision(recipe, device):
                scores = joined_heads(network(one.clips)).float()
            take_in(found, one, view_scores(scores, recipe.views).cpu(), recipe.views)
            if progress:
                progress(len(one.indices))
    return scores_of(merged(gathered(found)), videos, recipe.views, gathered(list(skips.names)))


@contextmanager
def quiet(network: nn.Module) -> Iterator[None]:
    """Without gradients, dropout and batch statistics; afterwards as it was."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def in_step(
    feed: Iterator[Batch], network: nn.Module, clips: Mapping[str, Clip], device: torch.device
) -> Iterator[Batch]:
    """The batches of this process. Processes that share a network's weights go through it equally often.

    Which has no batch left then sends zeros, of which nothing is taken.
    """
    if not isinstance(network, FSDPModule):
        yield from feed
        return
    zeros = {name: torch.zeros(1, *clip.shape, device=device) for name, clip in clips.items()}
    nothing = next(iter(zeros.values())) if len(zeros) == 1 else zeros
    none = torch.zeros(0, device=device)
    while True:
        with as_one():
            batch = next(feed, None)
        if not any_of(batch is not None):
            return
        yield batch or Batch(nothing, none, none, (), (), (), (), 0.0)


def joined_heads(scores: Tensor | dict[str, Tensor]) -> Tensor:
    """The scores of a network; of several heads their average."""
    return torch.stack(list(scores.values())).mean(0) if isinstance(scores, dict) else scores


def view_scores(scores: Tensor, views: Views) -> Tensor:
    """What is joined over the views of a video."""
    match views.scores:
        case "softmax":
            return scores.softmax(1)
        case "sigmoid":
            return scores.sigmoid()
        case _:
            return scores


def take_in(found: dict[int, Video], batch: Batch, scores: Tensor, views: Views) -> None:
    """Add the views of a batch to their videos."""
    labels = batch.labels.cpu()
    for row, (index, readable) in enumerate(zip(batch.indices, batch.weights.tolist(), strict=True)):
        if readable:
            one = Video(scores[row].double(), 1, labels[row])
            found[index] = together(found[index], one, views) if index in found else one


def together(video: Video, view: Video, views: Views) -> Video:
    """A video with one more view: scores are summed until all are there, or the largest is kept."""
    sum_or_most = torch.maximum(video.scores, view.scores) if views.join == "max" else video.scores + view.scores
    return Video(sum_or_most, video.views + view.views, video.label)


def merged(parts: list[dict[int, Video]]) -> dict[int, Video]:
    """The videos of all processes, in the order of the list."""
    found: dict[int, Video] = {}
    for part in parts:
        assert not found.keys() & part.keys(), "a video was tested twice"
        found |= part
    return dict(sorted(found.items()))


def scores_of(found: dict[int, Video], videos: Videos, views: Views, skipped: list[list[str]]) -> Scores:
    """The scores of the videos, and which could not be read."""
    if not found:
        got = f"{len(videos)} videos, none of which could be read"
        raise SpecError("nothing to test", got=got, want="videos", fix="archdsl data check tells why")
    rows = [one.scores if views.join == "max" else one.scores / one.views for one in found.values()]
    scores = torch.stack(rows).float()
    names = tuple(videos.name(index) for index in found)
    check_finite(dict(zip(names, scores)))
    labels = torch.stack([one.label for one in found.values()])
    missing = tuple(sorted({name for part in skipped for name in part} - set(names)))
    return Scores(videos.classes, videos.several, names, scores, labels, missing)


def check_finite(scores: Mapping[str, Tensor]) -> None:
    """Raises SpecError where the scores of some videos are no numbers."""
    odd = [name for name, rows in scores.items() if not rows.isfinite().all()]
    if odd:
        raise SpecError(
            "scores that are no numbers",
            got=f"{len(odd)} of {len(scores)} videos: {', '.join(odd[:3])}",
            want="finite scores",
            fix="other weights, or recipe.precision: fp32",
        )
