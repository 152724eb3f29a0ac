"""Two networks step by step: which steps are the same in both, and what differs. No name is looked at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from archdsl.backend.reader.steps import Steps, TracedStep

MOST_SHOWN = 12
"""Differences that are listed."""


@dataclass(frozen=True)
class Difference:
    """Steps of one network where the other has others, or none."""

    before: tuple[TracedStep, ...]
    after: tuple[TracedStep, ...]

    def __str__(self) -> str:
        if not self.before or not self.after:
            sign, steps = ("+", self.after) if not self.before else ("-", self.before)
            return f"{sign} {steps_text(steps)}"
        return f"~ {steps_text(self.before)} -> {steps_text(self.after)}"


@dataclass(frozen=True)
class Matching:
    """Steps of two networks that do the same with the same."""

    pairs: tuple[tuple[TracedStep, TracedStep], ...]
    """And those of one kind in its place."""
    differences: tuple[Difference, ...]
    factors: tuple[str, ...]
    """Numbers that values are multiplied by in one of them."""

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return bool(self.differences or self.factors)

    @property
    def lines(self) -> list[str]:
        """A line for each difference."""
        return [*map(str, self.differences), *self.factors]

    def __str__(self) -> str:
        if not self:
            return "no difference"
        lines = self.lines
        rest = f"... and {len(lines) - MOST_SHOWN} more" if len(lines) > MOST_SHOWN else ""
        count = "one difference" if len(lines) == 1 else f"{len(lines)} differences"
        return "\n".join([count, *(f"  {line}" for line in [*lines[:MOST_SHOWN], *([rest] if rest else [])])])


def steps_text(steps: tuple[TracedStep, ...]) -> str:
    """Steps in words, alike ones counted, with the place of the first."""
    kinds: dict[str, list[TracedStep]] = defaultdict(list)
    for step in steps:
        kinds[step.text()].append(step)
    parts = [
        f"{f'{len(found)} x ' if len(found) > 1 else ''}{text}{f' ({found[0].at})' if found[0].at else ''}"
        for text, found in kinds.items()
    ]
    return ", ".join(parts)


def living(steps: Steps) -> list[int]:
    """Numbers of the steps that some output is made from, in order."""
    waiting = [step for node in steps.traced.outputs for step in steps.values[node.name].steps]
    seen: set[int] = set()
    while waiting:
        number = waiting.pop()
        if number not in seen:
            seen.add(number)
            waiting += [step for read in steps.all[number].reads for step in read]
    return sorted(seen)


def whole_of_sums(steps: Steps, read: tuple[int, ...]) -> tuple[int, ...]:
    """What an operand is made from, as if sums were over all of it: some add to a part and put the rest beside it."""
    added = {x for n in read if steps.all[n].kind == "sum" for operand in steps.all[n].reads for x in operand}
    return tuple(n for n in read if n not in added)


def forward_marks(steps: Steps, numbers: Iterable[int]) -> dict[int, int]:
    """TracedStep -> a number that is equal where what it does and all before it are equal."""
    marks: dict[int, int] = {}
    for number in numbers:
        step = steps.all[number]
        reads = [tuple(sorted(marks[x] for x in whole_of_sums(steps, read))) for read in step.reads]
        marks[number] = hash((step.signature, tuple(sorted(reads) if step.commutes else reads)))
    return marks


def backward_marks(steps: Steps, numbers: list[int]) -> dict[int, int]:
    """TracedStep -> a number that is equal where what it does and all behind it are equal."""
    behind: dict[int, list[Any]] = defaultdict(list)
    for node in steps.traced.outputs:
        for number in steps.values[node.name].steps:
            behind[number].append("output")
    marks: dict[int, int] = {}
    for number in reversed(numbers):
        step = steps.all[number]
        marks[number] = hash((step.signature, tuple(sorted(map(hash, behind[number])))))
        for place, read in enumerate(step.reads):
            for x in whole_of_sums(steps, read):
                behind[x].append((marks[number], 0 if step.commutes else place))
    return marks


def matching(before: Steps, after: Steps) -> Matching:
    """Pairs of steps, and what differs: by all that is before and behind, then by one of these, then by order."""
    ours, theirs = living(before), living(after)
    marks = [
        (forward_marks(steps, numbers), backward_marks(steps, numbers))
        for steps, numbers in ((before, ours), (after, theirs))
    ]
    pairs: dict[int, int] = {}
    for key in (lambda one, n: (one[0][n], one[1][n]), lambda one, n: one[0][n], lambda one, n: one[1][n]):
        pairs |= paired(ours, theirs, pairs, marks, key)
    taken = {*pairs.values()}
    left = without_clips(before, ours, pairs), without_clips(after, theirs, taken)
    more, differences = in_order(before, after, *left)
    pairs |= more
    found = tuple((before.all[a], after.all[b]) for a, b in sorted(pairs.items()))
    return Matching(found, tuple(differences), factors(before, after))


def without_clips(steps: Steps, numbers: list[int], taken: Container[int]) -> list[int]:
    """Steps that are not taken, but for clips: one network chooses frames itself, another is given several clips."""
    return [n for n in numbers if n not in taken and steps.all[n].kind != "clip"]


def paired(
    ours: list[int], theirs: list[int], known: dict[int, int], marks: list[Any], key: Callable[[Any, int], Any]
) -> dict[int, int]:
    """Steps not known yet that have the same key, in order, where both networks have as many of it."""
    groups: dict[Any, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    taken = {*known.values()}
    for n in ours:
        if n not in known:
            groups[key(marks[0], n)][0].append(n)
    for n in theirs:
        if n not in taken:
            groups[key(marks[1], n)][1].append(n)
    return {a: b for left, right in groups.values() if len(left) == len(right) for a, b in zip(left, right)}


def in_order(
    before: Steps, after: Steps, ours: list[int], theirs: list[int]
) -> tuple[dict[int, int], list[Difference]]:
    """(pairs of steps of a kind in the same order, those that differ)."""
    left, right = [before.all[n].signature for n in ours], [after.all[n].signature for n in theirs]
    pairs: dict[int, int] = {}
    differences: list[Difference] = []
    for kind, a, b, c, d in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if kind == "equal":
            pairs |= dict(zip(ours[a:b], theirs[c:d]))
        else:
            old, new = [before.all[n] for n in ours[a:b]], [after.all[n] for n in theirs[c:d]]
            differences.append(Difference(tuple(old), tuple(new)))
            if [step.kind for step in old] == [step.kind for step in new]:  # such as norms with another epsilon
                pairs |= dict(zip(ours[a:b], theirs[c:d]))
    return pairs, differences


def factors(before: Steps, after: Steps) -> tuple[str, ...]:
    """Factors that one network has more often than the other."""
    texts = []
    for number in sorted({*before.scalars, *after.scalars}):
        a, b = before.scalars[number], after.scalars[number]
        if a != b:
            texts.append(f"~ {a} x times {number:g} -> {b} x")
    return tuple(texts)
