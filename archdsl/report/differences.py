"""What differs between two networks: ops by address, and what it does to the cost of each stage."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from archdsl.compiler import Plan, plan_of
from archdsl.language import Arch
from archdsl.ops import Cost
from archdsl.ops.notation import number
from archdsl.report.number_format import percent, runs, shapes_text, short, signed
from archdsl.report.parameters import shared_parameters
from archdsl.report.table.layers import op_in_full

IN_BLOCK = re.compile(r"(\w+\.\w+\.)(\d+)(\..+)")
"""An op within a block of a stage."""


@dataclass(frozen=True)
class OpChange:
    """One address in both networks, whose op or reading differs."""

    address: str
    before: str
    after: str


@dataclass(frozen=True)
class StageChange:
    """One stage, lateral or head whose cost or span differs; 0 where it does not exist."""

    address: str
    params: tuple[int, int]
    macs: tuple[int, int]
    span: tuple[Fraction, Fraction]
    """Source frames seen by one element, before and after."""


@dataclass(frozen=True)
class Diff:
    """The way from one network to another. `str()` tells it."""

    before: str
    after: str
    inputs: tuple[str, str]
    added: tuple[str, ...]
    """Addresses of ops; whole stages and blocks as one address."""
    removed: tuple[str, ...]
    changed: tuple[OpChange, ...]
    resized: tuple[str, ...]
    """Ops that are alike and write another shape."""
    stages: tuple[StageChange, ...]
    params: tuple[int, int]
    macs: tuple[int, int]
    carried: int
    """Parameters of the second that a checkpoint of the first has, by name and shape."""

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return bool(
            self.added
            or self.removed
            or self.changed
            or self.resized
            or self.stages
            or self.inputs[0] != self.inputs[1]
        )

    def __str__(self) -> str:
        lines = [f"{self.before} -> {self.after}"]
        if not self:
            return "\n".join([*lines, "  no difference"])
        if self.inputs[0] != self.inputs[1]:
            lines.append(f"  input    {self.inputs[0]} -> {self.inputs[1]}")
        for name in ("params", "macs"):
            a, b = getattr(self, name)
            lines.append(f"  {name:<8} {short(a)} -> {short(b)} ({signed(b - a)})")
        share = f" ({percent(self.carried, self.params[1])})" if self.params[1] else ""
        lines.append(f"  weights  {short(self.carried)} of {short(self.params[1])} carry over by name and shape{share}")
        lines += [f"  - {address}" for address in self.removed]
        lines += [f"  + {address}" for address in self.added]
        lines += [f"  ~ {line}" for line in change_lines(self.changed)]
        if self.resized:
            first, last = self.resized[0], self.resized[-1]
            lines.append(
                f"  {len(self.resized)} write another shape: {first}" + (f" to {last}" if last != first else "")
            )
        lines += [stage_line(stage) for stage in self.stages]
        return "\n".join(lines)

    def record(self) -> dict[str, Any]:
        """By name, for JSON."""
        return {
            "before": self.before,
            "after": self.after,
            "input": list(self.inputs),
            "params": list(self.params),
            "macs": list(self.macs),
            "params_carried": self.carried,
            "added": list(self.added),
            "removed": list(self.removed),
            "changed": [vars(change) for change in self.changed],
            "resized": list(self.resized),
            "stages": [
                {
                    "address": s.address,
                    "params": list(s.params),
                    "macs": list(s.macs),
                    "span_frames": [float(x) for x in s.span],
                }
                for s in self.stages
            ],
        }


def change_lines(changes: Iterable[OpChange]) -> list[str]:
    """Changes as lines; equal ones in the blocks of one stage stand on one line: `slow.res4.0-5.conv_a: ...`."""
    groups: dict[tuple[str, str, str, str], list[int]] = {}
    for change in changes:
        match = IN_BLOCK.fullmatch(change.address)
        head, tail = (match[1], match[3]) if match else (change.address, "")
        groups.setdefault((head, tail, change.before, change.after), []).extend([int(match[2])] if match else [])
    return [
        f"{head}{runs(blocks)}{tail}: {before} -> {after}" for (head, tail, before, after), blocks in groups.items()
    ]


def stage_line(stage: StageChange) -> str:
    """One stage's change in figures."""
    parts = [f"{name} {signed(b - a)}" for name, (a, b) in (("params", stage.params), ("macs", stage.macs)) if a != b]
    if stage.span[0] != stage.span[1] and all(stage.span):
        frames = "frame" if stage.span[1] == 1 else "frames"
        parts.append(f"span {number(stage.span[0])} -> {number(stage.span[1])} {frames}")
    return f"  {stage.address:<24} {', '.join(parts)}"


