"""What a drawing costs as a process, at each level, for the model with the most ops; a bare interpreter beside it.

python benchmarks/draw.py [NAME]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from archdsl.catalog import zoo
from archdsl.compiler import compile

ROUNDS = 5


def seconds(command: list[str]) -> float:
    """Median wall seconds of a fresh process."""
    taken = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else max(zoo(), key=lambda model: len(compile(model.arch()).nodes)).name
    bare = seconds([sys.executable, "-c", "pass"])
    print(f"{name}: medians of {ROUNDS}\n")
    print(f"{'':32}{'seconds':>10}{'ratio':>9}")
    print(f"{'a bare interpreter':32}{bare:>10.3f}{1:>8.1f}x")
    with tempfile.TemporaryDirectory() as folder:
        for level in ("pathway", "stage", "block", "op"):
            command = [sys.executable, "-m", "archdsl", "draw", name, "--level", level]
            taken = seconds([*command, "-o", str(Path(folder) / "x.svg")])
            print(f"{f'archdsl draw --level {level}':32}{taken:>10.3f}{taken / bare:>8.1f}x")


if __name__ == "__main__":
    main()
