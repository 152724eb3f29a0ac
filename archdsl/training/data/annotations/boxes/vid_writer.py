"""Built-in scenes as a folder of ILSVRC2015: each digit stands for one of the first classes of VID."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from archdsl.spec.files import make_folder, write_whole
from archdsl.training.data.annotations.boxes.vid_folder import PICTURE, WORDNET_IDS
from archdsl.training.data.picture_files import encode_jpeg
from archdsl.training.data.synthetic.boxed_scenes import BoxedScenes
from archdsl.training.data.synthetic.truth import Truth

LISTS = {"train": "VID_train_15frames.txt", "val": "VID_val_videos.txt"}


def write_vid(out: Path, scenes: Mapping[str, BoxedScenes]) -> Iterator[Path]:
    """Pictures, XML and the lists of each split; yields the folder of every snippet.

    Every frame of a snippet is one to train on; the list to test on has a line for each snippet.
    """
    for split, made in scenes.items():
        rows: list[str] = []
        for index in range(len(made)):
            truth, name = made.truth(index), f"{split}/{index:06d}"
            folders = [out / kind / "VID" / name for kind in ("Data", "Annotations")]
            for folder in folders:
                make_folder(folder)
            for frame in range(truth.frames):
                write_whole(folders[0] / f"{frame:06d}{PICTURE}", encode_jpeg(truth.pictures[:, frame]))
                write_whole(folders[1] / f"{frame:06d}.xml", frame_xml(truth, frame))
            frames = range(truth.frames) if split == "train" else (0,)
            rows += [f"{name} {index + 1} {frame} {truth.frames}\n" for frame in frames]
            yield folders[0]
        make_folder(out / "ImageSets")
        write_whole(out / "ImageSets" / LISTS[split], "".join(rows))


def frame_xml(truth: Truth, frame: int) -> str:
    """A frame's digits; corners are first and last pixels."""
    rows = [f"<annotation>\n<size><width>{truth.width}</width><height>{truth.height}</height></size>"]
    for (x1, y1, x2, y2), digit in zip(truth.boxes[frame].int().tolist(), truth.classes.tolist()):
        sides = f"<xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2 - 1}</xmax><ymax>{y2 - 1}</ymax>"
        rows.append(f"<object><name>{WORDNET_IDS[digit]}</name><bndbox>{sides}</bndbox></object>")
    return "\n".join([*rows, "</annotation>\n"])
