"""Lists of videos in the formats of datasets, found beside their files; what is wrong in them is told by its line."""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from pathlib import Path
from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st

import archdsl
from archdsl.errors import SpecError
from archdsl.language import Clip, change
from archdsl.recipes import recipe
from archdsl.training.data.sources.discovery import videos_of
from archdsl.training.data.sources.manifests import listing_of
from archdsl.training.data.sources.videos import Files
from tests.trained import short, small

CLIPS = {"clip": Clip(frames=4, size=32)}


def files(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"not decoded here")


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def found(data: Path, split: str = "train", loss: str = "cross_entropy") -> Files:
    videos = videos_of(str(data), split, CLIPS, recipe("smoke").but(loss=loss))
    assert isinstance(videos, Files)
    return videos


def pairs(videos: Files, root: Path) -> list[tuple[str, list[str]]]:
    """(where the file lies, labels)"""
    return [
        (one.path.relative_to(root).as_posix(), [videos.classes[a.label] for a in one.actions])
        for one in videos.entries
    ]


def wrong(data: Path, split: str = "train", loss: str = "cross_entropy") -> str:
    with pytest.raises(SpecError) as caught:
        found(data, split, loss)
    return str(caught.value)


def test_class_folders(tmp_path: Path) -> None:
    files(tmp_path, "train/run/b.mp4", "train/run/deep/a.avi", "train/jump/c.webm", "train/jump/notes.txt")
    files(tmp_path, "val/run/d.mp4", "val/jump/e.mp4", "train/jump/pictures/img_00001.jpg")
    train, val = found(tmp_path), found(tmp_path, "val")
    assert train.classes == val.classes == ("jump", "run")
    assert pairs(train, tmp_path / "train") == [
        ("jump/c.webm", ["jump"]),
        ("jump/pictures", ["jump"]),
        ("run/b.mp4", ["run"]),
        ("run/deep/a.avi", ["run"]),
    ]
    assert train.counts == {"jump": 2, "run": 2}
    assert found(tmp_path, "test").entries == val.entries
    assert found(tmp_path / "val", "val").entries == val.entries


def test_a_class_of_which_a_split_has_no_video_keeps_its_number(tmp_path: Path) -> None:
    files(tmp_path, "train/a/1.mp4", "train/b/2.mp4", "train/c/3.mp4", "val/c/4.mp4")
    assert found(tmp_path, "val").classes == ("a", "b", "c")
    assert pairs(found(tmp_path, "val"), tmp_path / "val") == [("c/4.mp4", ["c"])]


def test_kinetics_csv(tmp_path: Path) -> None:
    """As `kinetics400/train.csv` and the names that the usual downloaders give."""
    head = "label,youtube_id,time_start,time_end,split"
    write(
        tmp_path / "train.csv", head, "testifying,---QUuC4vJs,84,94,train", '"clay, pottery making",-0-_8,10,20,train'
    )
    write(tmp_path / "validate.csv", head, "testifying,zzz,0,10,validate")
    files(
        tmp_path, "train/testifying/---QUuC4vJs_000084_000094.mp4", "train/clay/-0-_8.mp4", "val/zzz_000000_000010.mkv"
    )
    (tmp_path / "lists").mkdir()
    for name in ("train.csv", "validate.csv"):
        (tmp_path / name).rename(tmp_path / "lists" / name)
    (tmp_path / "train").rename(tmp_path / "lists" / "videos_train")
    (tmp_path / "val").rename(tmp_path / "lists" / "videos_val")
    train, val = found(tmp_path / "lists"), found(tmp_path / "lists", "val")
    assert train.classes == ("clay, pottery making", "testifying")
    assert pairs(train, tmp_path / "lists") == [
        ("videos_train/testifying/---QUuC4vJs_000084_000094.mp4", ["testifying"]),
        ("videos_train/clay/-0-_8.mp4", ["clay, pottery making"]),
    ]
    assert val.classes == train.classes
    assert pairs(val, tmp_path / "lists") == [("videos_val/zzz_000000_000010.mkv", ["testifying"])]


def test_kinetics_json(tmp_path: Path) -> None:
    data = {
        "abc": {
            "annotations": {"label": "yoga", "segment": [1.0, 11.0]},
            "duration": 10.0,
            "subset": "train",
            "url": "u",
        },
        "def": {"annotations": {"label": "abseiling", "segment": [0, 10]}, "subset": "validate"},
        "ghi": {"annotations": {"label": "yoga", "segment": [0, 10]}, "subset": "test"},
    }
    path = tmp_path / "kinetics.json"
    path.write_text(json.dumps(data))
    files(tmp_path, "abc_000001_000011.mp4", "def_000000_000010.mp4")
    assert pairs(found(path), tmp_path) == [("abc_000001_000011.mp4", ["yoga"])]
    assert found(path).classes == found(path, "val").classes == ("abseiling", "yoga")
    assert [one.name for one in found(path, "val").entries] == ["def_000000_000010"]
    assert [one.name for one in found(path, "test").entries] == ["ghi_000000_000010"]


