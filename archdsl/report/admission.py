"""Which frames and sizes an arch accepts, found by expanding it at each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from archdsl.blocks import Block
from archdsl.compiler import Plan, arch_of
from archdsl.compiler.expansion import Expansion
from archdsl.errors import Fault, SpecError
from archdsl.graph import Builder
from archdsl.language import Arch, Clip
from archdsl.report.number_format import runs

TRIED_FACTOR = 2
"""Sizes and frames are tried from 1 to this many times the arch's own."""
LARGEST_TRIED = 2048
"""And never beyond."""


@dataclass(frozen=True)
class Refusal:
    """Values refused for one reason, with the fault of the first."""

    values: tuple[int, ...]
    fault: Fault

    def __str__(self) -> str:
        told = "; ".join(f"{name} {value}" for name in ("got", "want") if (value := getattr(self.fault, name)))
        shown = runs(self.values)
        shown = shown if len(shown) <= 40 else f"{shown[:40].rpartition(',')[0]}, ..."
        return f"{shown}: {self.fault.what}" + (f" ({told})" if told else "")


@dataclass(frozen=True)
class Admitted:
    """What is accepted along one axis of one clip, or of all clips alike, the rest of the arch as it is."""

    axis: str
    """frames, size, height or width."""
    clips: tuple[str, ...]
    values: tuple[int, ...]
    """Accepted, among all from 1 to `tried`."""
    tried: int
    refusals: tuple[Refusal, ...]

    @property
    def text(self) -> str:
        """The set in words."""
        noun = {"frames": "number of frames"}.get(self.axis, self.axis)
        return set_text(self.values, self.tried, noun)


@dataclass(frozen=True)
class Admits:
    """Every axis of every clip. `str()` tells it."""

    name: str
    axes: tuple[Admitted, ...]

    def __str__(self) -> str:
        clips = {axis.clips for axis in self.axes}
        lines = []
        for axis in self.axes:
            of = f" of {', '.join(axis.clips)}" if len(clips) > 1 else ""
            lines.append(f"{axis.axis}{of}: {axis.text} (tried 1 to {axis.tried})")
            lines += [f"  refused {refusal}" for refusal in axis.refusals]
        return "\n".join(lines)

    def record(self) -> dict[str, Any]:
        """By name, for JSON."""
        return {
            "name": self.name,
            "axes": [
                {
                    "axis": axis.axis,
                    "clips": list(axis.clips),
                    "accepted": axis.text,
                    "values": list(axis.values),
                    "tried": [1, axis.tried],
                    "refused": [
                        {"values": list(r.values), **{k: v for k, v in vars(r.fault).items() if v}}
                        for r in axis.refusals
                    ],
                }
                for axis in self.axes
            ],
        }


def set_text(values: tuple[int, ...], tried: int, noun: str) -> str:
    """A set of whole numbers in words: `multiples of 16 from 16`, `every size from 193`."""
    if not values:
        return "none"
    first, last = values[0], values[-1]
    if values == tuple(range(first, tried + 1)):
        return f"every {noun} from {first}"
    if len(values) == 1:
        return f"only {first}"
    step = values[1] - first
    if step > 1 and values == tuple(range(first, last + 1, step)) and last + step > tried:
        return f"multiples of {step} from {first}" if first % step == 0 else f"{first} and every {step} from there"
    return runs(values)


def admits(arch_or_plan: Arch | Plan) -> Admits:
    """The exact sets of frames and sizes, up to twice the arch's own, that compile; with the reason of each refusal.

    Clips of equal frames or sizes are changed together.
    """
    arch = arch_of(arch_or_plan)
    short = ShortenedArch.of(arch)
    axes = []
    for axis in ("frames", "size", "height", "width"):
        for clips, own in equal_clips(arch, axis).items():
            tried = min(TRIED_FACTOR * own, LARGEST_TRIED)
            axes.append(tried_along(axis, clips, tried, lambda n, axis=axis, clips=clips: short.fault(axis, clips, n)))  # type: ignore[misc]
    return Admits(arch.name, tuple(axes))


def equal_clips(arch: Arch, axis: str) -> dict[tuple[str, ...], int]:
    """Clips that have the axis, those of one value together, and that value."""
    groups: dict[int, list[str]] = {}
    for name, clip in arch.clips.items():
        value = getattr(clip, axis)
        if value is not None and clip.varies(axis):
            groups.setdefault(value, []).append(name)
    return {tuple(names): value for value, names in groups.items()}


