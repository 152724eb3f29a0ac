"""Aten ops by name, and their arguments."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Any

from torch import Tensor
from torch.fx import Node

Call = Any
"""A call of an aten op in a traced module, a torch.fx.Node: its arguments have no types."""


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


MOVES = words(
    "view _unsafe_view reshape permute transpose mT t movedim flatten unflatten squeeze unsqueeze clone contiguous "
    "to _to_copy alias detach dropout lift_fresh_copy lift_fresh numpy_T adjoint swapaxes type_as expand_as "
    "view_as reshape_as"
)
"""Ops that change a shape alone."""
SELECTS = words(
    "expand repeat slice select split split_with_sizes chunk unbind index index_select gather stack roll flip pad "
    "constant_pad_nd copy slice_scatter select_scatter masked_fill where repeat_interleave narrow tile "
    "reflection_pad3d replication_pad3d scatter im2col col2im tril triu unfold index_put broadcast_tensors"
)
"""Ops that choose numbers, repeat them or put them beside others."""
FACTORIES = words(
    "new_zeros new_ones new_full zeros ones full arange scalar_tensor zeros_like ones_like full_like empty "
    "empty_like new_empty eye linspace rand randn bernoulli tensor meshgrid sym_size _assert_tensor_metadata "
    "_assert_scalar"
)
"""Ops whose numbers do not come from what they read."""
UNARY = words(
    "relu gelu silu sigmoid tanh hardswish hardsigmoid leaky_relu elu selu softplus exp log sqrt rsqrt relu6 mish "
    "abs neg cos sin erf square celu softsign hardtanh logsigmoid pow clamp"
)
"""Functions of each number."""


def op_name(node: Node) -> str:
    """aten.add_.Tensor -> add."""
    packet = str(getattr(node.target, "overloadpacket", node.target))
    if packet == "<built-in function getitem>":
        return "getitem"
    return packet.rpartition(".")[2].rstrip("_") if packet.startswith("aten.") else packet


def argument(node: Node, place: int, name: str, default: Any = None) -> Any:
    """An argument by place or by name."""
    return node.args[place] if len(node.args) > place else node.kwargs.get(name, default)


def shape_of(x: Any) -> tuple[int, ...]:
    """The shape of a traced value; of several the first's."""
    value = x.meta.get("val") if isinstance(x, Node) else x
    value = value[0] if isinstance(value, list | tuple) else value
    return tuple(map(int, value.shape)) if isinstance(value, Tensor) else ()


def elements(x: Any) -> int:
    """How many numbers a traced value has."""
    return prod(shape_of(x))


def bare(shape: Iterable[int]) -> tuple[int, ...]:
    """A shape without axes of size 1."""
    return tuple(n for n in shape if n != 1)


def three(value: Any, default: int = 1) -> tuple[int, int, int]:
    """Sizes of a window along (t, h, w), whatever the number of axes; those before are the default."""
    found = [int(n) for n in value] if isinstance(value, list | tuple) else [int(value)]
    return (*(default,) * (3 - len(found)), *found)  # type: ignore[return-value]


def on_axes(value: Any, axes: int) -> list[int]:
    """A size for each axis."""
    found = [*value] if isinstance(value, list | tuple) else [value]
    return found * axes if len(found) == 1 else found


def padding_of(value: Any, kernel: tuple[int, ...]) -> tuple[int, int, int]:
    """Padding along (t, h, w)."""
    if isinstance(value, str):
        return three([k // 2 if value == "same" else 0 for k in kernel], 0)
    return three(on_axes(value, len(kernel)), 0)
