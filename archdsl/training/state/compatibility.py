"""Whether a checkpoint is of this arch, recipe and data, and whether all processes are; if not, what differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from itertools import zip_longest
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from archdsl.backend import emit
from archdsl.compiler import Plan
from archdsl.errors import Fault, SpecError
from archdsl.language import Arch
from archdsl.language.recipes.recipe import Recipe
from archdsl.language.yaml_writer import recipe_data
from archdsl.report.differences import diff
from archdsl.spec.base import cut, read
from archdsl.training.data.clips import Videos
from archdsl.training.distributed import gathered
from archdsl.training.state.checkpoints import digest
from archdsl.training.state.records import Facts, Identity, Listed
from archdsl.training.state.run_folder import arch_data

FREE = (
    *("name", "source", "log_every", "evaluate_every", "save_every", "keep", "most_skipped"),
    *("compiled", "channels_last", "checkpoint", "views"),
)
"""Fields of a recipe that may change as a run goes on: they do not touch what is learnt."""
DIGESTS = ("source", "digest", "checksums")
"""What differs with something else that is told, or alone."""
SHOWN = 12
"""Differences that are told."""


@runtime_checkable
class Labelled(Protocol):
    """Videos whose labels are known without reading them."""

    def labels(self, index: int) -> tuple[int, ...]:
        """The classes of a video."""

    def known_as(self, index: int) -> str:
        """What tells a video and its labels from every other."""


def identity(plan: Plan, recipe: Recipe, videos: Videos, tests: Videos) -> Identity:
    """What a checkpoint must agree on to be gone on from."""
    return Identity(
        arch=arch_data(plan),
        source=sha256(emit(plan).encode()).hexdigest(),
        recipe=recipe_data(recipe),
        data={"train": listed(videos), "val": listed(tests)},
    )


def listed(videos: Videos) -> Listed:
    """The videos of a split, as far as a run depends on them."""
    sums, counts = sha256(), [0] * len(videos.classes)
    labelled = videos if isinstance(videos, Labelled) else None
    for index in range(len(videos)):
        name = labelled.known_as(index) if labelled else videos.name(index)
        sums.update(f"{name}\n".encode("utf-8", "backslashreplace"))
        for label in labelled.labels(index) if labelled else ():
            counts[label] += 1
    return Listed(
        classes=list(videos.classes),
        counts=counts if labelled else [],
        videos=len(videos),
        digest=sums.hexdigest(),
    )


def check_same(data: Mapping[str, Any]) -> None:
    """Raises SpecError, in all processes, where one of them has other data than the first."""
    if len(set(gathered(digest(data)))) == 1:
        return
    first, *others = gathered(data)
    found = [(rank, *one) for rank, other in enumerate(others, 1) for one in differences(first, other)]
    told = [one for one in found if not one[1].endswith(DIGESTS)]
    faults = [
        Fault(
            what="processes that are to do different things",
            at=at,
            got=f"{cut(before)} in process 0, {cut(after)} in process {rank}",
            want="the same in every process",
            fix="the same command, files and checkpoints for every process",
        )
        for rank, at, before, after in told or found
    ]
    raise shortened(faults, None)


def shortened(faults: list[Fault], written: str | None) -> SpecError:
    """An error of the first of many faults."""
    more = [Fault(what=f"and {len(faults) - SHOWN} more", written=written)]
    return SpecError(faults if len(faults) <= SHOWN else faults[:SHOWN] + more)


def check_agrees(plan: Plan, own: Identity, facts: Facts, checkpoint: Path, *, named: bool) -> None:
    """Raises SpecError with a list of what differs. One that was `named` may have another recipe and other videos."""
    faults: list[Fault] = []
    if facts.source != own.source:
        faults = list(arch_faults(plan, own, facts, checkpoint))
    else:
        faults = [*class_faults(own, facts, checkpoint)]
        if not named:
            faults += [*recipe_faults(own, facts, checkpoint), *video_faults(own, facts, checkpoint)]
    if faults:
        raise shortened(faults, str(checkpoint))


def arch_faults(plan: Plan, own: Identity, facts: Facts, checkpoint: Path) -> Iterator[Fault]:
    """What differs between two networks, by address."""
    what, fix = "a checkpoint of another arch", "another --out"
    if facts.arch is None or own.arch is None:
        yield Fault(what=what, written=str(checkpoint), got="other emitted code: network.py", want="the same", fix=fix)
        return
    found = diff(read(Arch, facts.arch), plan.arch)
    where = str(checkpoint)
    for change in found.changed:
        yield Fault(what=what, at=change.address, written=where, got=change.before, want=change.after, fix=fix)
    for address in found.removed:
        yield Fault(what=what, at=address, written=where, got=address, want="nothing here", fix=fix)
    for address in found.added:
        yield Fault(what=what, at=address, written=where, got="nothing here", want=address, fix=fix)
    if not (found.changed or found.removed or found.added):
        yield Fault(what=what, written=where, got=found.inputs[0], want=found.inputs[1], fix=fix)


def class_faults(own: Identity, facts: Facts, checkpoint: Path) -> Iterator[Fault]:
    """Classes that differ: a label would mean another class from here on."""
    if not facts.data or not own.data or facts.data["train"].classes == own.data["train"].classes:
        return
    old, new = facts.data["train"].classes, own.data["train"].classes
    pairs = ((i, pair) for i, pair in enumerate(zip_longest(old, new, fillvalue="no class")) if pair[0] != pair[1])
    i, (before, after) = next(pairs)
    yield Fault(
        what="a run begun with other classes",
        at=f"class {i}",
        written=str(checkpoint),
        got=before,
        want=after,
        fix=f"the classes as they were, or another --out; there --weights {checkpoint} begins with what was learnt",
    )


def video_faults(own: Identity, facts: Facts, checkpoint: Path) -> Iterator[Fault]:
    """Videos that differ, counted by class."""
    for split, old in (facts.data or {}).items():
        new = (own.data or {}).get(split, old)
        if old.classes == new.classes and old.digest != new.digest:
            yield Fault(
                what="a run begun with other videos",
                at=split,
                written=str(checkpoint),
                got=counted(old, new),
                want=counted(new, old),
                fix=f"another --out, or --resume {checkpoint} to go on with these videos",
            )


def counted(one: Listed, other: Listed) -> str:
    """How many videos there are, and of which classes more or fewer than in another list."""
    pairs = zip(one.classes, one.counts, other.counts)
    odd = [f"{count} of {cut(name)}" for name, count, others in pairs if count != others]
    if one.videos == other.videos and not odd:
        return f"{one.videos} videos of other names, labels or order: {one.digest[:12]}"
    return f"{one.videos} videos" + (f": {', '.join(odd[:3])}" if odd else "")


def recipe_faults(own: Identity, facts: Facts, checkpoint: Path) -> Iterator[Fault]:
    """Fields of the recipe that differ."""
    for at, before, after in differences(facts.recipe, own.recipe):
        if at.partition(".")[0] not in FREE:
            yield Fault(
                what="a run begun with another recipe",
                at=f"recipe.{at}",
                written=str(checkpoint),
                got=before,
                want=after,
                fix=f"another --out, or --resume {checkpoint} to go on with the new recipe",
            )


def differences(old: Any, new: Any, at: str = "") -> Iterator[tuple[str, str, str]]:
    """(address, before, after) of all that differs in plain data."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            yield from differences(old.get(key), new.get(key), f"{at}.{key}" if at else key)
    elif old != new:
        yield at, "the default" if old is None else str(old), "the default" if new is None else str(new)
