"""Lowerings: passes over a plan's graph, after which torch runs it faster and gives the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from archdsl.backend.passes.attention import attention, keys_first
from archdsl.backend.passes.base import LoweredGraph, Pass
from archdsl.backend.passes.branches import branches
from archdsl.backend.passes.choice import chosen
from archdsl.backend.passes.depthwise import depthwise
from archdsl.backend.passes.fusion import fusion
from archdsl.backend.passes.held import frame_means, shifts, shuffles, warps
from archdsl.backend.passes.layout import channels_last
from archdsl.backend.passes.norms import steady_norms
from archdsl.backend.passes.overwriting import overwriting
from archdsl.backend.passes.views import narrow_views, views
from archdsl.errors import SpecError, did_you_mean
from archdsl.graph import Graph

Lower = Literal["auto", "none"] | Sequence[str]
"""What `build` and `emit` take: what pays here, the literal network, or passes by name."""

PASSES: tuple[Pass, ...] = (
    Pass("branches", branches),
    Pass("channels_last", channels_last),
    Pass("attention", attention),
    Pass("keys_first", keys_first),
    Pass("frame_means", frame_means),
    Pass("shuffles", shuffles),
    Pass("shifts", shifts),
    Pass("warps", warps),
    Pass("narrow_views", narrow_views),
    Pass("views", views),
    Pass("depthwise", depthwise),
    Pass("steady_norms", steady_norms),
    Pass("fusion", fusion),
    Pass("overwriting", overwriting),
)
"""Every pass, in the order in which they run."""


def lowered_graph(graph: Graph, lower: Lower = "auto", *, train: bool | None = None) -> Graph:
    """The graph after the passes asked for. Raises SpecError for names that are no pass."""
    names = passes_named(lower, train=bool(train))
    literal = graph
    for one in PASSES:
        if one.name in names:
            graph = one.run(graph)
    return LoweredGraph(**vars(graph), literal=literal) if names else graph


def passes_named(lower: Lower, *, train: bool = False, device: str | None = None) -> tuple[str, ...]:
    """The names that `lower` stands for, `auto` for what pays on a device."""
    if lower == "none":
        return ()
    known = [one.name for one in PASSES]
    if lower == "auto":
        taken = chosen(train=train, device=device)
        return tuple(name for name in known if name in taken)
    names = [lower] if isinstance(lower, str) else list(lower)
    for name in names:
        if name not in known:
            raise SpecError(
                f"no lowering {name!r}",
                got=name,
                want=f"auto, none, or some of {', '.join(known)}",
                fix=did_you_mean(name, known),
            )
    return tuple(names)


def lowerings_table() -> list[dict[str, Any]]:
    """Every pass: its name, what it is, and whether `auto` takes it for inference and for training on this machine."""
    infer, train = chosen(train=False), chosen(train=True)
    return [
        {"name": one.name, "about": one.about, "infer": one.name in infer, "train": one.name in train} for one in PASSES
    ]
