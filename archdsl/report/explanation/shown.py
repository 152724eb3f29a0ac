"""The example of a word as text that can be run, and what it does and costs there."""

from __future__ import annotations

import re
from typing import NamedTuple

from archdsl.blocks import Block
from archdsl.compiler import Plan
from archdsl.language import Head, Transform
from archdsl.language.writers.yaml_writer import data_to_yaml
from archdsl.ops import Cost, Shape
from archdsl.report.explanation.example_data import CLASSIFIER, CLIP, CONV, REWRITES, WHOLE_SPECS
from archdsl.report.explanation.examples import WordExample, WordKind, example_of, plan_or_none
from archdsl.report.explanation.field_examples import in_pathway, of_field, of_recipe_part
from archdsl.report.explanation.words import Word


class Measured(NamedTuple):
    """What a word does in its example."""

    reads: tuple[Shape, ...]
    gives: Shape
    cost: Cost


def example(word: Word) -> WordExample | None:
    """The smallest example of a word; None for a value, which stands in that of its field."""
    match word.kind:
        case "block" | "op" | "transform" | "head":
            return of_kind(word.thing)
        case "merge":
            return of_merge(word.name)
        case "convention":
            return WordExample("console", f"archdsl count slow_4x16_r50 --convention {word.name}")
        case "rewrite":
            return WordExample("python", rewritten(word.name))
        case "task":
            return WordExample("recipe", f"extends: smoke\nset: {{task: {word.name}}}")
        case "frame choice":
            return in_pathway(word.name)
        case "recipe":
            return of_recipe_part(word.name)
        case "field" | "key" | "part":
            return of_field(word)
    return None


def rewritten(name: str) -> str:
    """A rewrite applied to a model of the zoo."""
    call = REWRITES[name]
    blocks = [f"from archdsl.blocks import {name}" for name in ("Adapter", "TimeShift") if f"{name}(" in call]
    return "\n".join(
        ["from archdsl import load", *blocks, f"from archdsl.rewrites import {name}", "", f"arch = {call}"]
    )


def of_kind(kind: WordKind) -> WordExample | None:
    """Of a block, an op, a transform or a head."""
    found = example_of(kind)  # type: ignore[arg-type]  # mypy asks instances whether a class has a hash
    return WordExample("yaml", data_to_yaml(found[0]), found[1], place_in(kind, found[1])) if found else None


def place_in(kind: WordKind, plan: Plan) -> str:
    """Where a kind stands in the plan of its example."""
    if issubclass(kind, Head):
        return "head"
    if issubclass(kind, Transform):
        edge = plan.arch.edges[0]
        return next(address for address in plan.within if address.endswith(f".{edge.label}"))
    last = next(address for address in reversed([*plan.within]) if re.fullmatch(r"main\.stage\.\d+", address))
    return last if issubclass(kind, Block) else f"{last}.it"


def measured(shown: WordExample) -> Measured | None:
    """What a word reads and gives in its example, and what it costs there; None where nothing of it runs."""
    plan, inner = shown.plan, shown.plan.within.get(shown.place, []) if shown.plan else []
    if plan is None or not inner:
        return None
    if shown.place.startswith("edges."):
        inner = [address for address in inner if not address.startswith(f"{shown.place}.merge")] or inner
    reads = dict.fromkeys(read for address in inner for read in plan.graph.nodes[address].reads if read not in inner)
    cost = Cost(*map(sum, zip(*(plan.costs[address] for address in inner))))
    return Measured(tuple(plan.shapes[read] for read in reads), plan.shapes[inner[-1]], cost)


def of_merge(name: str) -> WordExample | None:
    """Two pathways that meet by it."""
    if name == "interleave":
        return WordExample("yaml", data_to_yaml(WHOLE_SPECS["warp"]))
    edge = {"source": "left", "target": "right", "after": "stage", "merge": name}
    for right in (CONV, [CONV, {"max_pool": {"kernel": [1, 2, 2], "stride": [1, 2, 2]}}]):
        pathways = {"left": {"stages": {"stage": CONV}}, "right": {"stages": {"stage": right}}}
        data = {"name": "example", "clip": CLIP, "pathways": pathways, "edges": [edge], "head": CLASSIFIER}
        if plan_or_none(data):
            return WordExample("yaml", data_to_yaml(data))
    return None
