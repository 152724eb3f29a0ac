"""What the compiler finds in a text that is being written: each fault with its characters, and edits that mend it."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import yaml

from archdsl import catalog
from archdsl.compiler import Plan, compile
from archdsl.editor.fixes import followed
from archdsl.editor.outline import Outline, Place, Position, Range, outline
from archdsl.errors import Fault, SpecError
from archdsl.recipes import recipe_of_data
from archdsl.spec.budget import MOST_BYTES
from archdsl.spec.lines import Lines
from archdsl.spec.parser import parse_yaml

SPEC_KEYS = {"clip", "clips", "pathways", "edges", "head", "parameters", "blocks"}
RECIPE_KEYS = {"steps", "epochs", "batch", "optimizer", "schedule", "augmentation", "sampling"}
"""Keys that one kind of file has and the other has not."""


@dataclass(frozen=True)
class Finding:
    """A fault or a warning at its place in a text."""

    fault: Fault
    range: Range
    warning: bool = False
    mended: str | None = None
    """The line with the fault's fix in it, where following it removes the fault."""


@dataclass(frozen=True)
class Reading:
    """A text as the compiler reads it."""

    outline: Outline
    findings: tuple[Finding, ...]
    plan: Plan | None


def reading(text: str, path: Path, fixes: bool = True) -> Reading:
    """Everything that is found in a text that belongs into the file `path`. Nothing of it is executed.

    With `fixes`, each fault's fix is tried: one that removes the fault is offered as an edit.
    """
    made, faults, warnings = plan_of_text(text, path)
    places = outline_or_none(text)
    findings = [located(fault, text, path, places) for fault in faults]
    if fixes:
        findings = [with_fix(finding, findings, text, path) for finding in findings]
    findings += [located(fault, text, path, places, warning=True) for fault in warnings]
    return Reading(places, tuple(findings), made)


def outline_or_none(text: str) -> Outline:
    """The places of a text; none where it is no YAML yet."""
    try:
        return outline(text)
    except (yaml.YAMLError, SpecError, RecursionError):
        return Outline(())


def plan_of_text(text: str, path: Path) -> tuple[Plan | None, tuple[Fault, ...], tuple[Fault, ...]]:
    """(plan, faults, warnings) of a text; a recipe has no plan."""
    try:
        check_text_size(text, path)
        data = parse_yaml(text, path.name)
        if not isinstance(data, Lines):
            got = "nothing" if data is None else "a list" if isinstance(data, list) else "a single value"
            want = "a mapping: name, clip, pathways, head"
            raise SpecError("not a spec", written=f"{path.name}:1", got=got, want=want)
        if is_recipe(data, path):
            recipe_of_data(path, (), data)
            return None, (), ()
        plan = compile(catalog.model_of_data(path, (), data).arch())
        return plan, (), plan.warnings
    except SpecError as error:
        return None, error.faults, ()


def check_text_size(text: str, path: Path) -> None:
    """Raise SpecError for a text that no file may have."""
    if len(text.encode("utf-8", "surrogatepass")) > MOST_BYTES:
        raise SpecError("a file too large", written=f"{path.name}:1", want=f"at most {MOST_BYTES} bytes")


def is_recipe(keys: Collection[str], path: Path) -> bool:
    """Whether a document with these keys is a recipe: by them, or else by its folder's name."""
    if SPEC_KEYS & set(keys):
        return False
    return bool(RECIPE_KEYS & set(keys)) or path.absolute().parent.name == "recipes"


def document_kind(text: str, path: Path, certain: bool = False) -> str | None:
    """`spec` or `recipe`, by the keys at the left margin; None for other YAML, unless it is `certain`ly one of ours."""
    keys = re.findall(r"^[\"']?([A-Za-z_]\w*)[\"']?\s*:", text, re.MULTILINE)
    if not certain and not {*SPEC_KEYS, *RECIPE_KEYS, "extends"} & set(keys) and text.strip():
        return None
    return "recipe" if is_recipe(keys, path) else "spec"


def located(fault: Fault, text: str, path: Path, places: Outline, warning: bool = False) -> Finding:
    """A fault with the characters that it is about."""
    lines = text.splitlines() or [""]
    number = line_number(fault.written, path)
    if number is not None:
        number = min(number, len(lines) - 1)
        candidates = [place for place in places.places if place.line == number and place.path]
        return Finding(fault, range_on_line(fault, number, lines[number], candidates), warning)
    place = place_of_address(fault, places)
    return Finding(fault, (place.key or place.value) if place else whole_line(0, lines[0]), warning)


def line_number(written: str | None, path: Path) -> int | None:
    """The line that a fault names, counted from 0, where it is one of this file."""
    name, _, line = (written or "").rpartition(":")
    return int(line) - 1 if name == path.name and line.isdecimal() else None


def range_on_line(fault: Fault, number: int, line: str, candidates: list[Place]) -> Range:
    """The characters on a line that a fault is about: the word that was met, else the value at its address."""
    best = max(candidates, key=lambda place: shared_end(place.path, fault), default=None)
    word = re.split("[:=]", fault.got or "")[0].strip("'\" ")
    where = best.key if best and best.path[-1] == word else None
    if where and where.start.line == number:
        return where
    code = line.partition(" #")[0]
    if word and (found := re.search(rf"(?<![\w]){re.escape(word)}(?![\w])", code)):
        return Range(Position(number, found.start()), Position(number, found.end()))
    if best and shared_end(best.path, fault):
        start = best.key or best.value
        end = best.value.end if best.value.end.line == number else start.end
        return Range(start.start, end if end.line == number else Position(number, len(code.rstrip())))
    return whole_line(number, line)


def shared_end(path: tuple[str, ...], fault: Fault) -> int:
    """How many of the last parts of a fault's address are the last parts of a path."""
    parts, count = (fault.at or "").split("."), 0
    while count < min(len(parts), len(path)) and parts[-1 - count] == path[-1 - count]:
        count += 1
    return count


def place_of_address(fault: Fault, places: Outline) -> Place | None:
    """The place whose path is the longest beginning of a fault's address."""
    parts = tuple((fault.at or "").split("."))
    named = {place.path: place for place in places.places}
    tried = (start for n in range(len(parts), 0, -1) for start in (parts[:n], ("pathways", *parts[:n])))
    return next((named[path] for path in tried if path in named), None)


def whole_line(number: int, line: str) -> Range:
    """A line without what is blank around it."""
    start = len(line) - len(line.lstrip())
    return Range(Position(number, start), Position(number, max(len(line.rstrip()), start)))


def with_fix(finding: Finding, others: list[Finding], text: str, path: Path) -> Finding:
    """The finding with its fix as an edit, where following it removes the fault and brings no other."""
    lines = text.splitlines()
    number = finding.range.start.line
    line = followed(lines[number], finding.fault) if number < len(lines) else None
    if line is None or line == lines[number]:
        return finding
    tried = "\n".join([*lines[:number], line, *lines[number + 1 :]])
    _, faults, _ = plan_of_text(tried, path)
    rest = {(other.fault.what, other.fault.at) for other in others if other is not finding}
    if {(fault.what, fault.at) for fault in faults} <= rest:
        return Finding(finding.fault, finding.range, finding.warning, line)
    return finding
