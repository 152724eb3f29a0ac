"""evaluate, predict."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from archdsl import catalog
from archdsl.cli import overrides as g
from archdsl.cli.console import put, say, say_json, say_table
from archdsl.cli.train import MINE, with_settings
from archdsl.errors import SpecError, did_you_mean, printable
from archdsl.extras import opened
from archdsl.language import Arch
from archdsl.language.recipes.recipe import Recipe
from archdsl.recipes import recipe as recipe_named
from archdsl.spec.files import check_writable, json_text, read_text
from archdsl.spec.numbers import exact

LARGEST = 10_000_000
"""Bytes of a list of class names."""
FUSED = "fused"
"""What the scores of several networks together are called."""


def evaluate(given: Namespace) -> int:
    """Test networks on videos, alone and fused; tables and pictures where --out says."""
    names = named(given.names)
    weights = shares(given.fuse, names)
    training = opened("archdsl.training")
    results: dict[str, Any] = {}
    notes: list[str] = []
    with training.world_of(given.device) as world:
        for name, text in names.items():
            arch, recipe, path = asked(text, given)
            options = {key: getattr(given, key) for key in ("views", "split", "device", "workers", "batch", "quiet")}
            folder = given.out and Path(given.out) / (name if len(names) > 1 else "")
            results[name] = training.evaluate(arch, given.data, recipe=recipe, weights=path, out=folder, **options)
            notes += [f"{name}: {results[name].tested}"] if results[name].tested else []
            notes.append(f"{name}: tested on {place(results[name].data)}, split {given.split}")
        if weights:
            results[FUSED] = training.fused({name: (results[name], share) for name, share in weights.items()})
            if given.out and world.first:
                data = sorted({results[name].data for name in weights})
                about = {"fused": weights, "data": ", ".join(data), "split": given.split}
                training.write_results(Path(given.out) / FUSED, results[FUSED], FUSED, about)
        if world.first:
            say_results(results, given, notes)
    return 0


def place(data: str) -> str:
    """What was tested on, for people."""
    return f"{data}, the built-in moving digits" if data.partition(":")[0] == "motion" else data


def say_results(results: dict[str, Any], given: Namespace, notes: list[str]) -> None:
    """A line for each network; unreadable videos are told of, and which checkpoints these are."""
    rows = [
        {"name": name, "videos": len(one.names), "skipped": len(one.skipped)} | one.figures
        for name, one in results.items()
    ]
    if given.json:
        say_json(rows)
        return
    from archdsl.report.table.sheet import Column, Row, Table  # drawing a table costs an import

    heads = list(rows[0])
    cells = tuple(Row(tuple(f"{v:.2%}" if isinstance(v, float) else str(v) for v in row.values())) for row in rows)
    columns = tuple(Column(head.replace("_", " "), right=head != "name") for head in heads)
    say_table(Table("", columns, cells, tuple(rows), note="\n".join([*notes, *filter(None, [given.out])])), "text")


def named(texts: list[str]) -> dict[str, str]:
    """Name -> run's folder or network: the folder's own name, or what stands before `=`."""
    names: dict[str, str] = {}
    for text in texts:
        name, found, rest = text.partition("=")
        name, text = (name, rest) if found and "/" not in name else (Path(text).resolve().name, text)
        if name in names or name == FUSED:
            want = "another name for each, such as rgb=runs/1 flow=runs/2"
            raise SpecError(f"two networks of the name {name}", got=f"{names.get(name, FUSED)}, {text}", want=want)
        names[name] = text
    return names


def shares(texts: list[str], names: dict[str, str]) -> dict[str, float]:
    """`rgb:1 flow:1.5` as shares. Raises SpecError for names that were not given, and shares that are no numbers."""
    found: dict[str, float] = {}
    for text in texts:
        name, _, share = text.rpartition(":")
        if name not in names:
            fix = did_you_mean(name, names)
            raise SpecError("a network that is not tested", got=name or text, want=", ".join(names), fix=fix)
        try:
            found[name] = float(exact(share))
        except ValueError:
            found[name] = 0.0
        if not 0 < found[name] < 1e6:
            raise SpecError(
                "no share of a network", at=name, got=share, want="a number above 0, such as rgb:1 flow:1.5"
            )
    if len(found) == 1:
        raise SpecError("nothing to fuse with", got=", ".join(texts), want="two networks or more")
    return found


def asked(text: str, given: Namespace) -> tuple[Arch, Recipe | None, str | None]:
    """A run's folder or a network, with the changes of the command line."""
    recipe, weights = given.recipe and recipe_named(given.recipe), given.weights
    if Path(text).is_dir():
        found = opened("archdsl.training.state.run_reader").ran(Path(text))
        text, recipe, weights = str(found.arch), recipe or found.recipe, weights or text
    recipe = recipe and with_settings(recipe, given)
    given = Namespace(**{**vars(given), "set": [setting for setting in given.set if not setting.startswith(MINE)]})
    return g.arch_of(catalog.model(text), given), recipe, weights


def predict(given: Namespace) -> int:
    """What is seen in videos. Files that cannot be read are told; exit code 2 where none could be."""
    if given.output not in (None, "-"):
        check_writable(given.output)
    arch, recipe, weights = asked(given.name, given)
    classes = names_of(given)
    training = opened("archdsl.training")
    found = training.predict(
        arch,
        given.videos,
        recipe=recipe,
        weights=weights,
        classes=classes,
        top=given.top,
        device=given.device,
        workers=given.workers,
    )
    results = list(told(found, given))
    if given.json or given.output:
        text = json_text([one.record() for one in results], indent=2)
        put(text, given.output) if given.output else say(text)
    return 0 if any(one.unreadable is None for one in results) else 2


def names_of(given: Namespace) -> tuple[str, ...] | None:
    """The names of classes: of the file that was named, or of the run."""
    if given.names:
        return tuple(read_text(given.names, LARGEST).splitlines())
    folder = Path(given.name)
    return opened("archdsl.training.state.run_reader").classes_in(folder) if folder.is_dir() else None


def told(found: Any, given: Namespace) -> Iterator[Any]:
    """Each video as it is done: its classes, then each stretch of it."""
    for one in found:
        if one.unreadable is not None:
            sys.stderr.write(printable(f"{one.path} cannot be read: {one.unreadable}\n"))
        elif not given.json:
            say(printable(text_of(one)))
        yield one


def text_of(one: Any) -> str:
    """What is seen in a video, for people."""
    lines = [str(one.path), *(f"  {score:7.3f}  {name}" for name, score in one.best)]
    for window in one.windows if len(one.windows) > 1 else ():
        name, score = window.best[0]
        lines.append(f"  {clock(window.start)} to {clock(window.end)}  {score:7.3f}  {name}")
    return "\n".join(lines)


def clock(seconds: float) -> str:
    """1:02.5"""
    return f"{int(seconds // 60)}:{seconds % 60:04.1f}"
