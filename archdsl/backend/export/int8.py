"""Networks in integers of 8 bits, by torch's own quantisation of traced graphs (torch.ao, 2.13)."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.ao.quantization import get_default_qconfig_mapping, quantize_fx
from torch.fx import GraphModule

from archdsl.backend.export.program import EXPORT_ERRORS, quietly, refusal_text
from archdsl.errors import SpecError

ENGINE = "onednn"
"""Whose ranges are observed: all 8 bits of maps, weights by channel."""


def observed(network: nn.Module, clips: Any) -> GraphModule:
    """The network with observers of what each layer gives; it computes as before. Raises SpecError."""
    try:
        made: GraphModule = quietly(
            lambda: quantize_fx.prepare_fx(network.eval(), get_default_qconfig_mapping(ENGINE), (clips,))
        )
    except EXPORT_ERRORS as error:
        raise SpecError(
            "torch.ao cannot quantise this network",
            got=refusal_text(error),
            want="a forward that torch.fx traces",
            fix="without --int8",
        ) from None
    return made


def quantised(network: GraphModule) -> GraphModule:
    """What was observed, its weights and maps rounded to 8 bits where torch knows how: steps that engines join.

    Weights are stored in 32 bits and rounded when an engine loads the file.
    """
    made: GraphModule = quietly(lambda: quantize_fx._convert_to_reference_decomposed_fx(network))
    return made
