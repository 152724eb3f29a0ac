"""An order in which everything comes after what it needs, or the cycle that prevents it."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from heapq import heapify, heappop, heappush
from typing import TypeVar

K = TypeVar("K", bound=Hashable)


class Cycle(Exception):
    """Raised where keys need each other; `args` are the keys of one cycle, each needed by the next."""


def topological_order(needs: Mapping[K, Collection[K]]) -> list[K]:
    """The keys, each after those it needs, otherwise in the order of the mapping. Raises Cycle."""
    number = {key: i for i, key in enumerate(needs)}
    open_needs = {key: set(wanted) for key, wanted in needs.items()}
    needed_by: dict[K, list[K]] = {key: [] for key in needs}
    for key, wanted in open_needs.items():
        for need in wanted:
            needed_by[need].append(key)
    ready, done = [(number[key], key) for key, wanted in open_needs.items() if not wanted], list[K]()
    heapify(ready)
    while ready:
        _, key = heappop(ready)
        done.append(key)
        for waiting in needed_by[key]:
            open_needs[waiting].discard(key)
            if not open_needs[waiting]:
                heappush(ready, (number[waiting], waiting))
    if len(done) < len(needs):
        raise Cycle(*cycle_of({key: sorted(wanted, key=number.__getitem__) for key, wanted in open_needs.items()}))
    return done


def cycle_of(needs: Mapping[K, Collection[K]]) -> list[K]:
    """The keys of one cycle, each needed by the next."""
    import networkx  # a fourth of a cold start, for a fault that most specs do not have

    graph = networkx.DiGraph()
    graph.add_nodes_from(needs)  # the search begins with the first
    graph.add_edges_from((need, key) for key, wanted in needs.items() for need in wanted)
    return [key for key, _ in networkx.find_cycle(graph)]
