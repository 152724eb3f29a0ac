"""WebDataset shards give what the same videos in folders give; what is broken in them is told; nothing is unpacked."""

from __future__ import annotations

import gc
import io
import json
import os
import shutil
import signal
import tarfile
import warnings
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any

import pytest
import torch
import webdataset
from filmed import KINDS, film, numbered_frames

import archdsl
from archdsl.cli import main
from archdsl.errors import SpecError
from archdsl.language import Clip, change
from archdsl.recipes import recipe
from archdsl.training.data import flow
from archdsl.training.data.clips import ClipRequest, Unreadable
from archdsl.training.data.reader.backends import decode_clip
from archdsl.training.data.sources import shard_member as parts
from archdsl.training.data.sources import shards
from archdsl.training.data.sources.discovery import videos_of
from archdsl.training.data.sources.shard_member import ShardMember
from archdsl.training.data.sources.shards import listing_of_shards
from archdsl.training.data.sources.tar_headers import read_headers
from archdsl.training.data.sources.videos import Files
from archdsl.training.data.tvl1 import TvL1
from archdsl.training.run import Run
from tests.trained import entries, losses, short, small

CLIPS = {"clip": Clip(frames=4, size=32)}
Member = tuple[str, bytes]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return film(tmp_path_factory.mktemp("video") / "a.mp4", numbered_frames(6)).read_bytes()


@pytest.fixture(scope="module")
def motion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Moving digits in folders of classes."""
    out = tmp_path_factory.mktemp("made") / "motion"
    assert main(["data", "make", "motion", str(out), "--count", "20", "--frames", "6", "--size", "32"]) == 0
    return out


@pytest.fixture(scope="module")
def packed(motion: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in the same order in three shards a split."""
    root = tmp_path_factory.mktemp("packed")
    for split in ("train", "val"):
        videos = found(motion, split)
        (root / "classes.txt").write_text("".join(f"{name}\n" for name in videos.classes))
        for number in range(3):
            few = videos.entries[number * 7 : number * 7 + 7]
            members = [(f"{one.name[:-4]}.mp4", one.path.read_bytes()) for one in few]
            labels = [(f"{one.name[:-4]}.cls", str(one.actions[0].label).encode()) for one in few]
            if few:
                tar(root / split / f"{number}.tar", [one for pair in zip(members, labels) for one in pair])
    return root


