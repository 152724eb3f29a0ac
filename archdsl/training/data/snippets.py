"""Positions in the clip from which a network with segments reads each snippet: sampling must fill them."""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.compiler.expansion import frame_choice
from archdsl.errors import SpecError
from archdsl.language import Arch, Clip, Pathway
from archdsl.language.recipes.clips import Sampling
from archdsl.ops.frames import TakeSegments
from archdsl.ops.segments import TakeSnippets
from archdsl.training.data.modalities import lookahead


@dataclass(frozen=True)
class Snippets:
    """The snippets of pathways with one number of segments."""

    places: tuple[range, ...]
    """Per segment the consecutive positions of its frames in the clip."""
    span: int
    """Frames of the video that a snippet needs: more than it has for flow and differences, which look ahead."""


def snippets_of(arch: Arch, sampling: Sampling) -> dict[str, tuple[Snippets, ...]]:
    """Clip -> the snippets that its pathways read; only clips read in segments.

    Raises SpecError where pathways of one clip need conflicting samplings.
    """
    if sampling.kind != "segments":
        return {}
    readers: dict[str, list[Pathway]] = {name: [] for name in arch.clips}
    for pathway in arch.pathways.values():
        if pathway.after is None:
            readers[pathway.clip or next(iter(arch.clips))].append(pathway)
    made = {name: snippet_groups(pathways, name, arch.clips[name], sampling) for name, pathways in readers.items()}
    return {name: groups for name, groups in made.items() if groups}


def snippet_groups(pathways: list[Pathway], name: str, clip: Clip, sampling: Sampling) -> tuple[Snippets, ...]:
    """The snippets of one clip, for each number of segments."""
    ways = sorted({pathway.segments or 0 for pathway in pathways})
    if not any(ways):
        return ()
    groups = tuple(
        snippets_in_clip(clip, [one for one in pathways if one.segments == count]) for count in ways if count
    )
    taken = [place for group in groups for places in group.places for place in places]
    if 0 in ways or len(set(taken)) < len(taken):
        raise SpecError(
            "pathways of one clip read different numbers of segments",
            at=f"clips.{name}",
            written=clip.written,
            got=" and ".join(f"{count} segments" if count else "a pathway without segments" for count in ways),
            want="the same segments in all pathways of the clip",
            fix="train the networks alone and fuse them: archdsl evaluate RUN RUN --fuse",
        )
    if sampling.snippet > 1:
        raise SpecError(
            "snippet length set twice",
            at="recipe.sampling.snippet",
            written=sampling.written,
            got=f"{sampling.snippet}, and the network's own for clip {name}",
            want="snippet: 1",
        )
    return groups


def snippets_in_clip(clip: Clip, pathways: list[Pathway]) -> Snippets:
    """The positions of each segment that pathways with one number of segments read, together."""
    count = pathways[0].segments or 1
    positions: list[set[int]] = [set() for _ in range(count)]
    for pathway in pathways:
        choice = frame_choice(pathway)
        assert isinstance(choice, TakeSegments | TakeSnippets)
        frames = choice.frames(clip.frames)
        for i, place in enumerate(frames):
            positions[i * count // len(frames)].add(place)
    places = tuple(range(min(one), max(one) + 1) for one in positions)
    return Snippets(places, len(places[0]) + lookahead(clip))
