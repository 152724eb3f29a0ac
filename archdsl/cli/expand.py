"""expand."""

from __future__ import annotations

import sys
from argparse import Namespace

from archdsl import catalog
from archdsl.cli.console import say_table, write_text
from archdsl.errors import printable


def expand_command(given: Namespace) -> int:
    """A network grown step by step: the table of the walk, and the spec of its end where a file is named."""
    from archdsl.language.writers.yaml_writer import to_yaml
    from archdsl.report.stepwise_expansion import StepwiseExpansion, growth_table

    model = catalog.model(given.name)
    steps = StepwiseExpansion(model).run(given.order.replace(",", " ").split(), given.macs)
    say_table(growth_table(model, steps), given.format)
    if given.output:
        write_text(to_yaml(steps[-1].plan.arch.but(name=f"{model.name}_expanded")), given.output)
        sys.stderr.write(f"wrote {printable(given.output)}\n")
    return 0