def tar(path: Path, members: Iterable[Member | tarfile.TarInfo]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as file:
        for one in members:
            if isinstance(one, tarfile.TarInfo):
                file.addfile(one)
                continue
            member = tarfile.TarInfo(one[0])
            member.size = len(one[1])
            file.addfile(member, io.BytesIO(one[1]))
    return path


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def found(data: Path | str, split: str = "train", loss: str = "cross_entropy", **clips: Clip) -> Files:
    videos = videos_of(str(data), split, clips or CLIPS, recipe("smoke").but(loss=loss))
    assert isinstance(videos, Files)
    return videos


def wrong(data: Path | str, split: str = "train") -> str:
    with pytest.raises(SpecError) as caught:
        found(data, split)
    return str(caught.value)


def labels(videos: Files) -> list[tuple[str, list[str]]]:
    return [(one.name, [videos.classes[action.label] for action in one.actions]) for one in videos.entries]


def by_the_library(pattern: Path) -> list[dict[str, Any]]:
    """What webdataset reads. It leaves the file open (1.0.2)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        read = list(webdataset.WebDataset(str(pattern), shardshuffle=False))
        gc.collect()
    return read


def names_below(root: Path) -> list[str]:
    return sorted(str(path) for path in root.rglob("*"))


@pytest.mark.parametrize("split", ["train", "val"])
def test_clips_are_those_of_the_same_videos_in_folders(split: str, motion: Path, packed: Path) -> None:
    one, other = found(motion, split), found(packed, split)
    assert len(one) == len(other) == {"train": 20, "val": 4}[split]
    assert one.classes == other.classes
    assert one.counts == other.counts
    for index in range(len(one)):
        for take in (ClipRequest(0), ClipRequest(index, training=True), ClipRequest(0, clip=1, clips=3)):
            a, b = one.read(index, take), other.read(index, take)
            assert torch.equal(a.frames["clip"], b.frames["clip"])
            assert (a.targets, a.start, a.end) == (b.targets, b.start, b.end)


@pytest.mark.parametrize("name", KINDS)
def test_a_part_of_a_file_is_decoded_as_a_file_of_its_own(name: str, tmp_path: Path) -> None:
    codec, pixels, options = KINDS[name]
    path = film(tmp_path / name, numbered_frames(12), codec=codec, pix_fmt=pixels, options=options)
    shard = tar(tmp_path / "a.tar", [("x.txt", b"x" * 700), (name, path.read_bytes()), ("a.cls", b"0")])
    with tarfile.open(shard) as file:
        member = file.getmember(name)
    part = ShardMember(shard, member.offset_data, member.size)
    for wanted in ([0], [11], [2, 3, 3, 9], list(range(12))):
        (a, at), (b, there) = (decode_clip(place, name, lambda index, w=wanted: w) for place in (path, part))
        assert torch.equal(a, b)
        assert at == there


def trained(out: Path, data: Path, **options: Any) -> Run:
    made = short(steps=7, save_every=100, evaluate_every=4, most_skipped=0.0)
    return archdsl.train(small(dropout=0.3), made, str(data), out=out, device="cpu", quiet=True, **options)


def test_training_is_that_on_folders_and_goes_on_in_the_middle_of_an_epoch(
    motion: Path, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """20 clips in steps of 8: step 4 is in the middle of the second epoch. Readers beside the process in both parts."""
    whole = trained(tmp_path / "folders", motion)
    real = Run.record_step

    def saw(self: Run, loss: Any, batch: Any) -> None:
        real(self, loss, batch)
        if self.step == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "record_step", saw)
        assert trained(tmp_path / "shards", packed, workers=2).stopped
    rest = trained(tmp_path / "shards", packed, workers=2)
    assert list(losses(tmp_path / "shards")) == list(range(1, 8))
    assert losses(tmp_path / "shards") == losses(tmp_path / "folders")
    tops = [[one["top1"] for one in entries(tmp_path / name) if "top1" in one] for name in ("shards", "folders")]
    assert len(tops[0]) == 2
    assert tops[0] == tops[1]
    theirs = rest.network.state_dict()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in whole.network.state_dict().items())


def test_the_library_reads_what_we_write_and_we_read_what_it_writes(motion: Path, tmp_path: Path) -> None:
    out = tmp_path / "made"
    form = ["--count", "20", "--frames", "6", "--size", "32"]
    assert main(["data", "make", "motion", str(out), "--shards", "3", *form]) == 0
    assert names_below(out) == [
        str(out / name)
        for name in (
            *("classes.txt", "train", "train/000000.tar", "train/000001.tar", "train/000002.tar"),
            *("val", "val/000000.tar", "val/000001.tar", "val/000002.tar"),
        )
    ]
    ours, folders = found(out), found(motion)
    read = by_the_library(out / "train" / "{000000..000002}.tar")
    theirs = {one["__key__"]: (one["mp4"], int(one["cls"])) for one in read}
    assert len(theirs) == len(ours) == 20
    for one in ours.entries:
        assert isinstance(one.path, ShardMember)
        data, label = theirs[Path(one.name).stem]
        assert one.path.read(one.name) == data
        assert one.actions[0].label == label
    in_folders = {one.path.stem: (one.path.read_bytes(), one.actions[0].label) for one in folders.entries}
    assert theirs == in_folders
    assert ours.classes == folders.classes
    (tmp_path / "theirs").mkdir()
    with webdataset.ShardWriter(str(tmp_path / "theirs" / "%06d.tar"), maxcount=8, verbose=0) as writer:
        for key, (data, label) in theirs.items():
            writer.write({"__key__": key, "mp4": data, "cls": label, "json": {"fps": 30}})
    again = found(tmp_path / "theirs")
    assert len(shards.shards_of(tmp_path / "theirs")) == 3
    assert [(one.path.read(""), one.actions[0].label) for one in again.entries] == list(theirs.values())


def test_shards_are_made_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["data", "make", "motion", str(tmp_path), "--shards", "9", "--count", "2", "--frames", "2", "--size", "16"]
    assert main(given) == 0
    assert len(shards.shards_of(tmp_path / "train")) == 2
    assert main(given) == 2
    assert "shards already exist" in capsys.readouterr().err
    assert not [name for name in names_below(tmp_path) if "/." in name]


def test_check_counts_and_names_what_cannot_be_read(
    packed: Path, video: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "check", str(packed), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["videos"], sum(told["classes"].values()), told["unreadable"]) == (20, 20, [])
    tar(tmp_path / "a.tar", [("1.mp4", video), ("1.cls", b"0"), ("2.mp4", b"no video"), ("2.cls", b"1")])
    assert main(["data", "check", str(tmp_path)]) == 1
    shown = capsys.readouterr()
    assert "2 videos of 2 classes" in shown.out
    assert "unreadable: a.tar/2.mp4: not a video: Invalid data found" in shown.err


def test_what_cannot_be_read_is_counted(video: bytes, tmp_path: Path) -> None:
    whole = [one for i in range(10) for one in ((f"{i}.mp4", video), (f"{i}.cls", b"0"))]
    bad = {
        "empty": ("x", b""),
        "text": ("x", b"no video\n" * 30),
        "cut": ("x", video[: len(video) // 2]),
        "symbolic": link("symbolic.mp4", "/etc/hostname"),
        "hard": link("hard.mp4", "0.mp4", tarfile.LNKTYPE),
        "device": link("device.mp4", "", tarfile.CHRTYPE),
        "alone": None,
    }
    members = list(whole)
    for key, one in bad.items():
        members += [(f"{key}.mp4", one[1]) if isinstance(one, tuple) else one] if one else []
        members += [(f"{key}.cls", b"1")]
    for split in ("train", "val"):
        tar(tmp_path / "data" / split / "a.tar", members)
    made = short(steps=5, most_skipped=0.5, sampling__every=1)
    arch = change(small(), "head.classes", 2)
    run = archdsl.train(arch, made, str(tmp_path / "data"), out=tmp_path / "run", device="cpu", quiet=True)
    told = [json.loads(line) for line in (tmp_path / "run" / "skipped.jsonl").read_text().splitlines()]
    reasons = {one["name"]: one["reason"] for one in told}
    assert run.skipped == reasons
    assert reasons.pop("a.tar/text.mp4").startswith("not a video: Invalid data found")
    assert reasons.pop("a.tar/cut.mp4").startswith("not a video: Invalid data found")
    assert reasons == {
        "a.tar/empty.mp4": "an empty file",
        "a.tar/symbolic.mp4": "a link, or no file at all",
        "a.tar/hard.mp4": "a link, or no file at all",
        "a.tar/device.mp4": "a link, or no file at all",
        "a.tar/alone.cls": "no video beside its label",
    }


def test_nothing_is_written_and_no_name_is_followed(video: bytes, tmp_path: Path) -> None:
    secret = film(tmp_path / "secret.mp4", numbered_frames(6).flip(3))
    hostile = ("../../out", "/tmp/archdsl-out", str(tmp_path / "secret"), "a/../b", "c:\\d", "e\n\x1b[31m", "f" * 300)
    members = [one for key in hostile for one in ((f"{key}.mp4", video), (f"{key}.cls", b"0"))]
    inside = tmp_path / "data" / "deep"
    tar(inside / "a.tar", [link("../../out", str(tmp_path)), *members, link("0.mp4", str(secret)), ("0.cls", b"0")])
    before = names_below(tmp_path)
    videos = found(inside)
    assert [one.name for one in videos.entries] == [*(f"a.tar/{key}.mp4" for key in hostile), "a.tar/0.mp4"]
    same = videos.read(0, ClipRequest(0)).frames["clip"]
    for index in range(1, len(hostile)):
        assert torch.equal(videos.read(index, ClipRequest(0)).frames["clip"], same)
    with pytest.raises(Unreadable, match="a link"):
        videos.read(len(hostile), ClipRequest(0))
    assert names_below(tmp_path) == before
    assert not Path("/tmp/archdsl-out.mp4").exists()


def damaged(whole: bytes, place: int) -> bytes:
    return whole[:place] + b"\xff" * 16 + whole[place + 16 :]


TWO = [("1.mp4", b"v" * 600), ("1.cls", b"0"), ("2.mp4", b"w" * 600), ("2.cls", b"1")]
"""Headers at 0, 1536, 2560, 4096; the end at 5120."""
WHOLE = "\n  want    a tar that is whole and not compressed"
BROKEN: dict[str, tuple[Any, str]] = {
    "no bytes": (
        lambda whole: b"",
        f"cannot read shard\n  written a.tar\n  got     empty file, after byte 0 of 0{WHOLE}",
    ),
    "text": (lambda whole: b"no tar\n" * 100, "got     invalid header, after byte 0 of 700"),
    "short text": (lambda whole: b"no tar\n", "got     truncated header, after byte 0 of 7"),
    "compressed": (lambda whole: b"\x1f\x8b\x08\0" + os.urandom(996), "got     invalid header, after byte 0 of 1000"),
    "cut in a header": (lambda whole: whole[:2700], "got     no end of archive, after byte 2560 of 2700"),
    "cut in a video": (lambda whole: whole[:3100], "got     a member beyond the end, after byte 2049 of 3100"),
    "cut behind its padding": (lambda whole: whole[:4600], "got     no end of archive, after byte 4096 of 4600"),
    "cut between members": (lambda whole: whole[:2560], "got     no end of archive, after byte 2560 of 2560"),
    "a damaged header": (lambda whole: damaged(whole, 2560), "got     no header of a member, after byte 2560 of 10240"),
    "two behind each other": (lambda whole: whole * 2, "got     no header of a member, after byte 5120 of 20480"),
    "zeros": (lambda whole: bytes(10240), "shard without videos\n  written a.tar"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_shard_is_told(case: str, tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar", TWO)
    path.write_bytes(BROKEN[case][0](path.read_bytes()))
    assert BROKEN[case][1] in wrong(tmp_path)


LABEL = "\n  want    KEY.cls with the number of a class, or KEY.json with label or labels"
WRONG: dict[str, tuple[list[Member | tarfile.TarInfo], str]] = {
    "no label": ([*TWO, ("3.mp4", b"v")], f"video without a label\n  written a.tar\n  got     3.mp4{LABEL}"),
    "a label that is a link": (
        [("1.mp4", b"v"), link("1.cls", "/etc/hostname")],
        f"video without a label\n  written a.tar\n  got     1.mp4{LABEL}",
    ),
    "json without a label": (
        [("1.mp4", b"v"), ("1.json", b'{"fps": 30}')],
        f"video without a label\n  written a.tar\n  got     1.mp4{LABEL}",
    ),
    "an empty label": (
        [("1.mp4", b"v"), ("1.json", b'{"label": null}')],
        "video without a label\n  written a.tar/1.json\n  got     a.tar/1.mp4\n  want    a class",
    ),
    "two members": ([*TWO, ("1.mp4", b"x")], "two members with one name\n  written a.tar\n  got     1.mp4"),
    "two labels": ([*TWO, ("1.CLS", b"1")], "two members with one name\n  written a.tar\n  got     1.CLS"),
    "two videos": (
        [*TWO, ("1.webm", b"x")],
        "two videos with one key\n  written a.tar\n  got     1.mp4, 1.webm\n  want    one",
    ),
    "a word": (
        [("1.mp4", b"v"), ("1.cls", b"run")],
        "label is not a number\n  written a.tar/1.cls\n  got     'run'\n  want    the number of a class",
    ),
    "below 0": (
        [("1.mp4", b"v"), ("1.cls", b"-1")],
        "label is not a number\n  written a.tar/1.cls\n  got     '-1'",
    ),
    "bytes": ([("1.mp4", b"v"), ("1.cls", b"\xff")], "label is not a number\n  written a.tar/1.cls"),
    "too large": (
        [("1.mp4", b"v"), ("1.cls", b"9" * 12)],
        "class number too large\n  written a.tar/1.cls\n  got     999999999999\n  want    up to 99999",
    ),
    "not JSON": ([("1.mp4", b"v"), ("1.json", b"{")], "not JSON\n  written a.tar/1.json"),
    "deep JSON": ([("1.mp4", b"v"), ("1.json", b"[" * 100_000)], "not JSON\n  written a.tar/1.json"),
    "a list": (
        [("1.mp4", b"v"), ("1.json", b"[1]")],
        'JSON is not a mapping\n  written a.tar/1.json\n  got     [1]\n  want    {"label": "a"}',
    ),
    "labels that are one": (
        [("1.mp4", b"v"), ("1.json", b'{"labels": "run"}')],
        'labels are not a list\n  written a.tar/1.json\n  got     run\n  want    labels: ["a", "b"]',
    ),
    "a label that is many": (
        [("1.mp4", b"v"), ("1.json", b'{"label": [["run", "jump"]]}')],
        "label is not a name\n  written a.tar/1.json\n  got     ['run', 'jump']\n  want    a name, or a number",
    ),
    "no video": ([("1.txt", b"x"), ("info.json", b"{}")], "shard without videos\n  written a.tar"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_in_a_shard_is_told_by_its_member(case: str, tmp_path: Path) -> None:
    tar(tmp_path / "a.tar", WRONG[case][0])
    assert WRONG[case][1] in wrong(tmp_path)


def test_a_label_or_a_video_too_large(video: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tar(tmp_path / "a.tar", [("1.mp4", video), ("1.cls", b"0" * 9)])
    monkeypatch.setattr(parts, "MAX_MEMBER_BYTES", len(video) - 1)
    with pytest.raises(Unreadable) as caught:
        found(tmp_path).read(0, ClipRequest(0))
    assert caught.value.reason == f"more than {len(video) - 1} bytes"
    monkeypatch.setattr(shards, "MAX_LABEL_BYTES", 8)
    assert "label file too large\n  written a.tar/1.cls\n  got     9 bytes\n  want    8" in wrong(tmp_path)


def test_every_broken_shard_is_told_at_once(tmp_path: Path) -> None:
    tar(tmp_path / "a.tar", TWO[:2])
    tar(tmp_path / "b.tar", TWO[:3])
    (tmp_path / "c.tar").write_bytes(b"")
    (tmp_path / "d.tar").symlink_to("nowhere")
    with pytest.raises(SpecError) as caught:
        found(tmp_path)
    assert [fault.what for fault in caught.value.faults] == [
        "video without a label",
        "cannot read shard",
        f"cannot read {tmp_path / 'd.tar'}",
    ]


def test_a_shard_cut_short_never_has_fewer_videos(tmp_path: Path) -> None:
    """Whatever its length: it is whole but for zeros at its end, or it is refused."""
    whole = tar(tmp_path / "a.tar", TWO).read_bytes()
    for length in sorted({*range(0, len(whole), 256), *range(5000, 5700, 7)}):
        (tmp_path / "a.tar").write_bytes(whole[:length])
        if length < 5120 + 512:
            assert "cannot read shard" in wrong(tmp_path), length
        else:
            assert len(found(tmp_path)) == 2


def test_damage_at_any_place_gives_videos_or_an_error(tmp_path: Path) -> None:
    whole, dice, read_well = tar(tmp_path / "a.tar", [*TWO, ("ü" * 80 + ".txt", b"long")]).read_bytes(), Random(3), 0
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(dice.choice((1, 3, 20))):
            data[dice.randrange(8000)] = dice.choice((0, 255, ord("0"), ord("7"), ord("x"), dice.randrange(256)))
        (tmp_path / "a.tar").write_bytes(data)
        with suppress(SpecError):  # and nothing else
            found(tmp_path)
            read_well += 1
    assert 0 < read_well < 300


@pytest.mark.parametrize("size", [-512, 1 << 62, 10240])
def test_a_size_that_leads_astray(size: int, tmp_path: Path) -> None:
    """Also one in an extended header, which tarfile believes."""
    first = tarfile.TarInfo("1.mp4")
    first.pax_headers = {"size": str(size)}
    path = tar(tmp_path / "a.tar", [first, *TWO])
    assert "cannot read shard" in wrong(path)


def test_a_shard_that_changes_under_a_run(video: bytes, tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar", [("1.cls", b"0"), ("1.mp4", video)])
    videos = found(path)
    os.truncate(path, 2000)
    with pytest.raises(Unreadable, match=r"a\.tar ends before it does"):
        videos.read(0, ClipRequest(0))


def named(folder: Path, *names: str, first: int = 0) -> None:
    for i, name in enumerate(names, first):
        tar(folder / name, [("k.mp4", b"v"), ("k.cls", str(i).encode())])


def shard_names(videos: Files) -> list[str]:
    return [Path(one.path.file).name for one in videos.entries]


def test_splits_by_names_in_one_folder(tmp_path: Path) -> None:
    named(tmp_path, "k-train-0.tar", "k-train-1.tar", "k-validation-0.tar")
    (tmp_path / "notes.txt").touch()
    assert shard_names(found(tmp_path)) == ["k-train-0.tar", "k-train-1.tar"]
    assert shard_names(found(tmp_path, "val")) == shard_names(found(tmp_path, "test")) == ["k-validation-0.tar"]
    assert found(tmp_path).classes == found(tmp_path, "val").classes == ("0", "1", "2")


def test_a_folder_without_shards_for_a_split(tmp_path: Path) -> None:
    named(tmp_path / "one", "train-0.tar")
    assert "no videos in split val\n  written one\n  got     splits train" in wrong(tmp_path / "one", "val")
    named(tmp_path / "two" / "train", "0.tar")
    assert "no folder for val" in wrong(tmp_path / "two", "val")


def test_patterns_of_numbers(tmp_path: Path) -> None:
    named(tmp_path, *(f"shards-{i:03d}.tar" for i in range(8, 13)))
    assert shard_names(found(tmp_path / "shards-{009..011}.tar")) == [f"shards-{i:03d}.tar" for i in (9, 10, 11)]
    assert shard_names(found(tmp_path / "shards-{009..011}.tar", "val")) == [f"shards-{i:03d}.tar" for i in (9, 10, 11)]
    assert shard_names(found(tmp_path / "shards-0*.tar")) == [f"shards-{i:03d}.tar" for i in range(8, 13)]
    assert shard_names(found(tmp_path / "shards-008.tar")) == ["shards-008.tar"]
    text = wrong(tmp_path / "shards-{008..015}.tar")
    assert f"missing shards\n  got     5 of 8, no {tmp_path}/shards-013.tar\n  want    {tmp_path}" in text
    for numbers in ("{5..3}", "{0..999999999}"):
        assert "not a range of shards" in wrong(tmp_path / f"shards-{numbers}.tar")
    for none in ("none.tar", "none-*.tar", "shards-{a..b}.tar"):
        assert "no such data" in wrong(tmp_path / none)


@pytest.mark.parametrize("train", ["train-{0..2}.tar", "train/k-{0..2}.tar", "training/k_train_{0..2}.tar"])
def test_a_pattern_finds_what_to_test_on(train: str, tmp_path: Path) -> None:
    """Whose shards are another number; classes are counted in both."""
    named(tmp_path, *(train.replace("{0..2}", str(i)) for i in range(3)))
    val = train.replace("training", "val").replace("train", "val").replace("{0..2}", "00000")
    assert "no shards to test on" in wrong(tmp_path / train, "val")
    named(tmp_path, val, first=7)
    assert shard_names(found(tmp_path / train, "val")) == [Path(val).name]
    for data, split in ((train, "train"), (train, "val"), (val, "val")):
        assert len(found(tmp_path / data, split).classes) == (3 if split == "train" else 8)


def test_names_of_classes(tmp_path: Path) -> None:
    """Beside the shards, beside those to train on, above both; else numbers up to the largest, or names in order."""
    named(tmp_path / "train", "0.tar", "1.tar")
    named(tmp_path / "val", "0.tar")
    assert found(tmp_path).classes == found(tmp_path, "val").classes == ("0", "1")
    (tmp_path / "labels.json").write_text('{"run": 1, "jump": 0, "sit": 2}')
    assert found(tmp_path).classes == found(tmp_path, "val").classes == ("jump", "run", "sit")
    assert labels(found(tmp_path)) == [("0.tar/k.mp4", ["jump"]), ("1.tar/k.mp4", ["run"])]
    assert found(tmp_path / "val", "val").classes == ("jump", "run", "sit")
    (tmp_path / "train" / "classes.txt").write_text("a\nb\n")
    assert found(tmp_path).classes == ("a", "b")
    (tmp_path / "train" / "classes.txt").write_text("a\n")
    text = "unknown label\n  written 1.tar/k.cls\n  got     1\n  want    a"
    assert text in wrong(tmp_path)
    tar(tmp_path / "train" / "1.tar", [("k.mp4", b"v"), ("k.cls", b"9" * 5000)])
    assert "unknown label\n  written 1.tar/k.cls\n  got     99999" in wrong(tmp_path)
    named(tmp_path / "train", "0.tar", "1.tar")
    (tmp_path / "labels.json").unlink()
    (tmp_path / "train" / "classes.txt").write_text("a\nb\nc\n")
    assert found(tmp_path, "val").classes == ("a", "b", "c")


def test_a_folder_above_names_no_classes_of_shards_that_are_no_split(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("another\n")
    named(tmp_path / "mine", "0.tar", "1.tar")
    assert found(tmp_path / "mine").classes == ("0", "1")


def test_labels_in_json(tmp_path: Path) -> None:
    tar(
        tmp_path / "one" / "a.tar",
        [
            ("1.mp4", b"v"),
            ("1.json", b'{"label": "run", "fps": 30}'),
            ("2.webm", b"v"),
            ("2.json", b'{"label": "jump"}'),
        ],
    )
    assert labels(found(tmp_path / "one")) == [("a.tar/1.mp4", ["run"]), ("a.tar/2.webm", ["jump"])]
    assert found(tmp_path / "one").classes == ("jump", "run")
    tar(
        tmp_path / "many" / "a.tar",
        [("1.mp4", b"v"), ("1.json", b'{"labels": [2, 0]}'), ("2.mp4", b"v"), ("2.json", b'{"labels": []}')],
    )
    many = found(tmp_path / "many", loss="binary")
    assert many.multi_label
    assert labels(many) == [("a.tar/1.mp4", ["2", "0"]), ("a.tar/2.mp4", [])]
    assert "loss does not match the labels" in wrong(tmp_path / "many")
    tar(tmp_path / "both" / "a.tar", [("1.json", b'{"label": "run"}'), ("1.mp4", b"v"), ("1.cls", b"1\n")])
    assert labels(found(tmp_path / "both")) == [("a.tar/1.mp4", ["1"])]  # a number is meant for training


def test_keys_are_those_of_the_library(video: bytes, tmp_path: Path) -> None:
    """Up to the first dot of the last part of a name; hidden files, folders and what has no dot are passed over."""
    names = ["./a.b/1", "./a.b/2.left", "3"]
    folder = tarfile.TarInfo("./a.b")
    folder.type = tarfile.DIRTYPE
    members = [
        one
        for i, name in enumerate(names)
        for one in ((f"{name}.MP4", video), (f"{name.partition('.left')[0]}.cls", b"%d" % i))
    ]
    tar(tmp_path / "a.tar", [folder, *members, ("._1.mp4", b"x"), ("./README", b"x"), ("4.jpg", b"x")])
    videos = found(tmp_path)
    assert labels(videos) == [(f"a.tar/{name}.MP4", [str(i)]) for i, name in enumerate(names)]
    theirs = by_the_library(tmp_path / "a.tar")
    assert [one["__key__"] for one in theirs if "cls" in one] == ["./a.b/1", "./a.b/2", "3"]


def test_tars_beside_folders_of_classes_are_not_shards(tmp_path: Path) -> None:
    """An archive that was unpacked where it lies."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "a.mp4").write_bytes(b"v")
    (tmp_path / "all.tar").write_bytes(b"")
    assert labels(found(tmp_path)) == [("run/a.mp4", ["run"])]


def test_flow_of_a_part_is_kept_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHDSL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(flow, "FLOW_SETTINGS", TvL1(scales=1, warps=1, outer=1, inner=3))
    frames = [numbered_frames(3), numbered_frames(3).flip(3)]
    paths = [film(tmp_path / "train" / "c" / f"{i}.mp4", one) for i, one in enumerate(frames)]
    members = [one for p in paths for one in ((p.name, p.read_bytes()), (f"{p.stem}.cls", b"0"))]
    tar(tmp_path / "shards" / "a.tar", members)
    clips = {"flow": Clip(modality="flow", frames=2, size=32), "diff": Clip(modality="rgb_diff", frames=2, size=32)}
    folder, packed = found(tmp_path / "train", **clips), found(tmp_path / "shards", **clips)
    first = [packed.read(i, ClipRequest(0)).frames for i in range(2)]
    assert not torch.equal(first[0]["flow"], first[1]["flow"])
    for i in range(2):
        other = folder.read(i, ClipRequest(0)).frames
        assert all(torch.equal(first[i][name], other[name]) for name in clips)
    monkeypatch.setattr(flow, "tvl1_flow", lambda *_: pytest.fail("it was kept"))
    assert torch.equal(packed.read(1, ClipRequest(0)).frames["flow"], first[1]["flow"])
    shutil.move(tmp_path / "shards" / "a.tar", tmp_path / "shards" / "b.tar")
    with pytest.raises(Unreadable, match=r"a\.tar: no such file"):
        packed.read(0, ClipRequest(0))


NAMES = ("a.mp4", "b" * 90 + "/a.mp4", "b" * 120 + ".mp4", "\u00e4/\u6f22.mp4", "d/" * 120 + "x.mp4", "\udce9.mp4")


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_headers_are_those_of_tarfile(form: int, tmp_path: Path) -> None:
    """Every kind of member, long names and others, times with fractions: name, size, place and kind are the same."""
    dice, path = Random(form), tmp_path / "a.tar"
    with tarfile.open(path, "w", format=form, errors="surrogateescape") as made:
        for name in NAMES * 3:
            member = tarfile.TarInfo(name)
            member.type = dice.choice((tarfile.REGTYPE, tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE))
            member.size = dice.choice((0, 1, 511, 512, 513, 5000)) if member.isreg() else 0
            member.mtime = 1e9 + dice.random()
            member.linkname = "l" * dice.choice((1, 150)) if member.type == tarfile.SYMTYPE else ""
            with suppress(ValueError):  # USTAR has no room for some names
                made.addfile(member, io.BytesIO(bytes(5000)))
    with tarfile.open(path, errors="surrogateescape") as whole, path.open("rb") as file:
        theirs = [(x.name.rstrip("/"), x.size, x.offset_data, x.type) for x in whole]
        assert [(x.name.rstrip("/"), x.size, x.offset_data, x.type) for x in read_headers(file)] == theirs
    assert len(theirs) >= 9


def member(kind: bytes, data: bytes) -> bytes:
    """A header of some kind, and what it holds."""
    made = tarfile.TarInfo("x")
    made.type, made.size = kind, len(data)
    return made.tobuf(tarfile.GNU_FORMAT) + data + bytes(-len(data) % 512)


TOLD = {
    "chained names": (b"L", b"a\0", 3000, None),
    "chained records": (b"x", b"11 path=ab\n", 3000, None),
    "many digits": (b"x", b"1" * 400_000, 1, "a header that cannot be read"),
    "a record without end": (b"x", b"0 path=a\n", 1, "a header that cannot be read"),
    "a record beyond the end": (b"x", b"99 path=a\n", 1, "a header that cannot be read"),
    "many records": (b"x", b"8 k=abc\n" * 40_000, 1, None),
    "a size below 0": (b"x", b"11 size=-1\n", 1, "a member beyond the end"),
    "a size beyond the end": (b"x", b"21 size=999999999999\n", 1, "a member beyond the end"),
    "a size in other digits": (b"x", "13 size=\u0665\u0665\n".encode(), 1, "a member beyond the end"),
    "a long name": (b"L", b"a" * 400_000, 1, "a name of 400000 letters"),
    "a header of 2 MB": (b"x", b"1" * 2_000_000, 1, "a header of 2000000 bytes"),
    "of all members": (b"g", b"20 comment=anything\n", 3000, None),
}
"""What tells of the next member -> (its kind, what it holds, how often it stands there, what is wrong)."""


@pytest.mark.parametrize("what", TOLD)
def test_headers_that_tell_of_others_are_bounded(what: str, tmp_path: Path) -> None:
    kind, data, times, reason = TOLD[what]
    whole = tar(tmp_path / "whole.tar", [("1.mp4", b"v"), ("1.cls", b"0")]).read_bytes()
    (tmp_path / "a.tar").write_bytes(member(kind, data) * times + whole)
    begun = monotonic()
    if reason is None:
        assert len(listing_of_shards([tmp_path / "a.tar"]).lines) == 1
    else:
        with pytest.raises(SpecError, match=reason):
            listing_of_shards([tmp_path / "a.tar"])
    assert monotonic() - begun < 3


def test_a_shard_and_a_label_that_are_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.tar")
    assert "cannot read" in wrong(tmp_path)
    with pytest.raises(Unreadable, match="a pipe"):
        ShardMember(tmp_path / "x.tar", 0, 9).read("x")
    (tmp_path / "x.tar").unlink()
    for label in ("NaN", "1e400", "true", "1.5", "[true]", '{"a": 1}'):
        tar(tmp_path / "x.tar", [("1.mp4", b"v"), ("1.json", f'{{"label": {label}}}'.encode())])
        assert "label" in wrong(tmp_path), label


def test_names_that_are_not_utf_8_stay_as_they_are(video: bytes, tmp_path: Path) -> None:
    """Of members and of classes, which JSON writes with a lone surrogate."""
    label = json.dumps({"label": "caf\udce9"}).encode()
    tar(tmp_path / "a.tar", [("caf\udce9.mp4", video), ("caf\udce9.json", label)])
    videos = found(tmp_path, "train")
    assert videos.name(0) == "a.tar/caf\udce9.mp4"
    assert videos.classes == ("caf\udce9",)
    assert videos.read(0, ClipRequest(0)).name == videos.name(0)
