"""Videos with captions: MSR-VTT's JSON, COCO's, or a table of videos and captions."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import torch
from torch import Tensor

from archdsl.errors import Fault, SpecError, excerpt
from archdsl.training.data.clips import ClipRequest, Sample, Unreadable, Videos
from archdsl.training.data.random_numbers import random_below
from archdsl.training.data.sources.lines import LINES_SHOWN, VIDEO_SUFFIXES
from archdsl.training.data.sources.manifests import list_text
from archdsl.training.data.sources.pictures import PICTURE_SUFFIXES
from archdsl.training.data.sources.splits import SPLITS, spellings_of
from archdsl.training.data.targets import Targets

END, OTHER = 0, 1
"""Ids of what begins and ends every caption, and of words that are not in the list."""
SPECIAL_WORDS = ("<end>", "<other>")
PUNCTUATION = re.compile(r"[^\w\s'-]|_")
WORD_FILE = "words.txt"
CAPTION_FORMS = "a .json of MSR-VTT or COCO, or train.csv and val.csv with columns video and caption, beside the videos"


def caption_words(caption: str) -> tuple[str, ...]:
    """A caption's words in small letters, without punctuation."""
    return tuple(PUNCTUATION.sub(" ", caption.lower()).split())


def caption_vocabulary(captions: Iterable[Sequence[str]], least: int) -> tuple[str, ...]:
    """The words that are there so often, the most frequent first, behind the two that every list has."""
    counts = Counter(word for caption in captions for word in caption)
    kept = [word for word, times in counts.items() if times >= least]
    return (*SPECIAL_WORDS, *sorted(kept, key=lambda word: (-counts[word], word)))


def caption_ids(caption: Sequence[str], places: Mapping[str, int], length: int) -> tuple[Tensor, Tensor]:
    """(the words up to each position, the next word; -1 behind the end). A long caption is cut.  (t,), (t,)"""
    ids = [places.get(word, OTHER) for word in caption][: length - 1]
    given, wanted = torch.full((length,), END), torch.full((length,), -1)
    given[1 : len(ids) + 1] = torch.tensor(ids, dtype=torch.long)
    wanted[: len(ids) + 1] = torch.tensor([*ids, END])
    return given, wanted


def caption_targets(wanted: Tensor) -> Targets:
    """`words`, the next word at each position, -1 behind the end.  (t,)"""
    return {"words": wanted}


class Captioned(NamedTuple):
    """A video as annotations have it."""

    video: str
    captions: tuple[tuple[str, ...], ...]
    fault: str = ""


@dataclass(frozen=True)
class CaptionedVideos:
    """Videos whose clips are those of `videos`, and a clip of words."""

    videos: Videos
    """Of pictures, in the same order."""
    captions: tuple[Captioned, ...]
    classes: tuple[str, ...]
    """The word list."""
    clip: str
    """Name of the clip of words."""
    length: int
    multi_label: bool = False
    places: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.captions)

    def name(self, index: int) -> str:
        """The video's."""
        return self.captions[index].video

    def references(self, index: int) -> tuple[tuple[str, ...], ...]:
        """All captions of a video."""
        return self.captions[index].captions

    def read(self, index: int, request: ClipRequest) -> Sample:
        """A clip with one of its captions: in training any, in tests the first. Raises Unreadable."""
        one = self.captions[index]
        if one.fault:
            raise Unreadable(one.video, one.fault)
        sample = self.videos.read(index, request)
        rng = Random(f"{request.seed} caption")
        caption = one.captions[random_below(len(one.captions), rng) if request.training else 0]
        given, wanted = caption_ids(caption, self.places, self.length)
        frames = sample.frames | {self.clip: given[None, :, None, None]}
        return sample._replace(frames=frames, targets=caption_targets(wanted), name=one.video)


def captions_in(root: Path, split: str) -> list[Captioned]:
    """The captioned videos of a split. Raises SpecError by file and line."""
    if not root.is_dir():
        raise SpecError("no such folder", got=excerpt(str(root)), want=f"motion, or a folder of {CAPTION_FORMS}")
    tables = [root / f"{name}.csv" for name in SPLITS[split] if (root / f"{name}.csv").is_file()]
    files = sorted(root.glob("*.json"))
    if tables:
        found = grouped(table_rows(tables[0]))
    elif files:
        found = json_captions(files, split)
    else:
        raise SpecError("no captions", got=str(root), want=CAPTION_FORMS)
    if not found:
        raise SpecError(f"no videos of {split}", got=str(root), want=f"captions of {split}")
    return found


