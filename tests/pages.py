"""Pages of Markdown: their fenced blocks, the files that these show, the commands and what they print."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from doctest import ELLIPSIS, OutputChecker
from pathlib import Path

import pytest

from archdsl.cli import main

FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Page:
    """A page's fenced blocks, in order: (language, text)."""

    path: Path
    blocks: tuple[tuple[str, str], ...]

    def filename(self, block: str) -> str | None:
        """The name of the file that a block shows, from its first line."""
        found = re.match(r"# (\S+\.\w+)\n", block)
        return found[1] if found else None

    @property
    def files(self) -> dict[str, str]:
        """The files that the page shows, by name."""
        named = ((self.filename(text), text) for kind, text in self.blocks if kind in ("yaml", "python"))
        return {name: text for name, text in named if name}

    @property
    def commands(self) -> list[tuple[str, str]]:
        """(command, what it prints) of every console block."""
        return [found for kind, text in self.blocks if kind == "console" for found in self.commands_of(text)]

    def commands_of(self, text: str) -> list[tuple[str, str]]:
        """(command, what it prints) of a console block."""
        return [part.partition("\n")[::2] for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]]

    def is_run(self, text: str) -> bool:
        """Whether a block of Python is run where it stands: a program, not a spec that a command reads."""
        name = self.filename(text)
        return name is None or not any(name in command for command, _ in self.commands)

    def write_files(self, folder: Path) -> None:
        """Write the files that the page shows."""
        for name, text in self.files.items():
            (folder / name).write_text(text, encoding="utf-8")


def page_at(path: Path) -> Page:
    """The page in a file."""
    return Page(path, tuple(FENCE.findall(path.read_text(encoding="utf-8"))))


def check_printed(command: str, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Run a command of a page, which must print what the page shows; `...` stands for anything."""
    program, *arguments = shlex.split(command)
    assert program == "archdsl"
    main(arguments)
    out, err = capsys.readouterr()
    got = "".join(f"{line.rstrip()}\n" for line in (out + err).strip("\n").splitlines())
    assert OutputChecker().check_output(shown.strip("\n") + "\n", got, ELLIPSIS), f"$ {command}\n{got}"
