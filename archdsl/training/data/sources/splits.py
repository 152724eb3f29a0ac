"""Splits of a data set, by names of files and folders."""

from __future__ import annotations

import re

SPLITS = {
    "train": ("train", "training"),
    "val": ("val", "validation", "validate", "valid", "test", "testing"),
    "test": ("test", "testing", "val", "validation", "validate", "valid"),
}
"""Names that files and folders of a split bear, the likeliest first."""
SPLIT_NAMES = frozenset(name for names in SPLITS.values() for name in names)


SAME = (("train", "training"), ("val", "validation", "validate", "valid"), ("test", "testing"))
"""Names of one split."""


def spellings_of(split: str) -> list[tuple[str, ...]]:
    """What lines of a split may call it, the likeliest first: `test` stands in where nothing is called `val`."""
    return sorted((names for names in SAME if {*names} & {*SPLITS[split]}), key=lambda names: split not in names)


def split_in(stem: str) -> str | None:
    """The split that a word of a file's name means."""
    return next((word for word in re.split(r"[^a-z]+", stem.lower()) if word in SPLIT_NAMES), None)
