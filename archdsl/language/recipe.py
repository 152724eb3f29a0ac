"""How a network is trained: how long, how fast, from which seed."""

from __future__ import annotations

from math import cos, pi
from typing import Annotated

from pydantic import Field

from archdsl.written import Count, Real, Whole, Written


class Recipe(Written):
    """Gradient descent with momentum, a linear warm-up, then half a cosine (arXiv:1812.03982, section 4.1)."""

    steps: Count = Field(description="optimiser steps")
    batch: Count = Field(description="clips per step")
    rate: Annotated[Real, Field(gt=0)] = Field(description="learning rate at its highest")
    warmup: Whole = Field(0, description="steps over which the rate rises in a line")
    momentum: Annotated[Real, Field(ge=0, lt=1)] = Field(0.9, description="Nesterov momentum")
    weight_decay: Annotated[Real, Field(ge=0)] = Field(1e-4, description="of weights; norms and biases have none")
    seed: Whole = Field(0, description="order of clips, dropout")
    log_every: Count = Field(10, description="steps between two entries of the log")

    def rate_at(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        rising = min(1.0, (step + 1) / (self.warmup + 1))
        return self.rate * rising * 0.5 * (1 + cos(pi * step / self.steps))
