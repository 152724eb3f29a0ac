"""What a drawing shows: lanes of items, laterals between them, a head. No geometry yet."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from archdsl.compiler import Plan
from archdsl.ops import Cost, Shape
from archdsl.report.drawing.labels import shape_label
from archdsl.report.number_format import amount


@dataclass(frozen=True)
class LineGroup:
    """Lines that stand for `times` equal blocks."""

    lines: tuple[str, ...]
    times: int = 1


@dataclass(frozen=True)
class DrawingBox:
    """One box of a lane."""

    key: str
    row: str
    """Its stage's name. Equal ones of different lanes stand side by side, of one lane below each other."""
    name: str
    address: str
    groups: tuple[LineGroup, ...]
    shape: Shape
    cost: Cost
    share: float
    """Of the network's macs."""
    frames: tuple[float, ...]
    """Where the frames of its output lie in the clip, from 0 to 1."""
    note: str
    entry: bool
    """Whether it stands for the frames that enter."""


@dataclass(frozen=True)
class Lane:
    """One pathway."""

    name: str
    items: tuple[DrawingBox, ...]
    clip: str
    after: str | None
    """Key of the item it reads instead of a clip."""


@dataclass(frozen=True)
class LateralArrow:
    """One fusion between two items, or (at pathway level) one edge with all its fusions."""

    address: str
    source: str
    target: str
    lines: tuple[str, ...]
    shape: str
    merge: str


@dataclass(frozen=True)
class DrawingParts:
    """The plan of a drawing."""

    plan: Plan
    level: str
    lanes: tuple[Lane, ...]
    laterals: tuple[LateralArrow, ...]
    head: DrawingBox
    head_reads: tuple[str, ...]
    """Keys of the items whose outputs the head reads."""

    @cached_property
    def lane_of(self) -> dict[str, int]:
        """Item key -> index of its lane."""
        return {item.key: k for k, lane in enumerate(self.lanes) for item in lane.items}

    @cached_property
    def title(self) -> tuple[str, str]:
        """The name, and what it costs on which input under which convention."""
        inputs = ", ".join(shape_label(Shape(*shape)) for shape in self.plan.inputs.values())
        return (
            self.plan.name,
            f"{amount(self.plan.params)} params · {amount(self.plan.macs)} multiply-adds (convention macs) at {inputs}",
        )
