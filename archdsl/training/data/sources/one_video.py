"""One file as the videos of a prediction: without labels, as many clips as cover it."""

from __future__ import annotations

from math import ceil
from pathlib import Path

from archdsl.language import Arch
from archdsl.language.recipes.recipe import Recipe
from archdsl.training.data.clips import Unreadable
from archdsl.training.data.modalities import sampled_lengths
from archdsl.training.data.reader.backends import decoder_named
from archdsl.training.data.reader.decoder import VideoFile
from archdsl.training.data.reader.frame_index import FrameIndex
from archdsl.training.data.reader.watchdog import run_watched
from archdsl.training.data.snippets import snippets_of
from archdsl.training.data.sources.pictures import is_of_pictures, read_pictures
from archdsl.training.data.sources.videos import Action, Files, VideoEntry


def one_video(path: Path, arch: Arch, recipe: Recipe) -> tuple[Recipe, Files]:
    """(the recipe whose views cover the video, the video). Raises Unreadable."""
    try:
        index = run_watched(lambda: read_index(path))
    except TimeoutError as error:
        raise Unreadable(str(path), str(error)) from None
    recipe = recipe.but(views=recipe.views.but(clips=count_windows(index, arch, recipe)))
    entry = VideoEntry(path, str(path), (Action(0),), index=index)
    files = Files(
        (entry,),
        (),
        arch.clips,
        recipe.sampling,
        decoder=decoder_named(None),
        snippets=snippets_of(arch, recipe.sampling),
    )
    return recipe, files


def read_index(path: Path) -> FrameIndex:
    """Where the frames of a video are. Raises Unreadable."""
    if is_of_pictures(path):
        return read_pictures(path, str(path), lambda index: [0])[1]
    with VideoFile(path, str(path)) as video:
        return video.index()


def count_windows(index: FrameIndex, arch: Arch, recipe: Recipe) -> int:
    """Number of clips that cover the video; with segments, which cover it at once, that of the recipe's views."""
    sampling = recipe.sampling
    if sampling.kind == "segments":
        return recipe.views.clips
    step = sampling.every * (index.fps / sampling.fps if sampling.fps else 1.0)
    reach = max(sampled_lengths(arch.clips, index.fps).values()) * step
    return max(1, ceil(len(index.times) / reach - 1e-6))
