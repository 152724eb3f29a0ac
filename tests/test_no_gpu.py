"""What of the path on GPUs can be proven without one, for every network of the zoo at its own size."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import archdsl
import archdsl.backend.network as network_module
from archdsl.backend.passes import PASSES
from archdsl.catalog import zoo
from archdsl.compiler.module_tree import constructed_modules
from archdsl.report.memory.recompute import modules_to_recompute
from tests.fake_cuda import compiler, load_guard, tensors_of, traffic

NAMES = [model.name for model in zoo()]
ALL_PASSES = [one.name for one in PASSES]
PLANTED = {
    "movinet_a0_stream": ("torch.arange(1, x.shape[2] + 1, device=x.device)", "torch.arange(1, x.shape[2] + 1)"),
    "dff_r101_deeplab": (
        "torch.arange(size, device=flow.device, dtype=flow.dtype)",
        "torch.arange(size, dtype=flow.dtype)",
    ),
    "tsm_r50": (
        'self.register_buffer("numbers", torch.tensor(numbers), persistent=False)',
        "self.numbers = [*numbers]",
    ),
}
"""Network -> emitted text, and the same with a device left out, or with a list in place of a buffer."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def guard(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Fake CUDA tensors can be computed with."""
    if compiler() is None:
        pytest.skip("no C++ compiler, and the device guard is C++")
    load_guard(tmp_path_factory.mktemp("guard"))


@pytest.mark.usefixtures("guard")
@pytest.mark.parametrize("name", NAMES)
def test_a_forward_on_a_gpu_neither_meets_the_host_nor_waits_for_it(name: str) -> None:
    """Literal in training, lowered by every pass in evaluation; under autocast to bf16."""
    plan = archdsl.compile(archdsl.load(name))
    assert traffic(plan, train=True) == {}
    assert traffic(plan, ALL_PASSES, train=False) == {}


@pytest.mark.usefixtures("guard")
@pytest.mark.parametrize("name", PLANTED)
def test_what_would_fall_or_wait_on_a_gpu_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: the same check on networks with a fault."""
    real, (right, wrong) = network_module.emit, PLANTED[name]
    planted: list[bool] = []

    def emit(*given: Any, **options: Any) -> str:
        text = real(*given, **options)
        planted.append(right in text)
        return text.replace(right, wrong)

    monkeypatch.setattr(network_module, "emit", emit)
    plan = archdsl.compile(archdsl.load(name))
    try:
        found = str(traffic(plan, train=False))
    except RuntimeError as error:
        found = str(error)
    assert planted == [True]
    assert "cpu" in found or "copies to the GPU" in found, found


class Calls:
    """Which stages are running, and parameters that are read while their stage is not."""

    def __init__(self, network: nn.Module, stages: list[str]) -> None:
        self.running: list[str] = []
        self.outside: set[str] = set()
        for stage in stages:
            module = network.get_submodule(stage)
            module.register_forward_pre_hook(lambda module, maps, stage=stage: self.running.append(stage))
            module.register_forward_hook(lambda module, maps, made, stage=stage: self.running.remove(stage))
            for name, inner in module.named_modules():
                if name and any(True for _ in inner.parameters(recurse=False)):
                    at = f"{stage}.{name}"
                    inner.register_forward_pre_hook(lambda module, maps, stage=stage, at=at: self.called(stage, at))

    def called(self, stage: str, at: str) -> None:
        """A module with parameters is called."""
        if stage not in self.running:
            self.outside.add(at)


@pytest.mark.parametrize("name", NAMES)
def test_weights_can_be_sharded_and_reduced(name: str) -> None:
    """Forward and backward on the meta device: FSDP needs axes and calls of stages, DDP a gradient of every weight."""
    plan = archdsl.compile(archdsl.load(name))
    with torch.device("meta"):
        network = archdsl.build(plan).train()
    calls = Calls(network, constructed_modules(plan.graph, modules_to_recompute(plan, "stage")))
    clips = {name: torch.empty(2, *shape, device="meta") for name, shape in plan.inputs.items()}
    made = tensors_of(network(clips if len(clips) > 1 else next(iter(clips.values()))))
    weights = dict(network.named_parameters())
    assert [at for at, x in weights.items() if x.ndim == 0] == []
    assert calls.outside == set()
    if any(x.requires_grad for x in made):
        sum(x.float().sum() for x in made if x.requires_grad).backward()
        assert [at for at, x in weights.items() if x.requires_grad and x.grad is None] == []
