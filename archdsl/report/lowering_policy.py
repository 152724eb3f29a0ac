"""What `auto` takes: for each pass whether it pays, or the sizes at which it does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Choice = bool | Mapping[str, int]
"""Whether a pass pays; or the last or first size at which it does, by its name: {"channels": 32}."""
Choices = Mapping[str, Choice]
"""{pass: choice}"""
Pays = Mapping[str, Choices]
"""{mode: {pass: choice}}"""
MODES = ("infer", "train")


def pays_from(data: Any) -> Pays:
    """Choices by mode from their data. Raises ValueError for what is none."""
    if set(data) - set(MODES):
        raise ValueError(f"pays of {', '.join(map(str, data))}")
    for choices in data.values():
        for name, choice in choices.items():
            if not isinstance(choice, bool) and not is_bound(choice):
                raise ValueError(f"{name} pays {choice}")
    return {mode: dict(choices) for mode, choices in data.items()}


def is_bound(choice: Any) -> bool:
    """Whether it is one whole number by its name."""
    return isinstance(choice, dict) and [type(number) for number in choice.values()] == [int]
