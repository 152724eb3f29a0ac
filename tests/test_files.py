"""Whatever is named as a file: its bytes, or one error at once. Nothing waits, nothing reads without end."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from archdsl import SpecError
from archdsl.cli import main
from archdsl.files import is_regular, read_bytes, read_text

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
        socket.socket(socket.AF_UNIX).bind(str(made / f"socket{suffix}"))
        (made / f"zero{suffix}").symlink_to("/dev/zero")
        (made / f"loop{suffix}").symlink_to(f"loop{suffix}")
        (made / f"dangling{suffix}").symlink_to("nowhere")
    (made / "file").write_bytes(b"one\r\ntwo")
    return made


@pytest.mark.parametrize("name", STRANGE)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
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
    for argv in (["check"], ["show"], ["train", "slow_tiny", "--recipe"], ["recipes"]):
        assert main([*argv, f"{folder}/{name}{suffix}"]) == 2
        assert "cannot read" in capsys.readouterr().err
