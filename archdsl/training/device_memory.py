"""Whether a step fits the device, as predicted before the first one; and what would fit."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch

from archdsl.compiler import Plan
from archdsl.errors import SpecError
from archdsl.language.amounts import bytes_text
from archdsl.language.recipes.recipe import Recipe
from archdsl.report.memory.report import Memory, Setup
from archdsl.report.number_format import plural

CONTAINER_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
MOST_PROCESSES = 4096
HEADROOM = 0.9
"""The share of RAM that tensors may have, and of any device's memory that what is advised needs at most."""
ROOM_AFTER = 0.75
"""What is taken to fit after a step ran out of memory, as a share of what it was predicted to need."""


@dataclass(frozen=True)
class StepMemory:
    """A step of a recipe in each of so many processes."""

    plan: Plan
    recipe: Recipe
    processes: int
    shard: bool
    targets: int = 0
    """Bytes of a clip's targets."""

    @cached_property
    def predicted(self) -> Memory:
        """The memory of a step."""
        parts, norms = self.recipe.optimizer.accumulate, self.recipe.norms
        several = self.processes > 1
        setup = Setup(
            batch=self.recipe.batch // self.processes // parts,
            targets=self.targets,
            precision=self.recipe.precision,
            optimizer=self.recipe.optimizer.kind,
            checkpoint=self.recipe.checkpoint,
            copies=(self.recipe.average > 0) + (several and not self.shard),
            accumulated=parts > 1,
            copied_norms=norms.sync and several,
        )
        return Memory(self.plan, setup)

    @property
    def needed(self) -> int:
        """Bytes of a process: the predicted peak, of sharded weights and their optimiser's state a process's share."""
        memory = self.predicted
        shared = memory.standing - memory.buffers - memory.targets if self.shard else 0
        return memory.peak - shared * (self.processes - 1) // self.processes

    def check(self, device: torch.device) -> None:
        """Raises SpecError where a step needs more than the budget of the recipe's `checkpoint`, or the device, has."""
        try:
            self.predicted.check()
        except SpecError as error:
            raise error.placed("recipe.checkpoint", self.recipe.written) from None
        room = room_on(device)
        if room is not None and self.needed > room:
            clips = plural(self.predicted.setup.batch, "clip")
            raise SpecError(
                f"a step that does not fit the memory of {device}",
                at="recipe.batch",
                written=self.recipe.written,
                got=f"{bytes_text(self.needed)}, predicted for a micro-batch of {clips} in {self.recipe.precision}",
                want=f"at most {bytes_text(room)}",
                fix=self.fix(room, device),
            )

    def fix(self, room: int, device: torch.device) -> str | None:
        """Each change that would fit by itself, with some headroom."""
        room = int(HEADROOM * room)
        found = [self.smaller_batch(room), self.more_parts(room), self.recomputed(room)]
        found += [self.more_processes(room)] if device.type != "cpu" else []  # processes of one machine share its RAM
        return ", or ".join(filter(None, found)) or None

    def changed(self, processes: int | None = None, **changes: object) -> StepMemory:
        """The same for another recipe or number of processes."""
        return replace(self, recipe=self.recipe.but(**changes), processes=processes or self.processes)

    def fits(self, room: int) -> bool:
        """Whether a step fits, and its batch can be split so."""
        parts = self.processes * self.recipe.optimizer.accumulate
        whole = self.recipe.batch % parts == 0 and self.recipe.batch // parts % self.recipe.norms.split == 0
        return whole and self.needed <= room

    def smaller_batch(self, room: int) -> str | None:
        """The largest batch."""
        unit = self.processes * self.recipe.optimizer.accumulate * self.recipe.norms.split
        low, high = 0, self.recipe.batch // unit + 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.changed(batch=middle * unit).fits(room) else (low, middle)
        return f"--batch {low * unit}" if low else None

    def more_parts(self, room: int) -> str | None:
        """The fewest micro-batches."""
        old = self.recipe.optimizer
        for parts in divisors(self.recipe.batch // self.processes, above=old.accumulate):
            if self.changed(optimizer=old.but(accumulate=parts)).fits(room):
                return f"--set recipe.optimizer.accumulate={parts}"
        return None

    def recomputed(self, room: int) -> str | None:
        """A budget for which modules are recomputed."""
        amount = f"{room // 10**6}MB" if room >= 10**9 else f"{max(room // 1000, 1)}KB"
        return f"--set recipe.checkpoint={amount}" if self.changed(checkpoint=amount).fits(room) else None

    def more_processes(self, room: int) -> str | None:
        """The fewest processes, each with a device of its own."""
        for processes in divisors(self.recipe.batch // self.recipe.optimizer.accumulate, above=self.processes):
            if processes <= MOST_PROCESSES and self.changed(processes).fits(room):
                return f"torchrun --nproc_per_node {processes}, or as many processes on several machines"
        return None

    @contextmanager
    def reported(self, device: torch.device) -> Iterator[None]:
        """A step that runs out of memory within raises SpecError with what is predicted to need less."""
        with out_of_memory_reported(device, self.needed, lambda room: self.fix(room, device)):
            yield


@contextmanager
def out_of_memory_reported(device: torch.device, needed: int, fix: Callable[[int], str | None]) -> Iterator[None]:
    """Running out of memory within raises SpecError; `fix` says what fits into so many bytes."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        room = int(ROOM_AFTER * min(needed, room_on(device) or needed))
        raise SpecError(
            f"out of memory on {device}",
            got=str(error).strip().partition("\n")[0][:160] or "MemoryError",
            want=f"more than {bytes_text(needed)}, predicted for tensors alone",
            fix=fix(room),
        ) from None


def divisors(number: int, above: int) -> Iterator[int]:
    """The divisors of a number that are larger than another."""
    return (divisor for divisor in range(above + 1, number + 1) if number % divisor == 0)


def room_on(device: torch.device) -> int | None:
    """Bytes that tensors of a process may have: the free ones of a GPU, its part of the RAM; None elsewhere."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type == "cpu":
        return int(HEADROOM * machine_memory()) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return None


def machine_memory() -> int:
    """Bytes of RAM, or of the container where it may have less."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in map(Path, CONTAINER_LIMITS):
        text = path.read_text(encoding="ascii").strip() if path.is_file() else ""
        found += [int(text)] if text.isdigit() else []
    return min(found)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed: that of a CPU has no class of its own (torch 2.13)."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return "can't allocate memory" in str(error)


@dataclass(frozen=True)
class ViewsMemory:
    """Views of a network that are tested at once."""

    plan: Plan
    standing: int = 0
    """Bytes of what stands already: a network that is trained."""

    def at(self, views: int) -> Memory:
        """The memory of so many views."""
        return Memory(self.plan.of_frames_read, Setup(views, training=False))

    def views(self, device: torch.device, most: int) -> int:
        """As many as fit, at least one."""
        room = room_on(device)
        return most if room is None else min(most, max(1, self.at(1).largest(int(HEADROOM * room) - self.standing)))

    @contextmanager
    def reported(self, device: torch.device, views: int) -> Iterator[None]:
        """A test that runs out of memory within raises SpecError with the batch that is predicted to need less."""

        def fix(room: int) -> str | None:
            fewer = self.at(1).largest(room - self.standing)
            return f"--batch {fewer}" if fewer else None

        with out_of_memory_reported(device, self.standing + self.at(views).peak, fix):
            yield
