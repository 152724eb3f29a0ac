"""lowerings."""

from __future__ import annotations

import sys
import textwrap
from argparse import Namespace

from archdsl.cli.console import BOLD, painted, say, say_json
from archdsl.report.lowering_policy import MODES


def lowerings_command(given: Namespace) -> int:
    """Every pass: when it is exact, when it pays, and whether `auto` takes it here."""
    from archdsl.backend import PASSES, lowerings_table
    from archdsl.backend.passes.policy import policy_origin

    rows = lowerings_table()
    if given.json:
        say_json(rows)
        return 0
    for one, row in zip(PASSES, rows):
        modes = [f"for {mode}{one.bound_text(row[mode])}" for mode in MODES if row[mode]]
        auto = f"auto takes it {' and '.join(modes)}" if modes else "auto does not take it here"
        say(f"{painted(row['name'], BOLD, sys.stdout)}  ({auto})")
        say(textwrap.indent(textwrap.fill(row["about"], 100), "    "))
    say(policy_origin())
    return 0
