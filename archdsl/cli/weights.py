"""weights: whose a file is, and the same weights under our addresses."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from archdsl import catalog
from archdsl.cli import overrides as g
from archdsl.cli.console import say, say_json
from archdsl.errors import SpecError, printable
from archdsl.errors.extras import import_with_extras
from archdsl.spec.files import check_writable


def weights_command(given: Namespace) -> int:
    """Show whose weights a file has, or convert them to a network's addresses."""
    if given.action == "show":
        return show_weights(given)
    if given.name is None or given.output is None:
        missing = "NAME" if given.name is None else "-o OUT.safetensors"
        fix = f"archdsl weights convert {given.file} {given.name or 'NAME'} -o {given.output or 'OUT.safetensors'}"
        raise SpecError(
            f"weights convert needs {missing}", got=given.file, want="FILE NAME -o OUT.safetensors", fix=fix
        )
    check_writable(given.output)
    arch = g.overridden_arch(catalog.model(given.name), given)
    room = import_with_extras("archdsl.backend.weights")
    ways = room.Ways(given.inflate, given.channels)
    beside = room.local_weights(given.beside) if given.beside else None
    report = room.convert(
        arch, room.local_weights(given.file), Path(given.output), beside=beside, to=given.to, ways=ways
    )
    if given.json:
        say_json(report.record())
    else:
        say(printable(str(report)))
    return 0


def show_weights(given: Namespace) -> int:
    """Dialect, model, counts of names and sizes, what is left over. Exit code 2 where nothing fits."""
    for name in ("name", "output", "beside", "to"):
        if getattr(given, name) is not None:
            raise SpecError("weights show takes a file only", got=str(getattr(given, name)), want="weights show FILE")
    room: Any = import_with_extras("archdsl.backend.weights")
    path = Path(room.local_weights(given.file))
    if path.is_dir():
        return show_run(path, given)
    if not path.exists():
        want = "a file of weights, or the folder of a run"
        raise SpecError(f"no weights at {given.file}", got="nothing at that path", want=want)
    found = room.describe(path)
    if given.json:
        say_json(found.record())
    else:
        say(printable(str(found)))
    return 0 if found.best else 2


def show_run(folder: Path, given: Namespace) -> int:
    """What weights a run's folder has."""
    found = import_with_extras("archdsl.training.state.run_reader").describe_run(folder)
    if given.json:
        say_json(found)
    else:
        head, *rest = found.items()
        say(printable("\n".join([head[1], *(f"  {word:<8} {text}" for word, text in rest)])))
    return 0
