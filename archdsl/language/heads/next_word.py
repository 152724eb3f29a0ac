"""The head of networks that write: after each word of a text the scores of the next one."""

from __future__ import annotations

from pydantic import Field

from archdsl import ops
from archdsl.errors import SpecError
from archdsl.graph import Builder
from archdsl.language.heads.base import Head
from archdsl.language.heads.dense import the_end
from archdsl.spec.scalars import Share


class NextWord(Head):
    """Drop, and scores of every word of its text clip's vocabulary.  (c, t, 1, 1) -> (vocabulary, t)

    It reads a pathway whose every position has seen the words up to its own alone, and the pictures.
    """

    dropout: Share = Field(0.0, description="share of features dropped in training")

    @property
    def task(self) -> str:
        return "captioning"

    def build(self, g: Builder, ends: dict[str, str]) -> dict[str, str]:
        x = the_end(ends)
        text = next(iter(g.ids)) if len(g.ids) == 1 else g.source_of(x)
        if text not in g.ids:
            raise SpecError(
                "a next word of one text",
                written=self.written,
                got=", ".join(g.ids) or "no clip of text",
                want="one clip of modality text, or of several that which the pathway reads",
                fix="clips: {words: {modality: text, frames: 20, size: 1, vocabulary: 1000}}",
            )
        vocabulary = g.ids[text]
        x = g.add("dropout", ops.Dropout(p=self.dropout), x) if self.dropout else x
        x = g.add("classifier", ops.Linear(out_features=vocabulary), x)
        return {"next": g.add("next", ops.Series(), x)}
