"""Low-rank terms that learn beside frozen linear layers, as a part of an arch."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from archdsl.blocks.tokens import several
from archdsl.spec.base import Written
from archdsl.spec.scalars import Count, Positive


class Lora(Written):
    """LoRA (arXiv:2106.09685): W x becomes W x + alpha / rank B A x, where A gives `rank` channels. B starts at 0."""

    at: Annotated[
        tuple[str, ...], BeforeValidator(several, json_schema_input_type=str | tuple[str, ...]), Field(min_length=1)
    ] = Field(("*.query", "*.value"), description="addresses of linear layers, with * and ?")
    rank: Count = Field(description="channels between the two layers of the term")
    alpha: Positive | None = Field(None, description="the term is multiplied by alpha / rank; by default the rank")

    @property
    def scale(self) -> float:
        """What the term is multiplied by."""
        return float(self.alpha or self.rank) / self.rank
