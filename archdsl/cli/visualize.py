"""visualize: what a network looks at and looks for, as a page of moving pictures."""

from __future__ import annotations

from argparse import Namespace

from archdsl.cli.console import check_folder_named, say, say_json
from archdsl.cli.data import with_bar
from archdsl.cli.evaluate import arch_and_weights
from archdsl.errors import printable
from archdsl.errors.extras import import_with_extras
from archdsl.report.number_format import plural


def visualize_command(given: Namespace) -> int:
    """Write the page; say what this network has none of, and why."""
    check_folder_named(given, "pictures")
    arch, recipe, weights = arch_and_weights(given.name, given)
    found = import_with_extras("archdsl.visualization.visualize").visualize(
        arch,
        given.videos,
        out=given.output,
        methods=given.method,
        at=given.at,
        channel=given.channel,
        class_=given.class_,
        recipe=recipe,
        weights=weights,
        data=given.data,
        split=given.split,
        clips=given.clips,
        count=given.count,
        top=given.top,
        steps=given.steps,
        temporal=given.temporal,
        spatial=given.spatial,
        device=given.device,
        seed=given.seed,
        track=with_bar,
    )
    if given.json:
        say_json({"page": str(found.page), "files": [*map(str, found.files)], "left_out": found.left_out})
        return 0
    for name, why in found.left_out.items():
        say(printable(f"no {name}: {why}"))
    say(printable(f"{plural(len(found.files), 'file')}  {found.page}"))
    return 0
