"""What a GPU gives: correctness first, then clips per second, utilisation and memory of training and inference.

python -m benchmarks.gpu -o benchmarks/gpu.md    within ten minutes; without a GPU it says what it would run
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any
from xml.etree import ElementTree

import torch

import archdsl
from archdsl.backend.precision import AUTOCAST_TYPES
from archdsl.catalog import zoo
from archdsl.measuring import BenchSetup, Contestant, own_contestant
from archdsl.measuring.comparison import clips_for, prepare_contestant
from archdsl.measuring.contestants import timed_step
from archdsl.measuring.machine import machine_name, synchronizer
from archdsl.measuring.timer import no_collection, seconds_of
from archdsl.report.memory.report import Memory, Setup
from archdsl.report.table.formats import to_md
from archdsl.report.table.sheet import Column, Row, Table
from archdsl.training.log.meters import peak_macs_per_second
from benchmarks.pytorchvideo_nets import PEERS

MODELS = ("slowfast_8x8_r50", "x3d_m", "r2plus1d_16x4_r50", "mvit_v2_s_16x4")
"""Those that the zoo has are measured."""
SAME_AS = {"x3d_m": "x3d_m_ptv"}
"""The zoo's name for PyTorchVideo's variant, where that is another."""
BATCH, PRECISIONS, ROUNDS = 8, ("bf16", "fp32"), 5
TEST_SECONDS, ALL_SECONDS = 240, 570
"""The tests may take so long; after so much in all nothing new is measured."""
TESTS = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "tests/test_gpu.py"]
TITLES = ("model", "mode", "precision", "side", "clips/s", "MFU", "peak", "predicted", "first step")

ABOUT = f"""\
# On a GPU

`make gpu` writes this page. First the tests under the marker `gpu`: forward and backward beside a CPU, CUDA graphs,
resume, DDP and FSDP of one process, compiled stages, bf16 beside fp32. Then a training step (forward, backward, SGD)
and a forward of {BATCH} random clips: the median of {ROUNDS} rounds. *MFU* is multiply-adds of the literal network
(three forwards in a step) over those of a large product of random matrices in the same precision, TF32 where
convolutions use it. *peak* is the allocator's, *predicted* what `archdsl count --memory` says of the literal network.
"""


@dataclass(frozen=True)
class Job:
    """One network, one way to run it, one side."""

    plan: archdsl.Plan
    setup: BenchSetup
    side: Contestant

    @property
    def name(self) -> str:
        """In words."""
        return f"{self.plan.name}, {'train' if self.setup.train else 'infer'}, {self.setup.precision}, {self.side.name}"


def jobs(device: str, models: tuple[str, ...], batch: int) -> Iterator[Job]:
    """All that is measured: training in half precision first."""
    known = {model.name for model in zoo()}
    for precision in PRECISIONS:
        for train in (True, False):
            for name in models:
                if name in known:
                    plan = archdsl.compile(archdsl.load(name))
                    setup = BenchSetup(batch, train, device, ROUNDS, precision)
                    yield from (Job(plan, setup, side) for side in sides_of(plan, setup))


def sides_of(plan: archdsl.Plan, setup: BenchSetup) -> Iterator[Contestant]:
    """Literal, lowered, literal compiled, and PyTorchVideo's where it is installed."""
    for name, lower, compiled in (("literal", "none", False), ("lowered", "auto", False), ("compiled", "none", True)):
        made = own_contestant(plan, lower, train=setup.train, device=setup.device, compiled=compiled)
        yield replace(made, name=name)
    same = SAME_AS.get(plan.name, plan.name)
    if importlib.util.find_spec("pytorchvideo"):
        yield from (Contestant("PyTorchVideo", one.make, one.copy, feed=one.feed) for one in PEERS if one.ours == same)


