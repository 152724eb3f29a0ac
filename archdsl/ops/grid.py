"""Where the elements of a map lie in the source."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple


class Axis(NamedTuple):
    """Where the elements of one axis lie in the source, in source frames or pixels.

    `step` between neighbours, `start` the centre of the first element, `span` the receptive field of one element.
    """

    step: Fraction
    start: Fraction
    span: Fraction


class Grid(NamedTuple):
    """Time and space as types: one axis each, and `tick`, the seconds between two source frames (0 when not known)."""

    t: Axis
    h: Axis
    w: Axis
    tick: Fraction = Fraction(0)


UNIT = Axis(Fraction(1), Fraction(0), Fraction(1))


def furthest(grids: tuple[Grid, ...]) -> Grid:
    """The first of several grids, with the largest span of all along each axis."""
    first = grids[0]
    if all(grid is first for grid in grids):
        return first
    scales = [grid.tick / first.tick if grid.tick and first.tick else 1 for grid in grids]
    t = first.t._replace(span=max(grid.t.span * scale for grid, scale in zip(grids, scales)))
    h, w = (getattr(first, axis)._replace(span=max(getattr(grid, axis).span for grid in grids)) for axis in "hw")
    return Grid(t, h, w, first.tick)
