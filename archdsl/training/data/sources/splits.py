"""Parts of a data set: which names of files and folders speak of them."""

from __future__ import annotations

import re

SPLITS = {
    "train": ("train", "training"),
    "val": ("val", "validation", "validate", "valid", "test", "testing"),
    "test": ("test", "testing", "val", "validation", "validate", "valid"),
}
"""Names that files and folders of a split bear, the likeliest first."""
NAMES = frozenset(name for names in SPLITS.values() for name in names)


SAME = (("train", "training"), ("val", "validation", "validate", "valid"), ("test", "testing"))
"""Names of one split."""


def names_of(split: str) -> list[tuple[str, ...]]:
    """What lines of a split may call it, the likeliest first: `test` stands in where nothing is called `val`."""
    return sorted((names for names in SAME if {*names} & {*SPLITS[split]}), key=lambda names: split not in names)


def split_in(stem: str) -> str | None:
    """The split that a file's name speaks of by one of its words."""
    return next((word for word in re.split(r"[^a-z]+", stem.lower()) if word in NAMES), None)
