"""Legal neighbours of an arch: other frames, sizes, widths, depths, choices, transforms; a part less, a part more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import partial
from typing import Any, Literal, get_args, get_origin

from archdsl.blocks import BLOCKS, Block, Norm
from archdsl.language import TRANSFORMS, Arch, Edge, Stage
from archdsl.language.edge import MERGES
from archdsl.ops.example import Draw, T
from archdsl.report.explanation.examples import filled_in
from archdsl.spec.base import Written, read_model
from archdsl.testing.reduction import is_small, plan_if_legal, without_stage

NORMS = (Norm(), Norm(kind="none"), Norm(kind="layer"), Norm(kind="group", groups=2), Norm(kind="rms"))
MOST_CHANGES = 3
TRIES = 8
"""Changes that are drawn for one that is legal."""


def one_of_names(draw: Draw, things: Mapping[str, T]) -> tuple[str, T]:
    """One of several things with its name."""
    return draw.choice(list(things.items()))


def other_frames(arch: Arch, draw: Draw) -> Arch:
    """Another number of frames."""
    own = max(clip.frames for clip in arch.clips.values())
    frames = draw.choice([n for n in (own // 2, own - 1, own + 1, own * 2, own * 3) if 1 <= n <= 64] or [own])
    clips = {
        name: clip.but(frames=frames) if clip.modality not in ("audio", "boxes") else clip
        for name, clip in arch.clips.items()
    }
    made: Arch = arch.but(clips=clips)
    return made


def other_size(arch: Arch, draw: Draw) -> Arch:
    """Another height and width, which may differ."""
    clips = {}
    own = max(clip.shape.h for clip in arch.clips.values())
    height, width = (
        draw.choice([n for n in (own // 2, own - 3, own, own + 4, own * 2) if 1 <= n <= 128] or [own]) for _ in "hw"
    )
    for name, clip in arch.clips.items():
        flat = clip.modality in ("audio", "boxes", "features")
        clips[name] = clip if flat else clip.but(size=None, height=height, width=width)
    made: Arch = arch.but(clips=clips)
    return made


def other_classes(arch: Arch, draw: Draw) -> Arch:
    """Another number of classes, where the head has any."""
    if "classes" not in type(arch.head).model_fields:
        return arch
    made: Arch = arch.but(head=arch.head.but(classes=draw.integer(1, 9)))
    return made


def other_choice(arch: Arch, draw: Draw) -> Arch:
    """Another choice of frames or another width of a pathway."""
    name, pathway = one_of_names(draw, arch.pathways)
    changes: dict[str, Any] = draw.choice(
        [
            {"every": draw.integer(1, 4)},
            {"every": 2, "start": 1},
            {"every": None, "linspace": draw.integer(1, 4)},
            {"every": None, "segments": draw.integer(1, 4)},
            {"width_ratio": draw.choice([Fraction(1, 2), Fraction(2)])},
        ]
    )
    made: Arch = arch.but(pathways={**arch.pathways, name: pathway.but(**changes)})
    return made


def other_depth(arch: Arch, draw: Draw) -> Arch:
    """A stage with a block less, one twice, or one of any kind more."""
    name, pathway = one_of_names(draw, arch.pathways)
    key, stage = one_of_names(draw, pathway.stages)
    i, blocks = draw.integer(0, len(stage.blocks) - 1), stage.blocks
    kinds = draw.integer(0, 2)
    if kinds == 0 and len(blocks) > 1:
        changed = (*blocks[:i], *blocks[i + 1 :])
    elif kinds == 1:
        changed = (*blocks[: i + 1], blocks[i].again(), *blocks[i + 1 :])
    else:
        changed = (*blocks[: i + 1], any_block(draw), *blocks[i + 1 :])
    made: Arch = arch.but(
        pathways={**arch.pathways, name: pathway.but(stages={**pathway.stages, key: Stage(*changed)})}
    )
    return made


def any_block(draw: Draw) -> Block:
    """A built-in block of any kind with its smallest fields."""
    kind = draw.choice(BLOCKS)
    fields = filled_in(kind, draw.choice((2, 1, 4, 8))) or {}
    return read_model(kind, fields)


def other_block(arch: Arch, draw: Draw) -> Arch:
    """One field of one block, of an edge or of the head changed."""
    name, pathway = one_of_names(draw, arch.pathways)
    key, stage = one_of_names(draw, pathway.stages)
    i = draw.integer(0, len(stage.blocks) - 1)
    blocks = (*stage.blocks[:i], with_other_field(stage.blocks[i], draw), *stage.blocks[i + 1 :])
    made: Arch = arch.but(pathways={**arch.pathways, name: pathway.but(stages={**pathway.stages, key: Stage(*blocks)})})
    return made


def other_head(arch: Arch, draw: Draw) -> Arch:
    """One field of the head changed."""
    made: Arch = arch.but(head=with_other_field(arch.head, draw))
    return made


def with_other_field(part: Any, draw: Draw) -> Any:
    """A part of an arch with one field at another value of its type."""
    kinds = {name: field.annotation for name, field in type(part).model_fields.items()}
    values = {
        name: values for name, kind in kinds.items() if (values := values_of_annotation(kind, getattr(part, name)))
    }
    if not values:
        return part
    name, among = one_of_names(draw, values)
    return part.but(**{name: draw.choice(among)})


def values_of_annotation(kind: Any, value: Any) -> list[Any]:
    """Other small values of a field."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, Norm):
        return [norm for norm in NORMS if norm != value]
    if isinstance(value, int):
        return [n for n in (1, 2, 3, value + 1, value * 2) if n != value and n <= 64]
    if isinstance(value, str) and get_origin(kind) is Literal:
        return [word for word in get_args(kind) if word != value]
    if isinstance(value, tuple) and len(value) == 3 and all(type(n) is int for n in value):
        return [(*value[:i], n, *value[i + 1 :]) for i in range(3) for n in (1, 2, 3) if n != value[i]]
    return []


