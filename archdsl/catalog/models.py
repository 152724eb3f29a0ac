"""One door for spec files: a path (.py, .yaml, .json) or the name of a zoo model."""

from __future__ import annotations

import importlib.util
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from glob import escape, glob
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from archdsl.blocks import Drawing
from archdsl.errors import Fault, SpecError, did_you_mean, excerpt, nearest_names
from archdsl.language import Arch, Card, Model, Reference, change_all, parameter_names
from archdsl.language.drawn_blocks import faults_of_drawings
from archdsl.spec.base import read_model
from archdsl.spec.extends import SUFFIXES, base_of, check_beside
from archdsl.spec.files import is_regular, regular
from archdsl.spec.fixes import short_yaml
from archdsl.spec.lines import Lines, mapping_at

PACKAGE = Path(__file__).parents[1]
SHELF = PACKAGE / "_shelf" if (PACKAGE / "_shelf").is_dir() else PACKAGE.parent
"""Where zoo/ and specs/ lie: in the wheel within the package, in a checkout beside it."""
ARCH_FILE = "arch.yaml"
"""The arch in the folder of a run, or of an exported network."""


def load(name_or_path: str | Path | Arch | Model, **overrides: Any) -> Arch:
    """The arch of a zoo model or a spec file.

    Overrides: `frames`, `size`, `fps`, `classes`, and any parameter of the model's family. A Python file is executed:
    load only files you trust. YAML and JSON are data.

    Raises SpecError with every fault found.
    """
    if isinstance(name_or_path, Model):
        return name_or_path.arch(**overrides)
    if isinstance(name_or_path, Arch):
        return Model(name=name_or_path.name, family=lambda name: name_or_path).arch(**overrides)
    return model(name_or_path).arch(**overrides)


def model(name_or_path: str | Path) -> Model:
    """The model of that name, in that file or of that run. `file.py:name` chooses among several in a file."""
    text = str(name_or_path)
    if is_regular(Path(text) / ARCH_FILE):
        text = str(Path(text) / ARCH_FILE)
    path, _, name = text.partition(":") if ":" in text and not is_regular(text) else (text, "", "")
    if not path.endswith(SUFFIXES):
        return zoo_model(text) if Path(text).name == text else nothing_at(text)
    if path.endswith(".py"):
        return model_named(models_in(Path(path)), name, path)
    found = model_of_data(Path(path), ())
    return model_named((found,), name, path)


def nothing_at(text: str) -> NoReturn:
    """Raises SpecError for a path that is neither a spec file nor the folder of a run."""
    parent, name = os.path.split(text)  # os.path: a name too long, or no name at all, is not there
    runs = glob(f"{escape(parent)}/*/{ARCH_FILE}") if os.path.isdir(parent) else []
    near = did_you_mean(name, (Path(run).parent.name for run in runs))
    raise SpecError(
        f"neither a spec file nor the folder of a run: {excerpt(text)}",
        got="another file or folder" if os.path.exists(text) else "nothing at that path",
        want="a zoo name, a path ending in .py, .yaml or .json, or the folder of a run",
        fix=near and f"{parent}/{near}",
    )


def model_named(models: tuple[Model, ...], name: str, where: str) -> Model:
    """The one of several models, by name; the only one without."""
    by_name = {model.name: model for model in models}
    if name in by_name:
        return by_name[name]
    if not name and len(models) == 1:
        return models[0]
    what = f"no model {name!r} in {where}" if name else f"several models in {where}"
    raise SpecError(
        what,
        got=name or f"{len(models)} models",
        want=", ".join(by_name),
        fix=f"{where}:{did_you_mean(name, by_name) or next(iter(by_name))}",
    )


def zoo_files() -> list[Path]:
    """The files of the zoo."""
    return sorted(path for path in (SHELF / "zoo").glob("*.py") if not path.name.startswith("_"))


def zoo_model(name: str) -> Model:
    """The zoo model of that name. Files that spell the name are read first, so that one model costs one file."""
    files = zoo_files()
    spelling = [path for path in files if f'"{name}"' in path.read_text(encoding="utf-8")]
    for path in [*spelling, *(path for path in files if path not in spelling)]:
        for model in models_in(path):
            if model.name == name:
                return model
    near = nearest_names(name, [model.name for model in zoo()], 2)
    such = f", such as {' or '.join(near)}" if near else ""
    raise SpecError(
        f"no model {name!r}",
        got=name,
        want=f"a name from `archdsl list`{such}, or a path ending in .py, .yaml or .json",
        fix=next(iter(near), None),
    )


def zoo() -> Iterator[Model]:
    """Every model of the zoo, file by file."""
    for path in zoo_files():
        yield from models_in(path)


def models_in(path: Path) -> tuple[Model, ...]:
    """The models of a Python spec file: its `models = (...)`, or its `arch = ...`."""
    module = module_of(regular(path))
    found = getattr(module, "models", None) or ((module.arch,) if hasattr(module, "arch") else ())
    models = []
    for thing in found if isinstance(found, tuple | list) else (found,):
        if isinstance(thing, Arch):
            models.append(model_of(thing))
        elif isinstance(thing, Model):
            models.append(thing.model_copy())
        else:
            raise SpecError("not a model", written=path.name, got=repr(thing)[:80], want="Arch or Model")
    for model in models:
        model._file = path
    if not models:
        raise SpecError("no model in the file", written=path.name, want="arch = Arch(...), or models = (...)")
    return tuple(models)


