"""Folders of pictures and masks: plain ones, Cityscapes, CamVid as SegNet has it, PASCAL VOC."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from archdsl.errors import SpecError, excerpt
from archdsl.language import Clip
from archdsl.training.data.annotations.boxes.vid_folder import BACKGROUND
from archdsl.training.data.annotations.boxes.voc_folder import VOC_CLASSES, stems_of, voc_years
from archdsl.training.data.annotations.masked_frames import MaskedFrames, MaskedPicture, Snippet
from archdsl.training.data.sources.classes import classes_in
from archdsl.training.data.sources.pictures import PICTURE_SUFFIXES
from archdsl.training.data.sources.splits import SPLITS
from archdsl.training.data.transforms.moves import UNLABELLED

IMAGES, MASKS, CLASSES = "images", "masks", "classes.txt"
PICTURES, SEQUENCES, FINE = "leftImg8bit", "leftImg8bit_sequence", "gtFine"
CITYSCAPES = (
    *("road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation"),
    *("terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle"),
)
CITYSCAPES_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
"""In labelIds.png, of each class in turn (cityscapesScripts)."""
CITYSCAPES_FILE = re.compile(rf"(?P<snippet>[^/]+_\d{{6}}_)(?P<frame>\d{{6}})_{PICTURES}\.png")
CAMVID = (*("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist"),)
"""Of SegNet's masks, in turn; the number behind them is none."""
VOC_SETS = {"train": ("trainaug", "train"), "val": ("val", "test"), "test": ("test", "val")}
"""Split -> lists of ImageSets/Segmentation, the likeliest first."""
MASK_LAYOUTS = (
    "train/images, train/masks (PNG of class numbers, same names) and classes.txt, a class a line; "
    f"Cityscapes' {PICTURES} (or {SEQUENCES}) and {FINE}; SegNet's CamVid (train, trainannot); "
    "VOCdevkit's JPEGImages, SegmentationClass and ImageSets/Segmentation"
)


def mask_folder(root: Path, split: str, clips: Mapping[str, Clip], places: Sequence[int] = (0,)) -> MaskedFrames:
    """The pictures of a split; in tests the labelled frame is met at each of `places`. Raises SpecError."""
    if (root / FINE).is_dir():
        return cityscapes_folder(root, split, clips, (0,) if split == "train" else places)
    for name in SPLITS[split]:
        if (root / f"{name}annot").is_dir():
            return camvid_folder(root, name, clips)
    if any((year / "ImageSets/Segmentation").is_dir() for year in (root, *voc_years(root))):
        return voc_masks(root, split, clips)
    return plain_folder(root, split, clips)


def plain_folder(root: Path, split: str, clips: Mapping[str, Clip]) -> MaskedFrames:
    """ROOT/SPLIT/images and ROOT/SPLIT/masks, with the names of classes in ROOT/classes.txt. Raises SpecError."""
    needed = [(root / split / IMAGES, Path.is_dir), (root / split / MASKS, Path.is_dir), (root / CLASSES, Path.is_file)]
    missing = [str(path) for path, there in needed if not there(path)]
    if missing:
        raise SpecError("not a folder of images and masks", got=f"no {', no '.join(missing)}", want=MASK_LAYOUTS)
    classes = classes_in(root / CLASSES)
    if [*classes.values()] != [str(i) for i in range(len(classes))] or not 0 < len(classes) < UNLABELLED:
        raise SpecError(
            "classes of masks are not numbered from 0 on",
            written=CLASSES,
            got=", ".join(f"{number} {name}" for name, number in [*classes.items()][:4]) or "no classes",
            want=f"1 to {UNLABELLED - 1} classes, a name on each line",
        )
    left_out: list[str] = []
    pairs = pictures_with_masks(root / split / IMAGES, root / split / MASKS, left_out)
    return MaskedFrames(pairs, tuple(classes), clips, root / split, left_out=tuple(left_out))


def camvid_folder(root: Path, name: str, clips: Mapping[str, Clip]) -> MaskedFrames:
    """ROOT/train and ROOT/trainannot. Raises SpecError."""
    left_out: list[str] = []
    pairs = pictures_with_masks(root / name, root / f"{name}annot", left_out)
    labels = {i: i for i in range(len(CAMVID))} | {len(CAMVID): UNLABELLED}
    return MaskedFrames(pairs, CAMVID, clips, root, labels_of=labels, left_out=tuple(left_out))


