"""PASCAL VOC: JPEGImages, Annotations, ImageSets/Main of one year or several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from archdsl.errors import SpecError, excerpt
from archdsl.language import Clip
from archdsl.training.data.annotations.boxes.boxed_frames import BoxedFrames, FrameChoice, TrueBox, cut_box
from archdsl.training.data.annotations.boxes.pascal_xml import read_pascal
from archdsl.training.data.annotations.boxes.vid_folder import BACKGROUND
from archdsl.training.data.clips import Unreadable
from archdsl.training.data.sources.lines import parse_each
from archdsl.training.data.sources.manifests import list_text

VOC_CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog"),
    *("horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
SETS = {"train": ("trainval", "train"), "val": ("test", "val"), "test": ("test",)}
"""Split -> lists, the likeliest first."""
YEAR = "VOC[0-9][0-9][0-9][0-9]"


@dataclass(frozen=True)
class VocPicture:
    """A picture with the XML of its name; a clip repeats it."""

    name: str
    year: Path
    labels: Mapping[str, int]
    fault: str = ""

    def choice(self, frames: int, rng: Random | None) -> FrameChoice:
        return FrameChoice((self.year / "JPEGImages" / f"{self.name}.jpg",) * frames, (0,))

    def boxes(self, picture: Path, size: tuple[int, int]) -> Sequence[TrueBox]:
        """Pixels are counted from 1."""
        path = self.year / "Annotations" / f"{self.name}.xml"
        if not path.is_file():
            raise Unreadable(self.name, f"no file {path}")
        found = []
        for one in read_pascal(path, self.name):
            where = f"{path.name}:{one.line}"
            if one.name not in self.labels:
                raise Unreadable(self.name, f"{where}: {excerpt(one.name)} is no class of the data")
            x1, y1, x2, y2 = one.box
            box = cut_box((x1 - 1, y1 - 1, x2, y2), size, self.name, where)
            found.append(TrueBox(box, self.labels[one.name], one.difficult))
        return found


def voc_years(root: Path) -> list[Path]:
    """The folders of years below a folder; the folder itself where it is one."""
    if (root / "ImageSets/Main").is_dir():
        return [root]
    return sorted(path for place in (root, root / "VOCdevkit") for path in place.glob(YEAR) if path.is_dir())


def voc_folder(root: Path, split: str, clips: Mapping[str, Clip]) -> BoxedFrames:
    """The pictures of a split, of all years that have a list of it. Raises SpecError."""
    years, entries = voc_years(root), []
    labels = {name: i for i, name in enumerate(VOC_CLASSES, 1)}
    for name in SETS[split]:
        for year in years:
            path = year / "ImageSets/Main" / f"{name}.txt"
            if path.is_file():
                entries += [VocPicture(stem, year, labels) for stem in stems_of(path)]
        if entries:
            return BoxedFrames(tuple(entries), (BACKGROUND, *VOC_CLASSES), clips, "voc")
    wanted = " or ".join(f"ImageSets/Main/{name}.txt" for name in SETS[split])
    raise SpecError("no list of pictures", got=str(root), want=wanted)


def stems_of(path: Path) -> list[str]:
    """The pictures that a list names. Raises SpecError with every line that is broken."""
    met: dict[str, str] = {}

    def stem(where: str, cells: list[str]) -> str:
        if len(cells) != 1 or not cells[0].replace("_", "").replace("-", "").isalnum():
            raise SpecError("cannot parse line", got=excerpt(" ".join(cells)), want="the name of a picture: 000005")
        if (first := met.setdefault(cells[0], where)) != where:
            raise SpecError("a picture twice", got=f"{cells[0]}, as in {first}", want="each picture once")
        return cells[0]

    lines = [(f"{path.name}:{i}", line.split()) for i, line in enumerate(list_text(path).splitlines(), 1)]
    return parse_each([(where, cells) for where, cells in lines if cells], stem)
