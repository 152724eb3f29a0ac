"""Heartbeats between processes: each increments a counter in the rendezvous store and watches its neighbour's.

torch (2.13) would wait half an hour for a process that is stopped, in a call that cannot be interrupted; a process that
has exited it notices by itself.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

import torch.distributed as dist
from torch.distributed.distributed_c10d import _get_default_store

from archdsl.errors import Fault, SpecError

BEAT_SECONDS = 5.0
"""Seconds between two beats."""
MISSED_BEATS = 12
"""Own beats without one of the neighbour before it counts as stopped: none pass while the whole job is paused."""
FINISHED = 1 << 40
"""Added to the counter of a process that is done."""
FAILED = "failed"
"""The key under which a process says that it fell."""


@contextmanager
def heartbeat() -> Iterator[None]:
    """Send heartbeats; exit with an error where the neighbour stops, or any falls with an error that is its own.

    torchrun then ends the other processes. A SpecError is raised in all of them, so that each reports it.
    """
    store = _get_default_store().clone()  # type: ignore[attr-defined]  # torch's stubs lack it
    own = f"beat {dist.get_rank()}"
    neighbour = (dist.get_rank() + 1) % dist.get_world_size()
    over = Event()
    thread = Thread(target=beat, args=(store, own, neighbour, over), daemon=True)
    thread.start()
    try:
        yield
    except Exception as error:
        if not isinstance(error, SpecError) and not is_connection_lost(error):
            store.set(FAILED, f"{dist.get_rank()} {type(error).__name__}: {str(error).partition(chr(10))[0]}")
        raise
    finally:
        over.set()
        thread.join()


def is_connection_lost(error: Exception) -> bool:
    """Whether torch cannot reach another process: gloo's errors have no class of their own (2.13)."""
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "/gloo/" in str(error))


def beat(store: dist.Store, own: str, neighbour: int, over: Event) -> None:
    """Increment the own counter until `over`, and check the neighbour's."""
    last, silent = -1, 0
    try:
        while not over.wait(BEAT_SECONDS):
            store.add(own, 1)
            seen = store.add(f"beat {neighbour}", 0)
            silent = 0 if seen != last or seen >= FINISHED else silent + 1
            last = seen
            if store.check([FAILED]):
                end_process(fallen(store.get(FAILED).decode()))
            if silent >= MISSED_BEATS:
                end_process(no_answer(neighbour))
        store.add(own, FINISHED)
    except dist.DistError:
        return  # the process with the store has exited, which torch reports


def end_process(fault: Fault) -> None:
    """Exit with an error, whatever the process waits for."""
    sys.stderr.write(f"{fault}\n")
    os._exit(2)


def fallen(said: str) -> Fault:
    """The fault of a process that fell with an error of its own."""
    process, _, error = said.partition(" ")
    return Fault(
        what=f"process {process} failed",
        got=error,
        want="every process running",
        fix="see the output of that process; the same command then resumes from the last checkpoint",
    )


def no_answer(process: int) -> Fault:
    """The fault of a process that stopped."""
    return Fault(
        what=f"process {process} does not answer",
        got=f"nothing for {BEAT_SECONDS * MISSED_BEATS:g} s",
        want="every process running",
        fix="the same command, which resumes from the last checkpoint",
    )
