"""A run, or a network with weights, as a file for others, compared with what the network gives."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import save
from torch import nn
from torch.fx import GraphModule

from archdsl.backend import build, freeze
from archdsl.backend.example_clips import random_clips
from archdsl.backend.export.folder import ExportedFolder, check_writable_as_data, folder_files
from archdsl.backend.export.parity import largest_difference, named_outputs, rounding
from archdsl.backend.export.program import TracedNetwork, first_clips, pt2_file, run_pt2, traced_program
from archdsl.backend.passes import Lower, passes_at_work, passes_taken
from archdsl.backend.weights import exported, local_weights
from archdsl.backend.weights.files import METADATA
from archdsl.catalog import load, reference_of, zoo_model
from archdsl.catalog.dialects import naming_named
from archdsl.compiler import Plan, compile
from archdsl.errors import SpecError
from archdsl.errors.extras import import_with_extras
from archdsl.language import Arch
from archdsl.language.recipes.clips import Values
from archdsl.language.recipes.recipe import Recipe
from archdsl.ops import BestBoxes, Proposals
from archdsl.recipes import recipe as recipe_of
from archdsl.spec.files import check_writable, make_folder, naming_write_errors, write_out, write_whole
from archdsl.training.exports.export_report import (
    FORMS,
    MOST_DIFFERENCE,
    MOST_ROUNDED,
    PROGRAMS,
    TIMES_ROUNDING,
    Export,
)
from archdsl.training.exports.int8 import int8_network
from archdsl.training.state.checkpoints import read_facts
from archdsl.training.state.initial_weights import (
    expected_values,
    locked_weights,
    network_with_weights,
    with_expected_values,
)
from archdsl.training.state.run_reader import classes_of_weights, read_run


class Exportable(NamedTuple):
    """What is exported."""

    plan: Plan
    network: nn.Module
    weights: Path | None
    recipe: Recipe | None
    values: Values | None
    classes: tuple[str, ...]

    @property
    def about(self) -> dict[str, Any]:
        """What lies beside the tensors in every form."""
        plan, values = self.plan, self.values
        return {
            "model": plan.name,
            "dialect": "archdsl",
            "input": values and {"mean": list(values.mean), "std": list(values.std)},
            "clips": {name: list(shape) for name, shape in plan.inputs.items()},
            "outputs": {name: list(shape) for name, shape in plan.outputs.items()},
            "classes": list(self.classes),
        }

    def written(self, place: Path, **facts: Any) -> Export:
        """What was written there. Raises SpecError where it gives something else than the network."""
        most = MOST_DIFFERENCE if not isinstance(self.network, GraphModule) else MOST_ROUNDED
        if not facts["difference"] <= max(most, TIMES_ROUNDING * facts.get("rounding", 0.0)):
            raise SpecError(
                "the file gives something else than the network",
                written=str(place),
                got=f"{facts['difference']:.1e} of the largest score, {facts['compared_with']}",
                want=f"at most {most}",
                fix="-o net.safetensors, or a folder",
            )
        size = sum(path.stat().st_size for path in place.iterdir()) if place.is_dir() else place.stat().st_size
        source = str(self.weights) if self.weights else None
        form = FORMS["" if place.is_dir() else place.suffix]
        return Export(output=str(place), form=form, model=self.plan.name, weights=source, bytes=size, **facts)


def export(
    arch: Arch | str | Path,
    output: str | Path,
    *,
    recipe: Recipe | str | Path | None = None,
    weights: str | Path | None = None,
    lower: Lower = "none",
    frozen: bool = False,
    batch: int | None = None,
    to: str | None = None,
    int8: str | None = None,
) -> Export:
    """Write a run or a network with weights as .onnx, .pt2, .safetensors or a folder, and compare what that gives.

    `lower` and `frozen` are of programs: passes that make the network quicker, norms folded into weights. `batch` fixes
    the number of clips, which is any where torch can trace that. `to` names a dialect (zoo/weights) whose names the
    weights get. `int8` names data, as of `evaluate`, whose test videos set the ranges of a program in 8 bits. Raises
    SpecError, also where the file gives something else than the network.
    """
    place = Path(output)
    check_options(place, {"lower": lower != "none", "frozen": frozen, "batch": batch, "to": to, "int8": int8})
    found = exportable(arch, recipe, weights)
    if not place.suffix:
        return export_folder(found, place)
    check_writable(place)
    if place.suffix not in PROGRAMS:
        return export_weights(found, place, to)
    if int8 is None:
        return export_program(found, place, "auto" if frozen and lower == "none" else lower, frozen=frozen, batch=batch)
    if frozen or lower != "none":
        want = "the literal network: torch folds norms itself"
        raise SpecError("--int8 of a lowered network", got="--frozen or --lower", want=want, fix="without them")
    network, notes = int8_network(found.network, found.plan, found.recipe, int8)
    made = export_program(found._replace(network=network), place, "none", frozen=False, batch=batch)
    return replace(made, notes=notes)


def check_options(place: Path, asked: dict[str, Any]) -> None:
    """Raises SpecError for a suffix that is no form, and for options that this form has no use for."""
    if place.suffix not in FORMS or (place.suffix and place.is_dir()):
        want = ".onnx, .pt2, .safetensors, or a folder's name without a suffix"
        got = f"{place}, a folder" if place.is_dir() else place.suffix
        raise SpecError("no form of that suffix", got=got, want=want, fix=f"-o {place.stem}.onnx")
    for name in (name for name, given in asked.items() if given):
        forms = (".safetensors",) if name == "to" else PROGRAMS
        if place.suffix not in forms:
            what, fix = f"--{name} is of {' and '.join(forms)}", f"-o {place.stem}{forms[0]}"
            raise SpecError(what, got=f"-o {place}", want=f"a file ending in {' or '.join(forms)}", fix=fix)


def exportable(arch: Arch | str | Path, recipe: Recipe | str | Path | None, weights: str | Path | None) -> Exportable:
    """A run's network with its weights, or an arch with weights, which are random where none are given."""
    if not isinstance(arch, Arch) and Path(arch).is_dir():
        run = read_run(Path(arch))
        arch, recipe, weights = run.arch, recipe or run.recipe, weights or arch
    plan, made = compile(load(arch)), recipe_of(recipe) if recipe else None
    if weights is None:
        torch.manual_seed(0)
        return Exportable(plan, build(plan).eval(), None, made, made.values if made else None, ())
    path = local_weights(weights)
    network = network_with_weights(plan, path).eval()
    made = made and with_expected_values(made, plan, path)
    values = made.values if made else expected_values(plan, path)
    return Exportable(plan, network, path, made, values, classes_of_weights(path) or ())


