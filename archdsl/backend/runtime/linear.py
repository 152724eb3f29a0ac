"""Linear layers of maps, with what follows them. The source is put into the emitted file."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MapLinear(nn.Linear):
    """A linear layer of the channels of a map, then a learnt scale, a drop, a sum and a function, where they follow.

    Frozen, the scale goes into the weights at the first clip; on a CPU they are then packed for oneDNN, which does all
    of it in one pass. Traced or exported before, it is what it was: a trace cannot hold packed weights.
    """

    frozen = False
    ready: tuple[Tensor, Tensor | None] | None = None
    """Weight and bias of a frozen layer that has seen a clip."""
    packed = False

    def forward(
        self,
        x: Tensor,
        scale: nn.Module | None = None,
        drop: nn.Module | None = None,
        act: Callable[[Tensor], Tensor] | None = None,
        shortcut: Tensor | None = None,
    ) -> Tensor:
        """(n, c, t, h, w) -> (n, c', t, h, w), channels last in memory."""
        if self.frozen and (self.ready or not (torch.compiler.is_compiling() or torch.jit.is_tracing())):
            return self.at_once(x.movedim(1, -1), scale, act, shortcut).movedim(4, 1)
        y = super().forward(x.movedim(1, -1)).movedim(4, 1)
        y = y if scale is None else scale(y)
        y = y if drop is None else drop(y)
        y = y if shortcut is None else shortcut + y
        return y if act is None else act(y)

    def at_once(
        self, x: Tensor, scale: nn.Module | None, act: Callable[[Tensor], Tensor] | None, shortcut: Tensor | None
    ) -> Tensor:
        """The same, of a frozen layer: nothing is dropped."""
        if self.ready is None:
            self.make_ready(x, scale)
        weight, bias = self.ready or (self.weight, self.bias)
        added = None if shortcut is None else shortcut.movedim(1, -1)
        if not self.packed:
            y = F.linear(x, weight, bias)
            y = y if added is None else y.add_(added)
            return y if act is None else act(y)
        if torch.jit.is_tracing():
            raise RuntimeError("packed weights cannot be traced: trace a frozen network before its first clip")
        onednn = torch.ops.mkldnn._linear_pointwise
        if added is None:
            known: dict[object, str] = {F.gelu: "gelu", F.relu: "relu", F.silu: "swish"}
            name = known.get(act, "none")
            y = onednn(x, weight, bias, name, [], "none")
            return y if act is None or name != "none" else act(y)
        if torch.compiler.is_compiling():
            y = onednn(x, weight, bias, "none", [], "none") + added
        else:
            y = onednn.binary(x, added, weight, bias, "add")
        return y if act is None else act(y)

    def make_ready(self, x: Tensor, scale: nn.Module | None) -> None:
        """Put the scale in and pack the weight; the plain weight is let go."""
        plain, added = self.weight, self.bias
        if self.ready is not None:  # since it was asked another thread made it so, and may have let go of what was read
            return
        weight, bias = plain.detach(), None if added is None else added.detach()
        if scale is not None:
            factor = scale.get_parameter("weight").double()
            weight = (weight.double() * factor[:, None]).to(weight)
            bias = None if bias is None else (bias.double() * factor).to(bias)
        able = hasattr(torch.ops.mkldnn, "_linear_pointwise")  # not public: torch built without oneDNN lacks it
        self.packed = able and x.device.type == "cpu" and x.dtype is torch.float32 and x.numel() > 0
        if self.packed:
            weight = torch.ops.mkldnn._reorder_linear_weight(weight, x.shape[:-1].numel())
        self.ready = weight, bias
        self.register_parameter("weight", None)
        self.register_parameter("bias", None)
