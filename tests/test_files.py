"""Whatever is named as a file: its bytes, or one error at once. Nothing waits, nothing reads without end."""

from __future__ import annotations

import json
import os
import socket
import threading
from pathlib import Path

import pytest

from archdsl import SpecError
from archdsl.cli import main
from archdsl.spec.files import append_line, is_regular, json_text, read_bytes, read_text, write_out, write_whole

STRANGE = {
    "pipe": "a pipe",
    "folder": "a folder",
    "socket": "a socket",
    "zero": "a device",
    "loop": "Too many levels of symbolic links",
    "dangling": "no such file",
    "nul\0": "a name with a null character",
    "n" * 300: "File name too long",
    "file/below": "Not a directory",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a thing of every kind, under names that end in every suffix of specs too."""
    made = tmp_path_factory.mktemp("strange")
    for suffix in ("", ".yaml", ".json", ".py"):
        os.mkfifo(made / f"pipe{suffix}")
        (made / f"folder{suffix}").mkdir()
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(str(made / f"socket{suffix}"))
        (made / f"zero{suffix}").symlink_to("/dev/zero")
        (made / f"loop{suffix}").symlink_to(f"loop{suffix}")
        (made / f"dangling{suffix}").symlink_to("nowhere")
    (made / "file").write_bytes(b"one\r\ntwo")
    return made


@pytest.mark.parametrize("name", STRANGE)
def test_what_is_no_regular_file_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(SpecError, match=r"cannot read .*\n  got     " + STRANGE[name]):
        read_bytes(folder / name, 100)
    assert not is_regular(folder / name)


def test_a_file_is_read_within_its_bound(folder: Path) -> None:
    assert read_bytes(folder / "file", 8) == b"one\r\ntwo"
    assert read_text(folder / "file", 8) == "one\ntwo"
    with pytest.raises(SpecError, match="got     more than 7 bytes\n  want    at most 7 bytes"):
        read_bytes(folder / "file", 7)


def test_a_pipe_that_takes_the_place_of_a_file_does_not_block(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = os.stat(folder / "file")
    monkeypatch.setattr(os, "stat", lambda path: plain)
    with pytest.raises(SpecError, match="got     a pipe"):
        read_bytes(folder / "pipe", 100)


@pytest.mark.parametrize("suffix", [".yaml", ".json", ".py"])
@pytest.mark.parametrize("name", STRANGE)
def test_commands_refuse_them(folder: Path, name: str, suffix: str, capsys: pytest.CaptureFixture[str]) -> None:
    for argv in (["check"], ["show"], ["train", "slowfast_tiny", "--recipe"], ["recipes"]):
        assert main([*argv, f"{folder}/{name}{suffix}"]) == 2
        assert "cannot read" in capsys.readouterr().err


def test_a_file_is_written_whole_beside_no_foreseeable_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link in the file's place is replaced, not followed; one at every name that was used before stays unused."""
    seen: list[str] = []
    opened = os.open
    monkeypatch.setattr(os, "open", lambda name, *rest: seen.append(str(name)) or opened(name, *rest))
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "out.json").symlink_to("mine")
    write_whole(tmp_path / "out.json", "a")
    write_whole(tmp_path / "out.json", b"b")
    assert (tmp_path / "mine").read_text() == "mine"
    assert (tmp_path / "out.json").read_bytes() == b"b"
    assert not (tmp_path / "out.json").is_symlink()
    parts = [name for name in seen if name.endswith(".part")]
    assert len(set(parts)) == 2
    assert sorted(os.listdir(tmp_path)) == ["mine", "out.json"]


@pytest.mark.parametrize("target", ["there", "nowhere"])
def test_no_link_is_followed_on_writing(target: str, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine")
    link = tmp_path / "link"
    link.symlink_to(target)
    with pytest.raises(SpecError, match="a link to") as error:
        write_out(link, "theirs")
    with pytest.raises(OSError, match="symbolic"):
        append_line(link, "theirs")
    write_out((error.value.faults[0].fix or "").removeprefix("-o "), "mine")
    assert (tmp_path / target).read_text() == "mine"
    assert link.is_symlink()


@pytest.mark.parametrize("argv", [["predict", "nope", "nope.mp4"], ["draw", "slowfast_tiny"]])
def test_output_onto_a_dangling_link_makes_nothing(
    argv: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out.svg").symlink_to(tmp_path / "elsewhere.svg")
    assert main([*argv, "-o", str(tmp_path / "out.svg")]) == 2
    assert f"fix     -o {tmp_path}/elsewhere.svg" in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["out.svg"]
    assert (tmp_path / "out.svg").is_symlink()


def test_a_pipe_takes_what_is_written(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")  # as /dev/stdout is one
    taken: list[bytes] = []
    reader = threading.Thread(target=lambda: taken.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    write_out(tmp_path / "link", "text")
    reader.join(10)
    assert taken == [b"text"]
    write_out("/dev/null", "text")


def test_json_that_every_reader_takes() -> None:
    """No NaN, which is no JSON; names that are not UTF-8 come back as the system has them."""
    name = os.fsdecode(b"caf\xe9")
    data = {"name": name, "umlaut": "\u00e4", "loss": float("nan"), "best": [float("inf"), 1.5], "deep": {"x": -1e999}}
    text = json_text(data)
    text.encode()

    def no_constant(found: str) -> None:
        raise AssertionError(found)

    read = json.loads(text, parse_constant=no_constant)
    assert os.fsencode(read["name"]) == b"caf\xe9"
    assert read == {"name": name, "umlaut": "\u00e4", "loss": None, "best": [None, 1.5], "deep": {"x": None}}
    assert "\u00e4" in text
