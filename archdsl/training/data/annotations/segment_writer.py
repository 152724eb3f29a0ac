"""Built-in scenes as folders of ActivityNet and of THUMOS'14: annotations, and a file of features for each video."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
from torch import Tensor

from archdsl.spec.files import json_text, make_folder, write_whole
from archdsl.training.data.clips import ClipRequest
from archdsl.training.data.synthetic.segment_scenes import SegmentScenes

SUBSET_NAMES = {"train": "training", "val": "validation", "test": "testing"}


def write_activitynet(out: Path, scenes: Mapping[str, SegmentScenes], folder: str, head: str) -> Iterator[Path]:
    """OUT/activity_net.json and OUT/FOLDER/v_NAME.csv; yields the path of every file of features."""
    make_folder(out / folder)
    database = {}
    for split, made in scenes.items():
        for index in range(len(made)):
            name, truth = f"{split}{index:06d}", made.truth_of_video(index)
            sample = made.read(index, ClipRequest(0))
            pairs = zip(truth.segments.tolist(), truth.labels.tolist())
            database[name] = {
                "duration": sample.end,
                "subset": SUBSET_NAMES[split],
                "annotations": [{"segment": pair, "label": made.classes[label]} for pair, label in pairs],
            }
            (rows,) = rows_by_clip(sample.frames).values()
            path = out / folder / f"v_{name}.csv"
            lines = [head or ",".join(f"f{i}" for i in range(rows.shape[1]))]
            lines += [",".join(f"{number:.6g}" for number in row) for row in rows.tolist()]
            write_whole(path, "".join(f"{line}\n" for line in lines))
            yield path
    write_whole(out / "activity_net.json", json_text({"version": "VERSION 1.3", "database": database}, indent=1) + "\n")


def write_thumos(out: Path, scenes: Mapping[str, SegmentScenes], fps: float) -> Iterator[Path]:
    """OUT/annotations/CLASS_val.txt and OUT/CLIP/NAME.npy, so many positions a second; yields paths of features."""
    make_folder(out / "annotations")
    for split, made in scenes.items():
        part, lines = ("val" if split == "train" else "test"), defaultdict[str, list[str]](list)
        for index in range(len(made)):
            name = f"video_{'validation' if part == 'val' else 'test'}_{index + 1:07d}"
            sample, truth = made.read(index, ClipRequest(0)), made.truth_of_video(index)
            for clip, rows in rows_by_clip(sample.frames).items():
                path = out / clip.partition("_")[0] / f"{name}.npy"
                make_folder(path.parent)
                file = BytesIO()
                np.save(file, rows.numpy())
                write_whole(path, file.getvalue())
            slower = len(rows) / fps / sample.end
            for (start, end), label in zip(truth.segments.tolist(), truth.labels.tolist()):
                lines[made.classes[label]].append(f"{name} {start * slower:.2f} {end * slower:.2f}\n")
            yield path
        for one in made.classes:
            write_whole(out / "annotations" / f"{one}_{part}.txt", "".join(lines[one]))
    names = next(iter(scenes.values())).classes
    write_whole(out / "classes.txt", "".join(f"{one}\n" for one in names))


def rows_by_clip(frames: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Clip name -> its positions as rows.  (c, t, 1, 1) -> (t, c)"""
    return {name: x[:, :, 0, 0].T.contiguous() for name, x in frames.items()}
