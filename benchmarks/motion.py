"""Does time help? SlowFast, its slow pathway alone, and one frame of it, of equal width, on moving digits.

    python benchmarks/motion.py        # three seeds each, nine runs of minutes on two cores; writes motion.md
    python benchmarks/motion.py frame_tiny 0   # one of the runs; those that are done are not done again

The label is direction x speed, and no single frame tells it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import mean

import torch

import archdsl
from archdsl.language import Arch, change
from archdsl.recipes import recipe

SEEDS = (0, 1, 2)
RECIPE, STEPS = "smoke", 300
"""Twice the recipe's steps: the slow pathway alone sees nothing move for the first 150."""
HERE = Path(__file__).parent
RUNS = Path("out") / "motion"


def arches() -> dict[str, Arch]:
    """What a row is called -> arch, all of one width."""
    slowfast = archdsl.load("slowfast_tiny")
    slow = slowfast.but(name="slow_tiny", pathways={"slow": slowfast.pathways["slow"]}, edges=())
    frame = change(slow, "pathways.slow.every", 16).but(name="frame_tiny")
    return {"SlowFast, 4 and 16 frames": slowfast, "Slow-only, 4 frames": slow, "a single frame": frame}


def accuracy(arch: Arch, seed: int) -> float:
    """Top-1 on unseen clips after a run, which is gone on from where it was interrupted."""
    out = RUNS / arch.name / str(seed)
    made = recipe(RECIPE, steps=STEPS, seed=seed)
    return archdsl.train(arch, made, "motion", out=out, device="cpu", quiet=True).figures["top1"]


def main(only: tuple[str, ...]) -> int:
    """Train all, write the table; or train one."""
    if only:
        (arch,) = (arch for arch in arches().values() if arch.name == only[0])
        print(arch.name, only[1], accuracy(arch, int(only[1])))
        return 0
    rows = []
    for row, arch in arches().items():
        found = [accuracy(arch, seed) for seed in SEEDS]
        plan = archdsl.compile(arch)
        top1 = " | ".join(f"{value:.1%}" for value in found)
        rows.append(f"| {row} | {plan.params:,} | {plan.macs:,} | {top1} | {mean(found):.1%} |")
    made, version = recipe(RECIPE), torch.__version__.partition("+")[0]
    text = f"""\
# Does time help?

Top-1 on 512 unseen clips of moving digits after {STEPS} steps of {made.batch} clips by the recipe `{RECIPE}`; 8 classes
(4 directions, 2 speeds), chance is 12.5%. All networks have the width of `slowfast_tiny`, whose slow pathway the other
two are. On the CPU, torch {version}; `python benchmarks/motion.py` writes this file.

| network | params | macs | {" | ".join(f"seed {seed}" for seed in SEEDS)} | mean |
|---|---|---|{"---|" * len(SEEDS)}---|
"""
    (HERE / "motion.md").write_text(text + "\n".join(rows) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(tuple(sys.argv[1:])))