@pytest.mark.parametrize("between", [" ", ",", "\t", ", "])
def test_paths_and_numbers_as_pyslowfast_has_them(between: str, tmp_path: Path) -> None:
    lines = [f"{name}{between}{label}" for name, label in (("a b/1.mp4", 2), (f"{tmp_path}/2.mp4", 0), ("3.mp4", 10))]
    write(tmp_path / "train.csv", *lines)
    files(tmp_path, "a b/1.mp4", "2.mp4", "3.mp4")
    assert pairs(found(tmp_path / "train.csv"), tmp_path) == [("a b/1.mp4", ["2"]), ("2.mp4", ["0"]), ("3.mp4", ["10"])]
    write(tmp_path / "val.csv", f"3.mp4{between}1")
    assert len(found(tmp_path, "val").classes) == len(found(tmp_path).classes) == 11


def test_folders_of_frames_as_tsn_has_them(tmp_path: Path) -> None:
    write(tmp_path / "train_list.txt", "frames/one 120 1", "frames/two 99 0")
    files(tmp_path, "frames/one/img_00001.jpg", "frames/two/img_00001.jpg")
    assert pairs(found(tmp_path / "train_list.txt"), tmp_path) == [("frames/one", ["1"]), ("frames/two", ["0"])]


def test_ucf101(tmp_path: Path) -> None:
    write(tmp_path / "classInd.txt", "1 ApplyEyeMakeup", "2 Archery", "3 BabyCrawling")
    write(
        tmp_path / "trainlist01.txt", "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1", "Archery/v_Archery_g08_c01.avi 2"
    )
    write(tmp_path / "trainlist02.txt", "Archery/v_Archery_g08_c01.avi 2")
    write(tmp_path / "testlist01.txt", "BabyCrawling/v_BabyCrawling_g01_c01.avi")
    files(tmp_path, "UCF-101/ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi", "UCF-101/Archery/v_Archery_g08_c01.avi")
    files(tmp_path, "UCF-101/BabyCrawling/v_BabyCrawling_g01_c01.avi")
    train, test = found(tmp_path), found(tmp_path, "test")
    assert train.classes == test.classes == ("ApplyEyeMakeup", "Archery", "BabyCrawling")
    assert pairs(train, tmp_path) == [
        ("UCF-101/ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi", ["ApplyEyeMakeup"]),
        ("UCF-101/Archery/v_Archery_g08_c01.avi", ["Archery"]),
    ]
    assert pairs(test, tmp_path) == [("UCF-101/BabyCrawling/v_BabyCrawling_g01_c01.avi", ["BabyCrawling"])]
    assert len(found(tmp_path / "trainlist02.txt")) == 1


def test_hmdb51(tmp_path: Path) -> None:
    """1 is for training, 2 for testing, 0 for neither; lists of splits 2 and 3 lie beside."""
    write(tmp_path / "brush_hair_test_split1.txt", "a.avi 1 ", "b.avi 2 ", "c.avi 0 ")
    write(tmp_path / "cartwheel_test_split1.txt", "d (1).avi 1", "e.avi 2")
    write(tmp_path / "cartwheel_test_split2.txt", "d (1).avi 2", "e.avi 1")
    files(
        tmp_path, *(f"hmdb/brush_hair/{name}.avi" for name in "abc"), "hmdb/cartwheel/d (1).avi", "hmdb/cartwheel/e.avi"
    )
    train = found(tmp_path)
    assert train.classes == ("brush_hair", "cartwheel")
    assert pairs(train, tmp_path) == [
        ("hmdb/brush_hair/a.avi", ["brush_hair"]),
        ("hmdb/cartwheel/d (1).avi", ["cartwheel"]),
    ]
    for split in ("val", "test"):
        assert pairs(found(tmp_path, split), tmp_path) == [
            ("hmdb/brush_hair/b.avi", ["brush_hair"]),
            ("hmdb/cartwheel/e.avi", ["cartwheel"]),
        ]


