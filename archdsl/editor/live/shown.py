"""What the live page shows of a text: its faults with their places and fixes, drawing, table, and what it changes."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from archdsl import catalog
from archdsl.compiler import Plan, compile
from archdsl.editor.findings import Finding, reading
from archdsl.errors import SpecError
from archdsl.language import Arch
from archdsl.language.writers.yaml_writer import to_yaml
from archdsl.report import diff, draw
from archdsl.report.number_format import shapes_text, short, whole
from archdsl.report.table.markup import html_table
from archdsl.report.table.stages import table_of
from archdsl.spec.extends import SUFFIXES
from archdsl.spec.parser import parse_yaml

LEVELS = ("pathway", "stage", "block", "op")
MOST_DRAWN = 3000
"""Ops of a network that is drawn while one types, at the levels below stages."""


def shown(text: str, file: Path, level: str) -> dict[str, Any]:
    """Everything the page shows of a text that belongs into a file, for JSON. Nothing of it is executed."""
    read = reading(text, file)
    data: dict[str, Any] = {"findings": [finding_data(finding) for finding in read.findings]}
    plan = read.plan
    if plan:
        level = level if len(plan.nodes) <= MOST_DRAWN else "stage"
        data |= {
            "title": plan.name,
            "facts": f"{shapes_text(plan.inputs)} → {shapes_text(plan.outputs)}, {whole(plan.params)} params, "
            f"{short(plan.macs)} macs",
            "drawing": draw(plan, level=level),
            "table": html_table(table_of(plan)),
            "changes": changes_of(plan, text, file),
        }
    return data


def finding_data(finding: Finding) -> dict[str, Any]:
    """A finding for the page: its characters, its words, and the line that mends it."""
    return {
        "start": list(finding.range.start),
        "end": list(finding.range.end),
        "text": str(finding.fault),
        "fix": finding.fault.fix,
        "mended": finding.mended,
        "warning": finding.warning,
    }


def changes_of(plan: Plan, text: str, file: Path) -> str | None:
    """What a spec changes in the one that it extends; None for one that extends nothing."""
    base = parse_yaml(text, file.name).get("extends")
    if not base:
        return None
    try:
        before = base_plan(catalog.load(file.parent / base)) if base.endswith(SUFFIXES) else zoo_plan(base)
    except SpecError as error:
        return str(error)
    return str(diff(before, plan))


@lru_cache(maxsize=8)
def base_plan(arch: Arch) -> Plan:
    """The plan of an arch, kept while its file says the same."""
    return compile(arch)


@lru_cache(maxsize=8)
def zoo_plan(name: str) -> Plan:
    """A model of the zoo, which does not change while its page is open."""
    return compile(catalog.load(name))


def presets() -> list[str]:
    """The names of the zoo."""
    return [model.name for model in catalog.zoo()]


def preset(name: str) -> str:
    """A model of the zoo as a spec. Raises SpecError for a name that is none."""
    return to_yaml(catalog.zoo_model(name).arch())
