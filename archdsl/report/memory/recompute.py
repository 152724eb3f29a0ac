"""Which modules run again in backward, so that a step stays within a memory and little is computed twice.

A forward and backward without numbers says what every op needs while it runs; the same with every stage, or every
block, run again says what each of them then needs and saves. From these the peak of any choice is a sum along the order
of execution: what runs again saves memory for all that comes after it, and for nothing before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from archdsl.compiler import Plan
from archdsl.report.memory.lifetimes import SimulatedStep
from archdsl.report.parameters import node_weights

StepOf = Callable[[Iterable[str]], SimulatedStep]
"""A step that is over, in which those modules ran again."""
HALVINGS = 20
"""Halvings by which the least memory is found: to a millionth of what is needed when nothing runs again."""


def modules_to_recompute(plan: Plan, level: str) -> tuple[str, ...]:
    """The stages, or the blocks in them, that have parameters; of `none` none."""
    learn = [node.address for node in plan.nodes if node_weights(plan.graph, node)]
    stages = [address for address, scope in plan.scopes.items() if scope.kind == "Stage"]
    blocks = [address for address in plan.scopes if address.rpartition(".")[0] in stages]
    found = {"none": [], "stage": stages, "block": blocks}[level]
    return tuple(module for module in found if any(op.startswith(f"{module}.") for op in learn))


class Segment(NamedTuple):
    """An op, or a module that may run again. Bytes are as if nothing else ran again."""

    address: str
    peak: int
    """Most bytes while it runs, forward and backward; of a module while it runs again too."""
    freed: int = 0
    """Bytes that are kept for backward less where a module runs again."""
    macs: int = 0
    """What that costs, for one clip."""
    inner: tuple[Segment, ...] = ()
    """What a module is made of."""


class Selection(NamedTuple):
    """What runs again, up to somewhere in the order of execution."""

    macs: int = 0
    freed: int = 0
    modules: tuple[str, ...] = ()


def cheapest_within(plan: Plan, runs: StepOf, room: int) -> Selection:
    """The choice that costs least within a room of so many bytes; where none is, the one that needs least."""
    parts = segments_of(plan, runs)
    aim = room
    while found := pareto_front(parts, aim):
        # the sums leave out that two modules may save, or hold, one map together
        over = runs(found[0].modules).peak - room
        if over <= 0:
            return found[0]
        aim -= over
    return smallest_peak(parts, runs(()).peak)


def smallest_peak(parts: Sequence[Segment], high: int) -> Selection:
    """The choice that needs least, where `high` is enough."""
    low, best = 0, pareto_front(parts, high)
    for _ in range(HALVINGS):
        middle = (low + high) // 2
        if found := pareto_front(parts, middle):
            high, best = middle, found
        else:
            low = middle
    return best[0]


def segments_of(plan: Plan, runs: StepOf) -> tuple[Segment, ...]:
    """The network in order of execution: stages, the blocks in them, ops."""
    plain = runs(())
    parts = tuple(Segment(op, peak) for op, peak in plain.peaks.items())
    for level in ("block", "stage"):
        parts = tuple(grouped_by_module(plan, parts, modules_to_recompute(plan, level), plain, runs))
    return parts


def grouped_by_module(
    plan: Plan, parts: Sequence[Segment], modules: Sequence[str], plain: SimulatedStep, runs: StepOf
) -> Iterator[Segment]:
    """The parts, those of one module in it."""
    inner: dict[str, list[Segment]] = {}
    for part in parts:
        module = next((module for module in modules if part.address.startswith(f"{module}.")), part.address)
        inner.setdefault(module, []).append(part)
    for address, members in inner.items():
        if address not in modules:
            yield members[0]
            continue
        again = runs([address])
        peak = max(peak for op, peak in again.peaks.items() if op.startswith(f"{address}."))
        freed = plain.activations - again.activations
        yield Segment(address, peak, freed, plan.cost_of(address).macs, tuple(members))


def pareto_front(parts: Sequence[Segment], room: int, begun: Sequence[Selection] = (Selection(),)) -> list[Selection]:
    """The choices with which all parts stay within the room, and that no other beats in both; fewest macs first."""
    front = list(begun)
    for part in parts:
        again = [
            Selection(choice.macs + part.macs, choice.freed + part.freed, (*choice.modules, part.address))
            for choice in front
            if part.inner and part.peak - choice.freed <= room
        ]
        plain = (
            pareto_front(part.inner, room, front)
            if part.inner
            else [choice for choice in front if part.peak - choice.freed <= room]
        )
        front = undominated(plain + again)
    return front


def undominated(found: list[Selection]) -> list[Selection]:
    """Those that free more than all that cost as little."""
    kept: list[Selection] = []
    for choice in sorted(found, key=lambda choice: (choice.macs, -choice.freed, len(choice.modules))):
        if not kept or choice.freed > kept[-1].freed:
            kept.append(choice)
    return kept
