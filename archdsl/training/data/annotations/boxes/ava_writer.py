"""Built-in scenes as a folder of AVA."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from archdsl.spec.files import make_folder, write_whole
from archdsl.training.data.annotations.boxes.key_frame_boxes import Person
from archdsl.training.data.synthetic.files import encode_mp4
from archdsl.training.data.synthetic.key_frame_scenes import KeyFrameScenes, persons_in


def write_ava(out: Path, scenes: Mapping[str, KeyFrameScenes], begins: float) -> Iterator[Path]:
    """Videos and lists of each split; yields the path of every video.

    A video has as many frames a second as its middle frame, the key frame, has before it.
    """
    make_folder(out / "videos")
    names = next(iter(scenes.values())).classes
    labels = [f'label {{\n  name: "{name}"\n  id: {i}\n}}\n' for i, name in enumerate(names, 1)]
    write_whole(out / "ava_action_list_v2.2.pbtxt", "".join(labels))
    for split, made in scenes.items():
        rows: list[str] = []
        for index in range(len(made)):
            truth, name = made.truth(index), f"{split}{index:06d}"
            fps = max(truth.frames // 2, 1)
            second = round(begins) + truth.frames // 2 // fps
            rows += [person_lines(name, second, one, number) for number, one in enumerate(persons_in(truth))]
            path = out / "videos" / f"{name}.mp4"
            write_whole(path, encode_mp4(truth.pictures, fps))
            yield path
        write_whole(out / f"ava_{split}_v2.2.csv", "".join(rows))
        write_whole(out / f"ava_{split}_excluded_timestamps_v2.2.csv", "")


def person_lines(video: str, second: int, person: Person, number: int) -> str:
    """The lines of a person."""
    box = ",".join(f"{side:.6f}" for side in person.box)
    return "".join(f"{video},{second:04d},{box},{action + 1},{number}\n" for action in person.actions)
