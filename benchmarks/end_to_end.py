"""Commands of two checkouts in turns: clips a second of `archdsl train`, views a second of `archdsl evaluate`.

    git worktree add /tmp/before REVISION
    python benchmarks/end_to_end.py --before /tmp/before > benchmarks/end_to_end.md

Each process runs a command on little and then on more; the difference is without imports, building and saving.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any, NamedTuple

import torch

import archdsl
from archdsl.cli import main as archdsl_command

HERE = Path(__file__).resolve().parents[1]
SIZE, FRAMES, VIDEOS = 256, 96, 20
MIDDLE = "--set recipe.views.short_side=256"


class Case(NamedTuple):
    """A command, what it is given less and more of, and the ratio that is wanted."""

    name: str
    command: str
    less: str
    more: str
    units: int
    """Clips or views of the difference."""
    want: float


def cases(folder: Path) -> tuple[Case, ...]:
    """The commands, on videos in a folder."""
    train = "train {} --recipe smoke --classes 8 --device cpu --quiet"
    files, weights = f"--data {folder / 'one'}", f"--weights {folder / 'x3d_m.pt'} {MIDDLE}"
    evaluate = f"evaluate x3d_m --recipe smoke --classes 8 --views 3x3 --device cpu --quiet {weights}"
    return (
        Case("train slowfast_tiny, batch 16", train.format("slowfast_tiny"), "--steps 2", "--steps 22", 320, 1.15),
        Case("train x3d_s, batch 2", f"{train.format('x3d_s')} --batch 2 {files}", "--steps 1", "--steps 5", 8, 2.0),
        Case(
            "train slow_8x8_r50, batch 2",
            f"{train.format('slow_8x8_r50')} --batch 2 {files}",
            *("--steps 1", "--steps 3"),
            *(4, 1.1),
        ),
        Case(
            "evaluate x3d_m, 3x3 views",
            evaluate,
            *(f"--data {folder / 'one'}", f"--data {folder / 'all'}"),
            *(27, 2.5),
        ),
    )


def prepare(folder: Path) -> None:
    """Videos of moving digits, once with four to test on and once with one; weights."""
    command = f"data make motion {folder / 'all'} --count {VIDEOS} --frames {FRAMES} --size {SIZE}"
    with redirect_stdout(sys.stderr):  # the page is what this program prints
        assert archdsl_command(command.split()) == 0
    shutil.copytree(folder / "all", folder / "one")
    _, *others = sorted((folder / "one" / "val").rglob("*.mp4"))
    for path in others:
        path.unlink()
    assert len(others) == 3
    torch.manual_seed(0)
    torch.save(archdsl.build(archdsl.load("x3d_m", classes=8)).state_dict(), folder / "x3d_m.pt")


def measured(command: list[str]) -> tuple[float, float]:
    """(seconds, seconds of the process on processors) of a command."""
    begun, before = perf_counter(), process_time()
    assert archdsl_command(command) == 0
    return perf_counter() - begun, process_time() - before


def child(command: str, less: str, more: str) -> None:
    """Print what more took than less."""
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    found = []
    for amount in (less, less, more):  # the first is for what happens once
        with TemporaryDirectory() as out:
            given = f"{command} {amount}" + (f" --out {out}/run" if command.startswith("train") else "")
            found.append(measured(given.split()))
    _, (wall, cpu), (longer, most) = found
    print(json.dumps([longer - wall, most - cpu]))


def in_turns(before: Path, folder: Path, rounds: int) -> dict[Case, list[list[tuple[float, float]]]]:
    """Each case with (seconds, seconds on processors) of both checkouts, by round."""
    found: dict[Case, list[list[tuple[float, float]]]] = {case: [] for case in cases(folder)}
    for _ in range(rounds):
        for case, rows in found.items():
            row = []
            for tree in (before, HERE):
                given = [sys.executable, __file__, "--child", case.command, case.less, case.more]
                environment = os.environ | {"PYTHONPATH": str(tree), "THP_MEM_ALLOC_ENABLE": "1"}  # as the command does
                done = subprocess.run(given, env=environment, capture_output=True, text=True, check=False)
                assert done.returncode == 0, done.stderr[-2000:]
                wall, cpu = json.loads(done.stdout.splitlines()[-1])
                row.append((wall, cpu))
            rows.append(row)
            print(case.name, row, file=sys.stderr, flush=True)
    return found


def revision(tree: Path) -> str:
    """The commit of a checkout."""
    command = ["git", "-C", str(tree), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def processor() -> str:
    """The machine's processor."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    name = next((line.partition(": ")[2] for line in info.splitlines() if line.startswith("model name")), "unknown")
    return f"{name}, {os.cpu_count()} of its threads"


def page(before: Path, rounds: int) -> Iterator[str]:
    """The lines of the page."""
    threads = os.environ.get("OMP_NUM_THREADS", "1")
    yield "# End to end\n"
    yield (
        f"Measured by `benchmarks/end_to_end.py`: {processor()}, {threads} used, torch {torch.__version__}, the "
        f"default allocator. Commands of {revision(before)} (before) and {revision(HERE)} (after) in turns, "
        f"{rounds} rounds, on the same videos and weights: H.264 of {FRAMES} frames of {SIZE} x {SIZE} pixels; "
        "slowfast_tiny on built-in digits. Other work was not kept off the machine, so that the time of the process on "
        "processors says more than that of the clock. Ratios are medians of the rounds, least and most behind them.\n"
    )
    yield "| command | clips per s on processors, before | after | ratio | by the clock | wanted |"
    yield "|---|---|---|---|---|---|"
    with TemporaryDirectory() as name:
        prepare(Path(name))
        for case, rows in in_turns(before, Path(name), rounds).items():
            old, new = (case.units / median(row[side][1] for row in rows) for side in (0, 1))
            cpu = [row[0][1] / row[1][1] for row in rows]
            wall = [row[0][0] / row[1][0] for row in rows]
            ratios = [f"{median(found):.2f} ({min(found):.2f}-{max(found):.2f})" for found in (cpu, wall)]
            yield f"| {case.name} | {old:.3g} | {new:.3g} | {' | '.join(ratios)} | {case.want} |"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--before", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", nargs=3)
    given: Any = parser.parse_args()
    if given.child:
        child(*given.child)
    else:
        for line in page(given.before, given.rounds):
            print(line, flush=True)


if __name__ == "__main__":
    main()
