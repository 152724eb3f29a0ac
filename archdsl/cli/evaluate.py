"""evaluate, predict."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from archdsl import catalog
from archdsl.cli import overrides as g
from archdsl.cli.console import say, say_json, say_table, write_text
from archdsl.cli.train import settings_of_arch, with_settings
from archdsl.errors import SpecError, did_you_mean, printable
from archdsl.errors.extras import import_with_extras
from archdsl.language import Arch
from archdsl.language.recipes.recipe import Recipe
from archdsl.recipes import recipe as recipe_named
from archdsl.report.figures import metric_text
from archdsl.spec.files import check_writable, json_text, make_folder, naming_write_errors, read_text, write_whole
from archdsl.spec.numbers import exact_fraction

MAX_NAMES_BYTES = 10_000_000
"""Bytes of a list of class names."""
FUSED = "fused"
"""Name of the fused scores."""


def evaluate_command(given: Namespace) -> int:
    """Test networks on videos, alone and fused; tables and pictures where --out says."""
    names = networks_by_name(given.names)
    weights = fusion_weights(given.fuse, names)
    training = import_with_extras("archdsl.training")
    results: dict[str, Any] = {}
    notes: list[str] = []
    with training.process_group(given.device) as world:
        for name, text in names.items():
            arch, recipe, path = arch_and_weights(text, given)
            options = {key: getattr(given, key) for key in ("views", "split", "device", "workers", "batch", "quiet")}
            folder = given.out and Path(given.out) / (name if len(names) > 1 else "")
            results[name] = training.evaluate(arch, given.data, recipe=recipe, weights=path, out=folder, **options)
            notes += [f"{name}: {results[name].tested}"] if results[name].tested else []
            notes.append(f"{name}: tested on {data_text(results[name].data)}, split {given.split}")
        if weights:
            results[FUSED] = training.fuse_scores({name: (results[name], share) for name, share in weights.items()})
            if given.out and world.first:
                data = sorted({results[name].data for name in weights})
                about = {"fused": weights, "data": ", ".join(data), "split": given.split}
                training.write_results(Path(given.out) / FUSED, results[FUSED], FUSED, about)
        if world.first:
            say_results(results, given, notes)
    return 0


def data_text(data: str) -> str:
    """The tested data as text."""
    return f"{data}, the built-in moving digits" if data.partition(":")[0] == "motion" else data


def say_results(results: dict[str, Any], given: Namespace, notes: list[str]) -> None:
    """A row per network, with its unreadable videos; notes name checkpoints and data."""
    rows = [
        {"name": name, "videos": len(one.names), "skipped": len(one.skipped)} | one.figures
        for name, one in results.items()
    ]
    if given.json:
        say_json(rows)
        return
    from archdsl.report.table.sheet import Column, Row, Table  # drawing a table costs an import

    heads = list(rows[0])
    cells = tuple(
        Row(tuple(metric_text(k, v, 2) if isinstance(v, float) else str(v) for k, v in row.items())) for row in rows
    )
    columns = tuple(Column(head.replace("_", " "), right=head != "name") for head in heads)
    say_table(Table("", columns, cells, tuple(rows), note="\n".join([*notes, *filter(None, [given.out])])), "text")


def networks_by_name(texts: list[str]) -> dict[str, str]:
    """Name -> run's folder or network: the folder's own name, or what stands before `=`."""
    names: dict[str, str] = {}
    for text in texts:
        name, found, rest = text.partition("=")
        name, text = (name, rest) if found and "/" not in name else (Path(text).resolve().name, text)
        if name in names or name == FUSED:
            want = "another name for each, such as rgb=runs/1 flow=runs/2"
            raise SpecError(f"two networks named {name}", got=f"{names.get(name, FUSED)}, {text}", want=want)
        names[name] = text
    return names


def fusion_weights(texts: list[str], names: dict[str, str]) -> dict[str, float]:
    """Parse `rgb:1 flow:1.5`. Raises SpecError for unknown names and weights that are not numbers."""
    found: dict[str, float] = {}
    for text in texts:
        name, _, share = text.rpartition(":")
        if name not in names:
            fix = did_you_mean(name, names)
            raise SpecError("no tested network of that name", got=name or text, want=", ".join(names), fix=fix)
        try:
            found[name] = float(exact_fraction(share))
        except ValueError:
            found[name] = 0.0
        if not 0 < found[name] < 1e6:
            raise SpecError("not a fusion weight", at=name, got=share, want="a number above 0, such as rgb:1 flow:1.5")
    if len(found) == 1:
        raise SpecError("nothing to fuse with", got=", ".join(texts), want="two networks or more")
    return found


def arch_and_weights(text: str, given: Namespace) -> tuple[Arch, Recipe | None, str | None]:
    """(arch, recipe, weights) of a run's folder or a network, with the options applied."""
    recipe, weights = given.recipe and recipe_named(given.recipe), given.weights
    if Path(text).is_dir():
        found = import_with_extras("archdsl.training.state.run_reader").read_run(Path(text))
        text, recipe, weights = str(found.arch), recipe or found.recipe, weights or text
    recipe = recipe and with_settings(recipe, given)
    given = Namespace(**vars(given) | {"set": settings_of_arch(given)})
    return g.overridden_arch(catalog.model(text), given), recipe, weights


def predict_command(given: Namespace) -> int:
    """Predict classes of videos. Unreadable files are listed; exit code 2 where all are."""
    if given.output not in (None, "-"):
        check_writable(given.output)
    arch, recipe, weights = arch_and_weights(given.name, given)
    classes = class_names_for(given)
    training = import_with_extras("archdsl.training")
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
    results = list(say_each(found, given))
    if given.pictures:
        write_pictures(results, Path(given.pictures))
    if given.json or given.output:
        text = json_text([one.record() for one in results], indent=2)
        write_text(text, given.output) if given.output else say(text)
    return 0 if any(one.unreadable is None for one in results) else 2


def write_pictures(results: list[Any], folder: Path) -> None:
    """Write what shows each prediction, named by its video; of videos of one name the later ones by number too."""
    make_folder(folder)
    met: Counter[str] = Counter()
    with naming_write_errors(folder):
        for one in results:
            stem = one.path.stem
            met[stem] += 1
            name = stem if met[stem] == 1 else f"{stem}_{met[stem]}"
            for ending, data in one.pictures():
                write_whole(folder / f"{name}.{ending}", data)


def class_names_for(given: Namespace) -> tuple[str, ...] | None:
    """Class names from --names, or of the run."""
    if given.names:
        return tuple(read_text(given.names, MAX_NAMES_BYTES).splitlines())
    folder = Path(given.name)
    return import_with_extras("archdsl.training.state.run_reader").run_classes(folder) if folder.is_dir() else None


def say_each(found: Any, given: Namespace) -> Iterator[Any]:
    """Print each video as it is done: its top classes, then its time windows."""
    for one in found:
        if one.unreadable is not None:
            sys.stderr.write(printable(f"{one.text()}\n"))
        elif not given.json:
            say(printable(one.text()))
        yield one
