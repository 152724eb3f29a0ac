"""Compare a checkpoint with arch, recipe and data, and processes with each other; errors list what differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from itertools import zip_longest
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from archdsl.backend import emit
from archdsl.compiler import Plan
from archdsl.errors import Fault, SpecError, excerpt
from archdsl.language import Arch
from archdsl.language.recipes.recipe import Recipe
from archdsl.language.writers.yaml_writer import recipe_data
from archdsl.recipes import recipe as recipe_named
from archdsl.recipes import recipe_names
from archdsl.report.differences import diff
from archdsl.spec.base import read_model
from archdsl.training.data.clips import Videos
from archdsl.training.processes import gather_objects
from archdsl.training.state.checkpoints import digest
from archdsl.training.state.records import CheckpointFacts, Identity, VideoSummary
from archdsl.training.state.run_folder import arch_data

FREE_FIELDS = (
    *(
        "name",
        "source",
        "hardware",
        "log_every",
        "evaluate_every",
        "save_every",
        "keep",
        "most_skipped",
        "best_by",
        "patience",
    ),
    *("compiled", "channels_last", "checkpoint", "views", "lower"),
)
"""Recipe fields that may change when a run is resumed: they do not affect the weights."""
DIGESTS = ("source", "digest", "checksums")
"""Keys of hashes: listed only where nothing else differs."""
DIFFERENCES_SHOWN = 12
"""Differences listed in an error."""


@runtime_checkable
class Labelled(Protocol):
    """Videos whose labels are known without reading them."""

    def labels(self, index: int) -> tuple[int, ...]:
        """The classes of a video."""

    def identifier(self, index: int) -> str:
        """A text unique to a video with its labels."""


def run_identity(plan: Plan, recipe: Recipe, videos: Videos, tests: Videos) -> Identity:
    """What a checkpoint must match to be resumed."""
    return Identity(
        arch=arch_data(plan),
        source=sha256(emit(plan).encode()).hexdigest(),
        recipe=recipe_data(recipe),
        data={"train": summarize_videos(videos), "val": summarize_videos(tests)},
    )


def summarize_videos(videos: Videos) -> VideoSummary:
    """Classes, counts and digest of the videos of a split."""
    sums, counts = sha256(), [0] * len(videos.classes)
    labelled = videos if isinstance(videos, Labelled) else None
    for index in range(len(videos)):
        name = labelled.identifier(index) if labelled else videos.name(index)
        sums.update(f"{name}\n".encode("utf-8", "backslashreplace"))
        for label in labelled.labels(index) if labelled else ():
            counts[label] += 1
    return VideoSummary(
        classes=list(videos.classes),
        counts=counts if labelled else [],
        videos=len(videos),
        digest=sums.hexdigest(),
    )


def check_processes_agree(data: Mapping[str, Any]) -> None:
    """Raises SpecError in all processes where the data of one differs from the first's."""
    if len(set(gather_objects(digest(data)))) == 1:
        return
    first, *others = gather_objects(data)
    found = [(rank, *one) for rank, other in enumerate(others, 1) for one in data_differences(first, other)]
    shown = [one for one in found if not one[1].endswith(DIGESTS)]
    faults = [
        Fault(
            what="processes were started with different settings",
            at=at,
            got=f"{excerpt(before)} in process 0, {excerpt(after)} in process {rank}",
            want="the same in every process",
            fix="start every process with the same command, files and checkpoints",
        )
        for rank, at, before, after in shown or found
    ]
    raise limited_error(faults, None)


def limited_error(faults: list[Fault], written: str | None) -> SpecError:
    """An error with the first few faults."""
    more = [Fault(what=f"and {len(faults) - DIFFERENCES_SHOWN} more", written=written)]
    return SpecError(faults if len(faults) <= DIFFERENCES_SHOWN else faults[:DIFFERENCES_SHOWN] + more)


def check_resumable(plan: Plan, own: Identity, facts: CheckpointFacts, checkpoint: Path, *, named: bool) -> None:
    """Raises SpecError with all differences. A checkpoint of --resume may have another recipe and other videos."""
    faults: list[Fault] = []
    if facts.source != own.source:
        faults = list(arch_faults(plan, own, facts, checkpoint))
    else:
        faults = [*class_faults(own, facts, checkpoint)]
        if not named:
            faults += [*recipe_faults(own, facts, checkpoint), *video_faults(own, facts, checkpoint)]
    if faults:
        raise limited_error(faults, str(checkpoint))


def check_before_end(step: int, steps: int, checkpoint: Path) -> None:
    """Raises SpecError for a checkpoint beyond the run's last step."""
    if step > steps:
        raise SpecError(
            "a checkpoint beyond the last step",
            at="recipe.steps",
            written=str(checkpoint),
            got=f"step {step}",
            want=f"at most {steps} steps",
            fix=f"an earlier checkpoint, or --steps {step}",
        )


