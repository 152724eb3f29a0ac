"""Metrics as text: of a share a percentage, of an error a number in its unit."""

from __future__ import annotations

from collections.abc import Mapping

from archdsl.errors import SpecError, did_you_mean

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


def ranked_by(name: str | None, figures: dict[str, float], written: str | None) -> dict[str, float]:
    """The metrics, that of a name first: evaluations are compared by it. Raises SpecError where there is none."""
    if name is None:
        return figures
    if name not in figures:
        raise SpecError(
            "no metric of that name",
            at="recipe.best_by",
            written=written,
            got=name,
            want=", ".join(figures),
            fix=did_you_mean(name, figures),
        )
    return {name: figures[name]} | figures
