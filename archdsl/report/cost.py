"""What networks cost, under every convention, and what was published about them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from archdsl.catalog import reference_of
from archdsl.compiler import CONVENTIONS, Plan, compile
from archdsl.errors import SpecError, did_you_mean
from archdsl.language import Claim, Model
from archdsl.report.number_format import plural, shapes_text, short, whole
from archdsl.report.table.sheet import Column, Row, Table

DEFAULT_CONVENTIONS = ("macs", "fvcore")
"""Conventions that `count` shows when none is asked for."""


@dataclass(frozen=True)
class Reported:
    """A published figure beside ours under the same convention and input; ours is None where it takes training."""

    claim: Claim
    inputs: dict[str, tuple[int, ...]]
    ours: int | None

    @property
    def difference(self) -> Decimal | None:
        """Ours over the published one, minus 1."""
        return None if self.ours is None else Decimal(self.ours) / self.claim.number - 1

    @property
    def agrees(self) -> bool | None:
        """Whether ours rounds to what was printed."""
        return None if self.ours is None else abs(self.ours - self.claim.number) <= self.claim.half_unit

    def record(self) -> dict[str, Any]:
        """By name."""
        return {
            "figure": self.claim.figure,
            "published": self.claim.value,
            "ours": self.ours,
            "difference": None if self.difference is None else float(self.difference),
            "agrees": self.agrees,
            "input": {name: list(shape) for name, shape in self.inputs.items()},
            "source": self.claim.source,
            "why": self.claim.why,
        }


def reported(model: Model) -> tuple[Reported, ...]:
    """Every claim about a model, recounted at the input it was made for."""
    reference = reference_of(model)
    claims = reference.claims if reference else ()
    plans: dict[str, Plan] = {}
    found = []
    for claim in claims:
        key = str(sorted(claim.input.items()))
        if key not in plans:
            plans[key] = compile(model.arch(**claim.input))
        plan = plans[key]
        ours = None if claim.figure in ACCURACIES else figure_of(plan, claim.figure)
        # the views an accuracy was tested with are its source's affair, not this input
        found.append(Reported(claim, {} if ours is None else plan.inputs, ours))
    return tuple(found)


def figure_of(plan: Plan, name: str) -> int:
    """A plan's parameters, all or without those of norms, or its cost under a convention."""
    match name:
        case "params":
            return plan.params
        case "params-without-norms":
            return plan.params_without_norms
        case _:
            return plan.count(name)


@dataclass(frozen=True)
class NetworkCost:
    """The cost of a plan for a batch of clips, each seen in several views."""

    plan: Plan
    reported: tuple[Reported, ...] = ()
    batch: int = 1
    views: int = 1

    def cost(self, convention: str) -> int:
        """All views of all clips under a convention."""
        return self.plan.count(convention, self.batch) * self.views

    def record(self) -> dict[str, Any]:
        """Exact integers by name. Costs are of all views of all clips of the batch; `per_clip` is of one."""
        return {
            "name": self.plan.name,
            "input": {name: list(shape) for name, shape in self.plan.inputs.items()},
            "outputs": {name: list(shape) for name, shape in self.plan.outputs.items()},
            "batch": self.batch,
            "views": self.views,
            "params": self.plan.params,
            **{convention: self.cost(convention) for convention in CONVENTIONS},
            "activations": self.plan.total.activations * self.batch * self.views,
            "per_clip": {convention: self.plan.count(convention) for convention in CONVENTIONS},
            **({"stream": self.stream()} if self.plan.one_frame else {}),
            **({"stream": self.key_frames()} if self.plan.schedule else {}),
            "reported": [found.record() for found in self.reported],
        }

    def stream(self) -> dict[str, int]:
        """Of a stream: what each frame costs, and how many numbers are held from one to the next."""
        frame = self.plan.one_frame
        assert frame
        return {convention: frame.count(convention) for convention in CONVENTIONS} | {"held": self.plan.held}

    def key_frames(self) -> dict[str, Any]:
        """Of a stream with key frames: what each kind of frame costs, and a whole interval (`every` times the mean)."""
        each = {convention: costs for convention in CONVENTIONS if (costs := self.plan.frame_costs(convention))}
        return {
            "every": each["macs"].every,
            "key": {name: costs.key for name, costs in each.items()},
            "current": {name: costs.current for name, costs in each.items()},
            "interval": {name: int(costs.mean * costs.every) for name, costs in each.items()},
            "held": self.plan.held,
        }


def count_table(counts: Iterable[NetworkCost], convention: str | None = None, title: str = "") -> Table:
    """One row for each network. Raises SpecError for an unknown convention."""
    if convention is not None and convention not in CONVENTIONS:
        raise SpecError(
            f"no convention {convention!r}",
            got=convention,
            want=", ".join(CONVENTIONS),
            fix=did_you_mean(convention, CONVENTIONS),
        )
    counts = tuple(counts)
    shown = (convention,) if convention else DEFAULT_CONVENTIONS
    times = "" if all(count.batch == count.views == 1 for count in counts) else multiplier_text(counts[0])
    columns = (
        Column("name"),
        Column("input"),
        Column("output"),
        Column("params", right=True),
        *(Column(name + times, right=True) for name in shown),
        Column("published", right=False),
    )
    rows = tuple(Row(count_cells(count, shown)) for count in counts)
    note = conventions_note(shown) + user_ops_note(counts, shown)
    return Table(title, columns, rows, tuple(count.record() for count in counts), note)


