"""Stepwise expansion (X3D, arXiv:2004.04730): a small network grown along one axis at a time up to a cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from archdsl.compiler import Plan, compile
from archdsl.errors import SpecError, did_you_mean
from archdsl.language import Model
from archdsl.report.number_format import short, whole
from archdsl.report.table.sheet import Column, Row, Table

STEP_FACTOR = 2
"""How much a step multiplies the cost, as near as whole layers, frames and pixels allow."""
FACTOR_STEPS = 20
"""Factors are tried in steps of 1 / FINE."""
MAX_FACTOR = 8
"""No axis grows by more in one step."""


@dataclass(frozen=True)
class GrownNetwork:
    """One network of the walk, and the axis along which it grew."""

    axis: str
    parameters: Mapping[str, Any]
    plan: Plan


@dataclass
class StepwiseExpansion:
    """A family's networks along the axes that the model names."""

    model: Model
    steps: list[GrownNetwork] = field(default_factory=list)

    def run(self, order: Sequence[str], budget: int) -> tuple[GrownNetwork, ...]:
        """Steps along the axes in turn, each about doubling the macs; the last ends as near to the budget as it can.

        Raises SpecError for an unknown axis, and where the order ends or the budget is passed before the first step.
        """
        for axis in order:
            self.axis(axis)
        self.steps = [self.step("", dict(self.model.parameters))]
        if budget <= self.macs:
            want = f"more than {self.macs:,}"
            raise SpecError("a budget that is spent before the first step", got=f"{budget:,} macs", want=want)
        for axis in order:
            target = min(STEP_FACTOR * self.macs, budget)
            self.steps.append(self.nearest(axis, target))
            if target == budget:
                return tuple(self.steps)
        got, fix = f"{self.macs:,} macs after {len(order)} steps", "a longer --order"
        raise SpecError("an order that ends before the budget", got=got, want=f"{budget:,} macs", fix=fix)

    @property
    def macs(self) -> int:
        """What the network costs so far."""
        return self.steps[-1].plan.macs

    def axis(self, name: str) -> Callable[[dict[str, Any], Fraction], dict[str, Any]]:
        """The axis of that name, or SpecError."""
        axes = self.model.axes
        if name in axes:
            return axes[name]
        if not axes:
            want = "a model with axes, such as x2d"
            raise SpecError(f"{self.model.name} has no axes to grow along", got=self.model.name, want=want)
        raise SpecError(f"no axis {name!r}", got=name, want=", ".join(axes), fix=did_you_mean(name, axes))

    def step(self, axis: str, parameters: dict[str, Any]) -> GrownNetwork:
        """A network of the family."""
        return GrownNetwork(axis, parameters, compile(self.model.family(self.model.name, **parameters)))

    def nearest(self, axis: str, target: int) -> GrownNetwork:
        """The last network grown along one axis, its macs nearest to the target: more factor never costs less."""
        before, grow = dict(self.steps[-1].parameters), self.axis(axis)
        low, high = FACTOR_STEPS, MAX_FACTOR * FACTOR_STEPS
        while high - low > 1:
            middle = (low + high) // 2
            enough = self.step(axis, grow(before, Fraction(middle, FACTOR_STEPS))).plan.macs >= target
            low, high = (low, middle) if enough else (middle, high)
        under, over = (self.step(axis, grow(before, Fraction(n, FACTOR_STEPS))) for n in (low, high))
        return under if target - under.plan.macs < over.plan.macs - target and under.plan.macs > self.macs else over


def growth_table(model: Model, steps: Sequence[GrownNetwork]) -> Table:
    """One row for each network of the walk: what its parameters are, and how much the step multiplied the macs."""
    last = steps[-1].parameters
    names = [name for name in last if any(step.parameters.get(name) != last[name] for step in steps)]
    columns = (
        Column("step", right=True),
        Column("axis"),
        *(Column(name, right=True) for name in names),
        Column("params", right=True),
        Column("macs", right=True),
        Column("times", right=True),
    )
    rows, records = [], []
    for i, step in enumerate(steps):
        times = step.plan.macs / steps[i - 1].plan.macs if i else 1.0
        shown = [str(step.parameters.get(name, "")) for name in names]
        costs = (short(step.plan.params), short(step.plan.macs), f"{times:.2f}" if i else "")
        rows.append(Row((str(i), step.axis, *shown, *costs)))
        found = {name: step.parameters.get(name) for name in names}
        records.append({"axis": step.axis, **found, "params": step.plan.params, "macs": step.plan.macs, "times": times})
    note = f"{whole(steps[-1].plan.macs)} macs (1 per multiply-add) for one clip"
    return Table(f"{model.name}, one axis at a time", columns, tuple(rows), tuple(records), note)
