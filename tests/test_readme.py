"""The README tells the truth: its specs load, its Python runs, its commands print what it shows."""

from __future__ import annotations

import re
import shlex
from doctest import ELLIPSIS, OutputChecker
from pathlib import Path

import pytest

import archdsl
from archdsl.cli import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FENCED = re.findall(r"^```(\w+)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
FILES = {
    match[1]: text
    for kind, text in FENCED
    if kind in ("yaml", "python") and (match := re.match(r"# (\S+\.\w+)\n", text))
}
COMMANDS = [
    command.partition("\n")[::2]
    for kind, text in FENCED
    if kind == "console"
    for command in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]
]


@pytest.fixture
def readers_folder(tmp_path, monkeypatch):
    """A folder with the files that the README shows."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_first_screen_is_slowfast_to_the_last_multiply_add(readers_folder):
    mine = archdsl.compile(archdsl.load("my_slowfast.yaml"))
    zoo = archdsl.compile(archdsl.load("slowfast_4x16_r50"))
    assert (mine.costs, mine.shapes, mine.grids) == (zoo.costs, zoo.shapes, zoo.grids)
    assert len(FILES["my_slowfast.yaml"].splitlines()) <= 22


@pytest.mark.parametrize(("command", "shown"), COMMANDS, ids=[command for command, _ in COMMANDS])
def test_every_command_prints_what_is_shown(command, shown, readers_folder, capsys):
    program, *arguments = shlex.split(command)
    assert program == "archdsl"
    main(arguments)
    out, err = capsys.readouterr()
    got = "".join(f"{line.rstrip()}\n" for line in (out + err).strip("\n").splitlines())
    want = shown.strip("\n") + "\n"
    assert OutputChecker().check_output(want, got, ELLIPSIS), f"$ {command}\n{got}"


def test_the_python_of_the_tour_runs(readers_folder):
    (tour,) = [text for kind, text in FENCED if kind == "python" and text.startswith("import archdsl")]
    exec(compile(tour, "README.md", "exec"), {})


def test_the_picture_is_what_draw_gives(readers_folder):
    drawn = archdsl.draw(archdsl.compile(archdsl.load("my_slowfast.yaml")))
    assert (ROOT / "docs/slowfast.svg").read_text(encoding="utf-8").strip() == drawn.strip()


def test_every_linked_file_is_there():
    links = re.findall(r"\]\((?!https?://)([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
