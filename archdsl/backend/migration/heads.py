"""The end of a graph as a head."""

from __future__ import annotations

from typing import Any, NamedTuple

from archdsl import ops
from archdsl.backend.migration.regions import PartSeries, SeriesPart
from archdsl.backend.migration.units import UnitReader
from archdsl.language.head import Classifier
from archdsl.language.heads.base import Head
from archdsl.language.heads.features import Features
from archdsl.language.heads.token import TokenClassifier


class FoundHead(NamedTuple):
    """A head, and the parts before it."""

    head: Head
    parts: PartSeries


def found_head(reader: UnitReader, parts: PartSeries, dropout: float) -> FoundHead:
    """A classifier where the parts end in one; else what leaves as it is."""
    rest = [part for part in parts if not isinstance(reader.op(part), ops.Vector)]
    last = [rest.pop()] if rest and is_mean(reader, rest[-1]) else []
    act = "softmax" if rest and isinstance(reader.op(rest[-1]), ops.Softmax) else "none"
    scores = rest[:-1] if act == "softmax" else rest
    layer = reader.op(scores[-1]) if scores else None
    if not isinstance(layer, ops.Linear):
        return FoundHead(Features(), (*rest, *last))
    before = scores[:-1]
    given: Any = {"classes": layer.out_features, "dropout": dropout}
    if before and isinstance(reader.op(before[-1]), ops.TakeToken) and layer.bias and not last and act == "none":
        norm, n = reader.norm(before[-2:-1])
        return FoundHead(TokenClassifier(**given, norm=norm or "none"), tuple(before[: -1 - n]))
    given |= {"bias": layer.bias, "act": act}
    return classifier(reader, before, given, pooled_behind=bool(last))


def classifier(
    reader: UnitReader, before: list[SeriesPart], given: dict[str, Any], *, pooled_behind: bool
) -> FoundHead:
    """A classifier with the pool and the norm in front of its layer."""
    if pooled_behind or not before:
        return FoundHead(Classifier(**given, pool="none"), tuple(before))
    norm, n = reader.norm(before[-1:])
    if n and len(before) > 1 and is_mean(reader, before[-2]):
        return FoundHead(Classifier(**given, norm=norm, norm_at="pooled"), tuple(before[:-2]))
    if not is_mean(reader, before[-1]):
        return FoundHead(Classifier(**given, pool="none"), tuple(before))
    norm, n = reader.norm(before[-2:-1])
    if n and norm is not None and norm.kind == "layer":
        return FoundHead(Classifier(**given, norm=norm), tuple(before[:-2]))
    return FoundHead(Classifier(**given), tuple(before[:-1]))


def is_mean(reader: UnitReader, part: SeriesPart) -> bool:
    """Whether a part is the mean over all positions."""
    op = reader.op(part)
    return isinstance(op, ops.Mean | ops.AdaptiveAvgPool) and reader.graph.shapes[str(part)].positions == 1
