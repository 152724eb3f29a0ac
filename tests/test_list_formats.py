"""Lists as other libraries read them: each line is one file and the labels written, or is named as not understood."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from types import SimpleNamespace

import av
import pytest
import torch
from test_listing import files, found, pairs, write, wrong

import archdsl
from archdsl.cli import main
from archdsl.cli.evaluate import data_text
from archdsl.errors import SpecError
from archdsl.language import change
from archdsl.language.writers.yaml_writer import to_yaml
from archdsl.recipes import recipe
from archdsl.training.data.clips import ClipRequest, Unreadable
from archdsl.training.data.reader.decoder import CONTAINERS
from archdsl.training.data.sources.lines import VIDEO_SUFFIXES
from archdsl.training.precision import emulation_warning
from archdsl.training.run_record import warn_at_start
from tests.filmed import film, numbered_frames
from tests.trained import small

SEVERAL = "binary"
READ = {  # lines -> what is read of them; files a.mp4 and b.mp4, folders x and y of 9 pictures
    "PySlowFast, PyTorchVideo, MMAction2: path label": (["a.mp4 0", "b.mp4 1"], {"a.mp4": ["0"], "b.mp4": ["1"]}),
    "PyTorchVideo: blanks in the path": (
        ["sub dir/c d.mp4   1", "a.mp4 0"],
        {"sub dir/c d.mp4": ["1"], "a.mp4": ["0"]},
    ),
    "MMAction2, several labels": (["a.mp4 0 1", "b.mp4 1"], {"a.mp4": ["0", "1"], "b.mp4": ["1"]}),
    "MMAction2, several labels of frames": (["x 9 0 2", "y 9 1"], {"x": ["0", "2"], "y": ["1"]}),
    "MMAction2, an offset": (["x 2 5 1", "y 0 9 0"], {"x": ["1"], "y": ["0"]}),
    "MMAction2, frames and two labels each": (["x 9 5 1", "y 9 2 0"], {"x": ["5", "1"], "y": ["2", "0"]}),
    "TSN, TSM: folder frames label": (["x 9 1", "y 9 0"], {"x": ["1"], "y": ["0"]}),
    "TSN with a blank in the folder": (["z w 9 1", "y 9 0"], {"z w": ["1"], "y": ["0"]}),
    "tabs": (["a.mp4\t1", "b.mp4\t0"], {"a.mp4": ["1"], "b.mp4": ["0"]}),
    "tabs between folder, frames and label": (["z w\t9\t1", "y\t9\t0"], {"z w": ["1"], "y": ["0"]}),
    "semicolons": (["a.mp4;1", "b.mp4; 0"], {"a.mp4": ["1"], "b.mp4": ["0"]}),
    "several labels between commas": (["a.mp4,0,1", "b.mp4,1"], {"a.mp4": ["0", "1"], "b.mp4": ["1"]}),
    "names": (["a.mp4 run", "b.mp4 jump"], {"a.mp4": ["run"], "b.mp4": ["jump"]}),
    "names with blanks": (["a.mp4,clay pottery", "b.mp4,jump"], {"a.mp4": ["clay pottery"], "b.mp4": ["jump"]}),
    "quotes": (['"a.mp4","clay, pottery"', '"b.mp4","jump"'], {"a.mp4": ["clay, pottery"], "b.mp4": ["jump"]}),
    "quoted labels": (['a.mp4 "0,1"', "b.mp4 1"], {"a.mp4": ["0", "1"], "b.mp4": ["1"]}),
    "capitals": (["SHOUT.MP4 1", "a.mp4 0"], {"SHOUT.MP4": ["1"], "a.mp4": ["0"]}),
    "folders are classes": (["walk/v.mp4", "run/w.mp4"], {"walk/v.mp4": ["walk"], "run/w.mp4": ["run"]}),
    "a head: path": (["path,label", "a.mp4,run"], {"a.mp4": ["run"]}),
    "a head: video_path": (["video_path,label", "a.mp4,3"], {"a.mp4": ["3"]}),
    "a head: filename, class": (["filename,class", "a.mp4,run"], {"a.mp4": ["run"]}),
    "a head: quotes and capitals": (['"File Name","Class Label"', '"a.mp4","run, jump"'], {"a.mp4": ["run, jump"]}),
    "a head: tabs": (["video\ttag", "a.mp4\trun"], {"a.mp4": ["run"]}),
    "a head: semicolons": (["label;file", "run;a.mp4"], {"a.mp4": ["run"]}),
    "a head: blanks": (["path label", "a.mp4 1"], {"a.mp4": ["1"]}),
    "a head: pandas' numbers": ([",path,label", "0,a.mp4,run", "1,b.mp4,jump"], {"a.mp4": ["run"], "b.mp4": ["jump"]}),
    "a head: a path beside a name": (["clip_name,clip_path,label", "v,/walk/v.mp4,walk"], {"walk/v.mp4": ["walk"]}),
    "a head: frames and offset": (["path,offset,frames,label", "x,2,5,run"], {"x": ["run"]}),
    "a head: labels and |": (["path,labels", "a.mp4,0|1", "b.mp4,"], {"a.mp4": ["0", "1"], "b.mp4": []}),
    "a head: labels and blanks": (["path,labels", "a.mp4,0 1", "b.mp4,1"], {"a.mp4": ["0", "1"], "b.mp4": ["1"]}),
    "a head: labels and ;": (["path,labels", "a.mp4,0;1"], {"a.mp4": ["0", "1"]}),
    "a head: labels and commas": (["path,labels", 'a.mp4,"0,1"'], {"a.mp4": ["0", "1"]}),
    "a head: a list": (
        ["path,labels", "a.mp4,\"['run', 'jump']\"", 'b.mp4,"[]"'],
        {"a.mp4": ["run", "jump"], "b.mp4": []},
    ),
    "a head: pandas' frames": (["folder,frames,offset,label", "x,5.0,2.0,1.0"], {"x": ["1"]}),
    "a head: Excel's separator": (["sep=;", "path;label", "a.mp4;clay, pottery"], {"a.mp4": ["clay, pottery"]}),
    "Excel's separator alone": (["SEP=,", "a.mp4,1"], {"a.mp4": ["1"]}),
    "a head: pandas' fractions": (["path,label", "a.mp4,10.0", "b.mp4,2.0"], {"a.mp4": ["10"], "b.mp4": ["2"]}),
    "a head: several under label": (["path,label", "a.mp4,0;2", "b.mp4,1"], {"a.mp4": ["0", "2"], "b.mp4": ["1"]}),
}


def disk(root: Path) -> None:
    files(root, "a.mp4", "b.mp4", "sub dir/c d.mp4", "SHOUT.MP4", "walk/v.mp4", "run/w.mp4")
    files(root, *(f"{folder}/img_{i:05d}.jpg" for folder in ("x", "y", "z w", "film.avi") for i in range(1, 10)))


@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_lines_are_read_as_their_own_loaders_do(name: str, ends: str, tmp_path: Path) -> None:
    lines, expected = READ[name]
    disk(tmp_path)
    (tmp_path / "train.csv").write_bytes((ends.join(["", *lines, ""])).encode("utf-8-sig"))
    several = any(len(labels) != 1 for labels in expected.values()) or "labels" in lines[0]
    videos = found(tmp_path / "train.csv", loss=SEVERAL if several else "cross_entropy")
    assert dict(pairs(videos, tmp_path)) == expected
    assert len(videos.entries) == len(expected)
    assert not any(one.fault for one in videos.entries)


def test_an_offset_and_a_number_of_frames_are_those_that_are_read(tmp_path: Path) -> None:
    for i in range(1, 10):
        film(tmp_path / "x" / f"img_{i}.png", numbered_frames(9)[:, i - 1 : i], codec="png", pix_fmt="rgb24")
    write(tmp_path / "train.txt", "x 2 4 0")
    write(tmp_path / "all.txt", "x 3 0")
    found_at = {name: found(tmp_path / name).read(0, ClipRequest(0)) for name in ("train.txt", "all.txt")}
    assert [round(float(one.start) * 30) for one in found_at.values()] == [2, 0]
    assert [round(float(one.end) * 30) for one in found_at.values()] == [5, 2]
    write(tmp_path / "beyond.txt", "x 8 20 1", "x 0 9 0", "x 0 9 1")
    with pytest.raises(Unreadable, match="frames 9"):
        found(write(tmp_path / "head.csv", "path,offset,frames,label", "x,9,3,a")).read(0, ClipRequest(0))


def test_a_path_of_another_disk_is_matched_by_its_longest_end(tmp_path: Path) -> None:
    files(tmp_path, "run/v.mp4", "walk/v.mp4", "deep/train/walk/u.mp4", "deep/val/walk/u.mp4", "flat.mp4")
    lines = ("/old/disk/run/v.mp4 0", "/old/disk/walk/v.mp4 1", "jump/v.mp4 2", "D:\\x\\train\\walk\\u.mp4 3")
    videos = found(write(tmp_path / "list.txt", *lines, "/old/flat.mp4 4"))
    assert [one.path.relative_to(tmp_path).as_posix() for one in videos.entries] == [
        *("run/v.mp4", "walk/v.mp4", "jump/v.mp4", "deep/train/walk/u.mp4", "flat.mp4"),
    ]
    fault = "list.txt:3: no such file; of that name only: run/v.mp4, walk/v.mp4"
    assert [one.fault for one in videos.entries] == ["", "", fault, "", ""]
    with pytest.raises(Unreadable) as caught:
        videos.read(2, ClipRequest(0))
    assert caught.value.reason == fault
    assert list(videos.remarks()) == [f"named in a list and not there: 1: jump/v.mp4 ({fault})"]


ONE_FILE = (
    ("/old/jump/flat.mp4 0", "/old/walk/flat.mp4 1"),
    ("/p/run/v.mp4 0", "/q/run/v.mp4 1"),
    ("flat.avi 0", "flat.mp4 1"),
)


@pytest.mark.parametrize("lines", ONE_FILE)
def test_two_lines_are_not_one_file(lines: tuple[str, ...], tmp_path: Path) -> None:
    files(tmp_path, "flat.mp4", "run/v.mp4")
    assert "two lines that one file could be\n  written list.txt:2" in wrong(write(tmp_path / "list.txt", *lines))
    (alone,) = found(write(tmp_path / "list.txt", lines[0])).entries
    assert not alone.fault
    head = "label,youtube_id,time_start,time_end,split"
    write(tmp_path / "train.csv", head, "yoga,flat,10,20,train", "run,flat,30,40,train")
    assert "two lines that one file could be" in wrong(tmp_path / "train.csv")


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    files(tmp_path / "disk", "run/v.mp4")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "videos_train").symlink_to(tmp_path / "disk")
    (tmp_path / "data" / "videos_val").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "again").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "up").symlink_to(tmp_path)
    videos = found(write(tmp_path / "data" / "train.txt", "run/v.mp4 0"))
    assert videos.entries[0].path == tmp_path / "data" / "videos_train" / "run" / "v.mp4"


def test_a_path_that_fits_several_files_is_named(tmp_path: Path) -> None:
    files(tmp_path, "run/v.mp4", "walk/v.mp4", "a/run/w.mp4", "b/run/w.mp4", "one.avi", "x/one.mp4")
    text = wrong(write(tmp_path / "list.txt", "v.mp4 0", "/old/run/w.mp4 1", "one.avi 1"))
    assert text == (
        "ambiguous video path\n  written list.txt:1\n  got     v.mp4\n"
        "  want    run/v.mp4 or walk/v.mp4\n  fix     the path from the list's folder on, such as run/v.mp4\n\n"
        "ambiguous video path\n  written list.txt:2\n  got     /old/run/w.mp4\n"
        "  want    a/run/w.mp4 or b/run/w.mp4\n  fix     the path from the list's folder on, such as a/run/w.mp4"
    )


NOT_READ = {  # lines -> the lines that are named, and a word of why
    "no label among labels": (["a.mp4 0", "b.mp4"], [2], "line without a label"),
    "two names": (["a.mp4 run jump", "b.mp4 walk"], [1], "cannot parse line"),
    "a name and a number": (["a.mp4 1 run"], [1], "cannot parse line"),
    "columns without a head": (["a.mp4,run,train"], [1], "cannot parse line"),
    "an unquoted comma": (["a.mp4,0", "b.mp4,clay, pottery"], [2], "cannot parse line"),
    "a fraction": (["a.mp4 0", "b.mp4 1.5"], [2], "cannot parse line"),
    "a label of none": (["a.mp4 -1", "b.mp4 1"], [1], "cannot parse line"),
    "names among numbers": (["a.mp4 0", "b.mp4 run", "c.mp4 1"], [2], "names and numbers"),
    "a remark": (["a.mp4 0", "# b.mp4 is broken"], [2], "cannot parse line"),
    "frames of a file": (["b 9 1", "a.mp4 0"], [1], "cannot parse line"),
    "three numbers that fit no folder": (["x 8 5 1", "gone 9 5 1"], [1], "cannot parse line"),
    "three numbers that fit in both ways": (["x 9 9 1", "y 0 9 1"], [1], "cannot parse line"),
    "more columns than the head": (["path,label", "a.mp4,clay, pottery"], [2], "more columns than the head"),
    "labels with commas": (["path,labels", 'a.mp4,"run, jump"'], [2], "cannot parse line"),
    "a table's label of none": (["path,label", "a.mp4,1", "b.mp4,-1"], [3], "cannot parse line"),
    "a column of no split": (["path,label,split", "a.mp4,run,trian"], [2], "no split"),
    "no column of paths": (["where,label", "a.mp4,run"], [1], "no column for the path"),
    "no column of labels": (["path,length", "a.mp4,9"], [1], "no column for the label"),
    "two columns of labels": (["path,label,class_id", "a.mp4,run,1"], [1], "two columns for the label"),
    "two columns of one name": (["path,label,label", "a.mp4,run,1"], [1], "two columns for the label"),
    "numbers with other marks": (["a.mp4 0/1", "b.mp4 1"], [1], "cannot parse line"),
    "numbers in brackets": (["a.mp4 (0,1)", "b.mp4 {1}"], [1, 2], "cannot parse line"),
    "names with | in a line": (["a.mp4 run|jump", "b.mp4 run"], [1], "cannot parse line"),
    "a table's numbers in brackets": (["path,label", 'a.mp4,"(0, 1)"', "b.mp4,0+1"], [2, 3], "cannot parse line"),
    "one and zero for each class": (["a.mp4 0 0 1", "b.mp4 1 0 0"], [1, 2], "a class twice in one line"),
    "a table's one and zero": (["path,labels", 'a.mp4,"[0, 0, 1]"', "b.mp4,1"], [2], "a class twice in one line"),
    "a folder called as a file is": (["film.avi 9 1", "x 9 0"], [1], "cannot parse line"),
    "the first picture alone": (["path,label,start_frame", "x,run,3"], [1], "which pictures count"),
    "the last picture": (["path,label,start_frame,end_frame", "x,run,3,5"], [1], "which pictures count"),
    "no split among others": (["path,label,split", "a.mp4,run,train", "b.mp4,run,"], [3], "a video of no split"),
    "a part that ends before it starts": (["path,label,start,end", "a.mp4,1,0,2", "b.mp4,1,3,2"], [3], "ends before"),
    "Kinetics' part": (["label,youtube_id,time_start,time_end", "run,a,5,3"], [2], "ends before it starts"),
    "Charades' action": (["id,actions,length", "a,c092 1 2;c147 9.5 3,30"], [2], "ends before it starts"),
    "half a frame": (["path,frames,label", "x,9.5,1"], [2], "frames is not a number"),
    "every line": (["a.mp4 run jump", "b.mp4 0", "b.mp4", "b.mp4 x y"], [1, 3, 4], "cannot parse line"),
}


@pytest.mark.parametrize("name", NOT_READ)
@pytest.mark.parametrize("loss", ["cross_entropy", SEVERAL])
def test_lines_that_are_not_understood_are_named(name: str, loss: str, tmp_path: Path) -> None:
    lines, named, why = NOT_READ[name]
    disk(tmp_path)
    text = wrong(write(tmp_path / "train.csv", *lines), loss=loss)
    assert [line for line in text.splitlines() if "written" in line] == [f"  written train.csv:{i}" for i in named]
    assert why in text


def test_splits_of_several_names_are_one(tmp_path: Path) -> None:
    files(tmp_path, *(f"{i}.mp4" for i in range(6)))
    names = ("train", "Training", "val", "validation", "test", "unused")
    write(tmp_path / "all.csv", "path,label,split", *(f"{i}.mp4,run,{name}" for i, name in enumerate(names)))
    read = {
        split: [one.name for one in found(tmp_path / "all.csv", split).entries] for split in ("train", "val", "test")
    }
    assert read == {"train": ["0.mp4", "1.mp4"], "val": ["2.mp4", "3.mp4"], "test": ["4.mp4"]}


def test_a_list_called_as_ucf101s_whose_folders_are_no_classes(tmp_path: Path) -> None:
    files(tmp_path, "clips/a.mp4", "clips/b.mp4")
    text = wrong(write(tmp_path / "trainlist.txt", "clips/a.mp4 1", "clips/b.mp4 2"))
    assert "a folder and a number of different classes\n  written trainlist.txt:2" in text


@pytest.mark.parametrize("lines", [("1 run", "0 jump"), ("run,1", "jump,0"), ("run\t1", "jump\t0")])
def test_numbers_beside_names_of_classes_are_theirs(lines: tuple[str, ...], tmp_path: Path) -> None:
    files(tmp_path, "a.mp4", "b.mp4")
    write(tmp_path / "classes.txt", *lines)
    assert pairs(found(write(tmp_path / "t.txt", "a.mp4 0", "b.mp4 1")), tmp_path) == [
        ("a.mp4", ["jump"]),
        ("b.mp4", ["run"]),
    ]
    write(tmp_path / "classes.txt", "1", "0")
    assert "classes whose names are numbers of others" in wrong(tmp_path / "t.txt")


def test_json_that_says_one_name_twice(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text('[{"path": "a.mp4", "label": "run", "label": "jump"}]')
    assert wrong(tmp_path / "t.json") == (
        "two values of one name\n  written t.json\n  got     label\n  want    each name once"
    )
    (tmp_path / "t.json").write_text('[{"id": "1", "template": "X"}, {"template": "Y"}]')
    assert "not a valid file name\n  written t.json, entry 1" in wrong(tmp_path / "t.json")


def test_class_folders_behind_links_and_videos_beside_them(tmp_path: Path) -> None:
    files(tmp_path / "disk", "more/a.mp4")
    files(tmp_path / "data", "run/b.mp4", "stray.mp4", "notes.md")
    (tmp_path / "data" / "run" / "linked").symlink_to(tmp_path / "disk")
    videos = found(tmp_path / "data")
    assert [one.name for one in videos.entries] == ["run/b.mp4", "run/linked/more/a.mp4"]
    assert videos.left_out == ("stray.mp4",)


def test_many_lines_that_are_not_understood_are_told_in_part(tmp_path: Path) -> None:
    text = wrong(write(tmp_path / "train.csv", *(f"{i}.mp4 one two" for i in range(50))))
    assert text.count("cannot parse line") == 10
    assert text.endswith("and 40 more\n  written train.csv:50")


def test_json_of_several_spellings(tmp_path: Path) -> None:
    files(tmp_path, "a.mp4", "b.mp4")
    entries = [{"filename": "a.mp4", "label": [0, 2]}, {"filename": "b.mp4", "label": 1}]
    (tmp_path / "train.json").write_text(json.dumps(entries))
    several = found(tmp_path / "train.json", loss=SEVERAL)
    assert pairs(several, tmp_path) == [("a.mp4", ["0", "2"]), ("b.mp4", ["1"])]
    (tmp_path / "train.json").write_text(json.dumps([{"file": "a.mp4", "class": "x"}, {"path": "b.mp4"}, {"label": 1}]))
    text = wrong(tmp_path / "train.json")
    assert "no column for the label\n  written train.json, entry 1" in text
    assert "no column for the path\n  written train.json, entry 2" in text


def test_lists_of_pictures_as_pyslowfast_has_them(tmp_path: Path) -> None:
    """original_vido_id video_id frame_id path labels: a label holds as long as its pictures follow each other."""
    files(tmp_path, *(f"Charades/{one}/{one}-{i:06d}.jpg" for one in ("AAA", "BBB") for i in range(1, 9)))
    labels = ['""', '"3"', '"3,1"', '"1"', '""', '"3"', '""', '""']
    head = "original_vido_id video_id frame_id path labels"
    rows = [f"AAA 0 {i} AAA/AAA-{i + 1:06d}.jpg {label}" for i, label in enumerate(labels)]
    write(tmp_path / "train.csv", head, *rows, *(f'BBB 1 {i} BBB/BBB-{i + 1:06d}.jpg ""' for i in range(8)))
    videos = found(tmp_path / "train.csv", loss=SEVERAL)
    assert pairs(videos, tmp_path) == [("Charades/AAA", ["1", "3", "3"]), ("Charades/BBB", [])]
    times = [(one.label, round(one.start * 24), round(one.end * 24)) for one in videos.entries[0].actions]
    assert times == [(1, 2, 3), (3, 1, 2), (3, 5, 5)]
    write(tmp_path / "train.csv", head, *(f"BBB 1 {i} BBB/BBB-{i + 1:06d}.jpg 3" for i in (0, 2)))
    assert "pictures out of order\n  written train.csv:3" in wrong(tmp_path / "train.csv", loss=SEVERAL)
    write(tmp_path / "train.csv", head, *(f'BBB 1 {i} BBB/BBB-{i + 1:06d}.jpg ""' for i in range(8)))
    assert "list of pictures without labels" in wrong(tmp_path / "train.csv", loss=SEVERAL)


def test_numbers_are_those_of_the_file_that_names_the_classes(tmp_path: Path) -> None:
    """UCF101 counts from 1, a mapping from wherever it says; a number of none is named."""
    files(tmp_path, "a.mp4", "b.mp4")
    write(tmp_path / "train.txt", "a.mp4 1", "b.mp4 03")
    write(tmp_path / "classInd.txt", "3 C", "1 A", "2  B b")
    videos = found(tmp_path / "train.txt")
    assert videos.classes == ("A", "B b", "C")
    assert pairs(videos, tmp_path) == [("a.mp4", ["A"]), ("b.mp4", ["C"])]
    assert "unknown label\n  written zero.txt:1" in wrong(write(tmp_path / "zero.txt", "a.mp4 0"))
    write(tmp_path / "classInd.txt", "1 A", "two B")
    assert "cannot parse class\n  written classInd.txt:2\n  got     two B" in wrong(tmp_path / "train.txt")
    (tmp_path / "classInd.txt").unlink()
    (tmp_path / "labels.json").write_text(json.dumps({"late": 3, "early": "1"}))
    assert pairs(found(tmp_path / "train.txt"), tmp_path) == [("a.mp4", ["early"]), ("b.mp4", ["late"])]
    (tmp_path / "labels.json").unlink()
    write(tmp_path / "classes.txt", "zero", "one", "two", "three")
    assert pairs(found(tmp_path / "train.txt"), tmp_path) == [("a.mp4", ["one"]), ("b.mp4", ["three"])]


@pytest.mark.parametrize(
    ("names", "texts"),
    [
        (("classes.txt", "labels.json"), ("run\nwalk\n", '{"walk": 0, "run": 1}')),
        (("classes.txt", "labels.json"), ("run\nwalk\n", '["run", "walk", "jump"]')),
        (("classes.txt", "labels.json"), ("run\nwalk\n", '{"run": 1, "walk": 2}')),
        (("classes.txt", "labels.txt"), ("run\nwalk\n", "a.mp4 0\nb.mp4 0\n")),
        (("classInd.txt", "classes.txt"), ("1 run\n2 walk\n", "walk\nrun\n")),
    ],
)
def test_files_of_classes_that_disagree(names: tuple[str, str], texts: tuple[str, str], tmp_path: Path) -> None:
    """Either could be meant: neither wins in silence."""
    files(tmp_path, "a.mp4", "b.mp4")
    write(tmp_path / "train.txt", "a.mp4 run", "b.mp4 walk")
    for name, text in zip(names, texts):
        (tmp_path / name).write_text(text)
    assert f"files of classes that disagree\n  written {', '.join(names)}\n" in wrong(tmp_path / "train.txt")


def test_files_of_classes_that_agree(tmp_path: Path) -> None:
    files(tmp_path, "a.mp4", "b.mp4")
    write(tmp_path / "train.txt", "a.mp4 2", "b.mp4 1")
    write(tmp_path / "classInd.txt", "1 walk", "2 run")
    write(tmp_path / "classes.txt", "walk", "run")
    (tmp_path / "labels.json").write_text('{"run": "1", "walk": "0"}')
    assert pairs(found(tmp_path / "train.txt"), tmp_path) == [("a.mp4", ["run"]), ("b.mp4", ["walk"])]


def test_a_list_is_json_in_capitals_too(tmp_path: Path) -> None:
    files(tmp_path, "a.mp4")
    (tmp_path / "TRAIN.JSON").write_text('[{"path": "a.mp4", "label": "run"}]')
    for data in (tmp_path, tmp_path / "TRAIN.JSON"):
        assert pairs(found(data), tmp_path) == [("a.mp4", ["run"])]


@pytest.mark.parametrize("kind", ["folders", "lists"])
def test_classes_to_test_on_are_those_to_train_on(kind: str, tmp_path: Path) -> None:
    """A class of the test alone would shift the numbers of all behind it."""
    files(tmp_path, "train/b/1.mp4", "train/c/2.mp4", "val/a/3.mp4", "val/c/4.mp4")
    if kind == "lists":
        write(tmp_path / "lists" / "train.csv", f"{tmp_path}/train/b/1.mp4,b", f"{tmp_path}/train/c/2.mp4,c")
        write(tmp_path / "lists" / "val.csv", f"{tmp_path}/val/a/3.mp4,a")
    data = tmp_path / ("lists" if kind == "lists" else "")
    with pytest.raises(SpecError, match="different classes\n  got     2 and 3 classes; not in both: a"):
        archdsl.train(change(small(), "head.classes", 2), recipe("smoke"), data, out=tmp_path / "run", device="cpu")


def test_check_names_what_is_missing_and_what_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    film(tmp_path / "walk" / "v.mp4", numbered_frames(8), options={"g": "4"})
    write(tmp_path / "train.txt", "walk/v.mp4 0", "jump/v.mp4 1")
    given = ["--frames", "4", "--workers", "0"]
    assert main(["data", "check", str(tmp_path / "train.txt"), *given]) == 1
    shown = capsys.readouterr().err
    assert "unreadable: jump/v.mp4: train.txt:2: no such file; of that name only: walk/v.mp4" in shown
    for name in ("c/walk/v.3gp", "c/walk/w.mts", "c/walk/x.mxf"):
        codec = {"3gp": "mpeg4", "mts": "libx264", "mxf": "mpeg2video"}[name[-3:]]
        film(tmp_path / name, numbered_frames(8), codec=codec)
    files(tmp_path, "c/walk/notes.txt", "c/walk/odd.xyz", "c/walk/.hidden", "c/run/alone.jpg")
    assert main(["data", "check", str(tmp_path / "c"), *given, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["classes"] == {"run": 0, "walk": 3}
    assert told["left_out"] == ["run/alone.jpg", "walk/notes.txt", "walk/odd.xyz"]
    assert told["unreadable"] == []


def test_endings_are_all_that_pyav_names_for_what_is_opened() -> None:
    """Of containers that hold pictures: not sound alone, not still pictures."""
    formats = [av.ContainerFormat(name, "r") for name in CONTAINERS.split(",")]
    known = {f".{ending}" for one in formats for ending in one.extensions}
    sound_and_stills = {".m4a", ".m4b", ".mka", ".mks", ".avif", ".heic", ".heif", ".isma", ".ism", ".psp"}
    assert known - sound_and_stills <= set(VIDEO_SUFFIXES)


def test_a_line_that_names_no_file_is_named(tmp_path: Path) -> None:
    disk(tmp_path)
    for line in (", 1", ". 1", "./ 1", '"" 1'):
        assert "written train.csv:2" in wrong(write(tmp_path / "train.csv", "a.mp4 0", line))
    videos = found(write(tmp_path / "train.csv", "a.mp4 b.mp4 1", "a.mp4 0"))
    assert [bool(one.fault) for one in videos.entries] == [True, False]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run on a list of which a line names no file."""
    root = tmp_path_factory.mktemp("trained")
    for split in ("train", "val"):
        for i in range(8):
            film(root / split / f"v{i}.mp4", numbered_frames(8, 32, 32), options={"g": "4"})
        write(root / f"{split}.txt", *(f"{split}/v{i}.mp4 {i}" for i in range(8)), f"gone/{split}.mp4 7")
    (root / "arch.yaml").write_text(to_yaml(small()))
    argv = ["train", str(root / "arch.yaml"), "--recipe", "smoke", "--steps", "1", "--batch", "8", "--device", "cpu"]
    argv += ["--set", "recipe.most_skipped=0.5"]
    heard = io.StringIO()
    with contextlib.redirect_stderr(heard), contextlib.chdir(root):
        assert main([*argv, "--data", "train.txt", "--out", "run"]) == 0
    return root, heard.getvalue()


