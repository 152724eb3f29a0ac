"""What reads the pathways' ends."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, PlainSerializer, SerializeAsAny, WithJsonSchema, model_validator

from archdsl import ops
from archdsl.blocks.base import Act, Norm, NormField, add_act
from archdsl.blocks.names import Name
from archdsl.blocks.single_key import keyed, kinds_by_key, unkeyed
from archdsl.errors import SpecError
from archdsl.graph import UNKNOWN, Builder
from archdsl.language.heads.anchors import AnchorDetector
from archdsl.language.heads.base import Head
from archdsl.language.heads.consensus import Consensus
from archdsl.language.heads.dense import Dense
from archdsl.language.heads.detector import Detector
from archdsl.language.heads.features import Features
from archdsl.language.heads.grid import GridDetector
from archdsl.language.heads.key_points import KeyPoints
from archdsl.language.heads.localiser import Localiser
from archdsl.language.heads.masks import MaskedFeatures, MaskedPixels
from archdsl.language.heads.next_word import NextWord
from archdsl.language.heads.queries import SetDetector
from archdsl.language.heads.regions import RegionDetector
from archdsl.language.heads.relation import Relation
from archdsl.language.heads.roi import Roi
from archdsl.language.heads.segments import SegmentDetector
from archdsl.language.heads.similarity import Similarity
from archdsl.language.heads.token import TokenClassifier
from archdsl.spec.scalars import Count, Positive, Real

HeadField = Annotated[
    SerializeAsAny[Head],
    BeforeValidator(lambda value: unkeyed(value, HEADS_BY_KEY, "head")),
    PlainSerializer(lambda head: keyed(head, HEADS_BY_KEY, "head")),
    WithJsonSchema({"x-archdsl": "Head"}),
]


class Classifier(Head):
    """Norm, pool of each pathway; join them, drop, classify every position left, take the mean.  ends -> (classes,)

    `window: 7` keeps the pool of the training crop at any size: at 256 it leaves 2 x 2 positions.
    """

    classes: Count = Field(description="classes")
    pool: Literal["average", "max", "none"] = Field("average", description="average, max, or none: first classify")
    window: Count | None = Field(None, description="side of the pooled window; by default the whole map")
    window_t: Count | None = Field(None, description="frames of the pooled window; by default all")
    norm: NormField = Field(Norm(kind="none"), description="none, layer, batch... or a mapping with eps")
    norm_at: Literal["map", "pooled"] = Field("map", description="whether the norm is before the pool or behind it")
    merge: Literal["concat", "sum"] = Field("concat", description="how pathways are joined: concat or sum")
    dropout: Annotated[Real, Field(ge=0, lt=1)] = Field(0.0, description="share of features dropped in training")
    bias: bool = Field(True, description="whether the classifier has a bias")
    act: Act = Field("none", description="activation of the scores of each position, before their mean")

    def build(self, g: Builder, ends: dict[str, str]) -> dict[str, str]:
        pooled = [self.normed(g, name, x) for name, x in ends.items()]
        join = ops.Concat() if self.merge == "concat" else ops.Add()
        x = pooled[0] if len(pooled) == 1 else g.add("join", join, *pooled)
        x = g.add("dropout", ops.Dropout(p=self.dropout), x) if self.dropout else x
        x = add_act(g, "act", self.act, g.add("classifier", ops.Linear(out_features=self.classes, bias=self.bias), x))
        if g.shape(x).positions > 1:
            x = g.add("mean", ops.Mean(over="thw"), x)
        return {"scores": g.add("scores", ops.Vector(), x)}

    def normed(self, g: Builder, name: str, x: str) -> str:
        """One pathway's end, normalised and pooled."""
        x = self.norm.add(g, f"norm_{name}", x) if self.norm_at == "map" else x
        x = x if self.pool == "none" else self.pooled(g, name, x)
        return self.norm.add(g, f"norm_{name}", x) if self.norm_at == "pooled" else x

    def pooled(self, g: Builder, name: str, x: str) -> str:
        """One pathway's end, pooled over a window or the whole map."""
        if self.window is None and self.window_t is None:
            return g.add(f"pool_{name}", ops.AdaptiveAvgPool() if self.pool == "average" else ops.AdaptiveMaxPool(), x)
        side = min(g.shape(x)[2:]) if x != UNKNOWN else None
        if side and self.window and self.window > side:
            raise SpecError(
                f"a window larger than the map along {'h' if g.shape(x).h == side else 'w'}",
                at=f"{g.path}.window",
                written=self.written,
                got=f"window {self.window}, {g.shape(x).h} x {g.shape(x).w} of pathway {name}",
                want=f"at most {side}",
                fix=f"window: {side}, or leave window out: the whole map",
            )
        kernel = (self.window_t or 0, self.window or 0, self.window or 0)
        pool = ops.AvgPool if self.pool == "average" else ops.MaxPool
        return g.add(f"pool_{name}", pool(kernel=kernel, pad="valid"), x)