def tried_along(axis: str, clips: tuple[str, ...], tried: int, fault_at: Callable[[int], Fault | None]) -> Admitted:
    """Every value from 1 to `tried`."""
    values: list[int] = []
    refused: dict[tuple[str, str | None], tuple[Fault, list[int]]] = {}
    for n in range(1, tried + 1):
        fault = fault_at(n)
        if fault is None:
            values.append(n)
        else:
            refused.setdefault((fault.what, fault.at), (fault, []))[1].append(n)
    refusals = tuple(Refusal(tuple(numbers), fault) for fault, numbers in refused.values())
    return Admitted(axis, clips, tuple(values), tried, refusals)


@dataclass(frozen=True)
class ShortenedArch:
    """An arch without the repeats that change nothing, so that many inputs are tried quickly.

    A block equal to the one before it, which gave back the shape and the steps it was given, would do so again: leaving
    it out changes nothing behind it. Where that does not hold, and where a fault lies in a stage that was cut, the
    whole arch is expanded.
    """

    arch: Arch
    short: Arch
    kept: tuple[str, ...]
    """Addresses of the blocks that stand for their repeats."""

    @classmethod
    def of(cls, arch: Arch) -> ShortenedArch:
        """The arch with runs of equal blocks cut to two: the first may widen, the second repeats."""
        kept: list[str] = []
        # what leaves from inside a stage counts its blocks
        read = [f"{edge.source}.{after}" for edge in arch.edges for after, _ in edge.places]
        pathways = {}
        for name, pathway in arch.pathways.items():
            stages = {}
            for stage_name, stage in pathway.stages.items():
                whole = any(place.startswith(f"{name}.{stage_name}.") for place in read)
                blocks: list[Block] = []
                for block in stage.blocks:
                    if blocks[-2:] == [block, block] and not whole:
                        kept.append(f"{name}.{stage_name}.{len(blocks) - 1}")
                    else:
                        blocks.append(block)
                stages[stage_name] = stage.model_copy(update={"blocks": tuple(blocks)})
            pathways[name] = pathway.model_copy(update={"stages": stages})
        return cls(arch, arch.model_copy(update={"pathways": pathways}), tuple(dict.fromkeys(kept)))

    def fault(self, axis: str, clips: tuple[str, ...], n: int) -> Fault | None:
        """The first fault of the arch at that value, or None where it compiles."""
        tried = Expansion(with_clip_value(self.short, axis, clips, n))
        fault = first_fault(tried)
        cut = {block.rpartition(".")[0] for block in self.kept}
        inside = fault is not None and any((fault.at or "").startswith(f"{stage}.") for stage in cut)
        if keeps_shape(tried.g, self.kept) and not inside:
            return fault
        return first_fault(Expansion(with_clip_value(self.arch, axis, clips, n)))


def first_fault(expansion: Expansion) -> Fault | None:
    """Write the arch out; the first fault, or None."""
    try:
        expansion.run()
    except SpecError as error:
        return error.faults[0]
    return None


def with_clip_value(arch: Arch, axis: str, clips: Iterable[str], n: int) -> Arch:
    """The arch with other clips, without checking again what does not depend on them."""
    made: dict[str, Clip] = {name: arch.clips[name].model_copy(update={axis: n}) for name in clips}
    return arch.model_copy(update={"clips": {**arch.clips, **made}})


def keeps_shape(g: Builder, blocks: tuple[str, ...]) -> bool:
    """Whether each block gives back the shape and the steps it is given. One that was not reached changes nothing."""
    ends: dict[str, tuple[str, str]] = {}
    for node in g.nodes.values():
        block = ".".join(node.address.split(".")[:3])
        ends[block] = ends.get(block, (node.reads[0] if node.reads else "", ""))[0], node.address
    return all(same_shape_and_steps(g, *ends[block]) for block in blocks if block in ends)


def same_shape_and_steps(g: Builder, before: str, after: str) -> bool:
    """Whether two values have one shape and equal steps."""
    a, b = g.grids[before], g.grids[after]
    return g.shapes[before] == g.shapes[after] and all(getattr(a, axis).step == getattr(b, axis).step for axis in "thw")
