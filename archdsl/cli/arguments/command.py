"""What a command is."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any, NamedTuple


class Command(NamedTuple):
    """A command."""

    name: str
    run: Callable[[Any], int]
    summary: str
    options: tuple[Callable[[ArgumentParser], None], ...]
    examples: tuple[str, ...]
