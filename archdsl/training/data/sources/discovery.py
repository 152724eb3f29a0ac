"""`--data`: from a folder or a list to the videos of a split."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from archdsl.errors import SpecError, excerpt
from archdsl.language import Arch, Clip
from archdsl.language.recipes.recipe import Recipe
from archdsl.training.data.clips import Videos
from archdsl.training.data.modalities import check_modalities
from archdsl.training.data.reader.backends import decoder_named
from archdsl.training.data.snippets import snippets_of
from archdsl.training.data.sources.built_in import is_built_in, moving_digits
from archdsl.training.data.sources.classes import classes_beside
from archdsl.training.data.sources.file_lookup import check_apart, find_file, resolve_offsets, walk_once
from archdsl.training.data.sources.lines import VIDEO_SUFFIXES, Listing, ListLine, parse_each
from archdsl.training.data.sources.manifests import class_number, listing_of
from archdsl.training.data.sources.pictures import PICTURE_SUFFIXES as PICTURES
from archdsl.training.data.sources.shards import is_pattern, listing_of_shards, shards_of, shards_of_split
from archdsl.training.data.sources.splits import SPLITS, spellings_of, split_in
from archdsl.training.data.sources.videos import Action, Files, VideoEntry

VIDEO_ENDINGS = f"files ending in {', '.join(VIDEO_SUFFIXES[:6])} and {len(VIDEO_SUFFIXES) - 6} others"
"""What a video's file may be called."""
MAX_CLASS_NUMBER = 99_999
"""The largest number of a class that has no name."""


def videos_of(data: str, split: str, clips: Mapping[str, Clip], recipe: Recipe) -> Videos:
    """The videos of a split: `train`, `val` or `test`.

    `data` is `motion` (moving digits made in memory; `motion:still` repeats one frame), a folder of videos in folders
    that bear the classes' names, a folder or a pattern of shards, a list of videos, or a folder that has any of them
    for each split.

    Raises SpecError where there are none, with what was looked for.
    """
    if is_built_in(data):
        return moving_digits(data, split, clips)
    check_modalities(clips)
    path = Path(data)
    if not data.strip() or (not path.exists() and not shards_of(path)):
        want = "motion, a folder of videos or of shards, or a list of videos"
        raise SpecError("no such data", got=data, want=want, fix="archdsl data --help")
    if path.exists() and not path.is_file() and not path.is_dir():
        raise SpecError("neither a file nor a folder", got=data)
    found, root = source_of_split(path, split)
    training, several = training_source(path, found), False
    left_out: tuple[str, ...] = ()
    if found.is_dir() and not hmdb_lists(found) and not shards_of(found):
        single = all(clip.frames == 1 for clip in clips.values())
        entries, classes, left_out = entries_in_class_folders(found, training, single=single)
    else:
        entries, classes, several = entries_of(found, root, split, training)
    if not entries:
        got = f"{left_out[0]} and others" if left_out else None
        pictures = any(name.lower().endswith(PICTURES) for name in left_out)
        raise SpecError(
            "pictures are no videos for a network of several frames" if pictures else f"no videos in {found}",
            got=got,
            want=f"{VIDEO_ENDINGS}, or folders of pictures; single pictures for networks of one frame",
        )
    if several != (recipe.loss == "binary"):
        wanted = "binary" if several else "cross_entropy"
        raise SpecError(
            "loss does not match the labels",
            at="recipe.loss",
            written=recipe.written,
            got=f"{recipe.loss}, for videos of {'several labels' if several else 'one label'}",
            want=wanted,
            fix=f"loss: {wanted}",
        )
    made = Files(entries, classes, dict(clips), recipe.sampling, several, decoder_named(None))
    return replace(made, left_out=left_out)


def videos_for(data: str, split: str, arch: Arch, recipe: Recipe) -> Videos:
    """The same, sampled as the arch reads its clips. Raises SpecError."""
    videos = videos_of(data, split, arch.clips, recipe)
    return replace(videos, snippets=snippets_of(arch, recipe.sampling)) if isinstance(videos, Files) else videos


def entries_below(path: Path, split: str) -> tuple[VideoEntry, ...] | None:
    """Every video below the folder of a split, by name; None for what is no folder of videos, or holds none."""
    if not path.is_dir() or hmdb_lists(path) or shards_of(path):
        return None
    found, _ = source_of_split(path, split)
    if not found.is_dir() or hmdb_lists(found) or shards_of(found):
        return None
    below = [one for one in sorted(paths_below(found)) if is_video(one)]
    return tuple(VideoEntry(one, one.relative_to(found).as_posix(), (Action(0),)) for one in below) or None


