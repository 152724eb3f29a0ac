"""What `auto` takes: for each pass whether it pays, or the sizes at which it does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PassChoice = bool | Mapping[str, int]
"""Whether a pass pays; or the last or first size at which it does, by its name: {"channels": 32}."""
PassChoices = Mapping[str, PassChoice]
"""{pass: choice}"""
PassesByMode = Mapping[str, PassChoices]
"""{mode: {pass: choice}}"""
MODES = ("infer", "train")


def passes_by_mode(data: Any) -> PassesByMode:
    """Choices by mode from their data. Raises ValueError for what is none."""
    if set(data) - set(MODES):
        raise ValueError(f"pays of {', '.join(map(str, data))}")
    for choices in data.values():
        for name, choice in choices.items():
            if not isinstance(choice, bool) and not is_size_bound(choice):
                raise ValueError(f"{name} pays {choice}")
    return {mode: dict(choices) for mode, choices in data.items()}


def is_size_bound(choice: Any) -> bool:
    """Whether it is one whole number by its name."""
    return isinstance(choice, dict) and [type(number) for number in choice.values()] == [int]