def diff(a: Arch | Plan, b: Arch | Plan) -> Diff:
    """What was added, removed and changed from a to b, by address, and the costs of stages that moved."""
    before, after = plan_of(a), plan_of(b)
    old, new = before.graph.nodes, after.graph.nodes
    both = [address for address in new if address in old]
    changes = [change_of(before, after, address) for address in both]
    changed = [change for change in changes if change]
    moved = {change.address for change in changed}
    resized = [x for x in both if x not in moved and before.graph.shapes[x] != after.graph.shapes[x]]
    return Diff(
        before=before.name,
        after=after.name,
        inputs=(shapes_text(before.inputs), shapes_text(after.inputs)),
        added=addresses_only_in(after, before),
        removed=addresses_only_in(before, after),
        changed=tuple(changed),
        resized=tuple(resized),
        stages=tuple(stage_changes(before, after)),
        params=(before.params, after.params),
        macs=(before.macs, after.macs),
        carried=shared_parameters(before, after),
    )


def addresses_only_in(ours: Plan, theirs: Plan) -> tuple[str, ...]:
    """Addresses only we have; a scope that they lack stands for all within."""
    found: dict[str, None] = {}
    for address in ours.graph.nodes:
        if address in theirs.graph.nodes:
            continue
        parts = address.split(".")
        prefixes = (".".join(parts[:i]) for i in range(3 if parts[0] == "edges" else 1, len(parts)))
        found[next((prefix for prefix in prefixes if prefix not in theirs.scopes), address)] = None
    return tuple(found)


def change_of(before: Plan, after: Plan, address: str) -> OpChange | None:
    """How the op at an address differs, or None."""
    a, b = before.graph.nodes[address], after.graph.nodes[address]
    if a.op != b.op and a.reads:
        was, now = (op_in_full(node.op, plan.graph.shapes[node.reads[0]]) for plan, node in ((before, a), (after, b)))
        if was == now:
            was, now = repr(a.op), repr(b.op)
        return OpChange(address, was, now)
    if a.reads != b.reads:
        return OpChange(address, f"reads {', '.join(a.reads)}", f"reads {', '.join(b.reads)}")
    if a.tied != b.tied:
        return OpChange(address, f"weights of {a.tied or 'its own'}", f"weights of {b.tied or 'its own'}")
    return None


def costs_by_stage(plan: Plan) -> dict[str, tuple[Cost, Fraction]]:
    """Stage, lateral or head -> cost and temporal span."""
    found: dict[str, tuple[Cost, Fraction]] = {}
    for node in plan.nodes:
        parts = node.address.split(".")
        address = ".".join(parts[: 3 if parts[0] == "edges" else 1 if parts[0] == "head" else 2])
        cost, span = found.get(address, (Cost(), Fraction(0)))
        merged = parts[0] == "edges" and parts[-1] == "merge" and address in found
        span = span if merged else plan.grids[node.address].t.span
        found[address] = Cost(*map(sum, zip(cost, plan.costs[node.address]))), span
    return found


def stage_changes(before: Plan, after: Plan) -> Iterable[StageChange]:
    """Stages whose params, macs or span differ."""
    old, new = costs_by_stage(before), costs_by_stage(after)
    nothing = Cost(), Fraction(0)
    for address in dict.fromkeys([*old, *new]):
        (a, seen_a), (b, seen_b) = old.get(address, nothing), new.get(address, nothing)
        if (a.params, a.macs) != (b.params, b.macs) or (seen_a != seen_b and all((seen_a, seen_b))):
            yield StageChange(address, (a.params, b.params), (a.macs, b.macs), (seen_a, seen_b))
