"""Multi-view testing: every view of every video once, split over processes, joined to one result per video."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule

from archdsl.errors import SpecError
from archdsl.language import Clip
from archdsl.training.batches import blank_clips, shortened, view_batches
from archdsl.training.data.clips import Batch, Videos
from archdsl.training.data.targets import map_targets, targets_of_clips
from archdsl.training.evaluation.results import Results
from archdsl.training.precision import autocast_of
from archdsl.training.processes import any_process, fail_together, gather_objects, rank_and_size
from archdsl.training.state.skipped_videos import SkippedVideos
from archdsl.training.tasks.base import Task

VIEWS_PER_BATCH = 16
"""Default batch size in views."""


def judge_videos(
    network: nn.Module,
    task: Task,
    videos: Videos,
    clips: Mapping[str, Clip],
    *,
    device: torch.device | None = None,
    workers: int = 0,
    batch: int | None = None,
    skips: SkippedVideos | None = None,
    progress: Callable[[int], None] | None = None,
    frames_read: Mapping[str, tuple[int, ...]] | None = None,
) -> Results:
    """Results of all videos, the same in every process. `progress` is called with the number of views done here.

    The network takes clips of the frames in `frames_read` alone, by default of all.
    Each video belongs to one process, so that none is counted twice. Raises SpecError where outputs are not finite.
    """
    rank, world = rank_and_size()
    device = device or next(network.parameters()).device
    skips = skips if skips is not None else SkippedVideos()
    feed = view_batches(
        videos,
        task.recipe,
        clips,
        task=task,
        rank=rank,
        world=world,
        device=device,
        workers=workers,
        skips=skips,
        batch=batch or VIEWS_PER_BATCH,
        frames_read=frames_read,
    )
    found: dict[int, Any] = {}
    with fail_together(), evaluation_mode(network):
        for one in lockstep_batches(feed, network, shortened(clips, frames_read or {}), device):
            with autocast_of(task.recipe, device):
                outputs = task.outputs(network, one.clips)
            if one.indices:
                add_views(found, one, task.said_of(outputs, one), task)
            if progress:
                progress(len(one.indices))
    return joint_results(merge_processes(gather_objects(found)), videos, task, gather_objects(list(skips.names)))


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
    zeros = blank_clips(clips, device)
    nothing = next(iter(zeros.values())) if len(zeros) == 1 else zeros
    none = torch.zeros(0, device=device)
    while True:
        with fail_together():
            batch = next(feed, None)
        if not any_process(batch is not None):
            return
        yield batch or Batch(nothing, none, none, (), (), (), (), 0.0)


def add_views(found: dict[int, Any], batch: Batch, said: list[Any], task: Task) -> None:
    """Join the views of a batch into their videos."""
    for row, (index, readable) in enumerate(zip(batch.indices, batch.weights.tolist(), strict=True)):
        if readable:
            one = task.judged(said[row], map_targets(Tensor.cpu, targets_of_clips(batch.targets, row)))
            found[index] = task.joined(found[index], one) if index in found else one


def merge_processes(parts: list[dict[int, Any]]) -> dict[int, Any]:
    """The videos of all processes, in the order of the list."""
    found: dict[int, Any] = {}
    for part in parts:
        assert not found.keys() & part.keys(), "a video was tested twice"
        found |= part
    return dict(sorted(found.items()))


def joint_results(found: dict[int, Any], videos: Videos, task: Task, skipped: list[list[str]]) -> Results:
    """The results of the videos of all processes, with the names of unreadable ones."""
    if not found:
        got = f"{len(videos)} videos, none of which could be read"
        raise SpecError("nothing to test", got=got, want="videos", fix="`archdsl data check` says why")
    missing = {name for part in skipped for name in part} - {videos.name(index) for index in found}
    return task.results(found, videos, tuple(sorted(missing)))
