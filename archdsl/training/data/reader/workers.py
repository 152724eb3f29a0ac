"""Clips read by worker processes. A worker that crashes or hangs costs a video, not the run."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import active_children
from multiprocessing.connection import wait
from time import perf_counter
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from archdsl.errors import SpecError
from archdsl.training.data.clips import ClipRequest, Sample, Unreadable, Videos
from archdsl.training.data.reader import watchdog
from archdsl.training.data.reader.transport import Packed, pack, unpack

VideoRequest = tuple[int, ClipRequest]
"""A video by index, and which clip of it."""
ChangeSample = Callable[[Sample, ClipRequest], Sample]
PREFETCH_BATCHES = 2
"""Batches that each worker reads ahead."""
CPU = torch.device("cpu")
MOST_WORKERS = 512
"""Workers of one feed: each is a process that has torch in memory."""
READ_TRIES = 2
"""Attempts at an unreadable video, and crashes at a video, before it is given up."""
RETRY_SECONDS = 10.0
"""A read that failed within this time is retried."""
EXIT_SECONDS = 1.0
"""Wait between a broken pipe and the exit of the process behind it."""


@dataclass
class ClipDataset(Dataset[Any]):
    """Reads clips in a worker. An unreadable video is retried once and then returned as a value, not raised."""

    videos: Videos
    given_up: dict[int, str]
    """Videos that are not read any more, and why."""
    current: Tensor
    """(workers, 2), shared: each worker's process id and the video it reads; -1 for none"""
    crop: ChangeSample | None = None
    """What is done to each clip before it leaves the reader."""

    def __getitem__(self, wanted: VideoRequest) -> Sample | Unreadable:
        index = wanted[0]
        if index in self.given_up:
            return Unreadable(self.videos.name(index), self.given_up[index])
        self.mark(index)
        try:
            found = watchdog.run_watched(lambda: self.read_with_retry(wanted))
        except TimeoutError as error:
            self.given_up[index] = str(error)
            found = Unreadable(self.videos.name(index), str(error))
        self.mark(-1)
        return found

    def mark(self, index: int) -> None:
        """Record which video is read, in case this process crashes at it."""
        if worker := get_worker_info():
            self.current[worker.id, 0], self.current[worker.id, 1] = os.getpid(), index

    def read_with_retry(self, wanted: VideoRequest) -> Sample | Unreadable:
        """A clip; retried after a quick failure, which may be a glitch of a network drive."""
        begun = perf_counter()
        found = self.read_once(wanted)
        failed_soon = isinstance(found, Unreadable) and perf_counter() - begun < RETRY_SECONDS
        return self.read_once(wanted) if failed_soon else found

    def read_once(self, wanted: VideoRequest) -> Sample | Unreadable:
        """One attempt."""
        try:
            found = self.videos.read(*wanted)
            return self.crop(found, wanted[1]) if self.crop else found
        except Unreadable as missing:
            return missing
        except (OSError, MemoryError) as error:
            return Unreadable(self.videos.name(wanted[0]), str(error) or type(error).__name__)
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            return Unreadable(self.videos.name(wanted[0]), "out of memory for its frames")


class RequestQueue:
    """Batches of requests, in order. New workers begin with the pending ones."""

    def __init__(self, batches: Iterable[list[VideoRequest]]) -> None:
        self.source = iter(batches)
        self.pending: deque[list[VideoRequest]] = deque()
        """Requested and not received."""

    def __iter__(self) -> Iterator[list[VideoRequest]]:
        yield from tuple(self.pending)
        for batch in self.source:
            self.pending.append(batch)
            yield batch


