"""`--data`: a folder or a list -> videos. Where the files of a list lie, and which of them a split has."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from archdsl.errors import SpecError
from archdsl.language import Clip
from archdsl.language.recipe import Recipe
from archdsl.training.clips import Videos
from archdsl.training.decoding import decoder_named
from archdsl.training.listing import SUFFIXES, Line, Listing, classes_beside, listing_of, numbered
from archdsl.training.modalities import check_modalities
from archdsl.training.motion import MovingDigits
from archdsl.training.pictures import SUFFIXES as PICTURES
from archdsl.training.videos import Action, Entry, Files

SPLITS = {
    "train": ("train", "training"),
    "val": ("val", "validation", "validate", "valid", "test", "testing"),
    "test": ("test", "testing", "val", "validation", "validate", "valid"),
}
"""Names that files and folders of a split bear, the likeliest first."""
BUILT_IN = {"train": (2400, 0), "val": (512, 1), "test": (512, 1)}
"""Split -> (clips, seed) of the moving digits."""


def videos_of(data: str, split: str, clips: Mapping[str, Clip], recipe: Recipe) -> Videos:
    """The videos of a split: `train`, `val` or `test`.

    `data` is `motion` (moving digits made in memory; `motion:still` repeats one frame), a folder of videos in folders
    that bear the classes' names, a list of videos, or a folder that has either for each split.

    Raises SpecError where there are none, with what was looked for.
    """
    if data.partition(":")[0] == "motion" and not Path(data).exists():
        return built_in(data, split, clips)
    check_modalities(clips)
    path = Path(data)
    if not path.exists():
        raise SpecError(
            "no such data", got=data, want="motion, a folder of videos, or a list of them", fix="archdsl data --help"
        )
    found, root = of_split(path, split)
    entries, classes, several = entries_of(found, root, split)
    if not entries:
        raise SpecError(f"no videos in {found}", want=f"files ending in {', '.join(SUFFIXES)}, or folders of pictures")
    if several != (recipe.loss == "binary"):
        wanted = "binary" if several else "cross_entropy"
        raise SpecError(
            "labels and loss that do not fit",
            at="recipe.loss",
            written=recipe.written,
            got=f"{recipe.loss}, for videos of {'several labels' if several else 'one label'}",
            want=wanted,
            fix=f"loss: {wanted}",
        )
    return Files(entries, classes, dict(clips), recipe.sampling, several, decoder_named(None))


def built_in(data: str, split: str, clips: Mapping[str, Clip]) -> MovingDigits:
    """The moving digits at the size of the arch's clip."""
    (name, clip), *more = clips.items()
    kind = data.partition(":")[2]
    if more or clip.modality != "rgb" or kind not in ("", "still") or clip.shape.h != clip.shape.w:
        raise SpecError(
            "built-in data of another kind",
            got=f"{data}, for {', '.join(f'{key}: {c.modality} {c.shape}' for key, c in clips.items())}",
            want="motion or motion:still, and an arch with one square clip of rgb",
        )
    count, seed = BUILT_IN[split]
    return MovingDigits(count, seed, frames=clip.frames, size=clip.shape.h, frozen=kind == "still", clip=name)


def of_split(path: Path, split: str) -> tuple[Path, Path]:
    """(folder or list of a split, where its videos may lie)."""
    if path.is_file():
        return sibling(path, split), path.parent
    for name in SPLITS[split]:
        if (path / name).is_dir():
            return path / name, path / name
    lists = sorted(p for p in path.iterdir() if p.suffix in (".csv", ".txt", ".json") and p.is_file())
    for name in SPLITS[split]:
        for file in lists:
            if name in file.stem.lower().replace("-", "_").split("_") or file.stem.lower().startswith(f"{name}list"):
                return file, path
    if any((path / name).is_dir() for names in SPLITS.values() for name in names):
        raise SpecError(f"no folder for {split}", got=str(path), want=" or ".join(SPLITS[split]))
    if list(path.glob("*_test_split1.txt")):
        return path, path
    return path, path