def measured(job: Job) -> tuple[str, ...]:
    """A row: everything is made, run and freed again."""
    device = torch.device(job.setup.device)
    wait, on_gpu = synchronizer(device), device.type == "cuda"
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    network, _ = prepare_contestant(job.side, job.setup)
    step = timed_step(job.side, network, clips_for(job.plan, job.setup), job.setup.train, job.setup.precision)
    first = seconds_of(step, wait)
    seconds_of(step, wait)
    with no_collection():
        taken = median(seconds_of(step, wait) for _ in range(ROUNDS))
    peak = torch.cuda.max_memory_allocated(device) if on_gpu else 0
    torch._dynamo.reset()
    rate, passes = job.setup.batch / taken, 3 if job.setup.train else 1
    told = Memory(job.plan, Setup(job.setup.batch, job.setup.train, job.setup.precision)).peak
    share = passes * job.plan.macs * rate / peak_macs_per_second(device, AUTOCAST_TYPES[job.setup.precision])
    figures = f"{rate:.1f}", f"{100 * share:.0f}%", gigabytes(peak), gigabytes(told), f"{first:.1f} s"
    return (*row_head(job), *figures)


def gigabytes(count: int) -> str:
    """A number of bytes; nothing of a device that does not count them."""
    return f"{count / 2**30:.2f} GiB" if count else ""


def row_head(job: Job) -> tuple[str, ...]:
    """The first cells of a row."""
    return job.plan.name, "train" if job.setup.train else "infer", job.setup.precision, job.side.name


def row_of(job: Job, ends: float, clock: Callable[[], float] = perf_counter) -> tuple[str, ...]:
    """A row, or why there is none: one side that falls costs no other its figure."""
    if clock() > ends:
        return (*row_head(job), "not measured: out of time", *[""] * 4)
    print(f"  {job.name}", file=sys.stderr, flush=True)
    try:
        return measured(job)
    except (RuntimeError, archdsl.SpecError) as error:
        return (*row_head(job), f"{type(error).__name__}: {str(error).splitlines()[0][:80]}", *[""] * 4)


def tests_run(command: list[str], seconds: float) -> list[tuple[str, str, str]]:
    """(test, outcome, seconds) of all tests; of those that were not done in time nothing but that."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "tests.xml"
        try:
            subprocess.run([*command, f"--junitxml={report}"], timeout=seconds, check=False, stdout=sys.stderr)
        except subprocess.TimeoutExpired:
            return [("all", f"not done in {seconds:.0f} s", "")]
        cases = ElementTree.parse(report).iter("testcase") if report.exists() else []
        return [(case.get("name", "?"), outcome_of(case), f"{float(case.get('time', 0)):.1f}") for case in cases]


def outcome_of(case: Any) -> str:
    """Of one test in pytest's report: passed, or its first line."""
    ended = next((part for part in case if part.tag in ("failure", "error", "skipped")), None)
    return "passed" if ended is None else f"{ended.tag}: {(ended.get('message') or '').splitlines()[0][:100]}"


def page(device: str, tests: list[tuple[str, str, str]], rows: list[tuple[str, ...]]) -> str:
    """The page."""
    passed = sum(outcome == "passed" for _, outcome, _ in tests)
    figures = Table("", tuple(Column(name, right=at > 3) for at, name in enumerate(TITLES)), tuple(map(Row, rows)), ())
    listed = Table("", (Column("test"), Column("outcome"), Column("seconds", right=True)), tuple(map(Row, tests)), ())
    head = f"{machine_name(torch.device(device))}. {passed} of {len(tests)} tests passed."
    return "\n\n".join([ABOUT.rstrip(), head, to_md(figures).rstrip(), "## Tests", to_md(listed).rstrip(), ""])


def plan_text(found: list[Job]) -> str:
    """What would be run, where there is no GPU."""
    names = "\n".join(f"  {job.name}" for job in found)
    return f"no GPU that torch {torch.__version__} can use; with one this would run\n  {' '.join(TESTS[1:])}\n{names}"


def main(words: list[str] | None = None) -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("-o", "--output", required=True, help="the page")
    given = asked.parse_args(words)
    found = jobs("cuda", MODELS, BATCH)
    if not torch.cuda.is_available():
        print(plan_text(list(found)))
        return
    begun = perf_counter()
    tests = tests_run(TESTS, TEST_SECONDS)
    rows = [row_of(job, begun + ALL_SECONDS) for job in found]
    Path(given.output).write_text(page("cuda", tests, rows), encoding="utf-8")
    if any(outcome != "passed" for _, outcome, _ in tests):
        sys.exit(1)


if __name__ == "__main__":
    main()
