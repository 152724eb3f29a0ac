"""Writes anew what the commands on pages print: `python -m tests.rewrite_docs PAGE...`."""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import sys
import tempfile
from pathlib import Path

from archdsl.cli import main
from tests.pages import page_at

MOST_LINES = 14


def printed(command: str) -> str:
    """What a command prints, its middle left out where it is long."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        main(shlex.split(command)[1:])
    lines = [line.rstrip() for line in out.getvalue().strip("\n").splitlines()]
    return "\n".join(lines if len(lines) <= MOST_LINES else [*lines[: MOST_LINES - 2], "..."])


def rewrite(path: Path) -> None:
    """A page with the outputs of its commands."""
    page, text = page_at(path), path.read_text(encoding="utf-8")
    os.chdir(tempfile.mkdtemp())
    page.write_files(Path.cwd())
    for kind, block in page.blocks:
        if kind == "console":
            new = "\n\n".join(f"$ {command}\n{printed(command)}".rstrip() for command, _ in page.commands_of(block))
            text = text.replace(f"```console\n{block}```", f"```console\n{new}\n```")
        elif kind == "python" and page.is_run(block):
            exec(compile(block, str(path), "exec"), {})
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    for name in map(Path, sys.argv[1:]):
        rewrite(name.resolve())