def sibling(path: Path, split: str) -> Path:
    """The list itself, or for testing the one beside it whose name has `val` or `test` in place of `train`."""
    if split != "train" and "train" in path.stem.lower():
        start = path.stem.lower().index("train")
        for name in SPLITS[split]:
            other = path.with_name(path.stem[:start] + name + path.stem[start + 5 :] + path.suffix)
            if other.is_file():
                return other
        names = path.stem[:start] + "val" + path.stem[start + 5 :] + path.suffix
        raise SpecError("no list of videos to test on", got=str(path), want=f"{names} beside it")
    return path


def entries_of(found: Path, root: Path, split: str) -> tuple[tuple[Entry, ...], tuple[str, ...], bool]:
    """(videos, classes, whether a video may have several) of a folder or a list."""
    if found.is_dir():
        hmdb = sorted(found.glob("*_test_split1.txt"))
        if not hmdb:
            return in_class_folders(found)
        listing = Listing("words", [line for path in hmdb for line in listing_of(path).lines])
    else:
        listing = listing_of(found)
    lines = [line for line in listing.lines if line.split is None or line.split.lower() in SPLITS[split]]
    if not lines and listing.lines:
        has = ", ".join(sorted({str(line.split) for line in listing.lines}))
        raise SpecError(f"no videos of the split {split}", written=found.name, got=f"splits {has}")
    classes = classes_of(listing, root, split)
    places = {name: i for i, name in enumerate(classes)}
    entries = tuple(entry_of(line, root, classes, places, listing.several) for line in lines)
    return entries, classes, listing.several


def classes_of(listing: Listing, root: Path, split: str) -> tuple[str, ...]:
    """Names of the classes in the order of labels: told beside the list, else sorted; numbers by their value."""
    told = classes_beside(root)
    if told and listing.format != "charades":
        return told
    if listing.classes:
        return listing.classes
    names = {label for line in listing.lines for label, _, _ in line.labels}
    if all(name.isdecimal() for name in names):
        return tuple(str(i) for i in range(max(map(int, names), default=-1) + 1))
    return tuple(sorted(names))


def entry_of(line: Line, root: Path, classes: tuple[str, ...], places: dict[str, int], several: bool) -> Entry:
    """A line of a list as a video with numbers for labels."""
    if not line.labels and not several:
        raise SpecError("a video without a label", written=line.where, got=line.video, want="a class")
    actions = tuple(Action(numbered(line, name, classes, places), start, end) for name, start, end in line.labels)
    return Entry(file_of(line.video, root, line.where), line.video, actions, line.start, line.end, line.centre)


def file_of(video: str, root: Path, where: str) -> Path:
    """The file or folder that a list speaks of: as written, or found by its name below the list's folder."""
    if "\0" in video or len(video) > 4000:
        raise SpecError("a name that no file can have", written=where, got=repr(video[:80]))
    for base in (root, root / "videos"):
        if os.path.lexists(base / video):
            return base / video
    names = files_below(root)
    stem = Path(video).name
    return names.get(stem) or names.get(Path(stem).stem if stem.endswith(SUFFIXES) else stem) or root / video


@lru_cache(maxsize=4)
def files_below(root: Path) -> dict[str, Path]:
    """Name, with and without suffix, -> video below a folder; a Kinetics file also under its video's id."""
    found: dict[str, Path] = {}
    for folder, _, files in os.walk(root):
        for file in files:
            if file.lower().endswith(SUFFIXES):
                path = Path(folder) / file
                found.setdefault(file, path)
                found.setdefault(path.stem, path)
    return found


def in_class_folders(root: Path) -> tuple[tuple[Entry, ...], tuple[str, ...], bool]:
    """Videos, or folders of pictures, in folders that bear the classes' names."""
    folders = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    classes = tuple(path.name for path in folders)
    entries = [
        Entry(video, f"{folder.name}/{video.relative_to(folder).as_posix()}", (Action(i),))
        for i, folder in enumerate(folders)
        for video in sorted(folder.rglob("*"))
        if is_video(video)
    ]
    return tuple(entries), classes, False


def is_video(path: Path) -> bool:
    """Whether a path below a class's folder is a video: a file of a known ending, or a folder of pictures."""
    if path.is_dir():
        return any(inner.suffix.lower() in PICTURES for inner in path.iterdir())
    return path.suffix.lower() in SUFFIXES
