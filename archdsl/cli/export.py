"""export."""

from __future__ import annotations

from argparse import Namespace

from archdsl.cli.console import say, say_json
from archdsl.cli.evaluate import arch_and_weights
from archdsl.errors import printable
from archdsl.errors.extras import import_with_extras


def export_command(given: Namespace) -> int:
    """Write a network as a file for others, and say how far that is from the network."""
    arch, recipe, weights = arch_and_weights(given.name, given)
    parse_lower = import_with_extras("archdsl.backend.passes").parse_lower
    report = import_with_extras("archdsl.training").export(
        arch,
        given.output,
        recipe=recipe,
        weights=weights,
        lower=parse_lower(given.lower),
        frozen=given.frozen,
        batch=given.batch,
        to=given.to,
        int8=given.int8,
    )
    if given.json:
        say_json(report.record())
    else:
        say(printable(str(report)))
    return 0