def multiplier_text(count: NetworkCost) -> str:
    """What a cost is multiplied by: ` × 8 clips × 30 views`."""
    return (f" × {count.batch} clips" if count.batch > 1 else "") + (
        f" × {count.views} views" if count.views > 1 else ""
    )


def count_cells(count: NetworkCost, shown: tuple[str, ...]) -> tuple[str, ...]:
    """The cells of one network. With views, costs stand as papers print them: 36.10G × 30."""
    factor = "".join(f" × {n}" for n in (count.batch, count.views) if n > 1)
    costs = [f"{short(count.plan.count(name))}{factor}" if factor else whole(count.plan.count(name)) for name in shown]
    published = ", ".join(published_at_input(count))
    return (
        count.plan.name,
        shapes_text(count.plan.inputs),
        shapes_text(count.plan.outputs),
        whole(count.plan.params),
        *costs,
        published,
    )


def published_at_input(count: NetworkCost) -> dict[str, None]:
    """Published costs at just this input, and published params, as printed."""
    found = [
        f"{one.claim.figure} {one.claim.value}"
        for one in count.reported
        if one.claim.figure in PARAMETER_FIGURES
        or (one.claim.figure in CONVENTIONS and one.inputs == count.plan.inputs)
    ]
    return dict.fromkeys(found)


PARAMETER_FIGURES = ("params", "params-without-norms")
CONVENTION_NOTES = {
    "params-without-norms": "params-without-norms: all but the scales and shifts of norms",
    "macs": "macs: 1 per multiply-add of conv, linear, matmul",
    "fvcore": "fvcore: as fvcore 0.1.5 counts in eval mode",
    "flops": "flops: 2 per multiply-add",
    "ptv-zoo": "ptv-zoo: conv + linear + 5 per batch norm element",
}


def conventions_note(shown: Iterable[str]) -> str:
    """What the conventions count."""
    return "; ".join(CONVENTION_NOTES[name] for name in shown)


def user_ops_note(counts: Iterable[NetworkCost], shown: Iterable[str]) -> str:
    """Of ops of a person's own: that fvcore has not been asked about them."""
    kinds = {type(node.op).__name__: None for count in counts for node in count.plan.nodes if node.op.own}
    if not kinds or "fvcore" not in shown:
        return ""
    return f", but for {', '.join(kinds)}: as the op says (--verify asks fvcore)"


ACCURACIES = ("top1", "top5")
"""Figures that take training: told apart, never recounted."""


def claims_table(counts: Iterable[NetworkCost]) -> Table:
    """Every published cost beside ours, then the published accuracies."""
    counts = tuple(counts)
    found = [(count.plan.name, claim) for count in counts for claim in count.reported]
    costs = [(name, claim) for name, claim in found if claim.ours is not None]
    trained = [(name, claim) for name, claim in found if claim.ours is None]
    columns = (
        Column("name"),
        Column("figure"),
        Column("input"),
        Column("published", right=True),
        Column("ours", right=True),
        Column("difference", right=True),
        Column("why"),
        Column("source"),
    )
    rows = [Row(claim_cells(name, claim), "" if claim.agrees else "differs") for name, claim in costs]
    if trained:
        rows.append(Row(("Accuracies: they take training, nothing is recounted", *[""] * 7), "heading"))
        rows += [Row(claim_cells(name, claim), "apart") for name, claim in trained]
    records = tuple({"name": name, **claim.record()} for name, claim in (*costs, *trained))
    return Table("", columns, tuple(rows), records, claims_summary([claim for _, claim in costs]))


def claims_summary(costs: list[Reported]) -> str:
    """How many figures agree, and what the conventions among them count."""
    differing = [claim for claim in costs if not claim.agrees]
    silent = sum(not claim.claim.why for claim in differing)
    conventions = [name for name in CONVENTION_NOTES if any(claim.claim.figure == name for claim in costs)]
    told = f"{plural(len(costs), 'figure')} recounted at the published input"
    told += f": {len(costs) - len(differing)} agree (ours rounds to what was printed)"
    told += f", {len(differing)} differ" if differing else ""
    told += f", {silent} of them unexplained" if silent else ""
    return ". ".join(filter(None, (told, conventions_note(conventions))))


def claim_cells(name: str, found: Reported) -> tuple[str, ...]:
    """The cells of one claim."""
    difference = "agrees" if found.agrees else "" if found.difference is None else f"{100 * found.difference:+.2f}%"
    ours = "" if found.ours is None else short(found.ours)
    return (
        name,
        found.claim.figure,
        shapes_text(found.inputs),
        found.claim.value,
        ours,
        difference,
        found.claim.why or "",
        found.claim.source,
    )
