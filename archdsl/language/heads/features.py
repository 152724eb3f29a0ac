"""The head of networks that others read: no classes, the map itself."""

from __future__ import annotations

from archdsl import ops
from archdsl.graph import Builder
from archdsl.language.heads.base import Head
from archdsl.language.heads.dense import the_end


class Features(Head):
    """The pathway's map as it leaves, without tokens beside it.  end -> (c, t, h, w)"""

    @property
    def task(self) -> str:
        return "features"

    def build(self, g: Builder, ends: dict[str, str]) -> dict[str, str]:
        return {"features": g.add("features", ops.TakeMap(), the_end(ends))}