def pictures_with_masks(images: Path, masks: Path, left_out: list[str]) -> tuple[MaskedPicture, ...]:
    """Pictures and masks of the same names. Raises SpecError where there are none."""
    if not images.is_dir():
        raise SpecError("no images", got=f"no {images}", want=MASK_LAYOUTS)
    found = [by_name(one, left_out) for one in (images, masks)]
    if not any(found):
        raise SpecError("no images", got=str(images), want="images, and masks of the same names")
    pairs = []
    for stem in sorted({*found[0], *found[1]}):
        image, mask = (one.get(stem) for one in found)
        shown = image or mask
        assert shown
        name = str(shown.relative_to(images.parent))
        pairs.append(MaskedPicture(name, image, mask, images.name if image is None else masks.name))
    return tuple(pairs)


def by_name(folder: Path, left_out: list[str]) -> dict[str, Path]:
    """The pictures of a folder by their name without the ending; others are left out. Raises SpecError."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in PICTURE_SUFFIXES:
            left_out.append(f"{folder.name}/{path.name}")
        elif (other := found.setdefault(path.stem, path)) != path:
            raise SpecError("two pictures of one name", got=f"{other} and {path.name}", want="one of each name")
    return found


def cityscapes_folder(root: Path, split: str, clips: Mapping[str, Clip], places: Sequence[int]) -> MaskedFrames:
    """Pictures with fine masks, in the 30 frames around each where those are there too. Raises SpecError.

    A split `test` has no public masks: `val` stands in for it.
    """
    name = "train" if split == "train" else "val"
    still, video = root / PICTURES / name, root / SEQUENCES / name
    masks = {kind: fine_masks(root / FINE / name, kind) for kind in ("labelIds", "labelTrainIds")}
    kind = next((kind for kind, found in masks.items() if found), "labelIds")
    labelled, left_out, entries = masks[kind], [], []
    folder = still if still.is_dir() else video
    for path in sorted(folder.glob("*/*.png")):
        match = CITYSCAPES_FILE.fullmatch(path.name)
        if match is None:
            left_out.append(str(path.relative_to(root)))
            continue
        stem = f"{path.parent.name}/{match['snippet']}{match['frame']}"
        mask = labelled.pop(stem, None)
        if mask or folder == still:
            begin = f"{video / path.parent.name / match['snippet']}"
            snippet = Snippet(begin, int(match["frame"]), f"_{PICTURES}.png") if video.is_dir() else None
            entries.append(MaskedPicture(stem, path, mask, f"{FINE}/{name}", snippet))
    entries += [MaskedPicture(stem, None, mask, str(folder.relative_to(root))) for stem, mask in labelled.items()]
    if not entries:
        raise SpecError("no images", got=excerpt(str(folder)), want=f"CITY/CITY_000000_000019_{PICTURES}.png")
    ids = dict.fromkeys(range(max(CITYSCAPES_IDS) + 1), UNLABELLED)
    labels = ids | {one: i for i, one in enumerate(CITYSCAPES_IDS)} if kind == "labelIds" else None
    return MaskedFrames(tuple(entries), CITYSCAPES, clips, root, places, labels, left_out=tuple(left_out))


def fine_masks(folder: Path, kind: str) -> dict[str, Path]:
    """CITY/CITY_SNIPPET_FRAME -> its mask of a kind."""
    end = f"_{FINE}_{kind}.png"
    return {f"{path.parent.name}/{path.name.removesuffix(end)}": path for path in sorted(folder.glob(f"*/*{end}"))}


def voc_masks(root: Path, split: str, clips: Mapping[str, Clip]) -> MaskedFrames:
    """The pictures of the first list that there is, of all years that have it. Raises SpecError."""
    for name in VOC_SETS[split]:
        entries = [one for year in voc_years(root) or [root] for one in masks_of_year(year, name)]
        if entries:
            return MaskedFrames(tuple(entries), (BACKGROUND, *VOC_CLASSES), clips, root)
    wanted = " or ".join(f"ImageSets/Segmentation/{name}.txt" for name in VOC_SETS[split])
    raise SpecError("no list of pictures", got=str(root), want=wanted)


def masks_of_year(year: Path, name: str) -> Iterator[MaskedPicture]:
    """The pictures of a list with masks of objects' classes; `trainaug` has those of SBD in a folder of its own."""
    path = year / "ImageSets/Segmentation" / f"{name}.txt"
    augmented = year / "SegmentationClassAug"
    masks = augmented if name == "trainaug" and augmented.is_dir() else year / "SegmentationClass"
    for stem in stems_of(path) if path.is_file() else ():
        image, mask = year / "JPEGImages" / f"{stem}.jpg", masks / f"{stem}.png"
        there = image if image.is_file() else None
        missing = masks.name if there else "JPEGImages"
        yield MaskedPicture(stem, there, mask if mask.is_file() else None, missing)
