"""A job of two processes for tests: what each of them does is a function of its rank, which says how it ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


def told_by_two(script: Callable[..., Any], out: Path, *options: str, timeout: float = 120) -> list[Any]:
    """What a function of `tests` gives in each of two processes of torchrun; of a SpecError its text."""
    program = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    module = f"tests.{Path(script.__code__.co_filename).stem}"
    command = [
        *program,
        "--module",
        "tests.processes",
        module,
        script.__name__,
        str(out),
        *options,
    ]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "OMP_NUM_THREADS": "1"}
    started = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _, errors = started.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        started.terminate()  # killed, torchrun would leave its processes running
        started.wait(60)
        raise
    assert f'File "{ROOT}' not in errors, errors[-3000:]
    said = [out / f"said.{rank}" for rank in (0, 1)]
    return [json.loads(path.read_text()) if path.exists() else errors for path in said]


def two_and_one(script: Callable[..., Any], out: Path, *options: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a run ends with in two processes, in both the same, and in one, whose losses are near enough."""
    first, second = told_by_two(script, out, *options)
    assert first == second
    alone = script(out / "alone", 0, *options)
    assert {int(step): loss for step, loss in first["losses"].items()} == pytest.approx(alone["losses"], rel=1e-4)
    return first, alone


def main(module: str, name: str, out: str, *options: str) -> None:
    """Call a function with the folder and the options; write what it gave."""
    import importlib

    import torch

    from archdsl.errors import SpecError

    torch.set_num_threads(1)
    rank = int(os.environ["RANK"])
    try:
        given, code = getattr(importlib.import_module(module), name)(Path(out), rank, *options), 0
    except SpecError as error:
        given, code = str(error), 2
    (Path(out) / f"said.{rank}").write_text(json.dumps(given))
    sys.exit(code)


if __name__ == "__main__":
    main(*sys.argv[1:])
