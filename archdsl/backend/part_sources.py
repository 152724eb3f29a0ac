"""The emitted source of each part by itself, for those who look at one block."""

from __future__ import annotations

from archdsl.backend.emission import Emission, class_name
from archdsl.backend.source_text import call_text, keyword_arguments
from archdsl.compiler import Plan


def sources(plan: Plan) -> dict[str, tuple[str, str]]:
    """Address of a stage, block, edge or head -> how it is made, and its class; no class for an nn.Sequential."""
    emission = Emission(plan.graph, class_name(plan.name))
    emission.text()
    found = {}
    for address, made in emission.made.items():
        if address:
            expression = made.name if "(" in made.name else call_text(made.name, keyword_arguments(made.args))
            found[address] = (expression, emission.texts.get(made.name, ""))
    return found