def absolute_data(data: str) -> str:
    """What `data` names, whatever folder a later command runs in."""
    return data if is_built_in(data) else os.path.abspath(data)


def source_of_split(path: Path, split: str) -> tuple[Path, Path]:
    """(folder or list of a split, where its videos may lie)."""
    if is_pattern(path):
        return sibling_shards(path, split), path.parent
    if path.is_file():
        return sibling(path, split), path.parent
    if hmdb_lists(path):
        return path, path
    for name in SPLITS[split]:
        if (path / name).is_dir():
            return path / name, path / name
    lists = sorted(p for p in path.iterdir() if p.suffix.lower() in (".csv", ".tsv", ".txt", ".json") and p.is_file())
    for name in SPLITS[split]:
        for file in lists:
            if name in file.stem.lower().replace("-", "_").split("_") or file.stem.lower().startswith(f"{name}list"):
                return file, path
    if any((path / name).is_dir() for names in SPLITS.values() for name in names):
        raise SpecError(f"no folder for {split}", got=str(path), want=" or ".join(SPLITS[split]))
    return path, path


def training_source(path: Path, found: Path) -> Path:
    """The folder or list to train on, which says what classes there are; the one that was found if there is none."""
    if is_pattern(path):
        return path if path != found else shards_of_split(path, SPLITS["val"], "train") or path
    if path.is_file():
        return path if path != found else sibling_to_train(path)
    try:
        return source_of_split(path, "train")[0]
    except SpecError:
        return found


def hmdb_lists(folder: Path) -> list[Path]:
    """The lists of HMDB51's first split, one for each class."""
    return sorted(folder.glob("*_test_split1.txt"))


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


def sibling_shards(pattern: Path, split: str) -> Path:
    """The shards themselves, or for testing those whose file or folder has `val` or `test` in place of `train`."""
    if split == "train" or not {split_in(part) for part in pattern.parts[-2:]} & {*SPLITS["train"]}:
        return pattern
    for name in SPLITS[split]:
        if other := shards_of_split(pattern, SPLITS["train"], name):
            return other
    raise SpecError("no shards to test on", got=str(pattern), want="others with val or test in place of train")


def sibling_to_train(path: Path) -> Path:
    """The list beside one to test on whose name has `train` in its place; else the list itself."""
    for name in SPLITS["val"]:
        other = path.with_name(path.name.replace(name, "train"))
        if name in path.name and other.is_file():
            return other
    return path


def entries_of(
    found: Path, root: Path, split: str, training: Path
) -> tuple[tuple[VideoEntry, ...], tuple[str, ...], bool]:
    """(videos, classes, whether a video may have several) of a list, or of shards."""
    listing = resolve_offsets(listing_at(found), root)
    lines = lines_of_split(listing.lines, split)
    if not lines and listing.lines:
        has = ", ".join(sorted({str(line.split) for line in listing.lines}))
        raise SpecError(f"no videos in split {split}", written=found.name, got=f"splits {has}")
    alone = training == found or listing.classes or (training.is_dir() and not shards_of(training))
    lists = [listing] if alone else [resolve_offsets(listing_at(training), root), listing]
    classes = class_names_of(lists, root)
    places = class_numbers(classes, root)
    several = any(one.multi_label for one in lists)
    entries = parse_each(
        ((line.where, line) for line in lines), lambda _, line: entry_of(line, root, classes, places, several)
    )
    check_apart(lines, [one.path for one in entries], root)
    return tuple(entries), classes, several


def listing_at(found: Path) -> Listing:
    """A list, all of HMDB51's, or what some shards hold."""
    if found.is_dir() and (lists := hmdb_lists(found)):
        return Listing("words", [line for path in lists for line in listing_of(path).lines])
    shards = shards_of(found)
    return listing_of_shards(shards) if shards else listing_of(found)


def lines_of_split(lines: list[ListLine], split: str) -> list[ListLine]:
    """Those lines that belong to a split; all where none says one. Raises SpecError where only some do."""
    blank = [line for line in lines if line.split is None]
    if len(blank) == len(lines):
        return lines
    if blank:
        raise SpecError(
            "a video of no split among others that have one",
            written=blank[0].where,
            got=excerpt(blank[0].video),
            want="train, val or test; unused for neither",
        )
    found = ([line for line in lines if str(line.split).lower() in names] for names in spellings_of(split))
    return next(filter(None, found), [])


