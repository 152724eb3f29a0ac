"""Buffers that no file carries, in torch. The source is put into the emitted file."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Constants(nn.Module):
    """Keeps buffers that no file carries: of a network built on the meta device they are set as it gets memory."""

    def __init__(self) -> None:
        super().__init__()
        self.unset: dict[str, Tensor] = {}

    def constant(self, name: str, value: Tensor) -> None:
        """A buffer of a value that lies on the CPU."""
        self.register_buffer(name, value.to(torch.get_default_device()), persistent=False)
        if self.get_buffer(name).is_meta:
            self.unset[name] = value

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        module: Any = super()
        module._apply(fn, recurse)
        for name in [name for name in self.unset if not self.get_buffer(name).is_meta]:
            self.get_buffer(name).copy_(self.unset.pop(name))
        return self
