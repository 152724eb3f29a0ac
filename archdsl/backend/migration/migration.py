"""A module that was read, as a spec: a network of the zoo where it is one, else stages of blocks; and the proof."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archdsl.backend.migration.draft import drawn_up
from archdsl.backend.reader import ModuleComparison, ModuleReading
from archdsl.backend.reader.read_plan import identifier
from archdsl.catalog import model, zoo
from archdsl.compiler import compile
from archdsl.errors import SpecError
from archdsl.language import Arch, Model
from archdsl.language.writers.yaml_writer import data_to_yaml
from archdsl.spec.base import read_model
from archdsl.spec.files import write_out
from archdsl.spec.fixes import flow_yaml

CLOSE = 1e-5
"""The largest difference of outputs, as a share of the largest score, of networks that are the same."""
NEAR_IN_PARAMETERS = 1.5
"""How many times more or fewer parameters a model of the zoo may have that is tried with other classes or sizes."""


@dataclass(frozen=True)
class Migration:
    """A spec of a module, and how it compares with the module."""

    text: str
    """In YAML."""
    comparison: ModuleComparison
    unread: int = 0
    """Parameters of the module that no output is made with, which the spec leaves out."""
    base: str | None = None
    """The model of the zoo that it extends."""
    blocks: tuple[str, ...] = ()
    """Blocks in words, those that follow each other counted."""
    drawn: tuple[str, ...] = ()
    """Blocks that are drawn of ops: none that we know has their form."""
    notes: tuple[str, ...] = ()

    @property
    def proven(self) -> bool:
        """Whether steps and counts are the module's, and outputs with its weights."""
        found = self.comparison
        alike = found.params[0] - self.unread == found.params[1] and found.macs[0] == found.macs[1]
        return alike and not found.matching and (found.difference is None or found.difference < CLOSE)

    def __str__(self) -> str:
        lines = [f"as a spec: extends {self.base}" if self.base else f"as a spec: {', '.join(self.blocks)}"]
        lines += [f"  drawn    {name}: no block that is known has this form" for name in self.drawn]
        lines += [f"  note     {note}" for note in self.notes]
        return "\n".join([*lines, str(self.comparison)])

    def record(self) -> dict[str, Any]:
        """As plain data."""
        found = {"extends": self.base, "blocks": list(self.blocks), "drawn": list(self.drawn)}
        return {**found, "notes": list(self.notes), "proven": self.proven, "beside": self.comparison.record()}

    def write(self, path: str | Path) -> None:
        """Write the spec."""
        write_out(path, self.text.encode())


def migration_of(reading: ModuleReading, base: str | None = None) -> Migration:
    """A spec of a module, of a model of the zoo if `base` or any is the same network. Raises SpecError for no spec."""
    for one in [] if base and base.endswith(".py") else [model(base)] if base else zoo():
        for given, arch in fitting_archs(reading, one):
            found = reading.compare(arch)
            if not found.matching and not found.carried.missing:
                name = str(Path(base).resolve()) if base and Path(base).is_file() else one.name
                lines = [f"extends: {name}", f"name: {identifier(reading.name)}"]
                lines += [f"parameters: {flow_yaml(given)}"] if given else []
                return Migration("\n".join([*lines, ""]), found, reading.unread, one.name)
    document, *said = drawn_up(reading)
    return Migration(data_to_yaml(document), reading.compare(read_model(Arch, document)), reading.unread, None, *said)


def fitting_archs(reading: ModuleReading, one: Model) -> Iterator[tuple[dict[str, Any], Arch]]:
    """(parameters, arch) of a model at the size, the frames and the classes of a module, with as many parameters."""
    plan = reading.plan
    wanted, shapes = plan.params, list(plan.inputs.values())
    classes = next(iter(plan.outputs.values()))[0]
    sizes: list[dict[str, Any]] = [{}, {"size": shapes[0][2]}, {"size": shapes[0][2], "frames": shapes[0][1]}]
    for given in sizes:
        try:
            made = compile(one.arch(**given))
            if not wanted / NEAR_IN_PARAMETERS < made.params < wanted * NEAR_IN_PARAMETERS:
                return
            if getattr(made.arch.head, "classes", classes) != classes:
                given = {**given, "classes": classes}
                made = compile(one.arch(**given))
        except SpecError:
            continue
        frames = max(len(found) for found in made.frames_read.values())
        same = frames == max(shape[1] for shape in shapes) and next(iter(made.inputs.values()))[2] == shapes[0][2]
        if same and made.params == wanted:
            yield given, made.arch
            return
