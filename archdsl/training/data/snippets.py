"""Where a network that reads its clip in segments finds the frames of each: sampling must put them there."""

from __future__ import annotations

from dataclasses import dataclass

from archdsl.compiler.expansion import frame_choice
from archdsl.errors import SpecError
from archdsl.language import Arch, Clip, Pathway
from archdsl.language.recipes.clips import Sampling
from archdsl.ops.frames import TakeSegments
from archdsl.ops.segments import TakeSnippets
from archdsl.training.data.modalities import reach_of


@dataclass(frozen=True)
class Snippets:
    """Snippets of one number of segments."""

    places: tuple[range, ...]
    """Of each segment: where in the clip its frames lie, in a row."""
    span: int
    """Frames of the video that a snippet needs: more than it has where flow and differences look ahead."""


def snippets_of(arch: Arch, sampling: Sampling) -> dict[str, tuple[Snippets, ...]]:
    """Clip -> the snippets that its pathways read; clips that no pathway reads in segments are not there.

    Raises SpecError where frames of one clip are chosen in ways that cannot all be met.
    """
    if sampling.kind != "segments":
        return {}
    readers: dict[str, list[Pathway]] = {name: [] for name in arch.clips}
    for pathway in arch.pathways.values():
        if pathway.after is None:
            readers[pathway.clip or next(iter(arch.clips))].append(pathway)
    made = {name: groups_of(pathways, name, arch.clips[name], sampling) for name, pathways in readers.items()}
    return {name: groups for name, groups in made.items() if groups}


def groups_of(pathways: list[Pathway], name: str, clip: Clip, sampling: Sampling) -> tuple[Snippets, ...]:
    """The snippets of one clip, for each number of segments."""
    ways = sorted({pathway.segments or 0 for pathway in pathways})
    if not any(ways):
        return ()
    groups = tuple(snippets(clip, [one for one in pathways if one.segments == count]) for count in ways if count)
    taken = [place for group in groups for places in group.places for place in places]
    if 0 in ways or len(set(taken)) < len(taken):
        raise SpecError(
            "frames of one clip sampled in segments of several kinds",
            at=f"clips.{name}",
            written=clip.written,
            got=" and ".join(f"{count} segments" if count else "a pathway of all frames" for count in ways),
            want="as many segments in all pathways that read the clip",
            fix="networks trained and tested alone: archdsl evaluate RUN RUN --fuse",
        )
    if sampling.snippet > 1:
        raise SpecError(
            "a snippet said twice",
            at="recipe.sampling.snippet",
            written=sampling.written,
            got=f"{sampling.snippet}, and a network that takes its own from clip {name}",
            want="snippet: 1",
        )
    return groups


def snippets(clip: Clip, pathways: list[Pathway]) -> Snippets:
    """The stretch of each segment that some pathways of as many segments read: one may read more of it than another."""
    count = pathways[0].segments or 1
    stretches: list[set[int]] = [set() for _ in range(count)]
    for pathway in pathways:
        choice = frame_choice(pathway)
        assert isinstance(choice, TakeSegments | TakeSnippets)
        frames = choice.frames(clip.frames)
        for i, place in enumerate(frames):
            stretches[i * count // len(frames)].add(place)
    places = tuple(range(min(one), max(one) + 1) for one in stretches)
    return Snippets(places, len(places[0]) + reach_of(clip))