def grouped(rows: Iterable[tuple[str, str]]) -> list[Captioned]:
    """Captions by their video; those without a word are a fault."""
    found: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for video, caption in rows:
        found[video].append(caption_words(caption))
    return [
        Captioned(video, tuple(filter(None, some)), "" if all(some) and some else "a caption without words")
        for video, some in found.items()
    ]


def table_rows(path: Path) -> Iterator[tuple[str, str]]:
    """(video, caption) of each line. Raises SpecError by line."""
    rows = [*csv.reader(StringIO(list_text(path)))]
    head = [one.strip().lower() for one in rows[0]] if rows else []
    if not {"video", "caption"} <= {*head}:
        got = excerpt(", ".join(head)) or "an empty file"
        raise SpecError("no columns video and caption", written=f"{path.name}:1", got=got, want="video,caption")
    video, caption = head.index("video"), head.index("caption")
    faults = [
        Fault(what="cannot parse caption", written=f"{path.name}:{i}", got=excerpt(",".join(row)), want="VIDEO,caption")
        for i, row in enumerate(rows[1:], 2)
        if row and (len(row) != len(head) or not row[video].strip())
    ]
    if faults:
        raise SpecError(faults[:LINES_SHOWN])
    yield from ((row[video].strip(), row[caption]) for row in rows[1:] if row)


def json_captions(files: Sequence[Path], split: str) -> list[Captioned]:
    """Captions of MSR-VTT (`videos`, `sentences`) or of COCO (`images`, `annotations`). Raises SpecError."""
    rows: list[tuple[str, str]] = []
    splits: dict[str, str] = {}
    for file in files:
        data = loaded(file)
        if "sentences" in data:
            splits |= {str(one.get("video_id")): str(one.get("split", file.stem)).lower() for one in data["videos"]}
            rows += [(str(one.get("video_id")), str(one.get("caption", ""))) for one in data["sentences"]]
        else:
            names = {one.get("id"): Path(str(one.get("file_name", one.get("id")))).stem for one in data["images"]}
            splits |= dict.fromkeys(names.values(), file.stem.lower())
            pairs = [(one.get("image_id"), str(one.get("caption", ""))) for one in data["annotations"]]
            rows += [(names.get(key, str(key)), caption) for key, caption in pairs]
    words = {word for text in splits.values() for word in re.split(r"[^a-z]+", text)}
    wanted = next((group for group in spellings_of(split) if {*group} & words), ())
    mine = {name for name, text in splits.items() if {*wanted} & {*re.split(r"[^a-z]+", text)}}
    missing = [Captioned(name, (), "no captions") for name in sorted(mine - {name for name, _ in rows})]
    return [*grouped((name, caption) for name, caption in rows if name in mine), *missing]


def loaded(file: Path) -> dict[str, list[dict[str, Any]]]:
    """A file's two lists of records. Raises SpecError for another form."""
    try:
        data = json.loads(list_text(file))
    except (ValueError, RecursionError) as error:
        raise SpecError("cannot parse captions", written=file.name, got=excerpt(str(error)), want="JSON") from None
    keys = ("videos", "sentences") if isinstance(data, dict) and "sentences" in data else ("images", "annotations")
    lists = [data.get(key) for key in keys] if isinstance(data, dict) else []
    if len(lists) != 2 or not all(isinstance(one, list) and all(isinstance(x, dict) for x in one) for one in lists):
        want = "videos and sentences (MSR-VTT), or images and annotations (COCO)"
        raise SpecError("not captions of videos", written=file.name, got=excerpt(str(data)[:100]), want=want)
    return {key: list(one) for key, one in zip(keys, lists) if one is not None}


def video_files(root: Path) -> dict[str, Path]:
    """Name, and name without its ending -> file, of all videos and pictures below a folder; of two names the video."""
    files = sorted(path for path in root.rglob("*") if path.suffix.lower() in (*PICTURE_SUFFIXES, *VIDEO_SUFFIXES))
    found = sorted(files, key=lambda path: path.suffix.lower() in VIDEO_SUFFIXES)
    return {path.stem: path for path in found} | {str(path.relative_to(root)): path for path in found}
