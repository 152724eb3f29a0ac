"""features: what a network gives at addresses of its inside, as a file for each video."""

from __future__ import annotations

import sys
from argparse import Namespace
from typing import Any

from archdsl.cli.console import check_folder_named, say, say_json
from archdsl.cli.data import with_bar
from archdsl.cli.evaluate import arch_and_weights
from archdsl.errors import printable
from archdsl.errors.extras import import_with_extras
from archdsl.report.number_format import plural


def features_command(given: Namespace) -> int:
    """Write features. Unreadable videos are listed; exit code 2 where all are."""
    check_folder_named(given, "features")
    arch, recipe, weights = arch_and_weights(given.name, given)
    room = import_with_extras("archdsl.training.evaluation.feature_files")
    made = room.write_features(
        arch,
        given.videos,
        out=given.output,
        at=given.at,
        pool=given.pool,
        form=given.format,
        rows=given.rows,
        recipe=recipe,
        weights=weights,
        device=given.device,
        workers=given.workers,
        batch=given.batch,
    )
    found: list[Any] = []
    for one in with_bar(made, len(room.named_videos(given.videos)), "reading videos"):
        found.append(one)
        if one.unreadable:
            sys.stderr.write(printable(f"{one.video} cannot be read: {one.unreadable}\n"))
    if given.json:
        say_json(
            [
                {
                    "video": str(one.video),
                    "file": None if one.unreadable else str(one.path),
                    "unreadable": one.unreadable,
                    "kept": one.kept,
                }
                for one in found
            ]
        )
    else:
        kept, odd = sum(one.kept for one in found), sum(one.unreadable is not None for one in found)
        notes = [f"{kept} were there already"] * (kept > 0) + [f"{odd} cannot be read"] * (odd > 0)
        say("  ".join([plural(len(found) - kept - odd, "file"), *notes, given.output]))
    return 0 if any(one.unreadable is None for one in found) else 2