class Several(Head):
    """Heads side by side, each with its own `reads`: auxiliary classifiers, or two streams whose scores are joined.

    Outputs bear the heads' names (`aux1`), or where heads are joined the outputs' own (`scores`).
    """

    heads: dict[Name, HeadField] = Field(min_length=1, description="heads by name")
    merge: Literal["none", "sum", "average"] = Field("none", description="none, or how outputs of one name are joined")
    auxiliary: dict[Name, Positive] = Field(
        {}, description="heads that only help to train: what their loss is multiplied by; no test reads them"
    )

    @model_validator(mode="after")
    def _reads_known(self) -> Self:
        for name, head in self.heads.items():
            if head.reads is None:
                want = "reads: [pathways]"
                raise SpecError(f"head {name} has no `reads`", at=f"heads.{name}", written=head.written, want=want)
        return self

    @model_validator(mode="after")
    def _auxiliary_known(self) -> Self:
        main = [name for name in self.heads if name not in self.auxiliary]
        odd = [name for name in self.auxiliary if name not in self.heads]
        if odd or not main or (self.auxiliary and self.merge != "none"):
            raise SpecError(
                "auxiliary heads are some of several that are not joined",
                at="auxiliary",
                written=self.written,
                got=f"{', '.join(self.auxiliary)} of {', '.join(self.heads)}, merge: {self.merge}",
                want="names of heads, but not of all, and merge: none",
            )
        return self

    @property
    def pathways(self) -> tuple[str, ...] | None:
        every = [name for head in self.heads.values() for name in head.reads or ()]
        return self.reads or tuple(dict.fromkeys(every))

    @property
    def classes(self) -> int | None:
        """How many classes the first head tells apart, where it does."""
        classes: int | None = getattr(next(iter(self.heads.values())), "classes", None)
        return classes

    @property
    def task(self) -> str:
        """That of its first head; labels of their own where those that are tested tell other numbers of classes."""
        first = next(iter(self.heads.values())).task
        counts = {getattr(head, "classes", None) for name, head in self.heads.items() if name not in self.auxiliary}
        return "own_labels" if first == "classification" and len(counts) > 1 else first

    def build(self, g: Builder, ends: dict[str, str]) -> dict[str, str]:
        made: dict[str, list[str]] = {}
        for name, head in self.heads.items():
            with g.inside(name, type(head).__name__, written=head.written):
                outputs = head.build(g, {read: ends[read] for read in head.reads or ()})
                for output, value in outputs.items():
                    own = name if len(outputs) == 1 else f"{name}_{output}"
                    made.setdefault(output if self.merge != "none" else own, []).append(value)
        join = ops.Add() if self.merge == "sum" else ops.Average()
        return {
            name: values[0] if len(values) == 1 else self.joined(g, name, join, values) for name, values in made.items()
        }

    def joined(self, g: Builder, name: str, join: ops.Op, values: list[str]) -> str:
        """Outputs of one name as one."""
        vectors = all(value != UNKNOWN and isinstance(g.nodes[value].op, ops.Vector) for value in values)
        own = name
        while own in self.heads:
            own += "_"
        y = g.add(f"join_{own}" if vectors else own, join, *values)
        return g.add(own, ops.Vector(), y) if vectors else y


HEADS: tuple[type[Head], ...] = (
    Classifier,
    TokenClassifier,
    Several,
    Consensus,
    Relation,
    Roi,
    Localiser,
    SegmentDetector,
    Dense,
    Detector,
    AnchorDetector,
    RegionDetector,
    GridDetector,
    SetDetector,
    Features,
    KeyPoints,
    NextWord,
    Similarity,
    MaskedPixels,
    MaskedFeatures,
)
HEADS_BY_KEY = kinds_by_key(HEADS)
