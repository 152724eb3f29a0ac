"""Which device each process takes, and when it touches it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.distributed as dist

from archdsl.errors import SpecError
from archdsl.training.processes import process_group


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The third of four processes on a machine with four GPUs; what it asks of torch, in order."""
    seen: list[str] = []
    for name, value in {"WORLD_SIZE": "4", "RANK": "2", "LOCAL_RANK": "2"}.items():
        monkeypatch.setenv(name, value)

    def allocate(*shape: int, device: Any) -> torch.Tensor:
        seen.append(f"allocate on {device}")
        return torch.zeros(*shape)

    def refuse(backend: str) -> None:
        seen.append(f"join {backend}")
        raise SpecError("far enough")

    monkeypatch.setattr(torch, "empty", allocate)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "set_device", lambda rank: seen.append(f"choose {rank}"))
    monkeypatch.setattr(dist, "init_process_group", refuse)
    return seen


@pytest.mark.parametrize("device", [None, "cuda"])
def test_a_process_touches_no_gpu_but_its_own(device: str | None, calls: list[str]) -> None:
    with pytest.raises(SpecError, match="far enough"), process_group(device):
        pass
    assert calls == ["choose 2", "allocate on cuda:2", "join cpu:gloo,cuda:nccl"]


def test_one_gpu_for_several_processes_is_refused(calls: list[str]) -> None:
    with pytest.raises(SpecError) as caught, process_group("cuda:1"):
        pass
    (fault,) = caught.value.faults
    assert fault.what == "one GPU for several processes"
    assert fault.fix == "--device cuda"
    assert not calls


def test_more_processes_than_gpus_are_refused(calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(SpecError, match="more processes than GPUs on a machine") as caught, process_group("cuda"):
        pass
    (fault,) = caught.value.faults
    assert (fault.got, fault.fix) == ("local rank 2, 2 GPUs", "torchrun --nproc-per-node 2")
    assert not calls
