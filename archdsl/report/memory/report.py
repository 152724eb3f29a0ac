"""Memory of training and inference: weights, gradients, optimiser, saved activations, peak; and which batch fits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from archdsl.compiler import Plan
from archdsl.errors import SpecError, did_you_mean
from archdsl.language.amounts import CHECKPOINT_LEVELS, bytes_of, bytes_text, checkpoint_of
from archdsl.report.memory.lifetimes import SimulatedStep
from archdsl.report.memory.recompute import cheapest_within, modules_to_recompute
from archdsl.report.number_format import plural, shapes_text
from archdsl.report.table.sheet import Column, Row, Table

PRECISIONS = ("fp32", "bf16", "fp16")
OPTIMIZERS = {"sgd": 1, "adamw": 2, "adam": 2, "rmsprop": 2, "adagrad": 1}
"""Numbers in float32 that an optimiser keeps for each parameter: momentum, sums of gradients and of their squares."""
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
    checkpoint: str = "none"
    """none, every stage, every block, or as few of them as fit an amount of memory."""
    copies: int = 0
    """Further copies of all weights: a moving average, gradient buckets."""
    accumulated: bool = False
    """Whether gradients of earlier micro-batches are accumulated already."""
    targets: int = 0
    """Bytes of what is true of one clip."""
    copied_norms: bool = False
    """Whether batch norms copy their input: statistics over processes."""

    def __post_init__(self) -> None:
        check_name("precision", self.precision, PRECISIONS)
        check_name("optimizer", self.optimizer, OPTIMIZERS)
        if checkpoint_of(self.checkpoint) != "none" and not self.training:
            raise SpecError(
                "activation checkpointing in inference",
                got="--infer --checkpoint",
                want="--train: inference keeps nothing for backward",
            )

    @property
    def budget(self) -> int | None:
        """Bytes that a checkpoint must fit, where it is an amount."""
        return None if self.checkpoint in CHECKPOINT_LEVELS else bytes_of(self.checkpoint)


def check_name(noun: str, name: str, known: Iterable[str]) -> None:
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

    @property
    def targets(self) -> int:
        """What is true of the clips."""
        return self.setup.batch * self.setup.targets

    @property
    def standing(self) -> int:
        """What is allocated all the time."""
        return self.parameters + self.buffers + self.optimiser + 4 * self.setup.copies * self.plan.params + self.targets

    def simulated(self, recomputed: Iterable[str]) -> SimulatedStep:
        """A step in which those modules are recomputed in backward (activation checkpointing)."""
        setup = self.setup
        accumulated, copied = setup.accumulated, setup.copied_norms
        return SimulatedStep(
            self.plan, setup.batch, setup.training, self.half, frozenset(recomputed), accumulated, copied
        ).step()

    @cached_property
    def recomputed(self) -> tuple[str, ...]:
        """Modules recomputed in backward: with a memory budget, those that cost the fewest multiply-adds."""
        budget = self.setup.budget
        if budget is None:
            return modules_to_recompute(self.plan, self.setup.checkpoint)
        return cheapest_within(self.plan, self.simulated, budget - self.standing).modules

    @property
    def recomputed_macs(self) -> int:
        """Multiply-adds of the recomputed modules, for one clip."""
        return sum(self.plan.cost_of(module).macs for module in self.recomputed)

    @cached_property
    def run(self) -> SimulatedStep:
        """The step."""
        return self.simulated(self.recomputed)

    @property
    def activations(self) -> int:
        """Activations saved for backward."""
        return self.run.activations if self.setup.training else 0

    @property
    def peak(self) -> int:
        """The most that is allocated at any moment of a step; in training from the second step on.

        The optimiser is fused: it has no temporaries.
        """
        return self.standing + max(self.run.peak, self.gradients)

    def check(self) -> None:
        """Raises SpecError where no choice of recomputed modules fits the memory budget."""
        budget = self.setup.budget
        if budget is None or self.peak <= budget:
            return
        fits = self.largest(budget)
        raise SpecError(
            "a step that does not fit the memory budget",
            got=f"{self.setup.checkpoint} for a micro-batch of {self.setup.batch} clips, {self.setup.precision}",
            want=f"at least {bytes_text(self.peak)}, with the modules recomputed that save the most",
            fix=f"a micro-batch of at most {plural(fits, 'clip')}" if fits else None,
        )

    def __str__(self) -> str:
        """What is recomputed, what that costs and the peak, in one line."""
        share, checkpoint = self.recomputed_macs / max(self.plan.macs, 1), self.setup.checkpoint
        modules = f"{', '.join(self.recomputed) or 'nothing'} recomputed in backward, {share:.1%} of the macs twice"
        return f"{modules}: {bytes_text(self.peak)} of {checkpoint}, predicted"

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
            **{part: getattr(self, part) for part in MEMORY_PARTS},
            "again": list(self.recomputed),
            "again_macs": self.recomputed_macs,
        }
        return found if budget is None else found | {"budget": budget, "largest_batch": self.largest(budget)}


MEMORY_PARTS = ("parameters", "buffers", "gradients", "optimiser", "activations", "peak")


def buffers_of(plan: Plan) -> int:
    """Bytes of running means and variances, of counts of batches, and of fixed matrices."""
    shapes = plan.graph.shapes
    return sum(n.op.buffers(*(shapes[read] for read in n.reads)) for n in plan.nodes if not n.tied)


def memory_table(memories: Iterable[Memory], budget: int | None = None) -> Table:
    """One row for each network."""
    memories = tuple(memories)
    setup = memories[0].setup
    parts = (
        ("parameters", "gradients", "optimiser", "activations", "peak") if setup.training else ("parameters", "peak")
    )
    fits = (Column(f"batch in {bytes_text(budget)}", right=True),) if budget else ()
    twice = (Column("macs twice", right=True),) if setup.checkpoint != "none" else ()
    columns = (Column("name"), Column("input"), *(Column(part, right=True) for part in parts), *twice, *fits)
    records = tuple(memory.record(budget) for memory in memories)
    rows = tuple(
        Row(
            (
                memory.plan.name,
                shapes_text(memory.plan.inputs),
                *(bytes_text(getattr(memory, part)) for part in parts),
                *([f"{memory.recomputed_macs / max(memory.plan.macs, 1):.1%}"] if twice else []),
                *([str(record["largest_batch"])] if budget else []),
            )
        )
        for memory, record in zip(memories, records)
    )
    return Table(setup_title(setup), columns, rows, records, MEMORY_NOTE)


def setup_title(setup: Setup) -> str:
    """How the networks are run."""
    kind = f"training with {setup.optimizer}" if setup.training else "inference"
    which = f"as little as fits {setup.checkpoint}" if setup.budget else f"each {setup.checkpoint}"
    checkpoint = f", {which} checkpointed" if setup.checkpoint != "none" else ""
    return f"{kind}, {setup.precision}, batch {setup.batch}{checkpoint}"


MEMORY_NOTE = (
    "Tensors only: not the workspaces of kernels, the allocator's rounding and the device's own context. "
    "Activations are what is kept between forward and backward."
)