def reference_of(model: Model) -> Reference | None:
    """What was published about a model: its own reference, or its entry in `cards/FAMILY.yaml` beside its file."""
    if model.reference or model._file is None:
        return model.reference
    path = model._file.parent / "cards" / f"{model._file.stem}.yaml"
    return card_of(path.resolve()).reference(model.name) if path.is_file() else None


@cache
def card_of(path: Path) -> Card:
    """The card of a family."""
    from archdsl.spec.parser import read_data

    return read_model(Card, read_data(path))


def model_of(arch: Arch, reference: Reference | None = None) -> Model:
    """An arch that is already made, as a model."""
    return Model(name=arch.name, family=lambda name: arch, reference=reference)


@cache
def module_of(path: Path) -> ModuleType:
    """A Python spec file, executed once."""
    regular(path)
    spec = importlib.util.spec_from_file_location(f"archdsl_spec_{path.stem}_{abs(hash(path))}", path)
    if spec is None or spec.loader is None:
        raise SpecError(f"cannot read {path.name}", got="not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except SpecError:
        del sys.modules[spec.name]
        raise
    except Exception as error:  # noqa: BLE001  whatever a person's file raises is theirs to read, as one fault
        del sys.modules[spec.name]
        raise broken_file(path, error) from None
    return module


def broken_file(path: Path, error: Exception) -> SpecError:
    """What went wrong in a person's Python file, with its line."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else 1
    got = error.msg if isinstance(error, SyntaxError) else str(error)
    return SpecError(f"{type(error).__name__} in a spec file", written=f"{path.name}:{line}", got=got)


def model_of_data(path: Path, above: tuple[Path, ...], data: Lines | None = None) -> Model:
    """The model in a YAML or JSON file, maybe read before; `extends` is followed, `reference` set apart."""
    from archdsl.spec.parser import read_data

    data = read_data(path) if data is None else data
    rest = Lines({k: v for k, v in data.items() if k != "reference"}, data.written, data.keys_written)
    reference = read_model(Reference, data["reference"]) if "reference" in data else None
    if "extends" not in rest:
        return model_of(read_model(Arch, rest), reference)
    base = base_of(rest, path, above, ("pathways", "extends"), zoo_model, model_of_data)
    arch = extended(base, rest)
    return Model(
        name=arch.name,
        family=lambda name, /, **own: extended(base, rest, own) if own else arch,
        reference=reference,
    )


BESIDE_EXTENDS = ("extends", "name", "parameters", "blocks", "set")


def extended(base: Model, data: Lines, own: Mapping[str, Any] | None = None) -> Arch:
    """The base's arch with parameters of its family, a new name, further drawn blocks, and fields changed by `set:`.

    `own` are parameters given by whoever loads the file; they take precedence over those written in it.
    """
    fields, names = [*Arch.model_fields, "clip"], parameter_names(base.family)

    def fix(key: str) -> str | None:
        home = "set" if key in fields else "parameters" if key in names else None
        return f"{home}: {{{key}: {short_yaml(data[key])}}}" if home else did_you_mean(key, [*BESIDE_EXTENDS, *names])

    check_beside(data, BESIDE_EXTENDS, fix)
    arch = base_arch(base, data, own or {})
    changes = mapping_at(data, "set", "set: {path: value}")
    first: list[tuple[str, Any]] = [("name", data["name"])] if "name" in data else []
    if further := drawings(mapping_at(data, "blocks", "blocks: {name: {fields: ..., steps: ...}}"), arch.blocks):
        first.append(("blocks", {**arch.blocks, **further}))
    return change_all(arch, [*first, *changes.items()], {**data.keys_written, **changes.keys_written})


def drawings(blocks: Lines, before: Mapping[str, Drawing]) -> dict[str, Drawing]:
    """Further drawn blocks, by name; they may use those before."""
    made: dict[str, Drawing] = {}
    faults: list[Fault] = []
    for name, drawing in blocks.items():
        try:
            made[name] = read_model(Drawing, drawing)
        except SpecError as error:
            faults += error.under(f"blocks.{name}").placed(written=blocks.keys_written.get(name)).faults
    if faults:
        unknown = faults_of_drawings({**before, **made})
        raise SpecError([*faults, *(fault for fault in unknown if fault.got not in blocks)])
    return made


def base_arch(base: Model, data: Lines, own: Mapping[str, Any]) -> Arch:
    """The base with the `parameters` beside `extends`; faults of one name its line."""
    parameters = mapping_at(data, "parameters", "parameters: {name: value}")
    line = data.keys_written.get("parameters", data.keys_written["extends"])
    try:
        return base.arch(**{**parameters, **own})
    except SpecError as error:
        raise SpecError(fault_of_parameter(fault, parameters, own, line) for fault in error.faults) from None


def fault_of_parameter(fault: Fault, written: Lines, own: Mapping[str, Any], line: str) -> Fault:
    """A fault under `parameters`, where one is wrong that was written there and not given from outside."""
    name = (fault.at or "").partition(".")[0]
    if name in own:
        return fault
    if name in written:
        return replace(fault.under("parameters"), written=written.keys_written.get(name, line))
    return fault.placed("parameters" if written else "extends", line)
