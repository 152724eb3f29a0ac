"""ONNX over the zoo: every network at its smallest input, exported and run by onnxruntime; benchmarks/onnx.md.

`PYTHONPATH=tests python -m benchmarks.onnx RESULTS.jsonl [NAME ...]` adds a line for each network that the file lacks,
or for those that are named, each in a process of its own; then it writes the page of what the file has.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import tempfile
from pathlib import Path
from typing import Any

import archdsl
from archdsl.catalog import zoo, zoo_model
from tests.test_zoo import reduced

PROCESSOR_SECONDS = 300
"""Of a network: what takes longer is listed as not tried to its end."""
MOST_MACS, MOST_PARAMS = 200_000_000_000, 350_000_000
"""Of a network at its smallest input: larger ones have the ops of their smaller kin."""
NEAR = 1e-4
"""The largest difference from torch of what agrees, as a share of the largest score."""
HEAD = """\
# ONNX over the zoo

Each network at the smallest clip that it takes, with random weights, was exported by `archdsl export NAME -o net.onnx`,
run by onnxruntime on two clips (one where the file takes one) and compared with torch. The difference is the largest,
as a share of the largest score. `PYTHONPATH=tests python -m benchmarks.onnx RESULTS.jsonl` writes this page.

"""


def outcome(name: str) -> dict[str, Any]:
    """What the export of a network gave."""
    arch = reduced(zoo_model(name))
    plan = archdsl.compile(arch)
    found: dict[str, Any] = {"name": name, "input": {key: [*shape] for key, shape in plan.inputs.items()}}
    if plan.params > MOST_PARAMS or plan.macs > MOST_MACS:
        return found | {"why": f"not tried: {plan.params / 1e6:.0f}M parameters, {plan.macs / 1e9:.0f}G multiply-adds"}
    with tempfile.TemporaryDirectory() as folder:
        try:
            made = archdsl.export(arch, Path(folder) / "net.onnx")
        except archdsl.SpecError as error:
            return found | {"why": " ".join(str(error).split())}
    return found | {"difference": made.difference, "rounding": made.rounding, "batch": made.batch}


def write_outcome(name: str, results: str) -> None:
    """Add a line to the file, within a bound of processor time."""
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_SECONDS, PROCESSOR_SECONDS))
    line = json.dumps(outcome(name))
    with Path(results).open("a") as file:
        file.write(line + "\n")


def tried(results: Path) -> dict[str, dict[str, Any]]:
    """The last line of each network."""
    lines = results.read_text().splitlines() if results.exists() else []
    return {found["name"]: found for found in map(json.loads, lines)}


def page(found: dict[str, dict[str, Any]]) -> str:
    """What the file has, as tables."""
    names = [one.name for one in zoo() if one.name in found]
    agree = [name for name in names if "difference" in found[name] and found[name]["difference"] < NEAR]
    largest = max(found[name]["difference"] for name in agree)
    text = HEAD + f"{len(agree)} of {len(names)} tried agree; the largest difference is {largest:.1e}. The zoo has "
    text += f"{len([*zoo()])} networks.\n\n| network | input | clips at once | difference |\n|---|---|---|---|\n"
    for name in agree:
        sizes = ", ".join("x".join(map(str, size)) for size in found[name]["input"].values())
        text += f"| {name} | {sizes} | {found[name]['batch'] or 'any'} | {found[name]['difference']:.1e} |\n"
    text += "\n## What stands in the way\n\n| network | why |\n|---|---|\n"
    return text + "".join(f"| {name} | {reason(found[name])} |\n" for name in names if name not in agree)


def reason(found: dict[str, Any]) -> str:
    """Why a network is not among those that agree."""
    if "difference" in found:
        return f"differs by {found['difference']:.1e}; torch from itself in double precision by {found['rounding']:.1e}"
    return str(found["why"]).replace("|", "/")[:300]


def main() -> None:
    """Try what the file lacks, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results")
    parser.add_argument("names", nargs="*")
    given = parser.parse_args()
    known = tried(Path(given.results))
    fresh = multiprocessing.get_context("spawn")
    for name in given.names or [one.name for one in zoo() if one.name not in known]:
        process = fresh.Process(target=write_outcome, args=(name, given.results))
        process.start()
        process.join()
        if process.exitcode:
            with Path(given.results).open("a") as file:
                file.write(json.dumps({"name": name, "why": f"over {PROCESSOR_SECONDS} s of processor time"}) + "\n")
    Path(__file__).with_suffix(".md").write_text(page(tried(Path(given.results))), encoding="utf-8")


if __name__ == "__main__":
    main()
