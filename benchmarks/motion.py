"""Does time help? SlowFast, its slow pathway alone, and one frame of it, of equal width, on moving digits.

    python benchmarks/motion.py            # three seeds each, about two minutes a run on two cores; writes motion.md

The label is direction x speed, and no single frame tells it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from time import perf_counter

import torch

import archdsl
from archdsl.language import Arch, change
from archdsl.recipes import recipe

SEEDS = (0, 1, 2)
RECIPE = "smoke"
HERE = Path(__file__).parent


def arches() -> dict[str, Arch]:
    """Row -> arch, all of one width."""
    slowfast = archdsl.load("slowfast_tiny")
    slow = slowfast.but(name="slow_tiny", pathways={"slow": slowfast.pathways["slow"]}, edges=())
    frame = change(slow, "pathways.slow.every", 16).but(name="frame_tiny")
    return {"SlowFast, 16 and 4 frames": slowfast, "Slow-only, 4 frames": slow, "one frame": frame}


def accuracy(arch: Arch, seed: int) -> tuple[float, float]:
    """(top-1 on unseen clips, seconds)."""
    begun = perf_counter()
    with TemporaryDirectory() as out:
        run = archdsl.train(arch, recipe(RECIPE, seed=seed), "motion", out=out, device="cpu", quiet=True)
    return run.figures["top1"], perf_counter() - begun


def main() -> int:
    """Train all, write the table."""
    made = recipe(RECIPE)
    rows = []
    for name, arch in arches().items():
        found = [accuracy(arch, seed) for seed in SEEDS]
        plan = archdsl.compile(arch)
        top1 = " | ".join(f"{value:.1%}" for value, _ in found)
        spent = max(seconds for _, seconds in found)
        average = mean(value for value, _ in found)
        rows.append(f"| {name} | {plan.params:,} | {plan.macs:,} | {top1} | {average:.1%} | {spent:.0f} s |")
        print(rows[-1], flush=True)
    version = torch.__version__.partition("+")[0]
    seeds = " | ".join(f"seed {seed}" for seed in SEEDS)
    text = f"""\
# Does time help?

Top-1 on 512 unseen clips of moving digits, {made.steps} steps of {made.batch} clips by the recipe `{RECIPE}`;
8 classes, chance is 12.5%. All networks have the width of `slowfast_tiny`, whose slow pathway they are.
On {torch.get_num_threads()} CPU threads, torch {version}; `python benchmarks/motion.py` writes this file.

| network | params | macs | {seeds} | mean | longest run |
|---|---|---|{"---|" * len(SEEDS)}---|---|
"""
    (HERE / "motion.md").write_text(text + "\n".join(rows) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
