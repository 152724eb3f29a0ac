"""Built-in scenes as a folder of pictures and masks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from archdsl.spec.files import make_folder, write_whole
from archdsl.training.data.annotations.mask_folders import CLASSES, IMAGES, MASKS
from archdsl.training.data.picture_files import encode_png
from archdsl.training.data.synthetic.labelled_frames import LabelledFrames


def write_masks(out: Path, scenes: Mapping[str, LabelledFrames]) -> Iterator[Path]:
    """The labelled frame of each scene and its mask, of every split; yields the path of every picture."""
    for split, made in scenes.items():
        folders = {name: out / split / name for name in (IMAGES, MASKS)}
        for folder in folders.values():
            make_folder(folder)
        write_whole(out / CLASSES, "".join(f"{name}\n" for name in made.classes))
        for index in range(len(made)):
            truth = made.truth(index)
            _, time = made.labelled(index, truth)
            path = folders[IMAGES] / f"{index:06d}.png"
            write_whole(path, encode_png(truth.pictures[:, time]))
            write_whole(folders[MASKS] / path.name, encode_png(made.labels_at(truth, time)[None]))
            yield path
