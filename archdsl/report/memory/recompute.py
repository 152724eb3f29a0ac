"""Which modules are recomputed in backward, so that a step fits a memory budget at the fewest multiply-adds.

A simulated step gives each op's peak; a simulated step with one stage or block recomputed gives what that needs and
saves. From these the peak of any selection is a sum along the order of execution: a recomputed module saves memory for
all that comes after it, and for nothing before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter
from typing import NamedTuple

from archdsl.compiler import Plan
from archdsl.report.memory.lifetimes import SimulatedStep
from archdsl.report.parameters import node_weights

StepOf = Callable[[Iterable[str]], SimulatedStep]
"""Simulates a step in which those modules are recomputed."""
HALVINGS = 20
"""Halvings by which the least memory is found: to a millionth of the peak without recomputation."""


def modules_to_recompute(plan: Plan, level: str) -> tuple[str, ...]:
    """The stages, or the blocks in them, that have parameters; of `none` none."""
    learn = [node.address for node in plan.nodes if node_weights(plan.graph, node)]
    stages = [address for address, scope in plan.scopes.items() if scope.kind == "Stage"]
    blocks = [address for address in plan.scopes if address.rpartition(".")[0] in stages]
    found = {"none": [], "stage": stages, "block": blocks}[level]
    return tuple(module for module in found if any(op.startswith(f"{module}.") for op in learn))


class Segment(NamedTuple):
    """An op, or a module that may be recomputed. Bytes are those when nothing else is recomputed."""

    address: str
    peak: int
    """Most bytes while it runs, forward and backward; of a module also while it is recomputed."""
    freed: int = 0
    """Bytes fewer saved for backward where the module is recomputed."""
    macs: int = 0
    """Multiply-adds of recomputing it, for one clip."""
    inner: tuple[Segment, ...] = ()
    """The segments of a module."""


class Selection(NamedTuple):
    """The modules recomputed so far in the order of execution."""

    macs: int = 0
    freed: int = 0
    modules: tuple[str, ...] = ()


def cheapest_within(plan: Plan, runs: StepOf, room: int) -> Selection:
    """The cheapest selection whose peak is within `room` bytes; if there is none, the one with the smallest peak."""
    parts, met = segments_of(plan, runs), list[tuple[int, Selection]]()
    aim = room
    while found := pareto_front(parts, aim):
        # the sums leave out that two modules may save, or hold, one map together
        over = runs(found[0].modules).peak - room
        if over <= 0:
            return found[0]
        met.append((room + over, found[0]))
        aim -= over
    least = smallest_peak(parts, runs(()).peak)
    _, best = min((*met, (runs(least.modules).peak, least)), key=itemgetter(0))
    return descended(plan, runs, room, best)


def descended(plan: Plan, runs: StepOf, room: int, best: Selection) -> Selection:
    """A selection after changes of one module at a time that lower its peak, until it is within `room` bytes."""
    modules = [*modules_to_recompute(plan, "block"), *modules_to_recompute(plan, "stage")]
    peak, better = runs(best.modules).peak, True
    while better and peak > room:
        better = False
        for module in modules:
            within = (f"{one}.".startswith(f"{module}.") or module.startswith(f"{one}.") for one in best.modules)
            apart = [one for one, inner in zip(best.modules, within) if not inner]
            tried = tuple(apart if module in best.modules else [*apart, module])
            if (found := runs(tried).peak) < peak:
                macs = sum(plan.cost_of(one).macs for one in tried)
                best, peak, better = Selection(macs, best.freed, tried), found, True
    return best


def smallest_peak(parts: Sequence[Segment], high: int) -> Selection:
    """The selection with the smallest peak; `high` bytes are known to be enough."""
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
        recomputed = runs([address])
        peak = max(peak for op, peak in recomputed.peaks.items() if op.startswith(f"{address}."))
        freed = plain.activations - recomputed.activations
        yield Segment(address, peak, freed, plan.cost_of(address).macs, tuple(members))


def pareto_front(parts: Sequence[Segment], room: int, begun: Sequence[Selection] = (Selection(),)) -> list[Selection]:
    """Selections within `room` bytes on the Pareto front of macs and bytes freed; fewest macs first."""
    front = list(begun)
    for part in parts:
        recomputed = [
            Selection(choice.macs + part.macs, choice.freed + part.freed, (*choice.modules, part.address))
            for choice in front
            if part.inner and part.peak - choice.freed <= room
        ]
        kept = (
            pareto_front(part.inner, room, front)
            if part.inner
            else [choice for choice in front if part.peak - choice.freed <= room]
        )
        front = undominated(kept + recomputed)
    return front


def undominated(found: list[Selection]) -> list[Selection]:
    """Those that free more than every one that costs no more."""
    kept: list[Selection] = []
    for choice in sorted(found, key=lambda choice: (choice.macs, -choice.freed, len(choice.modules))):
        if not kept or choice.freed > kept[-1].freed:
            kept.append(choice)
    return kept
