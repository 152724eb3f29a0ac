"""Pictures as data: of classes' folders, of lists, with captions, and of a prediction."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import archdsl
from archdsl.blocks import Conv
from archdsl.errors import SpecError
from archdsl.language import Arch, Classifier, Clip, Pathway, Stage
from archdsl.recipes import recipe
from archdsl.training.data.annotations.captioned_videos import video_files
from archdsl.training.data.clips import ClipRequest
from archdsl.training.data.picture_files import encode_png
from archdsl.training.data.sources.discovery import videos_of
from tests.filmed import film, numbered_frames
from tests.trained import short


def net(frames: int = 1) -> Arch:
    """A convolution and a classifier of two classes."""
    stages = dict(stem=Stage(Conv(channels=4, kernel=(1, 3, 3))))
    clip = Clip(frames=frames, size=16)
    return Arch(name="tiny", clip=clip, pathways=dict(main=Pathway(stages=stages)), head=Classifier(classes=2))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Bright and dark pictures of two classes."""
    for split in ("train", "val"):
        for value, name in ((10, "dark"), (240, "bright")):
            for i in range(4):
                path = tmp_path / split / name / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(encode_png(torch.full((3, 20, 24), value + i, dtype=torch.uint8)))
    return tmp_path


def test_pictures_of_classes_are_learnt_and_predicted(folder: Path, tmp_path: Path) -> None:
    """As ImageNet is laid out, by a network of one frame."""
    run = archdsl.train(net(), short(steps=30), str(folder), out=tmp_path / "run", device="cpu", quiet=True)
    assert run.figures["top1"] == 1
    (said,) = archdsl.predict(tmp_path / "run", [folder / "val/bright/2.png"], device="cpu")
    assert said.record()["best"][0]["class"] == "bright"


def test_a_network_of_several_frames_refuses_them(folder: Path) -> None:
    with pytest.raises(SpecError, match="pictures are no videos for a network of several frames"):
        videos_of(str(folder), "train", net(frames=4).clips, recipe("smoke"))


def test_beside_videos_they_are_left_out(folder: Path) -> None:
    film(folder / "train/dark/a.mp4", numbered_frames(3, 16, 16))
    videos = videos_of(str(folder), "train", net().clips, recipe("smoke"))
    assert [videos.name(i) for i in range(len(videos))] == ["dark/a.mp4"]
    assert len(videos.left_out) == 8  # type: ignore[union-attr]


def test_a_list_names_pictures(folder: Path) -> None:
    (folder / "train.txt").write_text("train/dark/1.png 0\ntrain/bright/1.png 1\n")
    videos = videos_of(str(folder / "train.txt"), "train", net().clips, recipe("smoke"))
    samples = [videos.read(i, ClipRequest(0)) for i in range(2)]
    assert [int(one.frames["clip"].unique()) for one in samples] == [11, 241]
    assert [int(one.targets) for one in samples] == [0, 1]


def test_captions_are_of_pictures_too(folder: Path) -> None:
    """The video where both have the name."""
    film(folder / "1.mp4", numbered_frames(3, 16, 16))
    found = video_files(folder)
    assert (found["1"].suffix, found["3"].suffix) == (".mp4", ".png")
