"""data: make, check, bench."""

from __future__ import annotations

import sys
from argparse import Namespace
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from archdsl.catalog import load
from archdsl.cli.console import say, say_json, say_table
from archdsl.errors import SpecError, printable
from archdsl.language import Clip
from archdsl.recipes import recipe as recipe_named

if TYPE_CHECKING:
    from archdsl.training.data.sources.videos import Files

CLASSES_SHOWN = 2000
"""Classes shown in a table; --json has all."""


def data_command(given: Namespace) -> int:
    """make, check or bench."""
    return {"make": make_data, "check": check_data, "bench": bench_data}[given.action](given)


def make_data(given: Namespace) -> int:
    """Built-in data as video files, as shards, or in the formats of a network's task."""
    if given.data != "motion" or not given.out:
        raise SpecError(
            "make needs a data set and a folder",
            got=" ".join(filter(None, (given.data, given.out))),
            want="motion and a folder",
            fix="archdsl data make motion OUT",
        )
    from archdsl.training.data.synthetic.files import make_motion, make_shards

    counts = {"train": given.count, "val": max(given.count // 5, 1)}
    form = (Path(given.out), counts, given.frames, given.size)
    if given.net:
        written = task_of(given).write_built_in(Path(given.out), counts)
    else:
        written = make_shards(*form, given.shards) if given.shards else make_motion(*form)
    for _ in with_bar(written, sum(counts.values()), "writing videos"):
        pass
    say(f"{counts['train']} videos to train on and {counts['val']} to test on in {given.out}")
    return 0


def check_data(given: Namespace) -> int:
    """How many videos of each class there are, and which cannot be read. Exit code 1 where there are some."""
    videos: Any = videos_of_task(given) if given.net else find_videos(given)
    from archdsl.training.data.inspection import check_videos
    from archdsl.training.state.compatibility import summarize_videos

    summary = summarize_videos(videos)
    by_class = dict(zip_longest(summary.classes, summary.counts))  # counts are not known of every task
    left_out = getattr(videos, "left_out", ())
    found = list(with_bar(check_videos(videos, max(given.workers)), len(videos), "reading videos"))
    bad = [one for one in found if one.reason]
    if given.json:
        unreadable = [{"name": one.name, "reason": one.reason} for one in bad]
        report = {"videos": len(found), "classes": by_class, "unreadable": unreadable}
        say_json(report | {"left_out": list(left_out)})
        return 1 if bad else 0
    from archdsl.report.table.sheet import Column, Row, Table

    columns = (Column("class"), Column("videos", right=True))
    counts = list(by_class.items())
    rows = tuple(Row((printable(name), "" if count is None else str(count))) for name, count in counts[:CLASSES_SHOWN])
    note = f"and {len(counts) - CLASSES_SHOWN} classes more: --json has them" if len(counts) > CLASSES_SHOWN else ""
    say_table(Table(f"{len(found)} videos of {len(counts)} classes", columns, rows, (), note), "text")
    for name in left_out:
        sys.stderr.write(printable(f"left out, not a video's ending or in no class's folder: {name}") + "\n")
    for one in bad:
        sys.stderr.write(printable(f"unreadable: {one.name}: {one.reason}") + "\n")
    return 1 if bad else 0


def bench_data(given: Namespace) -> int:
    """Clips per second for each decoder and number of readers, and the ratio to PyAV without readers."""
    videos, crop = videos_to_bench(given)
    from archdsl.training.data.inspection import measure_speeds

    workers = sorted({0, *given.workers})
    rounds = 3
    from archdsl.training.data.reader.backends import available_decoders

    total = rounds * len(workers) * len(available_decoders())
    runs = list(with_bar(measure_speeds(videos, workers, given.seconds, rounds, crop), total, "reading"))
    rates: dict[tuple[str, int], list[float]] = {}
    frames = {(run.decoder, run.workers): run.frames / run.clips for run in runs}
    for run in runs:
        rates.setdefault((run.decoder, run.workers), []).append(run.rate)
    base = median(rates["pyav", 0])
    records = tuple(
        {
            "decoder": decoder,
            "workers": count,
            "frames_per_clip": frames[decoder, count],
            "clips_per_s": median(rate),
            "slowest": min(rate),
            "fastest": max(rate),
            "ratio": median(rate) / base,
        }
        for (decoder, count), rate in rates.items()
    )
    if given.json:
        say_json(list(records))
        return 0
    say_table(read_speed_table(records, given), given.format)
    return 0


def read_speed_table(records: tuple[dict[str, Any], ...], given: Namespace) -> Any:
    """The runs as a table."""
    from archdsl.report.table.sheet import Column, Row, Table

    names = ("decoder", "readers", "frames decoded a clip", "clips/s", "slowest", "fastest", "ratio to pyav, 0")
    columns = tuple(Column(name, right=i > 0) for i, name in enumerate(names))
    rows = tuple(
        Row(
            (
                str(one["decoder"]),
                str(one["workers"]),
                f"{one['frames_per_clip']:g}",
                *(f"{one[key]:.1f}" for key in ("clips_per_s", "slowest", "fastest")),
                f"{one['ratio']:.2f}",
            )
        )
        for one in records
    )
    clip = f"clips of {given.net}" if given.net else f"{given.frames} frames, every {given.every},"
    return Table(f"{clip} of {given.data}", columns, rows, records)


def videos_to_bench(given: Namespace) -> tuple[Files, Any]:
    """The videos, and what is done to each clip; as a network and its recipe would have them, where one is named."""
    if not given.net:
        return find_videos(given), None
    from archdsl.compiler import compile
    from archdsl.training.data.sources.discovery import videos_for
    from archdsl.training.data.transforms.reader_crops import ReaderCrop

    plan, recipe = compile(load(given.net)), recipe_named(given.recipe)
    videos = as_files(videos_for(given.data, given.split, plan.arch, recipe), given)
    return replace(videos, frames_read=plan.frames_read), ReaderCrop(recipe, plan.arch.clips, plan.frames_read)


def videos_of_task(given: Namespace) -> Any:
    """What a network's task reads of a folder or a list, in the task's own formats."""
    return task_of(given).files(given.data, given.split)


def task_of(given: Namespace) -> Any:
    """What a network is for."""
    from archdsl.compiler import compile
    from archdsl.training.tasks.choice import task_for

    return task_for(compile(load(given.net)), recipe_named(given.recipe))


def find_videos(given: Namespace) -> Files:
    """The videos of a folder, of shards or of a list, whatever network will see them."""
    from archdsl.training.data.sources.discovery import videos_of

    recipe = recipe_named("smoke")
    recipe = recipe.but(sampling=recipe.sampling.but(every=given.every))
    clips = {"clip": Clip(frames=given.frames, size=given.size)}
    try:
        videos = videos_of(given.data, given.split, clips, recipe)
    except SpecError as error:
        if error.faults[0].at != "recipe.loss":
            raise
        videos = videos_of(given.data, given.split, clips, recipe.but(loss="binary"))
    return as_files(videos, given)


def as_files(videos: Any, given: Namespace) -> Files:
    """Videos that are files. Raises SpecError for others."""
    from archdsl.training.data.sources.videos import Files

    if not isinstance(videos, Files):
        raise SpecError("data without files", got=given.data, want="videos in folders, in shards or in a list")
    return videos


def with_bar(things: Any, total: int, what: str) -> Any:
    """The same things one by one, with a bar on a terminal."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(things, total=total, description=what, console=console, disable=not console.is_terminal)