def test_training_says_what_is_not_read_and_what_is_slow(trained: tuple[Path, str]) -> None:
    root, heard = trained
    assert "train videos: named in a list and not there: 1: gone/train.mp4 (train.txt:9: no such file)" in heard
    assert "test videos: named in a list and not there: 1: gone/val.mp4 (val.txt:9: no such file)" in heard
    lines = [json.loads(line) for line in (root / "run" / "skipped.jsonl").read_text().splitlines()]
    assert {"name": "gone/val.mp4", "reason": "val.txt:9: no such file", "split": "val"} in lines
    assert {line["split"] for line in lines} <= {"train", "val"}


def test_a_run_is_tested_on_its_own_data_and_says_so(
    trained: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    root, _ = trained
    assert main(["evaluate", str(root / "run"), "--device", "cpu"]) == 0
    assert f"run: tested on {root}/train.txt, split val" in capsys.readouterr().out
    scores = archdsl.evaluate(root / "run", device="cpu", quiet=True, recipe=recipe("smoke"))
    assert (scores.data, len(scores.names), list(scores.skipped)) == (f"{root}/train.txt", 8, ["gone/val.mp4"])
    assert data_text("motion") == "motion, the built-in moving digits"


def test_what_is_slow_is_warned_of() -> None:
    said: list[tuple[str, ...]] = []
    run = SimpleNamespace(
        videos=(),
        tests=(),
        task=SimpleNamespace(reads_of_scores=()),
        recipe=recipe("smoke").but(precision="fp16"),
        world=SimpleNamespace(device=torch.device("cpu")),
        progress=SimpleNamespace(warn=lambda *words: said.append(words)),
    )
    warn_at_start(run)
    assert said == [
        ("fp16 on a CPU: torch emulates it, and a step may take minutes", "--set recipe.precision=fp32, or bf16")
    ]
    run.recipe = recipe("smoke").but(precision="bf16")
    warn_at_start(run)
    assert len(said) == 1
    assert emulation_warning(recipe("smoke").but(precision="fp16"), torch.device("cuda")) is None
