"""Processes that notice when one of them stops: each counts up in the store they met at, and watches its neighbour.

torch would wait for half an hour, in a call that nothing in the process can end (2.13); a process that has ended it
notices by itself.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

import torch.distributed as dist
from torch.distributed.distributed_c10d import _get_default_store

from archdsl.errors import Fault

TICK = 5.0
"""Seconds between two beats."""
PATIENCE = 12
"""Ticks of this process without one of its neighbour: they do not pass while the whole job is stopped."""
ENDED = 1 << 40
"""Added to a count whose process needs no others any more."""


@contextmanager
def heartbeat() -> Iterator[None]:
    """Beats within; ends this process, with an error, where its neighbour stops. torchrun then ends the others."""
    store = _get_default_store().clone()  # type: ignore[attr-defined]  # torch's stubs lack it
    own = f"beat {dist.get_rank()}"
    neighbour = (dist.get_rank() + 1) % dist.get_world_size()
    over = Event()
    thread = Thread(target=beat, args=(store, own, neighbour, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def beat(store: dist.Store, own: str, neighbour: int, over: Event) -> None:
    """Count up until it is over, and look whether the neighbour does."""
    last, silent = -1, 0
    try:
        while not over.wait(TICK):
            store.add(own, 1)
            seen = store.add(f"beat {neighbour}", 0)
            silent = 0 if seen != last or seen >= ENDED else silent + 1
            last = seen
            if silent >= PATIENCE:
                sys.stderr.write(f"{silence(neighbour)}\n")
                os._exit(2)
        store.add(own, ENDED)
    except dist.DistError:
        return  # where the store is gone so is its process, which torch tells of


def silence(process: int) -> Fault:
    """What is wrong where a process stops."""
    return Fault(
        what=f"process {process} does not answer",
        got=f"nothing for {TICK * PATIENCE:g} s",
        want="processes that all run",
        fix="the same command, which goes on from the last checkpoint",
    )
