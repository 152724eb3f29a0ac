"""Which modules run again in backward, so that a step stays within a memory and little is computed twice.

A forward and backward without numbers says what every op needs while it runs; the same with every stage, or every
block, run again says what each of them then needs and saves. From these the peak of any choice is a sum along the order
of execution: what runs again saves memory for all that comes after it, and for nothing before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from archdsl.compiler import Plan
from archdsl.report.memory.lifetimes import Run
from archdsl.report.parameters import weights_in

Runs = Callable[[Iterable[str]], Run]
"""A step that is over, in which those modules ran again."""
PRECISE = 20
"""Halvings by which the least memory is found: to a millionth of what is needed when nothing runs again."""


def modules_at(plan: Plan, level: str) -> tuple[str, ...]:
    """The stages, or the blocks in them, that have parameters; of `none` none."""
    learn = [node.address for node in plan.nodes if weights_in(plan.graph, node)]
    stages = [address for address, scope in plan.scopes.items() if scope.kind == "Stage"]
    blocks = [address for address in plan.scopes if address.rpartition(".")[0] in stages]
    found = {"none": [], "stage": stages, "block": blocks}[level]
    return tuple(module for module in found if any(op.startswith(f"{module}.") for op in learn))


class Part(NamedTuple):
    """An op, or a module that may run again. Bytes are as if nothing else ran again."""

    address: str
    peak: int
    """Most bytes while it runs, forward and backward; of a module while it runs again too."""
    freed: int = 0
    """Bytes that are kept for backward less where a module runs again."""
    macs: int = 0
    """What that costs, for one clip."""
    inner: tuple[Part, ...] = ()
    """What a module is made of."""


class Choice(NamedTuple):
    """What runs again, up to somewhere in the order of execution."""

    macs: int = 0
    freed: int = 0
    modules: tuple[str, ...] = ()


def fewest(plan: Plan, runs: Runs, room: int) -> Choice:
    """The choice that costs least within a room of so many bytes; where none is, the one that needs least."""
    parts = parts_of(plan, runs)
    aim = room
    while found := choices(parts, aim):
        # the sums leave out that two modules may save, or hold, one map together
        over = runs(found[0].modules).peak - room
        if over <= 0:
            return found[0]
        aim -= over
    return least(parts, runs(()).peak)


def least(parts: Sequence[Part], high: int) -> Choice:
    """The choice that needs least, where `high` is enough."""
    low, best = 0, choices(parts, high)
    for _ in range(PRECISE):
        middle = (low + high) // 2
        if found := choices(parts, middle):
            high, best = middle, found
        else:
            low = middle
    return best[0]


def parts_of(plan: Plan, runs: Runs) -> tuple[Part, ...]:
    """The network in order of execution: stages, the blocks in them, ops."""
    plain = runs(())
    parts = tuple(Part(op, peak) for op, peak in plain.peaks.items())
    for level in ("block", "stage"):
        parts = tuple(gathered(plan, parts, modules_at(plan, level), plain, runs))
    return parts


def gathered(plan: Plan, parts: Sequence[Part], modules: Sequence[str], plain: Run, runs: Runs) -> Iterator[Part]:
    """The parts, those of one module in it."""
    inner: dict[str, list[Part]] = {}
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
        yield Part(address, peak, freed, plan.cost_of(address).macs, tuple(members))


def choices(parts: Sequence[Part], room: int, begun: Sequence[Choice] = (Choice(),)) -> list[Choice]:
    """The choices with which all parts stay within the room, and that no other beats in both; fewest macs first."""
    front = list(begun)
    for part in parts:
        again = [
            Choice(choice.macs + part.macs, choice.freed + part.freed, (*choice.modules, part.address))
            for choice in front
            if part.inner and part.peak - choice.freed <= room
        ]
        plain = (
            choices(part.inner, room, front)
            if part.inner
            else [choice for choice in front if part.peak - choice.freed <= room]
        )
        front = unbeaten(plain + again)
    return front


def unbeaten(found: list[Choice]) -> list[Choice]:
    """Those that free more than all that cost as little."""
    kept: list[Choice] = []
    for choice in sorted(found, key=lambda choice: (choice.macs, -choice.freed, len(choice.modules))):
        if not kept or choice.freed > kept[-1].freed:
            kept.append(choice)
    return kept
