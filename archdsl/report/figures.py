"""Metrics as text: of a share a percentage, of an error a number in its unit."""

from __future__ import annotations

from collections.abc import Mapping

ERRORS = {"px": " px", "loss": ""}
"""How the name of a metric ends that is an error, such as `epe_px`: a number, the smaller the better. Any other is a
share of 1, the larger the better."""


def unit_of(name: str) -> str | None:
    """The unit of an error; None for a share."""
    return ERRORS.get(name.rpartition("_")[2])


def metric_text(name: str, value: float, digits: int = 1) -> str:
    """A metric as text."""
    unit = unit_of(name)
    return f"{value:.{digits}%}" if unit is None else f"{value:.4g}{unit}"


def is_better(figures: Mapping[str, float], best: Mapping[str, float]) -> bool:
    """Whether an evaluation is better than the best so far, by its first metric."""
    name, value = next(iter(figures.items()))
    return value > best[name] if unit_of(name) is None else value < best[name]
