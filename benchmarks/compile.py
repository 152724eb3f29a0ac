"""What checking and counting cost: this compiler, warm and as a process, beside fvcore on the built module, in one run.

Then how checking, drawing and emitting grow with the number of ops, up to 30,000.

python benchmarks/compile.py [NAME]
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from typing import Any

ROUNDS = 9
CHECK = "import sys; from archdsl.cli import main; sys.exit(main(['check', {name!r}]))"
FVCORE = """
import logging, sys, time
import archdsl, torch
from fvcore.nn import FlopCountAnalysis
logging.disable(logging.WARNING)
plan = archdsl.compile(archdsl.load({name!r}))
network = archdsl.build(plan).eval()
clips = {{k: torch.zeros(1, *v) for k, v in plan.inputs.items()}}
start = time.perf_counter()
total = FlopCountAnalysis(network, (clips if len(clips) > 1 else next(iter(clips.values())),)).total()
assert total == plan.count("fvcore"), (total, plan.count("fvcore"))
print(time.perf_counter() - start)
"""


def warm(name: str) -> list[float]:
    """Seconds of load + compile + count in this process, each time from the arch anew."""
    import archdsl

    times = []
    for _ in range(ROUNDS + 2):
        start = time.perf_counter()
        plan = archdsl.compile(archdsl.load(name))
        counted = plan.params, plan.macs, plan.count("fvcore")
        times.append(time.perf_counter() - start)
        assert all(counted)
    return times[2:]


def grown(stages: int) -> Any:
    """An arch of two pathways of so many stages of four bottlenecks, one fused into the other after each."""
    from archdsl import Arch, Clip, Edge, Pathway, Stage
    from archdsl.blocks import Bottleneck
    from archdsl.language import Classifier

    names = [f"res{i}" for i in range(stages)]
    pathways = {
        name: Pathway(stages={stage: Stage(*[Bottleneck(channels=16)] * 4) for stage in names})
        for name in ("slow", "fast")
    }
    edge = Edge(source="fast", target="slow", after=tuple(names), merge="sum")
    clip, head = Clip(frames=8, size=16), Classifier(classes=5)
    return Arch(name="grown", clip=clip, pathways=pathways, edges=(edge,), head=head)


def growth() -> None:
    """Seconds for each reader of a plan, and microseconds an op, as the number of ops grows."""
    import archdsl

    archdsl.emit(archdsl.compile(grown(1)), "auto")
    readers = {
        "check": lambda arch, plan: archdsl.compile(arch),
        "draw": lambda arch, plan: archdsl.draw(plan, level="stage"),
        "emit": lambda arch, plan: archdsl.emit(plan),
        "emit, auto": lambda arch, plan: archdsl.emit(plan, "auto"),
    }
    print(f"\n{'ops':>8}" + "".join(f"{name:>24}" for name in readers))
    for stages in (20, 80, 370):
        arch = grown(stages)
        plan = archdsl.compile(arch)
        cells = []
        for read in readers.values():
            start = time.perf_counter()
            read(arch, plan)
            seconds = time.perf_counter() - start
            cells.append(f"{seconds:.2f} s, {seconds / len(plan.nodes) * 1e6:.0f} us an op")
        print(f"{len(plan.nodes):>8,}" + "".join(f"{cell:>24}" for cell in cells))


def process(code: str, rounds: int) -> tuple[list[float], float, list[str]]:
    """Wall seconds of fresh interpreters, the largest memory in MB, and what they printed."""
    times, printed = [], []
    for _ in range(rounds):
        start = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        times.append(time.perf_counter() - start)
        printed.append(done.stdout)
    return times, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, printed


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else "slowfast_8x8_r50"
    rows = []
    once = warm(name)
    rows.append(("check + count, warm process", once, None))
    cold, memory, _ = process(CHECK.format(name=name), ROUNDS)
    rows.append(("archdsl check, cold process", cold, memory))
    peer, memory, printed = process(FVCORE.format(name=name), 3)
    rows.append(("fvcore, the count alone", [float(text) for text in printed], None))
    rows.append(("fvcore, cold process", peer, memory))
    print(f"{name}: medians of {ROUNDS} (fvcore 3), least and most in brackets\n")
    print(f"{'':32}{'seconds':>26}{'MB':>8}{'ratio':>9}")
    base = {"warm": statistics.median(once), "cold": statistics.median(cold)}
    for title, times, megabytes in rows:
        middle = statistics.median(times)
        ratio = middle / base["warm" if "warm" in title or "alone" in title else "cold"]
        spread = f"{middle:.4f} [{min(times):.4f}-{max(times):.4f}]"
        print(f"{title:32}{spread:>26}{f'{megabytes:.0f}' if megabytes else '':>8}{ratio:>8.1f}x")
    growth()


if __name__ == "__main__":
    main()