@pytest.mark.parametrize("prefix", ["something-something-v2-", ""])
def test_something_something(prefix: str, tmp_path: Path) -> None:
    entries = [
        {
            "id": "78687",
            "label": "holding potato next to vicks",
            "template": "Holding [something] next to [something]",
            "placeholders": [],
        },
        {"id": "42", "label": "x", "template": "Closing [something]", "placeholders": ["x"]},
    ]
    (tmp_path / f"{prefix}train.json").write_text(json.dumps(entries))
    (tmp_path / f"{prefix}validation.json").write_text(json.dumps(entries[:1]))
    labels = {"Holding something next to something": "1", "Closing something": "0", "Hitting something": "2"}
    (tmp_path / f"{prefix}labels.json").write_text(json.dumps(labels))
    files(tmp_path, "20bn-something-something-v2/78687.webm", "20bn-something-something-v2/42.webm")
    train, val = found(tmp_path), found(tmp_path, "val")
    assert train.classes == ("Closing something", "Holding something next to something", "Hitting something")
    assert pairs(train, tmp_path / "20bn-something-something-v2") == [
        ("78687.webm", ["Holding something next to something"]),
        ("42.webm", ["Closing something"]),
    ]
    assert pairs(val, tmp_path) == pairs(train, tmp_path)[:1]


def test_charades(tmp_path: Path) -> None:
    head = "id,subject,scene,quality,relevance,verified,script,objects,descriptions,actions,length"
    script = '"A person, ""quoting"",\nopens a door."'
    write(
        tmp_path / "Charades_v1_train.csv",
        head,
        f"46GP8,HR43,Kitchen,6,7,Yes,{script},food;stove,,c092 11.90 21.20;c147 0.00 12.60,24.83",
        "N11GT,0KZ7,Kitchen,6,7,Yes,,,,,18.33",
    )
    write(tmp_path / "Charades_v1_test.csv", head, "YYYYY,S,Hall,6,7,Yes,,,,c000 0.00 4.00,9.0")
    write(tmp_path / "Charades_v1_classes.txt", "c000 Holding some clothes", "c001 Putting clothes somewhere")
    files(tmp_path, "Charades_v1_480/46GP8.mp4", "Charades_v1_480/N11GT.mp4")
    train = found(tmp_path, loss="binary")
    assert train.multi_label
    assert len(train.classes) == 157
    assert pairs(train, tmp_path) == [
        ("Charades_v1_480/46GP8.mp4", ["c092", "c147"]),
        ("Charades_v1_480/N11GT.mp4", []),
    ]
    assert [(a.start, a.end) for a in train.entries[0].actions] == [(11.9, 21.2), (0.0, 12.6)]
    assert [one.name for one in found(tmp_path, "val", "binary").entries] == ["YYYYY"]
    assert "loss does not match the labels" in wrong(tmp_path)


def test_tables_with_a_head_and_json_of_our_own(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "path,label,start,end,split", "x.mp4,run,1.5,3,train", "y.mp4,jump,,,val")
    write(tmp_path / "b.csv", "path,labels,centre", "x.mp4,run|jump,0.5", "y.mp4,,1")
    entries = [{"path": "x.mp4", "label": "run", "start": 1.5, "end": 3}, {"path": "y.mp4", "label": "jump"}]
    (tmp_path / "c.json").write_text(json.dumps(entries))
    files(tmp_path, "x.mp4", "y.mp4")
    table = found(tmp_path / "a.csv")
    assert pairs(table, tmp_path) == [("x.mp4", ["run"])]
    assert (table.entries[0].start, table.entries[0].end) == (1.5, 3)
    several = found(tmp_path / "b.csv", loss="binary")
    assert pairs(several, tmp_path) == [("x.mp4", ["run", "jump"]), ("y.mp4", [])]
    assert [one.centre for one in several.entries] == [0.5, 1]
    assert pairs(found(tmp_path / "c.json"), tmp_path) == [("x.mp4", ["run"]), ("y.mp4", ["jump"])]


