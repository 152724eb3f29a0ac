"""list, show, check, schema."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from archdsl import catalog
from archdsl.cli import overrides as g
from archdsl.cli.console import (
    BOLD,
    GREEN,
    YELLOW,
    painted,
    say,
    say_error,
    say_fault,
    say_json,
    say_table,
    write_text,
)
from archdsl.compiler import Plan, compile
from archdsl.errors import Fault, SpecError, printable
from archdsl.errors.extras import import_with_extras
from archdsl.graph.user_ops import has_torch
from archdsl.language import Model


def list_command(given: Namespace) -> int:
    """Every model of the zoo, or those that have a word in their name, paper or title."""
    word = given.pattern.lower()
    rows = [
        row for row in map(model_record, zoo_by_family()) if any(word in str(value).lower() for value in row.values())
    ]
    if given.weights:
        return say_weights([row["name"] for row in rows], given)
    if given.json:
        say_json(rows)
        return 0
    from archdsl.report.table.sheet import Column, Row, Table

    columns = (Column("name"), Column("family"), Column("paper"), Column("where"))
    cells = tuple(Row((row["name"], row["family"], row["paper"] or "", row["where"] or "")) for row in rows)
    say_table(Table(f"{len(rows)} models", columns, cells, tuple(rows)), "text")
    return 0


def say_weights(names: list[str], given: Namespace) -> int:
    """The published files of weights of some models, a row each."""
    from archdsl.catalog.dialects import namings
    from archdsl.report.number_format import plural
    from archdsl.report.table.sheet import Column, Row, Table

    references = ((model.name, catalog.reference_of(model)) for _, model in zoo_by_family() if model.name in names)
    rows = [{"name": name, **one.model_dump()} for name, found in references if found for one in found.weights]
    if given.json:
        expected = {naming.title: naming.input and naming.input.model_dump() for naming in namings()}
        say_json([{**row, "input": expected[row["dialect"]]} for row in rows])
        return 0
    columns = tuple(map(Column, ("name", "file", "dialect", "dataset", "accuracy")))
    cells = tuple(Row(tuple(row.values())) for row in rows)
    say_table(Table(plural(len(rows), "file"), columns, cells, tuple(rows)), "text")
    return 0


def zoo_by_family() -> Iterator[tuple[str, Model]]:
    """(family, model) of the whole zoo."""
    for path in catalog.zoo_files():
        for model in catalog.models_in(path):
            yield path.stem, model


def model_record(found: tuple[str, Model]) -> dict[str, Any]:
    """A model of the zoo by name."""
    family, model = found
    reference = catalog.reference_of(model)
    return {
        "name": model.name,
        "family": family,
        "paper": reference.paper if reference else None,
        "title": reference.title if reference else None,
        "where": reference.where if reference else None,
    }


def show_command(given: Namespace) -> int:
    """The spec, its reference above it; or what it sees in time."""
    from archdsl.language.writers.yaml_writer import to_json, to_yaml

    model = catalog.model(given.name)
    arch = g.overridden_arch(model, given)
    if given.span:
        from archdsl.report import span_table

        say_table(span_table(compile(arch)), "json" if given.json else "text")
        return 0
    if given.json:
        g.check_exclusive(given, "json", ("yaml", "python"))
        say(to_json(arch))
        return 0
    if reference := catalog.reference_of(model):
        about = [f"{reference.title} ({reference.paper})", reference.where, *reference.notes]
        about += [f"weights: {one.file} ({one.dialect}): {one.dataset}, {one.accuracy}" for one in reference.weights]
        say("\n".join(f"# {printable(line)}" for text in about if text for line in text.splitlines()))
    if given.python:
        from archdsl.language.writers.python_writer import to_python

        say(to_python(arch))
        return 0
    say(to_yaml(arch))
    return 0


def check_command(given: Namespace) -> int:
    """One line for each network that can exist; every fault of each that cannot. Exit code 2 if there is one."""
    results = [try_compile(name, load) for name, load in arches_to_check(given)]
    if given.json:
        say_json([result_data(name, result) for name, result in results])
    else:
        for name, result in results:
            say_result(name, result)
    return 2 if any(isinstance(result, SpecError) for _, result in results) else 0


def arches_to_check(given: Namespace) -> Iterator[tuple[str, Any]]:
    """(name, function that loads the arch, or the error): an unreadable file does not stop the others."""
    if given.all or not given.names:
        for model in g.models_named(given):
            yield model.name, lambda model=model: g.overridden_arch(model, given)
        return
    for name in given.names:
        try:
            found = g.models_of(name)
        except SpecError as error:
            yield name, error
            continue
        for model in found:
            yield model.name, lambda model=model: g.overridden_arch(model, given)


def try_compile(name: str, load: Any) -> tuple[str, Plan | SpecError]:
    """The plan, or the error. Ops of one's own are confirmed with torch, where it is installed."""
    if isinstance(load, SpecError):
        return name, load
    try:
        plan = compile(load())
        own = [node.op for node in plan.nodes if node.op.own]
        if own and all(map(has_torch, own)) and find_spec("torch"):
            import_with_extras("archdsl.backend").confirm(plan.graph)
        return name, plan
    except SpecError as error:
        return name, error


def say_result(name: str, result: Plan | SpecError) -> None:
    """One line and its warnings, or all faults."""
    if isinstance(result, SpecError):
        count = "a fault" if len(result.faults) == 1 else f"{len(result.faults)} faults"
        sys.stderr.write(painted(f"{printable(name)}: {count}", BOLD, sys.stderr) + "\n")
        say_error(result)
        return
    from archdsl.report.number_format import shapes_text, short, whole

    ok = painted("ok", GREEN, sys.stdout)
    shapes = f"{shapes_text(result.inputs)} → {shapes_text(result.outputs)}"
    say(f"{ok}  {name}  {shapes}  {whole(result.params)} params  {short(result.macs)} macs")
    for warning in result.warnings:
        say_fault(Fault(**{**vars(warning), "what": f"warning: {warning.what}"}), sys.stderr, YELLOW)


def result_data(name: str, result: Plan | SpecError) -> dict[str, Any]:
    """A result for JSON."""
    if isinstance(result, SpecError):
        return {"name": name, "ok": False, "faults": list(map(fault_data, result.faults))}
    return {
        "name": name,
        "ok": True,
        "input": {clip: list(shape) for clip, shape in result.inputs.items()},
        "outputs": {output: list(shape) for output, shape in result.outputs.items()},
        "params": result.params,
        "macs": result.macs,
        "warnings": list(map(fault_data, result.warnings)),
    }


def fault_data(fault: Fault) -> dict[str, str]:
    """A fault for JSON: what it says, and nothing it does not."""
    return {name: value for name, value in vars(fault).items() if value}


def schema_command(given: Namespace) -> int:
    """JSON Schema of spec files, or of recipes."""
    from archdsl.report.explanation.json_schema import recipe_schema
    from archdsl.report.explanation.json_schema import schema as schema_of
    from archdsl.report.explanation.json_schema_form import schema_text

    write_text(schema_text(recipe_schema() if given.recipe else schema_of()), given.output)
    return 0
