"""COCO: annotations/instances_train2017.json beside train2017/."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from math import isfinite
from pathlib import Path
from typing import Any

from archdsl.errors import SpecError, excerpt
from archdsl.language import Clip
from archdsl.training.data.annotations.boxes.boxed_frames import BoxCorners, BoxedFrames, StillEntry, TrueBox
from archdsl.training.data.annotations.boxes.vid_folder import BACKGROUND
from archdsl.training.data.sources.lines import parse_each
from archdsl.training.data.sources.manifests import list_text, once
from archdsl.training.data.sources.splits import SPLITS

MOST_NUMBER = 10_000
"""The largest number of a category."""
Entry = Mapping[str, Any]
CocoLists = dict[str, list[Any]]
"""`images`, `annotations` and `categories`."""


def coco_list(root: Path, split: str, kind: str = "instances") -> Path | None:
    """The list of a split; None where there is none."""
    for name in SPLITS[split]:
        found = sorted(root.glob(f"annotations/{kind}_{name}*.json"))
        if found:
            return found[-1]
    return None


def coco_folder(
    root: Path,
    path: Path,
    data: CocoLists,
    clips: Mapping[str, Clip],
    classes: int,
    shape: Callable[[Entry], Any] | None = None,
) -> BoxedFrames:
    """The pictures of a list, whose `data` are read. Raises SpecError with every annotation that is broken.

    Labels are the categories' own numbers where the network has so many classes, else their places, from 1 on. `shape`
    reads what else is known of a box.
    """
    names = parse_each(
        numbered(path, data, "categories"), lambda _, one: (whole_field(one, "id"), text_field(one, "name"))
    )
    check_apart_ids(path, "categories", [number for number, _ in names])
    labels, known = labels_of_categories(dict(names), classes)
    pictures = coco_pictures(path, data)
    boxes: dict[int, list[TrueBox]] = {number: [] for number in pictures}
    shapes: dict[int, list[Any]] = {number: [] for number in pictures}
    ids: list[int] = []

    def add(_: str, one: Entry) -> None:
        ids.append(whole_field(one, "id"))
        picture, category = whole_field(one, "image_id"), whole_field(one, "category_id")
        if picture not in boxes:
            raise SpecError("an annotation of no image", got=f"image_id {picture}", want="the id of an image")
        if category not in labels:
            raise SpecError("an annotation of no category", got=f"category_id {category}", want="the id of a category")
        boxes[picture].append(TrueBox(corners(one), labels[category], bool(one.get("iscrowd", 0))))
        if shape:
            shapes[picture].append(shape(one))

    parse_each(numbered(path, data, "annotations"), add)
    check_apart_ids(path, "annotations", ids)
    folder = root / path.stem.removeprefix("instances_").removeprefix("person_keypoints_")
    entries = [
        StillEntry(name, folder / name, tuple(boxes[number]), shapes=tuple(shapes[number]))
        for number, name in pictures.items()
    ]
    if not entries:
        raise SpecError("a list without pictures", written=path.name)
    return BoxedFrames(tuple(entries), known, clips, "coco")


def coco_pictures(path: Path, data: Mapping[str, list[Any]]) -> dict[int, str]:
    """Number of each picture -> its file. Raises SpecError."""
    rows = numbered(path, data, "images")
    pictures = dict(parse_each(rows, lambda _, one: (whole_field(one, "id"), text_field(one, "file_name"))))
    check_apart_ids(path, "images", [whole_field(one, "id") for one in data["images"]])
    return pictures


def coco_data(path: Path) -> CocoLists:
    """The three lists. Raises SpecError."""
    try:
        data = json.loads(list_text(path), object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        if isinstance(error, SpecError):
            raise error.placed(None, path.name) from None
        raise SpecError("not JSON", written=path.name, got=str(error)) from None
    wanted = ("images", "annotations", "categories")
    missing = [name for name in wanted if not isinstance(data, dict) or not isinstance(data.get(name), list)]
    if missing:
        raise SpecError("not a list of COCO", written=path.name, got=f"no list {missing[0]}", want=", ".join(wanted))
    return {name: data[name] for name in wanted}


def numbered(path: Path, data: Mapping[str, list[Any]], name: str) -> list[tuple[str, Entry]]:
    """(place in the file, entry) of a list."""
    return [(f"{path.name}, {name}[{i}]", one if isinstance(one, dict) else {}) for i, one in enumerate(data[name])]


def whole_field(one: Entry, name: str) -> int:
    """A whole number of an entry. Raises SpecError."""
    value = one.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise SpecError(f"{name} is no whole number", got=excerpt(repr(value)), want="0 or more")
    return value


def text_field(one: Entry, name: str) -> str:
    """A name of an entry. Raises SpecError."""
    value = one.get(name)
    if not isinstance(value, str) or not value or "\0" in value or ".." in value.split("/") or value.startswith("/"):
        raise SpecError(f"{name} is no name", got=excerpt(repr(value)), want="a name")
    return value


def corners(one: Entry) -> BoxCorners:
    """The box: x, y, width, height. Raises SpecError for one that is not finite or has no area."""
    box = one.get("bbox")
    numbers = isinstance(box, list) and len(box) == len(BoxCorners.__args__)  # type: ignore[attr-defined]
    if not numbers or not all(
        isinstance(x, int | float) and not isinstance(x, bool) and isfinite(x) for x in box or ()
    ):
        raise SpecError("bbox is not four numbers", got=excerpt(repr(box)), want="[x, y, width, height]")
    x, y, width, height = map(float, box or ())
    if width <= 0 or height <= 0:
        raise SpecError("a box without area", got=str(box), want="width and height above 0")
    return x, y, x + width, y + height


def check_apart_ids(path: Path, name: str, ids: list[int]) -> None:
    """Raises SpecError with every id that an entry before has."""
    met: dict[int, int] = {}

    def check(_: str, place: int) -> None:
        if (first := met.setdefault(ids[place], place)) != place:
            raise SpecError("an id twice", got=f"{ids[place]}, as in {name}[{first}]", want="each id once")

    parse_each([(f"{path.name}, {name}[{i}]", i) for i in range(len(ids))], check)


def labels_of_categories(names: Mapping[int, str], classes: int) -> tuple[dict[int, int], tuple[str, ...]]:
    """(category -> label, names of classes). Raises SpecError."""
    if not names or not 1 <= min(names) <= max(names) <= MOST_NUMBER:
        raise SpecError("categories of other numbers", got=f"{len(names)} categories", want=f"1 to {MOST_NUMBER}")
    if classes == max(names) + 1:
        known = (names.get(i, f"id {i}") for i in range(1, classes))
        return {number: number for number in names}, (BACKGROUND, *known)
    ordered = sorted(names)
    return {number: i for i, number in enumerate(ordered, 1)}, (BACKGROUND, *(names[i] for i in ordered))
