"""Values from inside a network that `build` made, without hooks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from archdsl.backend.inference import Frozen, refuse
from archdsl.compiler import Plan
from archdsl.compiler.inner_values import plan_of_values, values_of_head


@dataclass(frozen=True)
class FeatureReader:
    """`network.features(clip, at=[...])`: the values at addresses, by these; by default what the head reads.

    The network's own weights are read as they are now, so that gradients reach them, and only what the values are
    made from runs.
    """

    plan: Plan
    build: Callable[[Plan], nn.Module]
    beside: bool = False
    """Whether maps are given with the tokens beside them, so that gradients of what is made from both reach them."""
    networks: dict[tuple[str, ...], nn.Module] = field(default_factory=dict)
    """Addresses -> the network of these values; its weights lie nowhere."""

    def __get__(self, network: nn.Module, kind: type) -> Any:
        """The method; of a network that has a pathway called `features`, that pathway, which its forward reads."""
        if (pathway := network._modules.get("features")) is not None:
            return pathway

        def features(clips: Any, at: Sequence[str] = ()) -> dict[str, Tensor]:
            """The values at addresses: of ops, blocks or stages."""
            return self.read(network, clips, tuple([at] if isinstance(at, str) else at))

        return features

    def read(self, network: nn.Module, clips: Any, at: tuple[str, ...]) -> dict[str, Tensor]:
        """The values at addresses. Raises SpecError for addresses that there are not, and of a frozen network."""
        if isinstance(network, Frozen):
            refuse("give features")
        at = at or values_of_head(self.plan)
        if at not in self.networks:
            with torch.device("meta"):
                self.networks[at] = self.build(plan_of_values(self.plan, at, beside=self.beside))
        inner = self.networks[at]
        modes = {name: part.training for name, part in network.named_modules()}
        for name, part in inner.named_modules():
            part.training = modes.get(name, network.training)
        own = {**dict(network.named_parameters()), **dict(network.named_buffers())}
        needed = [name for name, _ in (*inner.named_parameters(), *inner.named_buffers())]
        values = functional_call(inner, {name: own[name] for name in needed}, (clips,))
        return values if isinstance(values, dict) else {at[0]: values}
