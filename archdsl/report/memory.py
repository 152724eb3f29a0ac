"""Memory of training and inference: weights, gradients, optimiser, saved activations, peak; and which batch fits."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from typing import Any

from archdsl.compiler import Plan
from archdsl.errors import SpecError, did_you_mean
from archdsl.report.figures import shapes_text
from archdsl.report.memory_run import Run, buffers_of
from archdsl.report.sheet import Column, Row, Table

PRECISIONS = ("fp32", "bf16", "fp16")
OPTIMIZERS = {"sgd": 1, "adamw": 2}
"""Numbers in float32 that an optimiser keeps for each parameter: momentum, or two moments."""
CHECKPOINTS = ("stage", "block")
UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
LARGEST_BATCH = 2**16


@dataclass(frozen=True)
class Setup:
    """How a network is run.

    In training bf16 and fp16 mean torch.autocast: weights, gradients and the optimiser's state stay in float32. In
    inference they mean weights and maps in that precision.
    """

    batch: int = 1
    training: bool = True
    precision: str = "fp32"
    optimizer: str = "sgd"
    checkpoint: str | None = None

    def __post_init__(self) -> None:
        among("precision", self.precision, PRECISIONS)
        among("optimizer", self.optimizer, OPTIMIZERS)
        if self.checkpoint is not None:
            among("checkpoint", self.checkpoint, CHECKPOINTS)
            if not self.training:
                raise SpecError(
                    "a checkpoint in inference",
                    got="--infer --checkpoint",
                    want="--train: inference keeps nothing for backward",
                )


def among(noun: str, name: str, known: Iterable[str]) -> None:
    """Raise SpecError unless a name is one of those known."""
    if name not in known:
        raise SpecError(f"no {noun} {name!r}", got=name, want=", ".join(known), fix=did_you_mean(name, known))


@dataclass(frozen=True)
class Memory:
    """Bytes of one step. Workspaces of kernels and the allocator's rounding are not counted."""

    plan: Plan
    setup: Setup

    @property
    def half(self) -> bool:
        """Whether maps are in half precision."""
        return self.setup.precision != "fp32"

    @property
    def parameters(self) -> int:
        """Weights."""
        return self.plan.params * (2 if self.half and not self.setup.training else 4)

    @property
    def buffers(self) -> int:
        """Running statistics of batch norms."""
        return buffers_of(self.plan)

    @property
    def gradients(self) -> int:
        """Gradients of weights, all of them."""
        return 4 * self.plan.params if self.setup.training else 0

    @property
    def optimiser(self) -> int:
        """The optimiser's state."""
        return 4 * OPTIMIZERS[self.setup.optimizer] * self.plan.params if self.setup.training else 0

    @cached_property
    def run(self) -> tuple[int, int]:
        """(bytes kept for backward, most bytes beside weights, buffers and optimiser)."""
        setup = self.setup
        run = Run(self.plan, setup.batch, setup.training, self.half, setup.checkpoint)
        peak = run.step()
        return (run.activations if setup.training else 0), peak

    @property
    def activations(self) -> int:
        """What is kept between forward and backward."""
        return self.run[0]

    @property
    def peak(self) -> int:
        """The most that lives at any moment of a step; in training from the second step on.

        The optimiser works on all weights at once (foreach) with one temporary of their size.
        """
        standing = self.parameters + self.buffers + self.optimiser
        updating = self.gradients + 4 * self.plan.params if self.setup.training else 0
        return standing + max(self.run[1], updating)

    def largest(self, budget: int) -> int:
        """The largest batch whose peak is within the budget; 0 where none is."""
        low, high = 0, 1
        while high <= LARGEST_BATCH and self.at(high).peak <= budget:
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.at(middle).peak <= budget else (low, middle)
        return low

    def at(self, batch: int) -> Memory:
        """The same for another batch."""
        return Memory(self.plan, replace(self.setup, batch=batch))

    def record(self, budget: int | None = None) -> dict[str, Any]:
        """Bytes by name."""
        found = {
            "name": self.plan.name,
            "input": {name: list(shape) for name, shape in self.plan.inputs.items()},
            **vars(self.setup),
            **{part: getattr(self, part) for part in PARTS},
        }
        return found if budget is None else found | {"budget": budget, "largest_batch": self.largest(budget)}


PARTS = ("parameters", "buffers", "gradients", "optimiser", "activations", "peak")


def bytes_of(text: str) -> int:
    """80GB, 24 GiB or 512MB as bytes. Raises SpecError for anything else."""
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?) ?([KMG]?i?B)", text.strip(), re.IGNORECASE)
    if not match or not Decimal(match[1]) or match[2].upper() not in UNITS:
        raise SpecError("memory that cannot be read", got=text, want="a number and MB, GB, MiB or GiB, such as 80GB")
    return int(Decimal(match[1]) * UNITS[match[2].upper()])


def bytes_text(n: int) -> str:
    """Bytes for people: 1.23 GB."""
    for size, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "KB")):
        if n >= size:
            return f"{n / size:.{3 - len(str(n // size)) if n < 100 * size else 0}f} {unit}"
    return f"{n} B"


def memory_table(memories: Iterable[Memory], budget: int | None = None) -> Table:
    """One row for each network."""
    memories = tuple(memories)
    setup = memories[0].setup
    parts = (
        ("parameters", "gradients", "optimiser", "activations", "peak") if setup.training else ("parameters", "peak")
    )
    fits = (Column(f"batch in {bytes_text(budget)}", right=True),) if budget else ()
    columns = (Column("name"), Column("input"), *(Column(part, right=True) for part in parts), *fits)
    records = tuple(memory.record(budget) for memory in memories)
    rows = tuple(
        Row(
            (
                memory.plan.name,
                shapes_text(memory.plan.inputs),
                *(bytes_text(getattr(memory, part)) for part in parts),
                *([str(record["largest_batch"])] if budget else []),
            )
        )
        for memory, record in zip(memories, records)
    )
    return Table(title_of(setup), columns, rows, records, NOTE)


def title_of(setup: Setup) -> str:
    """How the networks are run."""
    kind = f"training with {setup.optimizer}" if setup.training else "inference"
    checkpoint = f", each {setup.checkpoint} checkpointed" if setup.checkpoint else ""
    return f"{kind}, {setup.precision}, batch {setup.batch}{checkpoint}"


NOTE = (
    "Tensors only: not the workspaces of kernels, the allocator's rounding and the device's own context. "
    "Activations are what is kept between forward and backward."
)
