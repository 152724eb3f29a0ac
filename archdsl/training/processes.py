"""The processes that train one network together: one alone, or those that torchrun started."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from traceback import clear_frames
from typing import NamedTuple, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import _abort_process_group
from torch.distributed.nn.functional import all_gather

from archdsl.backend.devices import device_of
from archdsl.errors import SpecError
from archdsl.report.number_format import plural
from archdsl.training.heartbeat import heartbeat, is_connection_lost

T = TypeVar("T")


class World(NamedTuple):
    """Rank, world size and device of this process."""

    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process writes files and prints."""
        return self.rank == 0


@contextmanager
def process_group(device: str | None = None) -> Iterator[World]:
    """The process group that torchrun describes (RANK, WORLD_SIZE, LOCAL_RANK), or this process alone."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1 or dist.is_initialized():
        yield World(*rank_and_size(), device_of(device))
        return
    found = local_device(device)
    try:
        dist.init_process_group("cpu:gloo,cuda:nccl" if found.type == "cuda" else "gloo")
        with heartbeat():
            yield World(*rank_and_size(), found)
    except BaseException as error:
        clear_frames(error.__traceback__)  # they hold DDP, which must end before its process group, as in `train`
        if isinstance(error, Exception) and is_connection_lost(error):
            raise SpecError(
                "lost the connection to another process",
                got=str(error).splitlines()[0][:160],
                want="every process running",
                fix="see the output of that process; the same command then resumes from the last checkpoint",
            ) from None
        if not isinstance(error, SpecError) and found.type == "cuda" and dist.is_initialized():
            _abort_process_group()  # destroying it would wait for processes that wait for this one
        raise
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def local_device(name: str | None) -> torch.device:
    """The device of one of several processes: of GPUs the one with its local rank, before any is touched.

    Raises SpecError for a GPU by number, and where a machine has fewer GPUs than processes.
    """
    wanted = device_of(name, touch=False)
    if wanted.type != "cuda":
        return device_of(name)
    rank, count = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if wanted.index is not None:
        want = "cuda: each process takes the GPU of its local rank"
        raise SpecError("one GPU for several processes", got=f"--device {name}", want=want, fix="--device cuda")
    if rank >= count:
        raise SpecError(
            "more processes than GPUs on a machine",
            got=f"local rank {rank}, {plural(count, 'GPU')}",
            want="a GPU for each process",
            fix=f"torchrun --nproc-per-node {count}" if count else "--device cpu",
        )
    torch.cuda.set_device(rank)
    return device_of(f"cuda:{rank}")


def rank_and_size() -> tuple[int, int]:
    """(rank, world size); (0, 1) without a process group."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def sum_over_processes(value: Tensor) -> Tensor:
    """All-reduce sum of a tensor, in place."""
    if dist.is_initialized():
        dist.all_reduce(value)
    return value


def rows_of_all(x: Tensor) -> Tensor:
    """Rows of all processes, by rank; gradients go back to each."""
    return torch.cat(all_gather(x.contiguous())) if dist.is_initialized() else x


def own_rows(x: Tensor) -> Tensor:
    """Where this process's rows stand among those of all."""
    rank, _ = rank_and_size()
    return torch.arange(len(x), device=x.device) + rank * len(x)


def gather_objects(thing: T) -> list[T]:
    """The objects of all processes, by rank."""
    if not dist.is_initialized():
        return [thing]
    things: list[T] = [thing] * dist.get_world_size()
    dist.all_gather_object(things, thing)
    return things


def any_process(flag: bool) -> bool:
    """Whether the flag is set in any process. On the CPU, so that no GPU is waited for."""
    return bool(sum_over_processes(torch.tensor(int(flag))))


@contextmanager
def fail_together() -> Iterator[None]:
    """An error in one process is raised in all of them at the end of the block, so that none waits for one that failed.

    Every process must reach the end, and no collective may run within that another process could miss.
    """
    failure: SpecError | OSError | None = None
    try:
        yield
    except (SpecError, OSError) as error:
        failure = error
    if any_process(failure is not None):
        raise next(filter(None, gather_objects(failure)))
