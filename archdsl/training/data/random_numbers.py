"""Random numbers that depend on a seed and a purpose alone."""

from __future__ import annotations

from random import Random


def rng_for(seed: int, purpose: str) -> Random:
    """The generator of one thing that is drawn, so that each keeps its draws when another is turned off."""
    return Random(f"{seed} {purpose}")


def random_below(n: int, rng: Random) -> int:
    """A whole number from 0 to n - 1."""
    return int(rng.random() * n)