def arch_faults(plan: Plan, own: Identity, facts: CheckpointFacts, checkpoint: Path) -> Iterator[Fault]:
    """What differs between two networks, by address."""
    what, fix = "checkpoint of a different architecture", "choose another --out"
    if facts.arch is None or own.arch is None:
        yield Fault(
            what=what, written=str(checkpoint), got="different emitted code: network.py", want="the same code", fix=fix
        )
        return
    found = diff(read_model(Arch, facts.arch), plan.arch)
    where = str(checkpoint)
    for change in found.changed:
        yield Fault(what=what, at=change.address, written=where, got=change.before, want=change.after, fix=fix)
    for address in found.removed:
        yield Fault(what=what, at=address, written=where, got=address, want="nothing here", fix=fix)
    for address in found.added:
        yield Fault(what=what, at=address, written=where, got="nothing here", want=address, fix=fix)
    if not (found.changed or found.removed or found.added):
        yield Fault(what=what, written=where, got=found.inputs[0], want=found.inputs[1], fix=fix)


def class_faults(own: Identity, facts: CheckpointFacts, checkpoint: Path) -> Iterator[Fault]:
    """Different classes: a label would mean another class."""
    if not facts.data or not own.data or facts.data["train"].classes == own.data["train"].classes:
        return
    old, new = facts.data["train"].classes, own.data["train"].classes
    pairs = ((i, pair) for i, pair in enumerate(zip_longest(old, new, fillvalue="no class")) if pair[0] != pair[1])
    i, (before, after) = next(pairs)
    yield Fault(
        what="run was started with different classes",
        at=f"class {i}",
        written=str(checkpoint),
        got=before,
        want=after,
        fix=f"restore the classes, or start a new run with another --out and --weights {checkpoint}",
    )


def video_faults(own: Identity, facts: CheckpointFacts, checkpoint: Path) -> Iterator[Fault]:
    """Videos that differ, counted by class."""
    for split, old in (facts.data or {}).items():
        new = (own.data or {}).get(split, old)
        if old.classes == new.classes and old.digest != new.digest:
            yield Fault(
                what="run was started with different videos",
                at=split,
                written=str(checkpoint),
                got=describe_counts(old, new),
                want=describe_counts(new, old),
                fix=f"choose another --out, or --resume {checkpoint} to continue with these videos",
            )


def describe_counts(one: VideoSummary, other: VideoSummary) -> str:
    """Number of videos, and of the classes whose counts differ from another list's."""
    pairs = zip(one.classes, one.counts, other.counts)
    odd = [f"{count} of {excerpt(name)}" for name, count, others in pairs if count != others]
    if one.videos == other.videos and not odd:
        return f"{one.videos} videos with other names, labels or order: {one.digest[:12]}"
    return f"{one.videos} videos" + (f": {', '.join(odd[:3])}" if odd else "")


def recipe_faults(own: Identity, facts: CheckpointFacts, checkpoint: Path) -> Iterator[Fault]:
    """Fields of the recipe that differ."""
    for at, before, after in data_differences(facts.recipe, own.recipe):
        if at.partition(".")[0] not in FREE_FIELDS:
            yield Fault(
                what="run was started with a different recipe",
                at=f"recipe.{at}",
                written=str(checkpoint),
                got=before,
                want=after,
                fix=f"choose another --out, or --resume {checkpoint} to continue with the new recipe",
            )


def recipe_changes(recipe: Recipe) -> dict[str, list[str]]:
    """What touches the weights and differs from the built-in recipe of its name: field -> [before, after].

    What that one leaves to the device (`auto`) is no difference.
    """
    if recipe.name not in recipe_names():
        return {}
    found = data_differences(recipe_data(recipe_named(recipe.name)), recipe_data(recipe))
    return {
        at: [before, after]
        for at, before, after in found
        if at.partition(".")[0] not in FREE_FIELDS and before != "auto"
    }


def data_differences(old: Any, new: Any, at: str = "") -> Iterator[tuple[str, str, str]]:
    """(path, before, after) of all differences in plain data."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            yield from data_differences(old.get(key), new.get(key), f"{at}.{key}" if at else key)
    elif old != new:
        yield at, "the default" if old is None else str(old), "the default" if new is None else str(new)


def check_same_classes(videos: Videos, tests: Videos) -> None:
    """Raises SpecError where train and test videos do not number the same classes alike."""
    if tuple(videos.classes) == tuple(tests.classes):
        return
    other = sorted(set(tests.classes) ^ set(videos.classes)) or list(tests.classes)
    raise SpecError(
        "train and test videos have different classes",
        got=f"{len(videos.classes)} and {len(tests.classes)} classes; not in both: {', '.join(other[:4])}",
        want="the same classes in the same order",
        fix="a video of each class to train on, or classes.txt with all names beside the lists",
    )
