"""The head of two towers: how well each of several texts fits a clip."""

from __future__ import annotations

from archdsl import ops
from archdsl.errors import SpecError
from archdsl.graph import Builder
from archdsl.language.heads.base import Head


class Similarity(Head):
    """exp(s) times the cosine of a clip's vector and each text's (arXiv:2103.00020).  ends -> (texts,)

    It reads a pathway of one vector, and one of a vector for each text: two by name, the clip first. Both leave too, of
    length 1: `clip` (c,) and `texts` (c, 1, texts, 1).
    """

    @property
    def task(self) -> str:
        return "similarity"

    def build(self, g: Builder, ends: dict[str, str]) -> dict[str, str]:
        if len(ends) != 2:
            fix = f"reads: [{', '.join([*ends][:2])}]" if len(ends) > 2 else None
            want = "two pathways: a clip's and that of the texts"
            raise SpecError(
                "not two pathways to compare", written=self.written, got=", ".join(ends), want=want, fix=fix
            )
        clip, texts = (g.add(f"unit_{name}", ops.L2Norm(), x) for name, x in ends.items())
        scores = g.add("scores", ops.Vector(), g.add("similarity", ops.ScaledProducts(), clip, texts))
        return {"scores": scores, "clip": g.add("clip", ops.Vector(), clip), "texts": texts}
