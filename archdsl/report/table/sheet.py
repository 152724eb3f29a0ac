"""The model of a table: cells for people, records for machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple


class Bracket(NamedTuple):
    """Lines in brackets, repeated: the paper's way of writing a residual stage."""

    lines: tuple[str, ...]
    times: int = 1


TableCell = str | tuple[str | Bracket, ...]
"""A text, or lines of texts and brackets."""


@dataclass(frozen=True)
class Column:
    """A heading, and the side its cells lean to."""

    title: str
    right: bool = False


@dataclass(frozen=True)
class Row:
    """Cells, and what they speak of: `lateral` and `total` rows look different."""

    cells: tuple[TableCell, ...]
    kind: str = ""


@dataclass(frozen=True)
class Table:
    """Cells for people, records (one mapping per thing, exact numbers) for machines."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    records: tuple[Mapping[str, Any], ...]
    note: str = ""


def lines_of(cell: TableCell) -> tuple[str | Bracket, ...]:
    """A cell's lines."""
    return (cell,) if isinstance(cell, str) else cell
