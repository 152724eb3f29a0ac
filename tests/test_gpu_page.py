"""`make gpu`: what it does without a GPU, and its page from runs on a CPU."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from benchmarks import gpu

LISTED = """
def test_good(): pass
def test_bad(): assert 1 == 2
"""


@pytest.mark.skipif(torch.cuda.is_available(), reason="of a machine without a GPU")
def test_without_a_gpu_it_says_what_it_would_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gpu.main(["-o", str(tmp_path / "gpu.md")])
    said = capsys.readouterr().out
    assert said.startswith("no GPU that torch")
    assert "pytest -q -m gpu tests/test_gpu.py" in said
    for name in ("slowfast_8x8_r50", "x3d_m", "r2plus1d_16x4_r50"):
        for side in ("literal", "lowered", "compiled"):
            assert f"{name}, train, bf16, {side}\n" in said
    assert not (tmp_path / "gpu.md").exists()


@pytest.mark.slow
def test_a_page_of_runs_and_tests(tmp_path: Path) -> None:
    """A side that runs, one that came too late, one that falls, and tests of both kinds."""
    literal, lowered, compiled = list(gpu.jobs("cpu", ("slowfast_tiny",), 1))[:3]
    falling = gpu.replace(compiled.side, prepare=lambda network: 1 / 0)
    with pytest.raises(ZeroDivisionError):  # a fault of this program is not taken for the GPU's
        gpu.row_of(gpu.replace(compiled, side=falling), 1e9)
    full = gpu.replace(compiled.side, prepare=out_of_memory)
    rows = [gpu.row_of(literal, 1e9), gpu.row_of(lowered, -1), gpu.row_of(gpu.replace(compiled, side=full), 1e9)]
    (tmp_path / "test_listed.py").write_text(LISTED)
    tests = gpu.tests_run([sys.executable, "-m", "pytest", "-q", str(tmp_path)], 60)
    assert [(name, outcome.partition(":")[0]) for name, outcome, _ in tests] == [
        ("test_good", "passed"),
        ("test_bad", "failure"),
    ]
    text = gpu.page("cpu", tests, rows)
    assert "1 of 2 tests passed" in text
    assert "| slowfast_tiny | train | bf16 | lowered | not measured: out of time |" in text
    assert "| slowfast_tiny | train | bf16 | compiled | OutOfMemoryError: no room |" in text
    rate, share = rows[0][4:6]
    assert float(rate) > 0
    assert share.endswith("%")


def out_of_memory(network: torch.nn.Module) -> torch.nn.Module:
    raise torch.OutOfMemoryError("no room")