class WorkerPool:
    """The workers of one DataLoader, until one of them exits."""

    def __init__(
        self,
        videos: Videos,
        queue: RequestQueue,
        workers: int,
        device: torch.device,
        given_up: dict[int, str],
        crop: ChangeSample | None,
    ) -> None:
        self.current = torch.full((workers, 2), -1).share_memory_()  # torch's is untyped
        before = set(active_children())
        with without_sigchld_handler():
            self.batches = iter(
                DataLoader(
                    ClipDataset(videos, given_up, self.current, crop),
                    batch_sampler=queue,
                    num_workers=workers,
                    collate_fn=pack if workers or device.type != "cpu" else list,
                    pin_memory=device.type == "cuda",
                    generator=torch.Generator(),  # the loader draws a seed, which nothing here uses
                    worker_init_fn=ignore_stop_signals if workers else None,
                    prefetch_factor=PREFETCH_BATCHES if workers else None,
                )
            )
        self.processes = set(active_children()) - before

    def exits(self) -> dict[int, str]:
        """Process id -> how it exited, of the workers that have."""
        if self.processes:
            wait([process.sentinel for process in self.processes], EXIT_SECONDS)
        codes = {process.pid or 0: process.exitcode for process in self.processes}
        return {pid: exit_reason(code) for pid, code in codes.items() if code is not None}

    def culprits(self, exits: dict[int, str]) -> dict[int, str]:
        """Video -> how the worker that read it exited."""
        return {index: exits[pid] for pid, index in self.current.tolist() if pid in exits and index >= 0}


def read_clips(
    videos: Videos,
    batches: Iterable[list[VideoRequest]],
    workers: int,
    device: torch.device = CPU,
    given_up: dict[int, str] | None = None,
    crop: ChangeSample | None = None,
) -> Iterator[tuple[list[VideoRequest], list[Sample | Unreadable], float]]:
    """(requests of a batch, what was read, seconds waited for it). Clips are on the device, by one copy a batch.

    When a worker exits, new ones resume from the first batch not received: the batches are the same. A video at which
    workers exit twice is added to `given_up`, and is unreadable from then on.
    """
    if workers > MOST_WORKERS:
        raise SpecError(
            "too many data-loading workers", got=str(workers), want=f"at most {MOST_WORKERS}", fix="--workers 16"
        )
    given_up = {} if given_up is None else given_up
    queue, crashes, begun = RequestQueue(batches), Counter[int](), perf_counter()
    while True:
        pool = WorkerPool(videos, queue, workers, device, given_up, crop)
        try:
            for found in pool.batches:
                batch = queue.pending.popleft()
                for index in (-1, *(index for index, _ in batch)):
                    crashes.pop(index, None)
                waited = perf_counter() - begun
                yield batch, unpack(found.to(device)) if isinstance(found, Packed) else found, waited
                begun = perf_counter()
            return
        except (RuntimeError, OSError, EOFError):
            exits = pool.exits()
            if not exits:
                raise
        for index, reason in (pool.culprits(exits) or {-1: next(iter(exits.values()))}).items():
            crashes[index] += READ_TRIES if reason == watchdog.hang_reason() else 1
            if crashes[index] >= READ_TRIES:
                if index < 0:
                    raise workers_crash(reason)
                given_up[index] = reason
        del pool  # its processes end here


def out_of_memory(error: RuntimeError) -> bool:
    """Whether torch (2.13) ran out of memory, which only the message tells."""
    return any(words in str(error) for words in ("DefaultCPUAllocator", "out of memory", "not enough memory"))


@contextmanager
def without_sigchld_handler() -> Iterator[None]:
    """torch's handler (2.13) raises anywhere in the training when a worker exits. The feed finds out as it waits."""
    handler = signal.getsignal(signal.SIGCHLD)
    yield
    if handler is not None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGCHLD, handler)


def ignore_stop_signals(worker: int) -> None:
    """Ctrl-C is handled by the training process, which ends its workers itself; SIGTERM ends a worker at once."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def exit_reason(code: int) -> str:
    """Why a worker exited, by its exit code."""
    if code == watchdog.HANG_EXIT_CODE:
        return watchdog.hang_reason()
    if code >= 0:
        return f"the worker that read it exited with code {code}"
    note = ", possibly out of memory" if -code == signal.SIGKILL else ""
    return f"the worker that read it was killed by {signal.Signals(-code).name}{note}"


def workers_crash(reason: str) -> SpecError:
    """The error of workers that exit before they read a video."""
    return SpecError(
        "data-loading workers keep crashing",
        got=f"twice in a row, before reading any video: {reason}",
        want="memory for all workers",
        fix="fewer --workers",
    )
