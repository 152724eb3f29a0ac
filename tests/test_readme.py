"""The README tells the truth: its specs load, its Python runs, its commands print what it shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import archdsl
from tests.pages import check_printed, page_at

ROOT = Path(__file__).parents[1]
PAGE = page_at(ROOT / "README.md")


@pytest.fixture
def readers_folder(tmp_path, monkeypatch):
    """A folder with the files that the README shows."""
    PAGE.write_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_first_screen_is_slowfast_to_the_last_multiply_add(readers_folder):
    mine = archdsl.compile(archdsl.load("my_slowfast.yaml"))
    zoo = archdsl.compile(archdsl.load("slowfast_4x16_r50"))
    assert (mine.costs, mine.shapes, mine.grids) == (zoo.costs, zoo.shapes, zoo.grids)
    assert len(PAGE.files["my_slowfast.yaml"].splitlines()) <= 22


@pytest.mark.parametrize(("command", "shown"), PAGE.commands, ids=[command for command, _ in PAGE.commands])
def test_every_command_prints_what_is_shown(command, shown, readers_folder, capsys):
    check_printed(command, shown, capsys)


def test_the_python_of_the_tour_runs(readers_folder):
    (tour,) = [text for kind, text in PAGE.blocks if kind == "python" and text.startswith("import archdsl")]
    exec(compile(tour, "README.md", "exec"), {})


def test_the_picture_is_what_draw_gives(readers_folder):
    drawn = archdsl.draw(archdsl.compile(archdsl.load("my_slowfast.yaml")))
    assert (ROOT / "docs/slowfast.svg").read_text(encoding="utf-8").strip() == drawn.strip()


def test_every_linked_file_is_there():
    links = re.findall(r"\]\((?!https?://)([^)#]+)\)", PAGE.path.read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
