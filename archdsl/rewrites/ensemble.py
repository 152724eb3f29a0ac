"""Networks that were trained apart and speak together: the ensembles of a paper's last table row."""

from __future__ import annotations

from typing import Any

from archdsl.errors import SpecError
from archdsl.language import Arch, Edge, Head, Pathway, Several


def together(name: str, **archs: Arch) -> Arch:
    """Archs side by side, each with its own weights, and the mean of their scores. They read one another's clips.

    Pathways bear the arch's name before their own: `small_main`. Raises SpecError where clips of one name differ, or a
    head does not classify.
    """
    clips: dict[str, Any] = {}
    for key, arch in archs.items():
        for clip, made in arch.clips.items():
            if clips.setdefault(clip, made) != made:
                got, want = f"{made.shape} in {key}, {clips[clip].shape} before it", "equal clips, or other names"
                raise SpecError(
                    f"different clips with the same name {clip!r}", written=made.written, got=got, want=want
                )
        if arch.classes is None or isinstance(arch.head, Several):
            got = type(arch.head).__name__
            raise SpecError(
                f"{key} is not a single classifier", written=arch.written, got=got, want="one head that classifies"
            )
    if len({arch.causal for arch in archs.values()}) > 1:
        raise SpecError("some of the archs causal, some not", got=", ".join(archs), want="all or none")
    return Arch(
        name=name,
        clips=clips,
        blocks={block: drawing for arch in archs.values() for block, drawing in arch.blocks.items()},
        pathways={
            f"{key}_{path}": prefixed(key, own) for key, arch in archs.items() for path, own in arch.pathways.items()
        },
        edges=tuple(prefixed_edge(key, edge) for key, arch in archs.items() for edge in arch.edges),
        head=Several(heads={key: prefixed_head(key, arch) for key, arch in archs.items()}, merge="average"),
        causal=next(iter(archs.values())).causal,
    )


def prefixed(key: str, pathway: Pathway) -> Pathway:
    """A pathway whose like-named neighbours bear the arch's name."""
    named = {field: getattr(pathway, field) for field in ("after", "tied_to")}
    made: Pathway = pathway.but(**{field: f"{key}_{value}" for field, value in named.items() if value})
    return made


def prefixed_edge(key: str, edge: Edge) -> Edge:
    """An edge between such pathways."""
    made: Edge = edge.but(source=f"{key}_{edge.source}", target=f"{key}_{edge.target}")
    return made


def prefixed_head(key: str, arch: Arch) -> Head:
    """The head with the new names of the pathways it reads."""
    made: Head = arch.head.but(reads=tuple(f"{key}_{path}" for path in arch.ends))
    return made
