"""Lowerings: passes over a plan's graph, after which torch runs it faster and gives the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from archdsl.backend.passes.attention import attention, keys_first
from archdsl.backend.passes.base import Bound, LoweredGraph, Pass, user_ops_closed
from archdsl.backend.passes.common_subgraphs import merge_branches
from archdsl.backend.passes.depthwise import depthwise_gradients
from archdsl.backend.passes.fusion import fusion
from archdsl.backend.passes.heads import biased_heads, heads
from archdsl.backend.passes.in_place import overwriting
from archdsl.backend.passes.layout import channels_last
from archdsl.backend.passes.lifetimes import frame_means, shifts, shuffles, warps
from archdsl.backend.passes.linears import linears
from archdsl.backend.passes.norms import steady_norms
from archdsl.backend.passes.policy import passes_that_pay
from archdsl.backend.passes.views import views
from archdsl.errors import SpecError, did_you_mean
from archdsl.graph import Graph
from archdsl.report.lowering_policy import PassChoices

Lower = Literal["auto", "none"] | Sequence[str] | PassChoices
"""What `build` and `emit` take: what pays here, the literal network, passes by name, or those of a row of the table."""

PASSES: tuple[Pass, ...] = (
    Pass("branches", merge_branches, trains=False),
    Pass("channels_last", channels_last),
    Pass("attention", attention, Bound("pairs", "from", "pairs a channel")),
    Pass("keys_first", keys_first),
    Pass("heads", heads),
    Pass("biased_heads", biased_heads),
    Pass("frame_means", frame_means),
    Pass("shuffles", shuffles),
    Pass("shifts", shifts),
    Pass("warps", warps),
    Pass("views", views, Bound("channels", "up to", "channels")),
    Pass("depthwise", depthwise_gradients),
    Pass("steady_norms", steady_norms),
    Pass("fusion", fusion),
    Pass("linears", linears),
    Pass("overwriting", overwriting),
)
"""Every pass, in the order in which they run."""


def lowered_graph(graph: Graph, lower: Lower = "auto", *, train: bool | None = None) -> Graph:
    """The graph after the passes asked for. Raises SpecError for names that are no pass."""
    taken = passes_taken(lower, train=bool(train))
    literal, graph = graph, user_ops_closed(graph) if taken else graph
    for one in PASSES:
        if one.name in taken:
            graph = one.within(graph, taken[one.name])
    return LoweredGraph(**vars(graph), literal=literal) if taken else graph


def passes_at_work(graph: Graph, taken: PassChoices) -> list[str]:
    """The passes among those taken that find something to change in a graph, with their bounds."""
    found: list[str] = []
    graph = user_ops_closed(graph) if taken else graph
    for one in PASSES:
        if one.name in taken:
            before, graph = graph, one.within(graph, taken[one.name])
            if graph.nodes != before.nodes:
                found.append(f"{one.name}{one.bound_text(taken[one.name])}")
    return found


def parse_lower(lower: str) -> Lower:
    """What a person wrote in one word: `auto`, `none`, or names of lowerings joined by commas."""
    return "auto" if lower == "auto" else "none" if lower == "none" else lower.split(",")


def passes_taken(lower: Lower, *, train: bool = False, device: str | None = None) -> PassChoices:
    """The passes that `lower` stands for, `auto` for what pays on a device; those by name at every size.

    Raises SpecError for what is no pass, and for bounds that a pass has not.
    """
    if lower == "none":
        return {}
    if lower == "auto":
        lower = passes_that_pay(train=train, device=device)
    elif not isinstance(lower, Mapping):
        lower = dict.fromkeys([lower] if isinstance(lower, str) else lower, True)
    known = {one.name: one for one in PASSES}
    for name, choice in lower.items():
        if name not in known:
            raise SpecError(
                f"no lowering {name!r}",
                got=name,
                want=f"auto, none, or some of {', '.join(known)}",
                fix=did_you_mean(name, [*known]),
            )
        bound = known[name].bound
        if isinstance(choice, Mapping) and [*choice] != [bound and bound.name]:
            want = f"true, false{f', or a number of {bound.name}' if bound else ''}"
            raise SpecError(f"no such bound of lowering {name!r}", got=f"{dict(choice)}", want=want)
    return {name: choice for name, choice in lower.items() if choice}


def lowerings_table() -> list[dict[str, Any]]:
    """Every pass: its name, what it is, and whether `auto` takes it for inference and for training on this machine.

    One that pays at some sizes only has its bound there, as in {"channels": 32}.
    """
    infer, train = passes_that_pay(train=False), passes_that_pay(train=True)
    return [
        {
            "name": one.name,
            "about": one.about,
            "infer": infer.get(one.name, False),
            "train": train.get(one.name, False),
        }
        for one in PASSES
    ]