def export_program(found: Exportable, place: Path, lower: Lower, *, frozen: bool, batch: int | None) -> Export:
    """A traced network, as ONNX or as torch's own program."""
    plan, network, passes = found.plan, found.network, passes_taken(lower)
    if passes:
        network = build(plan, passes).eval()
        network.load_state_dict(found.network.state_dict())
    network = freeze(network) if frozen else network
    try:
        program, clips, outputs, beside = written_and_run(found, network, place, batch)
    except SpecError as error:
        if batch is not None or place.suffix != ".onnx":
            raise
        program, clips, outputs, beside = written_and_run(found, network, place, 1)  # ONNX lacks an op at any batch
        program = program._replace(why_fixed=error.faults[0].got or "")
    apart = difference(found, outputs, clips)
    return found.written(
        place,
        difference=apart,
        rounding=rounding(found.network, clips, [*plan.outputs]) if apart > MOST_DIFFERENCE else 0.0,
        compared_with=beside,
        passes=tuple(passes_at_work(plan.graph, passes)),
        frozen=frozen,
        batch=program.batch,
        why_fixed=program.why_fixed,
    )


def written_and_run(
    found: Exportable, network: nn.Module, place: Path, batch: int | None
) -> tuple[TracedNetwork, Any, Any, str]:
    """(program, clips, what the file gives for them, what gives it). Raises SpecError where an op is in the way."""
    torch.manual_seed(1)
    clips = random_clips(found.plan, batch=batch or 2, device="cpu")
    program = traced_program(network, clips, batch)
    clips = first_clips(clips, program.batch or 2)
    if place.suffix == ".pt2":
        data = pt2_file(program, found.about)
        write_out(place, data)
        return program, clips, run_pt2(data, clips), "the reloaded program beside torch"
    return program, clips, write_and_run_onnx(program, found, place, clips), "onnxruntime beside torch"


