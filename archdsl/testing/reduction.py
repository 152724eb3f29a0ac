"""Smaller archs: one that tells as much as a large one and runs in a moment, and ever simpler ones of a failure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from functools import partial
from typing import Any

from archdsl.blocks import Block
from archdsl.blocks.base import widened
from archdsl.compiler import Plan, compile
from archdsl.errors import SpecError
from archdsl.language import Arch, Classifier, Clip, Pathway, Stage
from archdsl.spec.base import Written

FRAMES, SIZES = (8, 4, 16, 32, 1, 2, 5, 6, 10, 20, 40, 64), (32, 64, 48, 16, 112, 160, 224)
"""Frames and sizes that a small form is tried at, the first that compiles is taken."""
NARROW_RATIOS = (Fraction(1, 16), Fraction(1, 8), Fraction(1, 4), Fraction(1, 2))
MOST_MACS, MOST_PARAMS = 300_000_000, 3_000_000
"""Of a network that is still small."""
SMALL_NUMBERS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
LARGEST = 10**6
"""Larger than the frames and sizes of any small network."""
MOST_BLOCKS = 2
"""Of a stage of a small form."""


def plan_if_legal(make: Callable[[], Arch]) -> Plan | None:
    """The plan of an arch; None where it cannot be."""
    try:
        return compile(make())
    except SpecError:
        return None


def small_form(arch: Arch) -> Arch:
    """The arch with few blocks a stage, narrow, short and small; what it does not allow stays."""
    for change in (few_blocks, few_classes, whole_windows, small_head, few_channels):
        arch = first_legal([partial(change, arch)]) or arch
    narrow = first_legal(partial(narrowed, arch, ratio) for ratio in NARROW_RATIOS)
    arch = narrow or narrowed_where_legal(arch)
    return first_legal(partial(with_clips, arch, frames, size) for size in SIZES for frames in FRAMES) or arch


def first_legal(makes: Iterable[Callable[[], Arch]]) -> Arch | None:
    """The first of several archs that compiles."""
    plans = filter(None, map(plan_if_legal, makes))
    plan = next(plans, None)
    return plan.arch if plan else None


def few_blocks(arch: Arch) -> Arch:
    """Stages of two blocks at most."""
    return with_stages_changed(arch, lambda stage: Stage(*stage.blocks[:MOST_BLOCKS]))


def narrowed(arch: Arch, ratio: Fraction) -> Arch:
    """Every width multiplied, those on edges too."""
    edges = tuple(
        edge.but(transform=tuple(map(partial(narrow_transform, ratio), edge.transform))) for edge in arch.edges
    )
    return with_stages_changed(arch, partial(narrow_stage, ratio)).but(edges=edges)


def narrow_stage(ratio: Fraction, stage: Stage) -> Stage:
    """Every width of a stage multiplied."""
    return Stage(*(block.scaled(ratio, "ceil") for block in stage.blocks))


def narrow_transform(ratio: Fraction, transform: Any) -> Any:
    """A transform with the widths of its blocks, and channels that it names, multiplied."""
    fields = type(transform).model_fields
    if "blocks" in fields:
        return transform.but(blocks=tuple(block.scaled(ratio, "ceil") for block in transform.blocks))
    return transform.but(channels=widened(transform.channels, ratio, "ceil")) if "channels" in fields else transform


def narrowed_where_legal(arch: Arch) -> Arch:
    """Stages narrowed one by one, those that may be."""
    for name, pathway in arch.pathways.items():
        for stage in pathway.stages:
            arch = first_legal(partial(narrowed_stage, arch, name, stage, ratio) for ratio in NARROW_RATIOS) or arch
    return arch


def narrowed_stage(arch: Arch, name: str, stage: str, ratio: Fraction) -> Arch:
    """One stage narrowed."""
    pathway = arch.pathways[name]
    stages = {**pathway.stages, stage: narrow_stage(ratio, pathway.stages[stage])}
    made: Arch = arch.but(pathways={**arch.pathways, name: pathway.but(stages=stages)})
    return made


def small_head(arch: Arch) -> Arch:
    """A head whose large numbers are small."""
    values = {name: getattr(arch.head, name) for name in type(arch.head).model_fields if name != "classes"}
    small = {name: shrunk for name, value in values.items() if (shrunk := smaller_number(value)) != value}
    made: Arch = arch.but(head=arch.head.but(**small))
    return made


def smaller_number(value: Any) -> Any:
    """16 for a whole number above 64, and for each in a list."""
    if isinstance(value, tuple):
        return tuple(map(smaller_number, value))
    return 16 if type(value) is int and value > 64 else value


def few_channels(arch: Arch) -> Arch:
    """Clips of features with few channels."""
    clips = {n: c.but(channels=16) if c.modality == "features" else c for n, c in arch.clips.items()}
    made: Arch = arch.but(clips=clips)
    return made


def few_classes(arch: Arch) -> Arch:
    """Five classes, where the head has any."""
    fields = type(arch.head).model_fields
    made: Arch = arch.but(head=arch.head.but(classes=5)) if "classes" in fields else arch
    return made


def whole_windows(arch: Arch) -> Arch:
    """A head that pools whole maps, not windows of the size of the training crop."""
    written = {"window", "window_t"} & arch.head.model_fields_set
    made: Arch = arch.but(head=arch.head.but(**dict.fromkeys(written)))
    return made


def with_stages_changed(arch: Arch, change: Callable[[Stage], Stage]) -> Arch:
    """The arch, each of its stages changed."""
    pathways = {
        name: pathway.but(stages={key: change(stage) for key, stage in pathway.stages.items()})
        for name, pathway in arch.pathways.items()
    }
    made: Arch = arch.but(pathways=pathways)
    return made


def with_clips(arch: Arch, frames: int, size: int) -> Arch:
    """Frames and sizes of the clips that are pictures, none larger than its own."""
    clips = {name: smaller_clip(clip, frames, size) for name, clip in arch.clips.items()}
    made: Arch = arch.but(clips=clips)
    return made


def smaller_clip(clip: Clip, frames: int, size: int) -> Clip:
    """One clip of at most such frames and size; sounds, boxes and features keep theirs."""
    frames = clip.frames if clip.modality in ("audio", "boxes") else min(frames, clip.frames)
    if clip.modality in ("audio", "boxes", "features"):
        made: Clip = clip.but(frames=frames)
    elif clip.size:
        made = clip.but(frames=frames, size=min(size, clip.size))
    else:
        made = clip.but(frames=frames, height=min(size, clip.height or size), width=min(size, clip.width or size))
    return made


def is_small(plan: Plan) -> bool:
    """Whether a network runs in a moment."""
    return plan.macs <= MOST_MACS and plan.params <= MOST_PARAMS


Make = Callable[[], Any]
"""Gives a part, or raises SpecError."""


def but(part: Any, **changes: Any) -> Any:
    """A part with some fields changed."""
    return part.but(**changes)


def replaced_at(things: tuple[Any, ...], i: int, *makes: Make) -> tuple[Any, ...]:
    """A tuple with other things in one place."""
    return (*things[:i], *(make() for make in makes), *things[i + 1 :])


def simpler(arch: Arch) -> Iterator[Make]:
    """Functions that give archs simpler than this one, those that leave out most first. They may raise SpecError."""
    yield from without_parts(arch)
    yield from (partial(with_clips, arch, n, LARGEST) for n in SMALL_NUMBERS)
    yield from (partial(with_clips, arch, LARGEST, n) for n in SMALL_NUMBERS)
    if arch.head != (plain := Classifier(classes=2)):
        yield partial(but, arch, head=plain)
    for name, pathway in arch.pathways.items():
        yield from simpler_pathways(arch, name, pathway)
    for i, edge in enumerate(arch.edges):
        yield from (partial(with_edge, arch, i, make) for make in plainer(edge))
    yield from (partial(with_head, arch, make) for make in plainer(arch.head))
    yield from (partial(with_clip, arch, make) for make in plain_clips(arch))
    yield from plainer(arch, keep=("name", "clips", "pathways", "edges", "head"))


def with_edge(arch: Arch, i: int, *makes: Make) -> Any:
    """The arch with another edge in place of one, or none."""
    return arch.but(edges=replaced_at(arch.edges, i, *makes))


def with_head(arch: Arch, make: Make) -> Any:
    """The arch with another head."""
    return arch.but(head=make())


def with_clip(arch: Arch, make: Make) -> Any:
    """The arch with another clip in place of its only one."""
    return arch.but(clips=dict.fromkeys(arch.clips, make()))


def with_pathway(arch: Arch, name: str, make: Make) -> Any:
    """The arch with another pathway of a name."""
    return arch.but(pathways={**arch.pathways, name: make()})


def with_stage_of(pathway: Pathway, stage: str, make: Make) -> Any:
    """The pathway with other blocks in a stage."""
    return pathway.but(stages={**pathway.stages, stage: Stage(*make())})


def with_one(part: Written, name: str, make: Make) -> Any:
    """A part with another value of a field."""
    return part.but(**{name: make()})


def plain_clips(arch: Arch) -> Iterator[Make]:
    """The only clip with fewer of its fields written."""
    if len(arch.clips) == 1:
        (clip,) = arch.clips.values()
        yield from plainer(clip, keep=("frames", "size"))


def without_parts(arch: Arch) -> Iterator[Make]:
    """Without one pathway, edge or stage."""
    for name in arch.pathways if len(arch.pathways) > 1 else ():
        yield partial(without_pathway, arch, name)
    yield from (partial(with_edge, arch, i) for i in range(len(arch.edges)))
    for name, pathway in arch.pathways.items():
        for stage in pathway.stages if len(pathway.stages) > 1 else ():
            yield partial(without_stage, arch, name, stage)


def without_pathway(arch: Arch, name: str) -> Arch:
    """The arch without a pathway, its edges and the clips that nobody reads then."""
    pathways = {key: pathway for key, pathway in arch.pathways.items() if key != name}
    read = {pathway.clip for pathway in pathways.values()}
    clips = {key: clip for key, clip in arch.clips.items() if key in read or read == {None}}
    edges = tuple(edge for edge in arch.edges if name not in (edge.source, edge.target))
    made: Arch = arch.but(pathways=pathways, edges=edges, clips=clips or arch.clips)
    return made


def without_stage(arch: Arch, name: str, stage: str) -> Arch:
    """The arch without a stage, and without the edges that meet it."""
    stages = {key: held for key, held in arch.pathways[name].stages.items() if key != stage}
    met = [{place.partition(".")[0] for pair in edge.places for place in pair} for edge in arch.edges]
    edges = tuple(
        edge for edge, places in zip(arch.edges, met) if name not in (edge.source, edge.target) or stage not in places
    )
    made: Arch = arch.but(pathways={**arch.pathways, name: arch.pathways[name].but(stages=stages)}, edges=edges)
    return made


def simpler_pathways(arch: Arch, name: str, pathway: Pathway) -> Iterator[Make]:
    """With one pathway simpler."""
    makes = [*plainer(pathway, keep=("stages", "clip", "after"))]
    for stage, held in pathway.stages.items():
        makes += [partial(with_stage_of, pathway, stage, make) for make in simpler_blocks(held.blocks)]
    yield from (partial(with_pathway, arch, name, make) for make in makes)


def simpler_blocks(blocks: tuple[Block, ...]) -> Iterator[Make]:
    """Without one of several blocks, or with one of them simpler."""
    for i, block in enumerate(blocks):
        if len(blocks) > 1:
            yield partial(replaced_at, blocks, i)
        yield from (partial(replaced_at, blocks, i, make) for make in plainer(block))


def plainer(part: Written, keep: tuple[str, ...] = ()) -> Iterator[Make]:
    """With one written field at its default, or its numbers smaller, or one of several blocks in it less or plainer."""
    for name, field in type(part).model_fields.items():
        value = getattr(part, name)
        if name in keep or name not in part.model_fields_set:
            continue
        if not field.is_required() and value != field.get_default():
            yield partial(but, part, **{name: None})
        if isinstance(value, int) and not isinstance(value, bool):
            yield from (partial(but, part, **{name: n}) for n in SMALL_NUMBERS if n < value)
        elif isinstance(value, tuple) and value and isinstance(value[0], Block):
            yield from (partial(with_one, part, name, make) for make in simpler_blocks(value))
        elif isinstance(value, tuple) and len(value) > 1 and all(type(n) is int for n in value):
            yield from (partial(but, part, **{name: other}) for other in smaller_tuples(value))


def smaller_tuples(value: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """With one number at 1."""
    for i, n in enumerate(value):
        if n > 1:
            yield (*value[:i], 1, *value[i + 1 :])
