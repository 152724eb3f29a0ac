"""A head that says at once what every anchor of several maps holds: RetinaNet, SSD and YOLO."""

from __future__ import annotations

from contextlib import nullcontext
from math import log
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from archdsl import ops
from archdsl.blocks.chain import Chain, add_chain
from archdsl.errors import SpecError
from archdsl.graph import UNKNOWN, Builder
from archdsl.language.heads.base import Head
from archdsl.language.heads.detector import Deviations
from archdsl.ops.conv import Init
from archdsl.spec.scalars import Count, Positive, Real

LevelSides = Annotated[tuple[tuple[Positive, Positive], ...], Field(min_length=1)]


class Anchored(Head):
    """Fields of heads with anchors on several maps."""

    classes: Count = Field(description="classes, background among them where there is one")
    sides: tuple[LevelSides, ...] = Field(
        min_length=1, description="widths and heights of the anchors of each map, in pixels, from the finest on"
    )
    steps: tuple[Positive, ...] | None = Field(
        None,
        description="pixels between neighbours of each map; by default the clip's size over the map's, rounded down",
    )
    offset: Annotated[Real, Field(ge=0, lt=1)] = Field(0.0, description="where the first anchor lies, in steps")

    @property
    def task(self) -> str:
        return "detection"

    def matched(self, ends: dict[str, str], shared: bool) -> list[str]:
        """The maps; as many as there are sides, and where they share weights with as many anchors each."""
        counts = [len(level) for level in self.sides]
        if shared and len(set(counts)) > 1:
            got, want = ", ".join(map(str, counts)), "as many for each"
            raise SpecError("maps that share weights with other numbers of anchors", at="sides", got=got, want=want)
        steps = self.sides if self.steps is None else self.steps
        if not len(ends) == len(self.sides) == len(steps):
            got = f"{len(ends)} pathways, sides of {len(self.sides)}, steps of {len(steps)}"
            raise SpecError("anchors of other maps than are read", got=got, want="sides and steps of each pathway")
        return [*ends.values()]

    def anchors(self, g: Builder, maps: list[str]) -> str:
        """Corners of all anchors, as rows."""
        clip = g.shape(g.clips[0])
        sizes = [(g.shape(x).h, g.shape(x).w) for x in maps]
        whole = [(float(clip.h // h), float(clip.w // w)) for h, w in sizes]
        steps = whole if self.steps is None else [(float(step), float(step)) for step in self.steps]
        sides = tuple(tuple((float(w), float(h)) for w, h in level) for level in self.sides)
        op = ops.Anchors(sides=sides, sizes=tuple(sizes), steps=tuple(steps), offset=float(self.offset))
        return g.add("anchors", op, maps[0])

    def rows(self, g: Builder, maps: list[str]) -> tuple[int, ...]:
        """How many anchors each map has."""
        return tuple(g.shape(x).positions // g.shape(x).t * len(level) for x, level in zip(maps, self.sides))


class AnchorDetector(Anchored):
    """What every anchor holds and how it is moved, of all maps in one.  ends -> (c, t, anchors, 1)

    `scores` (classes, t, anchors, 1) before the softmax or sigmoid; `shifts` (4, t, anchors, 1); with `objectness` also
    that (1, t, anchors, 1), which multiplies the chances. `detections` (6, t, count, 1): class, chance, x1, y1, x2, y2
    in pixels, the best after suppression, zeros where there are fewer. Anchors go map by map, then along h, w and the
    anchors of an element; their corners are the buffer `anchors` of the network's `head.anchors`.
    """

    before_scores: Chain = Field((), description="blocks on each map in front of the scores")
    before_shifts: Chain = Field((), description="blocks on each map in front of the shifts")
    kernel: Count = Field(3, description="side of the window of the last convolution")
    shared: bool = Field(False, description="whether all maps share the weights of their blocks and convolutions")
    objectness: bool = Field(
        False, description="one convolution says of each anchor x, y, w, h, whether it holds a thing, and which (YOLO)"
    )
    act: Literal["softmax", "sigmoid"] = Field("softmax", description="what makes chances of scores")
    background: bool = Field(True, description="whether class 0 is none of them")
    init: Init = Field("normal", description="how the last convolutions are drawn")
    prior: Annotated[Real, Field(gt=0, lt=1)] | None = Field(None, description="chance that scores start at")
    within: Literal["anchor", "cell"] = Field(
        "anchor", description="shifts count in sides of the anchor, or put a centre into the cell of its element (YOLO)"
    )
    deviations: Deviations = Field((0.1, 0.1, 0.2, 0.2), description="what shifts of anchors (x, y, w, h) count in")
    count: Count = Field(200, description="boxes that are given")
    above: Annotated[Real, Field(ge=0, lt=1)] = Field(0.01, description="chance that boxes must have more than")
    overlap: Annotated[Real, Field(gt=0, le=1)] = Field(0.45, description="overlap of boxes of which the best stays")
    candidates: Count = Field(400, description="best boxes of each class, or map, that go into suppression")
    per: Literal["class", "map"] = Field("class", description="what candidates are counted by")

    @model_validator(mode="after")
    def _one_convolution(self) -> Self:
        if self.objectness and (self.before_scores or self.before_shifts):
            raise SpecError(
                "blocks in front of scores that come with all else",
                at="objectness",
                written=self.written,
                got="objectness: true, before_scores or before_shifts",
                want="the blocks in the pathways",
            )
        return self

    def build(self, g: Builder, ends: dict[str, str]) -> dict[str, str]:
        maps = self.matched(ends, self.shared)
        said: dict[str, list[str]] = {}
        for i, x in enumerate(maps):
            with g.inside(f"map{i}"), g.sharing("map0") if self.shared and i else nullcontext():
                for name, y in self.of_map(g, x, i).items():
                    said.setdefault(name, []).append(y)
        rows = self.as_rows(g, said)
        return rows | {"detections": self.best(g, maps, rows)}

    def of_map(self, g: Builder, x: str, i: int) -> dict[str, str]:
        """What is said of the anchors of one map."""
        a = len(self.sides[i])
        if self.objectness:
            return {"said": self.conv(g, "said", x, a * (5 + self.classes))}
        start = None if self.prior is None else -log(1 / self.prior - 1)
        scores, shifts = add_chain(g, "scores", self.before_scores, x), add_chain(g, "shifts", self.before_shifts, x)
        return {
            "scores": self.conv(g, "class_scores", scores, a * self.classes, start),
            "shifts": self.conv(g, "box_shifts", shifts, a * 4),
        }

    def conv(self, g: Builder, name: str, x: str, channels: int, start: float | None = None) -> str:
        """The last convolution."""
        window = (1, self.kernel, self.kernel)
        return g.add(
            name, ops.Conv(out_channels=channels, kernel=window, bias=True, init=self.init, bias_start=start), x
        )

    def as_rows(self, g: Builder, said: dict[str, list[str]]) -> dict[str, str]:
        """What is said of all anchors, by name."""
        if not self.objectness:
            sizes = {"scores": self.classes, "shifts": 4}
            return {name: g.add(name, ops.AnchorRows(channels=sizes[name]), *maps) for name, maps in said.items()}
        rows = g.add("rows", ops.AnchorRows(channels=5 + self.classes), *said["said"])
        parts = {"shifts": (0, 4), "objectness": (4, 1), "scores": (5, self.classes)}
        return {name: g.add(name, ops.TakeChannels(start=i, count=n), rows) for name, (i, n) in parts.items()}

    def best(self, g: Builder, maps: list[str], rows: dict[str, str]) -> str:
        """The boxes that are given."""
        if UNKNOWN in (*maps, *rows.values()):
            return UNKNOWN
        boxes = g.add("boxes", self.moved(g, maps), rows["shifts"], self.anchors(g, maps))
        chances = g.add("chances", ops.Softmax() if self.act == "softmax" else ops.Sigmoid(), rows["scores"])
        if self.objectness:
            thing = g.add("thing", ops.Sigmoid(), rows["objectness"])
            chances = g.add("product", ops.Mul(), chances, thing)
        best = ops.BestBoxes(
            rows=self.rows(g, maps),
            count=self.count,
            overlap=float(self.overlap),
            above=float(self.above),
            candidates=self.candidates,
            per=self.per,
            background=self.background,
        )
        return g.add("detections", best, chances, boxes)

    def moved(self, g: Builder, maps: list[str]) -> ops.Op:
        """What makes boxes of shifts and anchors."""
        clip = g.shape(g.clips[0])
        if self.within == "anchor":
            x, y, w, h = map(float, self.deviations)
            return ops.MoveBoxes(deviations=(x, y, w, h), size=(clip.h, clip.w))
        steps = tuple(float(clip.h // g.shape(x).h) for x in maps) if self.steps is None else self.steps
        return ops.CellBoxes(rows=self.rows(g, maps), steps=tuple(map(float, steps)))