def write_and_run_onnx(program: TracedNetwork, found: Exportable, place: Path, clips: Any) -> Any:
    """What onnxruntime gives of the file that is written."""
    room, plan = import_with_extras("archdsl.backend.export.onnx_file"), found.plan
    # loops over boxes are unrolled, and onnxscript's optimiser takes minutes to an hour for them
    small = not any(isinstance(node.op, Proposals | BestBoxes) for node in plan.nodes)
    room.OnnxFile(program, [*plan.inputs], [*plan.outputs], found.about, small=small).write(place)
    return room.run_onnx(place, clips)


def difference(found: Exportable, outputs: Any, clips: Any) -> float:
    """The largest difference of outputs from the network's."""
    names = [*found.plan.outputs]
    with torch.no_grad():
        return largest_difference(named_outputs(outputs, names), named_outputs(found.network(clips), names))


def export_weights(found: Exportable, place: Path, to: str | None) -> Export:
    """The weights alone, under our addresses or another source's names."""
    tensors = found.network.state_dict()
    notes: tuple[str, ...] = ()
    metadata = {"format": "pt", METADATA: json.dumps(found.about)}
    if to:
        naming = naming_named(to)
        unnamed = [name for name in tensors if name not in naming.layouts(tensors)]
        check_named(unnamed, found.plan, to)
        tensors, metadata = exported(tensors, naming), {"format": "pt"}
        notes = (f"{len(tensors)} tensors under the names of {to}",)
    write_out(place, save({name: x.contiguous().clone() for name, x in tensors.items()}, metadata))
    return reloaded(found, place, build(found.plan, weights=place), notes)


def check_named(unnamed: Iterable[str], plan: Plan, to: str) -> None:
    """Raises SpecError where a dialect has no name for a tensor."""
    if unnamed := list(unnamed):
        raise SpecError(
            f"{to} has no name for tensors of {plan.name}",
            at=unnamed[0],
            got=f"{len(unnamed)} tensors without a name",
            want="a dialect of this family, from docs/weights.md",
        )


def export_folder(found: Exportable, place: Path) -> Export:
    """Configuration, weights, preprocessing, card and code."""
    check_writable_as_data(found.plan)
    figures = {}
    if found.weights and found.weights.is_dir():
        with locked_weights(found.weights) as checkpoint:
            figures = read_facts(checkpoint).figures if checkpoint.is_dir() else {}
    files = folder_files(
        ExportedFolder(
            plan=found.plan,
            tensors=found.network.state_dict(),
            recipe=found.recipe,
            values=found.values,
            classes=found.classes,
            about=found.about,
            figures=figures,
            notes=published(found.plan),
        )
    )
    make_folder(place)
    with naming_write_errors(place):
        for name, data in files.items():
            write_whole(place / name, data)
    return reloaded(found, place, build(load(place), weights=place), ())


def published(plan: Plan) -> tuple[str, ...]:
    """What is known of a model of the zoo by that name."""
    try:
        reference = reference_of(zoo_model(plan.name))
    except SpecError:
        return ()
    return (f"{reference.title} ({reference.paper})", *reference.notes) if reference else ()


def reloaded(found: Exportable, place: Path, network: nn.Module, notes: tuple[str, ...]) -> Export:
    """What was written, its network beside the one that was exported."""
    torch.manual_seed(1)
    clips = random_clips(found.plan, batch=2, device="cpu")
    with torch.no_grad():
        outputs = network.eval()(clips)
    beside = "the reloaded network beside the one exported"
    return found.written(place, difference=difference(found, outputs, clips), compared_with=beside, notes=notes)