def other_edge(arch: Arch, draw: Draw) -> Arch:
    """An edge with another transform or merge, or one less."""
    if not arch.edges:
        return another_edge(arch, draw)
    i = draw.integer(0, len(arch.edges) - 1)
    edge = arch.edges[i]
    changed: tuple[Any, ...]
    match draw.integer(0, 2):
        case 0:
            changed = (edge.but(transform=any_transform(draw)),)
        case 1:
            changed = (edge.but(merge=draw.choice([*MERGES]), share=None),)
        case _:
            changed = ()
    made: Arch = arch.but(edges=(*arch.edges[:i], *changed, *arch.edges[i + 1 :]))
    return made


def any_transform(draw: Draw) -> tuple[Written, ...]:
    """A transform of any kind, or none."""
    kind = draw.choice((None, *TRANSFORMS))
    return () if kind is None else (read_model(kind, filled_in(kind, 2) or {}),)


def another_edge(arch: Arch, draw: Draw) -> Arch:
    """One edge more between two pathways."""
    names = [*arch.pathways]
    source, target = draw.choice(names), draw.choice(names)
    after = draw.choice([*arch.pathways[source].stages])
    into = draw.choice([*arch.pathways[target].stages])
    edge = Edge(
        source=source,
        target=target,
        after=(after,),
        into=(into,),
        transform=any_transform(draw),
        merge=draw.choice([*MERGES]),
        name=f"more{len(arch.edges)}",
    )
    made: Arch = arch.but(edges=(*arch.edges, edge))
    return made


def stage_less(arch: Arch, draw: Draw) -> Arch:
    """One stage less."""
    name, pathway = one_of_names(draw, arch.pathways)
    stage = draw.choice([*pathway.stages])
    return without_stage(arch, name, stage) if len(pathway.stages) > 1 else arch


def other_time(arch: Arch, draw: Draw) -> Arch:
    """Causal, or no longer."""
    made: Arch = arch.but(causal=not arch.causal)
    return made


CHANGES: tuple[Callable[[Arch, Draw], Arch], ...] = (
    other_frames,
    other_size,
    other_classes,
    other_choice,
    other_depth,
    other_block,
    other_head,
    other_edge,
    another_edge,
    stage_less,
    other_time,
)
"""What a neighbour may differ in."""


def neighbour(arch: Arch, draw: Draw) -> Arch:
    """The arch after some changes, each of which compiles and stays small."""
    for _ in range(draw.integer(0, MOST_CHANGES)):
        for _ in range(TRIES):
            change = draw.choice(CHANGES)
            plan = plan_if_legal(partial(change, arch, draw))
            if plan and plan.arch != arch and is_small(plan):
                arch = plan.arch
                break
    return arch
