"""What a drawing shows: lanes of items, laterals between them, a head. No geometry yet."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from archdsl.compiler import Plan
from archdsl.ops import Cost, Shape
from archdsl.report.drawing.labels import amount, size


@dataclass(frozen=True)
class Group:
    """Lines that stand for `times` equal blocks."""

    lines: tuple[str, ...]
    times: int = 1


@dataclass(frozen=True)
class Item:
    """One box of a lane."""

    key: str
    row: str
    """Its stage's name. Equal ones of different lanes stand side by side, of one lane below each other."""
    name: str
    address: str
    groups: tuple[Group, ...]
    shape: Shape
    cost: Cost
    share: float
    """Of the network's macs."""
    frames: tuple[float, ...]
    """Where the frames of its output lie in the clip, from 0 to 1."""
    note: str = ""
    entry: bool = False
    """Whether it stands for the frames that enter."""


@dataclass(frozen=True)
class Lane:
    """One pathway."""

    name: str
    items: tuple[Item, ...]
    clip: str
    after: str | None
    """Key of the item it reads instead of a clip."""


@dataclass(frozen=True)
class Lateral:
    """One fusion between two items, or (at pathway level) one edge with all its fusions."""

    address: str
    source: str
    target: str
    lines: tuple[str, ...]
    shape: str
    merge: str


@dataclass(frozen=True)
class Parts:
    """The plan of a drawing."""

    plan: Plan
    level: str
    lanes: tuple[Lane, ...]
    laterals: tuple[Lateral, ...]
    head: Item
    head_reads: tuple[str, ...]
    """Keys of the items whose outputs the head reads."""

    @cached_property
    def lane_of(self) -> dict[str, int]:
        """Item key -> index of its lane."""
        return {item.key: k for k, lane in enumerate(self.lanes) for item in lane.items}

    @cached_property
    def title(self) -> tuple[str, str]:
        """The name, and what it costs on which input under which convention."""
        inputs = ", ".join(size(Shape(*shape)) for shape in self.plan.inputs.values())
        return (
            self.plan.name,
            f"{amount(self.plan.params)} params · {amount(self.plan.macs)} multiply-adds (convention macs) at {inputs}",
        )
