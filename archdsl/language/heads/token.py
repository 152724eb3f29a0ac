"""The head of transformers that classify by a token."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from archdsl import ops
from archdsl.blocks.base import Norm, NormField
from archdsl.errors import SpecError
from archdsl.graph import Builder
from archdsl.language.heads.base import Head
from archdsl.spec.scalars import Count, Share


class TokenClassifier(Head):
    """Normalise all tokens, take the class token, classify it.  end -> (classes,)"""

    word: ClassVar[str] = "class_token"
    classes: Count = Field(description="classes")
    norm: NormField = Field(Norm(kind="layer", eps=1e-6), description="layer, rms, none, or a mapping with eps")
    dropout: Share = Field(0.0, description="share of features dropped in training")

    def build(self, g: Builder, ends: dict[str, str]) -> dict[str, str]:
        if len(ends) != 1:
            what, at, fix = "a class token of several pathways", f"{g.path}.reads", f"reads: [{next(iter(ends))}]"
            raise SpecError(what, at=at, written=self.written, got=", ".join(ends), want="one pathway", fix=fix)
        (x,) = ends.values()
        x = g.add("token", ops.TakeToken(), self.norm.add(g, "norm", x))
        x = g.add("dropout", ops.Dropout(p=self.dropout), x) if self.dropout else x
        x = g.add("classifier", ops.Linear(out_features=self.classes, init="trunc_normal"), x)
        return {"scores": g.add("scores", ops.Vector(), x)}
