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

from archdsl.backend.devices import device_of
from archdsl.errors import SpecError
from archdsl.training.heartbeat import heartbeat

T = TypeVar("T")


class World(NamedTuple):
    """Which of how many processes this is, and the device it computes on."""

    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process writes and speaks for all."""
        return self.rank == 0


@contextmanager
def world_of(device: str | None = None) -> Iterator[World]:
    """The processes of torchrun (RANK, WORLD_SIZE, LOCAL_RANK), or this one alone."""
    chosen = device_of(device)
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1 or dist.is_initialized():
        yield World(*ranks(), chosen)
        return
    if chosen.type == "cuda":
        chosen = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(chosen)
    try:
        dist.init_process_group("cpu:gloo,cuda:nccl" if chosen.type == "cuda" else "gloo")
        with heartbeat():
            yield World(*ranks(), chosen)
    except BaseException as error:
        clear_frames(error.__traceback__)  # DDP is in them, and must end before its process group, as in `train`
        if isinstance(error, RuntimeError) and is_lost(error):
            raise SpecError(
                "another process has ended, or does not answer",
                got=str(error).splitlines()[0][:160],
                want="processes that all run",
                fix="what that process says; the same command then goes on from the last checkpoint",
            ) from None
        raise
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def is_lost(error: RuntimeError) -> bool:
    """Whether torch says that it cannot reach another process: gloo's errors have no class of their own (2.13)."""
    return isinstance(error, dist.DistError) or "/gloo/" in str(error)


def ranks() -> tuple[int, int]:
    """(rank, size) of the group of processes; (0, 1) without one."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def added(value: Tensor) -> Tensor:
    """The sum of a tensor over all processes, in place."""
    if dist.is_initialized():
        dist.all_reduce(value)
    return value


def gathered(thing: T) -> list[T]:
    """What every process has, in the order of ranks."""
    if not dist.is_initialized():
        return [thing]
    things: list[T] = [thing] * dist.get_world_size()
    dist.all_gather_object(things, thing)
    return things


def any_of(flag: bool) -> bool:
    """Whether any process says so. On the CPU, so that a GPU is not waited for."""
    return bool(added(torch.tensor(int(flag))))


@contextmanager
def as_one() -> Iterator[None]:
    """What is wrong in one process ends all of them here, with the same error; none waits for one that is gone.

    Every process must come to its end. Within it nothing is exchanged that another could miss.
    """
    wrong: SpecError | OSError | None = None
    try:
        yield
    except (SpecError, OSError) as error:
        wrong = error
    if any_of(wrong is not None):
        raise next(filter(None, gathered(wrong)))
