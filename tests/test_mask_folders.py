"""Pictures with masks as data sets lay them out: Cityscapes with its videos, CamVid, PASCAL VOC, and built-in ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import archdsl
from archdsl.cli import main
from archdsl.errors import SpecError
from archdsl.language.writers.yaml_writer import to_yaml
from archdsl.training.data.annotations.mask_folders import CITYSCAPES_IDS, mask_folder
from archdsl.training.data.annotations.masked_frames import MaskedFrames
from archdsl.training.data.clips import ClipRequest, Unreadable
from archdsl.training.data.picture_files import encode_png
from archdsl.training.tasks.segmentation import Segmentation
from tests.test_segmentation import task_of, tiny


def write(path: Path, picture: torch.Tensor) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(picture))


def gray(value: int, size: tuple[int, int] = (8, 12)) -> torch.Tensor:
    return torch.full((3, *size), value, dtype=torch.uint8)


@pytest.fixture
def cityscapes(tmp_path: Path) -> Path:
    """One labelled picture of each split, frame 19 of a video whose frame i has brightness i."""
    for split in ("train", "val"):
        folder = f"{split}/aachen/aachen_000003_"
        for i in range(30):
            write(tmp_path / f"leftImg8bit_sequence/{folder}{i:06d}_leftImg8bit.png", gray(i))
        write(tmp_path / f"leftImg8bit/{folder}000019_leftImg8bit.png", gray(19))
        ids = torch.tensor([0, 7, 8, 33, 33, 255], dtype=torch.uint8).repeat_interleave(2).expand(1, 8, 12)
        write(tmp_path / f"gtFine/{folder}000019_gtFine_labelIds.png", ids.contiguous())
    return tmp_path


def brightness(videos: MaskedFrames, index: int, request: ClipRequest) -> tuple[list[int], int]:
    """That of each frame of a clip, and the labelled frame."""
    sample = videos.read(index, request)
    return sample.frames["clip"][0, :, 0, 0].tolist(), int(sample.targets["frame"])


def test_cityscapes_ids_are_its_classes(cityscapes: Path) -> None:
    """Those of cityscapesScripts: 7 is road, 33 bicycle, 0 none."""
    videos = mask_folder(cityscapes, "train", tiny(19).clips)
    assert (videos.classes[0], videos.classes[18]) == ("road", "bicycle")
    assert (len(videos.classes), len(CITYSCAPES_IDS)) == (19, 19)
    labels = videos.read(0, ClipRequest(0)).targets["labels"]
    assert labels[0, ::2].tolist() == [255, 0, 1, 18, 18, 255]


def test_a_frame_of_a_video_is_met_at_every_distance_from_a_key_frame(cityscapes: Path) -> None:
    """In training at random, in a test of a network with a key frame in 3 at each."""
    clips = tiny(19, frames=3).clips
    tested = mask_folder(cityscapes, "val", clips, range(3))
    found = [brightness(tested, i, ClipRequest(0)) for i in range(len(tested))]
    assert found == [([19, 20, 21], 0), ([18, 19, 20], 1), ([17, 18, 19], 2)]
    assert tested.name(1) == "aachen/aachen_000003_000019 as frame 1"
    trained = mask_folder(cityscapes, "train", clips, range(3))
    assert (len(trained), trained.name(0)) == (1, "aachen/aachen_000003_000019")
    drawn = {brightness(trained, 0, ClipRequest(seed, training=True))[1] for seed in range(40)}
    assert drawn == {0, 1, 2}


def test_a_missing_frame_is_the_next_one_towards_the_labelled(cityscapes: Path) -> None:
    for i in (17, 20):
        (cityscapes / f"leftImg8bit_sequence/val/aachen/aachen_000003_{i:06d}_leftImg8bit.png").unlink()
    tested = mask_folder(cityscapes, "val", tiny(19, frames=5).clips, (2,))
    assert brightness(tested, 0, ClipRequest(0)) == ([18, 18, 19, 19, 21], 2)


def test_cityscapes_without_videos_repeats_its_pictures(cityscapes: Path) -> None:
    (cityscapes / "leftImg8bit_sequence").rename(cityscapes / "elsewhere")
    tested = mask_folder(cityscapes, "val", tiny(19, frames=3).clips, range(3))
    assert len(tested) == 1
    assert brightness(tested, 0, ClipRequest(0)) == ([19, 19, 19], 2)


def test_broken_files_of_cityscapes_are_named(cityscapes: Path) -> None:
    fine = cityscapes / "gtFine/val/aachen"
    write(fine / "aachen_000004_000019_gtFine_labelIds.png", torch.zeros(1, 8, 12, dtype=torch.uint8))
    write(cityscapes / "leftImg8bit/val/aachen/aachen_000005_000019_leftImg8bit.png", gray(1))
    write(cityscapes / "leftImg8bit/val/aachen/copy.png", gray(1))
    write(fine / "aachen_000003_000019_gtFine_labelIds.png", torch.full((1, 8, 12), 34, dtype=torch.uint8))
    tested = mask_folder(cityscapes, "val", tiny(19).clips)
    assert tested.left_out == ("leftImg8bit/val/aachen/copy.png",)
    reasons = {}
    for i in range(len(tested)):
        with pytest.raises(Unreadable) as caught:
            tested.read(i, ClipRequest(0))
        reasons[tested.name(i).split("_")[1]] = caught.value.reason
    mask = "gtFine/val/aachen/aachen_000003_000019_gtFine_labelIds.png"
    assert reasons == {
        "000003": f"{mask} has class 34 at row 0, column 0: classes are 0 to 33, and 255 for none; "
        "96 pixels are of none",
        "000004": "no image of that name in leftImg8bit/val",
        "000005": "no mask of that name in gtFine/val",
    }


def test_camvid_leaves_void_out(tmp_path: Path) -> None:
    for split in ("train", "val"):
        write(tmp_path / split / "0001TP_006690.png", gray(5))
        ids = torch.arange(12, dtype=torch.uint8).expand(1, 8, 12)
        write(tmp_path / f"{split}annot/0001TP_006690.png", ids.contiguous())
    videos = mask_folder(tmp_path, "val", tiny(11).clips)
    assert (len(videos), videos.classes[:2]) == (1, ("sky", "building"))
    assert videos.read(0, ClipRequest(0)).targets["labels"][0].tolist() == [*range(11), 255]
    (tmp_path / "train/0001TP_006690.png").rename(tmp_path / "train/other.png")
    trained = mask_folder(tmp_path, "train", tiny(11).clips)
    assert [trained.name(i) for i in range(2)] == ["trainannot/0001TP_006690.png", "train/other.png"]
    for i, reason in enumerate(("no image of that name in train", "no mask of that name in trainannot")):
        with pytest.raises(Unreadable) as caught:
            trained.read(i, ClipRequest(0))
        assert caught.value.reason == reason


def test_voc_reads_its_lists_and_those_of_sbd(tmp_path: Path) -> None:
    year = tmp_path / "VOCdevkit/VOC2012"
    lists = year / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("2007_000032\n")
    (lists / "val.txt").write_text("2007_000033\n2007_000034\n")
    for stem in ("2007_000032", "2007_000033"):
        write(year / f"JPEGImages/{stem}.jpg", gray(7))
        write(year / f"SegmentationClass/{stem}.png", torch.full((1, 8, 12), 20, dtype=torch.uint8))
    clips = tiny(21, frames=1).clips
    val = mask_folder(tmp_path, "val", clips)
    assert (len(val), val.classes[0], val.classes[20]) == (2, "background", "tvmonitor")
    assert val.read(0, ClipRequest(0)).targets["labels"].unique().tolist() == [20]
    with pytest.raises(Unreadable, match="no image of that name in JPEGImages"):
        val.read(1, ClipRequest(0))
    (lists / "trainaug.txt").write_text("2007_000033\n")
    write(year / "SegmentationClassAug/2007_000033.png", torch.full((1, 8, 12), 3, dtype=torch.uint8))
    train = mask_folder(year, "train", clips)
    assert (train.name(0), int(train.read(0, ClipRequest(0)).targets["labels"][0, 0])) == ("2007_000033", 3)
    (lists / "val.txt").write_text("2007_000033\n../a\n2007_000033\n")
    with pytest.raises(SpecError) as caught:
        mask_folder(tmp_path, "val", clips)
    assert [fault.written for fault in caught.value.faults] == ["val.txt:2", "val.txt:3"]


def test_built_in_digits_are_written_as_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the command; read again they are the scenes in memory."""
    (tmp_path / "tiny.yaml").write_text(to_yaml(tiny()))
    made = ["data", "make", "motion", str(tmp_path / "d"), "--net", str(tmp_path / "tiny.yaml"), "--count", "5"]
    assert main(made) == 0
    capsys.readouterr()
    task = task_of(tiny())
    read, known = (task.videos(data, "train") for data in (str(tmp_path / "d"), "motion:5"))
    assert read.classes == known.classes
    for i in range(5):
        one, other = (videos.read(i, ClipRequest(0)) for videos in (read, known))
        assert one.targets["labels"].equal(other.targets["labels"])
        frame = int(other.targets["frame"])
        assert one.frames["clip"][:, 2].equal(other.frames["clip"][:, frame])
    assert main(["data", "check", str(tmp_path / "d"), "--net", str(tmp_path / "tiny.yaml"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["videos"] == 5


def test_no_picture_tells_a_motion() -> None:
    with pytest.raises(SpecError, match="no pictures tell motions"):
        task_of(tiny(9), scenes="motions").write_built_in(Path("d"), {"train": 1})


def test_key_frames_are_tested_at_every_distance(cityscapes: Path) -> None:
    """The task asks the plan."""
    task = task_of(archdsl.load("dff_r101_deeplab", depth=50, height=64, width=64))
    assert isinstance(task, Segmentation)
    assert len(task.files(str(cityscapes), "val")) == 5
    assert len(task_of(tiny(19)).files(str(cityscapes), "val")) == 1
