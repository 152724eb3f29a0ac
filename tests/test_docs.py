"""Every page of the documentation tells the truth: its files load, its Python runs, commands print what it shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.pages import FENCE, Page, check_printed, page_at

ROOT = Path(__file__).parents[1]
PAGES = [page_at(path) for path in sorted([*(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "site").rglob("*.md")])]
TRAINS = ("archdsl train", "archdsl export", "archdsl data make", "archdsl visualize")
"""Commands that take seconds: their pages are among the slow tests."""


def pages_that_run() -> list[object]:
    found = []
    for page in PAGES:
        if page.path.name == "testing.md":  # read beside the primer's files: tests/test_docs_testing.py
            continue
        if page.commands or any(kind == "python" for kind, _ in page.blocks):
            slow = any(command.startswith(TRAINS) for command, _ in page.commands)
            name = page.path.relative_to(ROOT / "docs").as_posix()
            found.append(pytest.param(page, id=name, marks=[pytest.mark.slow] if slow else []))
    return found


@pytest.mark.parametrize("page", pages_that_run())
def test_a_page_prints_what_it_shows(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    page.write_files(tmp_path)
    for kind, text in page.blocks:
        if kind == "python" and page.is_run(text):
            exec(compile(text, str(page.path), "exec"), {})
        for command, shown in page.commands_of(text) if kind == "console" else ():
            check_printed(command, shown, capsys)


@pytest.mark.parametrize("page", PAGES, ids=[page.path.stem for page in PAGES])
def test_fences_are_of_known_languages_and_links_lead_somewhere(page: Page) -> None:
    text = page.path.read_text(encoding="utf-8")
    kinds = {kind for kind, _ in page.blocks}
    assert kinds <= {"yaml", "python", "console", "sh", "toml", "lua", "lisp"}, kinds
    made = {"zoo", "reference"}  # pages of docs/build.py
    site = ROOT / "docs" / "site"
    for link in re.findall(r"\]\((?!https?://|#)([^)#\s]+)", FENCE.sub("", text)):
        places = [page.path.parent / link, ROOT / "docs" / link.removeprefix("../")]
        built = link.removeprefix("../").partition("/")[0] in made and site in page.path.parents
        assert built or any(place.exists() for place in places), link


def test_every_page_of_the_site_is_reached_from_its_index() -> None:
    """Sphinx warns of one that is not, and a warning is an error."""
    listed = (ROOT / "docs" / "site" / "index.md").read_text(encoding="utf-8").splitlines()
    pages = [*(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "site").glob("*.md")]
    assert [page.stem for page in pages if page.stem not in (*listed, "index")] == []