def class_names_of(lists: list[Listing], root: Path) -> tuple[str, ...]:
    """Names of the classes in the order of labels: from a file beside the lists, else sorted; numbers by value."""
    named = classes_beside(root)
    if named and lists[0].format != "charades":
        return tuple(named)
    if lists[0].classes:
        return lists[0].classes
    names = {label: line.where for one in lists for line in one.lines for label, _, _ in line.labels}
    if not all(name.isdecimal() for name in names):
        return tuple(sorted(names))
    largest = max(names, key=lambda name: (len(name.lstrip("0")), name.lstrip("0")), default="")
    if len(largest.lstrip("0")) > len(str(MAX_CLASS_NUMBER)) or int(largest or 0) > MAX_CLASS_NUMBER:
        raise SpecError(
            "class number too large", written=names[largest], got=largest[:80], want=f"up to {MAX_CLASS_NUMBER}"
        )
    return tuple(str(i) for i in range(int(largest) + 1)) if largest else ()


def class_numbers(classes: tuple[str, ...], root: Path) -> dict[str, int]:
    """What a label may be called -> its place: a class's name, or the number that a file beside the list gives it."""
    named = classes_beside(root)
    numbers = {named[name]: i for i, name in enumerate(classes) if name in named}
    numbers = numbers or {str(i): i for i in range(len(classes))}
    for i, name in enumerate(classes):
        if numbers.setdefault(name, i) != i:
            want = f"names of classes that are no number of another: {name} is class {i}, number {name} is another"
            raise SpecError("classes whose names are numbers of others", got=excerpt(name), want=want)
    return numbers


def entry_of(line: ListLine, root: Path, classes: tuple[str, ...], places: dict[str, int], several: bool) -> VideoEntry:
    """A line of a list as a video with numbers for labels. Raises SpecError."""
    if not line.labels and not several:
        raise SpecError("video without a label", written=line.where, got=line.video, want="a class")
    actions = tuple(Action(class_number(line, name, classes, places), start, end) for name, start, end in line.labels)
    if line.part:
        return VideoEntry(line.part, line.video, actions, line.start, line.end, line.centre)
    path, fault = find_file(line, root)
    return VideoEntry(path, line.video, actions, line.start, line.end, line.centre, frames=line.frames, fault=fault)


def entries_in_class_folders(
    root: Path, training: Path, *, single: bool
) -> tuple[tuple[VideoEntry, ...], tuple[str, ...], tuple[str, ...]]:
    """(videos or folders of pictures in folders that bear the classes' names, classes, files left out).

    The folders of training have all classes. Where there are no videos and `single`, pictures are videos of a frame.
    """
    folders = {path.name: path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")}
    known = [path.name for path in training.iterdir() if path.is_dir() and not path.name.startswith(".")]
    classes = tuple(sorted({*folders, *known}))
    entries, pictures = [], []
    rest = [path.name for path in sorted(root.iterdir()) if not path.is_dir() and is_video(path)]
    for i, name in enumerate(classes):
        below = sorted(paths_below(folders[name])) if name in folders else []
        pictured = {path for path in below if path.is_dir() and is_video(path)}
        for path in below:
            shown = f"{name}/{path.relative_to(folders[name]).as_posix()}"
            if path in pictured or (not path.is_dir() and is_video(path)):
                entries.append(VideoEntry(path, shown, (Action(i),)))
            elif not path.is_dir() and path.parent not in pictured and not path.name.startswith("."):
                rest.append(shown)
                pictures += [VideoEntry(path, shown, (Action(i),))] if path.suffix.lower() in PICTURES else []
    if single and not entries and pictures:
        named = {one.name for one in pictures}
        return tuple(pictures), classes, tuple(name for name in rest if name not in named)
    return tuple(entries), classes, tuple(rest)


def paths_below(folder: Path) -> Iterator[Path]:
    """Folders and files below a folder, also behind links."""
    for place, files in walk_once(folder):
        yield from ([Path(place)] if Path(place) != folder else [])
        yield from (Path(place) / file for file in files)


def is_video(path: Path) -> bool:
    """Whether a path below a class's folder is a video: a file of a known ending, or a folder of pictures."""
    if path.is_dir():
        return any(inner.suffix.lower() in PICTURES for inner in path.iterdir())
    return path.suffix.lower() in VIDEO_SUFFIXES
