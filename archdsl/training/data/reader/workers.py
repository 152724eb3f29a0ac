"""Clips read by processes beside the one that trains. One that dies or hangs costs a video, not the run."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Iterable, Iterator
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
from archdsl.training.data.clips import Sample, Take, Unreadable, Videos
from archdsl.training.data.reader import watchdog as watching
from archdsl.training.data.reader.transport import packed, unpacked

Asked = tuple[int, Take]
"""A video by index, and which clip of it."""
AHEAD = 2
"""Batches that each worker reads ahead."""
CPU = torch.device("cpu")
TRIES = 2
"""So often is a video read that cannot be read, or at which its reader dies."""
SOON = 10.0
"""Seconds within which a video that cannot be read is tried again."""
GRACE = 1.0
"""Seconds between a broken connection and the end of the process behind it."""


@dataclass
class Reader(Dataset[Any]):
    """Reads clips, in a worker. A video that cannot be read is tried twice, and is then a value like every other."""

    videos: Videos
    lost: dict[int, str]
    """Videos that are not read any more, and why."""
    at: Tensor
    """(workers, 2), shared: a worker's process, and the video that it is at; -1 for none"""

    def __getitem__(self, asked: Asked) -> Sample | Unreadable:
        index = asked[0]
        if index in self.lost:
            return Unreadable(self.videos.name(index), self.lost[index])
        self.mark(index)
        try:
            found = watching.watched(lambda: self.tried(asked))
        except TimeoutError as error:
            self.lost[index] = str(error)
            found = Unreadable(self.videos.name(index), str(error))
        self.mark(-1)
        return found

    def mark(self, index: int) -> None:
        """Leave word of what is read, for when this process dies of it."""
        if worker := get_worker_info():
            self.at[worker.id, 0], self.at[worker.id, 1] = os.getpid(), index

    def tried(self, asked: Asked) -> Sample | Unreadable:
        """A clip; tried again where that failed soon, for a network drive may have blinked."""
        begun = perf_counter()
        found = self.once(asked)
        return self.once(asked) if isinstance(found, Unreadable) and perf_counter() - begun < SOON else found

    def once(self, asked: Asked) -> Sample | Unreadable:
        """One try."""
        try:
            return self.videos.read(*asked)
        except Unreadable as missing:
            return missing
        except (OSError, MemoryError) as error:
            return Unreadable(self.videos.name(asked[0]), str(error) or type(error).__name__)
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            return Unreadable(self.videos.name(asked[0]), "no memory for its frames")


class Line:
    """Batches that are asked for, in order. Those that have not come are asked for anew of the next readers."""

    def __init__(self, asked: Iterable[list[Asked]]) -> None:
        self.source = iter(asked)
        self.out: deque[list[Asked]] = deque()
        """Asked for, and not come."""

    def __iter__(self) -> Iterator[list[Asked]]:
        yield from tuple(self.out)
        for wanted in self.source:
            self.out.append(wanted)
            yield wanted


class Crew:
    """The readers of a feed, until one of them is gone."""

    def __init__(self, videos: Videos, line: Line, workers: int, device: torch.device, lost: dict[int, str]) -> None:
        self.at = torch.full((workers, 2), -1).share_memory_()  # torch's is untyped
        before = set(active_children())
        with unheard():
            self.batches = iter(
                DataLoader(
                    Reader(videos, lost, self.at),
                    batch_sampler=line,
                    num_workers=workers,
                    collate_fn=packed if workers else list,
                    pin_memory=device.type == "cuda",
                    generator=torch.Generator(),  # the loader draws a seed, which nothing here uses
                    worker_init_fn=quiet if workers else None,
                    prefetch_factor=AHEAD if workers else None,
                )
            )
        self.processes = set(active_children()) - before

    def gone(self) -> dict[int, str]:
        """Process -> how it ended."""
        if self.processes:
            wait([process.sentinel for process in self.processes], GRACE)
        return {process.pid or 0: ended(code) for process in self.processes if (code := process.exitcode) is not None}

    def blamed(self, gone: dict[int, str]) -> dict[int, str]:
        """Video -> how the process ended that was at it."""
        return {index: gone[pid] for pid, index in self.at.tolist() if pid in gone and index >= 0}


def read(
    videos: Videos,
    asked: Iterable[list[Asked]],
    workers: int,
    device: torch.device = CPU,
    lost: dict[int, str] | None = None,
) -> Iterator[tuple[list[Asked], list[Sample | Unreadable], float]]:
    """What was asked for, what was read, and the seconds that it was waited for.

    When a reader dies, new ones go on from the first batch that has not come: batches do not depend on it. A video at
    which readers die twice is put among the `lost`, and is unreadable from then on.
    """
    lost = {} if lost is None else lost
    line, deaths, begun = Line(asked), Counter[int](), perf_counter()
    while True:
        crew = Crew(videos, line, workers, device, lost)
        try:
            for found in crew.batches:
                wanted = line.out.popleft()
                for index in (-1, *(index for index, _ in wanted)):
                    deaths.pop(index, None)
                yield wanted, unpacked(found) if workers else found, perf_counter() - begun
                begun = perf_counter()
            return
        except (RuntimeError, OSError, EOFError):
            gone = crew.gone()
            if not gone:
                raise
        for index, how in (crew.blamed(gone) or {-1: next(iter(gone.values()))}).items():
            deaths[index] += TRIES if how == watching.too_long() else 1
            if deaths[index] >= TRIES:
                if index < 0:
                    raise broken(how)
                lost[index] = how
        del crew  # its processes end here


def out_of_memory(error: RuntimeError) -> bool:
    """Whether torch (2.13) found no memory, which it says in words alone."""
    return any(words in str(error) for words in ("DefaultCPUAllocator", "out of memory", "not enough memory"))


@contextmanager
def unheard() -> Iterator[None]:
    """torch's handler (2.13) raises wherever the training is when a reader dies. The feed finds out as it waits."""
    handler = signal.getsignal(signal.SIGCHLD)
    yield
    if handler is not None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGCHLD, handler)


def quiet(worker: int) -> None:
    """Signals to end a run are for the process that trains: it ends its workers itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def ended(code: int) -> str:
    """How a reader ended, by its exit code."""
    if code == watching.GAVE_UP:
        return watching.too_long()
    if code >= 0:
        return f"the process that read it ended with code {code}"
    said = ", as where memory runs out" if -code == signal.SIGKILL else ""
    return f"the process that read it ended by {signal.Signals(-code).name}{said}"


def broken(how: str) -> SpecError:
    """The error of readers that end before they read."""
    return SpecError(
        "processes that read videos do not live",
        got=f"twice in a row, at no video: {how}",
        want="memory for all workers",
        fix="fewer --workers",
    )
