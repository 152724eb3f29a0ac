"""Figures of a run's speed."""

from __future__ import annotations

from pathlib import Path
from time import sleep
from typing import Any

import pytest
import torch

import archdsl
from archdsl.training import batches
from archdsl.training.log import meters
from tests.trained import DATA, entries, short, small


def test_waiting_is_all_time_until_clips_are_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Augmentation is no part of the network's time."""
    real = batches.augment_batch

    def slow(*given: Any) -> Any:
        sleep(0.5)
        return real(*given)

    monkeypatch.setattr(batches, "augment_batch", slow)
    archdsl.train(small(), short(steps=2), DATA, out=tmp_path, device="cpu", quiet=True)
    assert [entry["waiting"] > 0.4 for entry in entries(tmp_path) if "waiting" in entry] == [True, True]


def test_the_peak_is_of_random_matrices_in_the_type_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.Tensor] = []
    monkeypatch.setattr(meters, "matmul_seconds", lambda a, b: seen.extend((a, b)) or 0.5)
    peak = meters.peak_macs_per_second.__wrapped__(torch.device("cpu"), torch.bfloat16)
    assert peak == 1024**3 / 0.5
    assert all(x.dtype == torch.bfloat16 and x.float().std() > 0.9 for x in seen)


def test_a_gpus_peak_in_fp32_is_that_of_convolutions() -> None:
    """Which use TF32, unless a person says otherwise; products of matrices do not."""
    assert torch.get_float32_matmul_precision() == "highest"
    with meters.precision_of_convolutions(torch.device("cuda")):
        assert torch.get_float32_matmul_precision() == "high"
    with meters.precision_of_convolutions(torch.device("cpu")):
        assert torch.get_float32_matmul_precision() == "highest"
    assert torch.get_float32_matmul_precision() == "highest"