BROKEN = {
    "kinetics_time.csv": (
        b"label,youtube_id,time_start,time_end,split\nyoga,abc,ten,20,train\n",
        "time_start is not a number\n  written kinetics_time.csv:2\n  got     ten\n  want    seconds",
    ),
    "no_label.csv": (b"path,label\na.mp4,run\nb.mp4,\n", "video without a label\n  written no_label.csv:3"),
    "words.txt": (b"a.mp4 1\nb.mp4\n", "line without a label\n  written words.txt:2\n  got     b.mp4"),
    "charades.csv": (b"id,actions,length\nA,c001 5,20\n", "cannot parse action\n  written charades.csv:2"),
    "binary.csv": (bytes(range(256)), "a file that is not text\n  written binary.csv"),
    "empty.csv": (b"\n\n", "list without videos\n  written empty.csv"),
    "nul.csv": (b"path,label\na\0b,run\n", "not a valid file name\n  written nul.csv:2"),
    "not.json": (b"{", "not JSON\n  written not.json"),
    "deep.json": (b"[" * 100_000, "not JSON\n  written deep.json"),
    "other.json": (b'{"a": 1}', "unknown JSON format\n  written other.json"),
    "segment.json": (
        b'{"a": {"annotations": {"label": "x", "segment": ["one", NaN]}}}',
        "segment is not a number\n  written segment.json, a\n  got     one",
    ),
    "segment_of_words.json": (b'{"a": {"annotations": {"segment": {"from": 1}}}}', "segment is not two numbers"),
    "label_too_large.csv": (b"a.mp4 99999999999\n", "class number too large\n  written label_too_large.csv:1"),
    "long_field.csv": (
        b"path,label\n" + b"a" * 200_000 + b",run\n",
        "line is not CSV\n  written long_field.csv:2",
    ),
    "long_head.csv": (
        b"a" * 200_000 + b"," + b"b" * 200_000,
        "cannot parse line\n  written long_head.csv:1",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_in_a_list_is_told_by_its_line(name: str, tmp_path: Path) -> None:
    data, report = BROKEN[name]
    (tmp_path / name).write_bytes(data)
    assert report in wrong(tmp_path / name, loss="binary" if name == "charades.csv" else "cross_entropy")


def test_a_list_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.csv").open("wb") as file:
        file.truncate(1 << 40)  # sparse
    assert "want    at most 268435456 bytes" in wrong(tmp_path / "huge.csv")


def test_a_label_that_no_class_has(tmp_path: Path) -> None:
    write(tmp_path / "classInd.txt", "1 Archery", "2 Biking")
    write(tmp_path / "train.csv", "path,label", "a.mp4,Archery", "b.mp4,Bikng")
    text = wrong(tmp_path / "train.csv")
    assert "unknown label\n  written train.csv:3\n  got     Bikng" in text
    assert "Biking" in text
    write(tmp_path / "classInd.txt", *(f"{i} c{i}" for i in range(1, 102)))
    assert "want    one of 101 classes" in wrong(tmp_path / "train.csv")


@pytest.mark.parametrize("data", ["{", "[1, 2]", '{"a": "b"}', "3", '{"a": null}'])
def test_labels_beside_a_list_that_cannot_be_read(data: str, tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text(data)
    write(tmp_path / "train.csv", "path,label", "a.mp4,run")
    assert wrong(tmp_path / "train.csv")


def test_data_that_is_not_there(tmp_path: Path) -> None:
    assert "no such data" in wrong(tmp_path / "nothing")
    assert "no videos in" in wrong(tmp_path)
    os.mkfifo(tmp_path / "pipe.csv")
    assert "neither a file nor a folder" in wrong(tmp_path / "pipe.csv")
    files(tmp_path, "train/run/a.mp4")
    assert "no folder for val" in wrong(tmp_path, "val")


def test_a_list_without_one_to_test_on(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", "a.mp4 0")
    assert "no list of videos to test on" in wrong(tmp_path / "train.csv", "val")
    write(tmp_path / "table.csv", "path,label,split", "a.mp4,run,train")
    assert "no videos in split val" in wrong(tmp_path / "table.csv", "val")


@pytest.mark.parametrize("name", ["videos", "videos/all.csv"])
def test_what_no_split_divides_is_not_trained_on(name: str, tmp_path: Path) -> None:
    """It would be tested on what it learnt."""
    files(tmp_path, "videos/run/a.mp4", "videos/jump/b.mp4")
    if name.endswith(".csv"):
        write(tmp_path / name, "run/a.mp4,0", "jump/b.mp4,1")
    assert len(found(tmp_path / name)) == len(found(tmp_path / name, "val")) == 2
    with pytest.raises(SpecError) as caught:
        archdsl.train(change(small(), "head.classes", 2), short(), tmp_path / name, out=tmp_path / "run", device="cpu")
    assert str(caught.value) == (
        "train and test videos are the same\n"
        f"  got     {tmp_path / name}: 2 videos without a split\n"
        "  want    train/CLASS/ and val/CLASS/ in a folder, lists train.csv and val.csv, or a column split\n"
        "  fix     put some videos of each class into val"
    )


def test_a_file_that_a_list_names_and_that_is_not_there_is_a_matter_of_reading(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", "gone.mp4 0")
    assert not found(tmp_path / "train.csv").entries[0].path.exists()


CELLS = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ["path", "label", "youtube_id", "time_start", "time_end", "id", "actions", "length", "nan", "1e999", '"', "c1 0 1;"]
)
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | CELLS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["path", "label", "labels", "id", "template", "annotations", "segment", "start", "split", "subset"]
            )
            | CELLS,
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.lists(st.lists(CELLS, max_size=6), max_size=6), st.sampled_from(", \t;"))
def test_any_text_is_a_list_or_an_error(tmp_path_factory: pytest.TempPathFactory, cells: list, between: str) -> None:
    path = tmp_path_factory.mktemp("any") / "train.csv"
    path.write_text("\n".join(between.join(row) for row in cells), encoding="utf-8", newline="")
    accepted_or_refused(path)


@given(JSONS)
def test_any_json_is_a_list_or_an_error(tmp_path_factory: pytest.TempPathFactory, data: object) -> None:
    path = tmp_path_factory.mktemp("any") / "train.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    accepted_or_refused(path)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_list_or_an_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "train.csv"
    path.write_bytes(data)
    accepted_or_refused(path)


def accepted_or_refused(path: Path) -> None:
    with suppress(SpecError):  # and nothing else
        listing_of(path)
        found(path)


CLASSES = {
    "fractions": '{"a": 0.0, "b": 1}',
    "infinity": '{"a": 0, "b": 1e400}',
    "NaN": '{"a": 0, "b": NaN}',
    "true": '{"a": false, "b": true}',
    "null": '{"a": 0, "b": null}',
    "one number twice": '{"a": 0, "b": 0}',
    "one name twice": '{"a": 0, "a": 1}',
    "below 0": '{"a": 0, "b": -1}',
    "5,000 digits": f'{{"a": 0, "b": {"1" * 5000}}}',
    "5,000 digits in quotes": f'{{"a": 0, "b": "{"1" * 5000}"}}',
    "other digits": '{"a": 0, "b": "\u0661"}',
    "lists": '{"a": [0], "b": [1]}',
    "no names": "[0, 1]",
    "pairs": '[["a", 0]]',
    "deep": "[" * 100_000,
    "nothing": "",
    "null alone": "null",
    "two of a name": '["a", "a"]',
}


@pytest.mark.parametrize("what", CLASSES)
def test_numbers_of_classes_are_whole_and_each_of_one(what: str, tmp_path: Path) -> None:
    """Otherwise a number in a list would be another class's."""
    (tmp_path / "list.txt").write_text("a.mp4 0\n")
    (tmp_path / "labels.json").write_text(CLASSES[what])
    assert re.match("cannot parse class names|duplicate class (name|number)", wrong(tmp_path / "list.txt"))


@pytest.mark.parametrize("text", ['{"b": "1", "a": "0"}', '{"b": 1, "a": 0}', '["a", "b"]'])
def test_classes_of_json(text: str, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a.mp4 1\n")
    (tmp_path / "labels.json").write_text(text)
    videos = found(tmp_path / "list.txt")
    assert (videos.classes, videos.entries[0].actions[0].label) == (("a", "b"), 1)


@pytest.mark.parametrize("name", ["a_test_split1.txt", "train.txt", "classes.txt"])
def test_a_pipe_in_a_data_folder_does_not_block(name: str, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "v.mp4").write_bytes(b"v")
    os.mkfifo(tmp_path / name)
    if name == "a_test_split1.txt":
        assert "a pipe" in wrong(tmp_path)
    else:
        assert len(found(tmp_path)) == 1
    os.mkfifo(tmp_path / "list.csv")
    assert "neither a file nor a folder" in wrong(tmp_path / "list.csv")


def test_long_and_many_lines_take_no_square_of_their_time(tmp_path: Path) -> None:
    """Blanks, numbers, quotes, names of one class; and many files of one name, found by their folders."""
    begun = monotonic()
    for i, line in enumerate(("a" + " " * 8100 + "b", "a " + "1 " * 4000 + "x", '"' * 8100, ".mp4" * 2000 + " 1")):
        (tmp_path / f"{i}.txt").write_text(f"{line}\n" * 50)
        wrong(tmp_path / f"{i}.txt")
    folder = tmp_path / "files"
    for i in range(400):
        (folder / f"x{i}" / f"d{i}").mkdir(parents=True)
        (folder / f"x{i}" / f"d{i}" / "v.mp4").touch()
    lines = [f"/old/d{i}/v.mp4 c{i}" for i in range(400)]
    (folder / "list.txt").write_text("\n".join(lines))
    assert found(folder / "list.txt").entries[7].path == folder / "x7" / "d7" / "v.mp4"
    assert monotonic() - begun < 6
