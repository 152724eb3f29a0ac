"""The head of networks that say where points are, such as the joints of a person."""

from __future__ import annotations

from archdsl import ops
from archdsl.errors import SpecError
from archdsl.graph import UNKNOWN, Builder
from archdsl.language.heads.base import Head
from archdsl.language.heads.dense import the_end


class KeyPoints(Head):
    """Where each point is: of a vector x and y of each, of a map a channel for each.  end -> the same

    (2 points, t, 1, 1): x and y in sides of the clip, 0 its middle. (points, t, h, w): a map that is largest where the
    point is.
    """

    @property
    def task(self) -> str:
        return "key_points"

    def build(self, g: Builder, ends: dict[str, str]) -> dict[str, str]:
        x = g.add("points", ops.TakeMap(), the_end(ends))
        if x != UNKNOWN and g.shape(x).h * g.shape(x).w == 1 and g.shape(x).c % 2:
            got, want = f"{g.shape(x).c} channels", "two for each point, x and y, or a map for each"
            raise SpecError("points without one of their numbers", written=self.written, got=got, want=want)
        return {"key_points": x}
