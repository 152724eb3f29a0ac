"""What a recipe leaves to the device, the rate in proportion to the batch, and kernels that do more at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import archdsl
import archdsl.training.precision as precision
from archdsl.recipes import recipe, recipe_names
from archdsl.training.optimizer import make_optimizer
from archdsl.training.precision import fastest_kernels, recipe_on
from tests.trained import DATA, short, small

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
AUTO = {"precision": "auto", "channels_last": "auto", "compiled": "auto"}


@pytest.mark.parametrize(
    ("capability", "bf16", "triton", "want"),
    [
        ((9, 0), True, True, ("bf16", True, True)),
        ((7, 0), False, True, ("fp32", True, True)),
        ((7, 5), False, False, ("fp32", True, False)),
        ((6, 1), False, True, ("fp32", False, False)),
    ],
)
def test_a_gpu_has_what_it_can(
    capability: Any, bf16: bool, triton: bool, want: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16 or including_emulation)
    monkeypatch.setattr(precision, "find_spec", lambda name: triton or None)
    made = recipe_on(short(**AUTO), CUDA)
    assert (made.precision, made.channels_last, made.compiled) == want
    literal = short(precision="fp16", compiled=True)
    assert recipe_on(literal, CUDA) is literal


def test_a_cpu_keeps_float32() -> None:
    assert recipe_on(short(**AUTO), CPU) == short()


def test_the_recipes_of_papers_say_where_they_ran_and_leave_the_rest_to_the_device() -> None:
    for name in (name for name in recipe_names() if not name.startswith("smoke")):
        made = recipe(name)
        assert made.hardware
        assert (made.precision, made.channels_last, made.compiled) == ("auto", "auto", "auto")
        assert made.optimizer.rate_batch  # a paper's batch, or the one that its code states rates for
        assert made.but(batch=made.batch * 2).rate_at(0, 10**6) == pytest.approx(made.rate_at(0, 10**6) * 2)


def test_a_run_says_what_it_made_of_auto_and_of_the_rate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = short(steps=1, hardware="8 GPUs of 4 clips", optimizer__rate_batch=32, **AUTO)
    archdsl.train(small(), made, DATA, out=tmp_path / "run", device="cpu")
    lines = capsys.readouterr().err.splitlines()
    assert "fp32 on cpu" in lines
    assert "rate 0.025 for a batch of 8, in proportion: 0.1 is for 32 clips, run on 8 GPUs of 4 clips" in lines
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    assert about["rate"] == {"stated": 0.1, "stated_batch": 32, "used": 0.025}
    assert about["hardware"] == "8 GPUs of 4 clips"
    assert "auto" not in (tmp_path / "run" / "recipe.yaml").read_text()
    again = archdsl.train(small(), made.but(hardware=None), DATA, out=tmp_path / "run", device="cpu", quiet=True)
    assert again.step == 1
    scores = archdsl.evaluate(small(), DATA[1], recipe=made, weights=tmp_path / "run", device="cpu", quiet=True)
    assert scores.figures == again.figures


def test_kernels_are_tried_on_gpus_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    with fastest_kernels(CUDA):
        assert torch.backends.cudnn.benchmark
    assert not torch.backends.cudnn.benchmark
    with fastest_kernels(CPU):
        assert not torch.backends.cudnn.benchmark


@pytest.mark.parametrize("kind", ["sgd", "adam", "adamw", "adagrad"])
def test_a_fused_step_is_the_step(kind: str) -> None:
    wanted = short(optimizer__kind=kind, optimizer__rate=0.01).optimizer
    one, other = torch.nn.Conv3d(3, 4, 3), torch.nn.Conv3d(3, 4, 3)
    other.load_state_dict(one.state_dict())
    fused, loop = make_optimizer(one, wanted), make_optimizer(other, wanted)
    assert all(group["fused"] for group in fused.param_groups)
    for group in loop.param_groups:
        group["fused"] = False
    for _ in range(3):
        for network, optimizer in ((one, fused), (other, loop)):
            optimizer.zero_grad()
            network(torch.ones(1, 3, 4, 4, 4)).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(one.state_dict(), other.state_dict(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("lower", ["none", "auto", ["channels_last", "views", "depthwise", "fusion"]], ids=str)
@pytest.mark.parametrize("last", [False, True])
def test_a_gradient_lies_as_its_weight_does(lower: Any, last: bool) -> None:
    """A fused step on a CPU would mix up the elements of any other (torch 2.13)."""
    plan = archdsl.compile(archdsl.load("x3d_xs", frames=12, size=160)) if lower == "auto" and last else None
    plan = plan or archdsl.compile(small())
    network = archdsl.build(plan.of_frames_read, lower, train=True)
    for weights in network.parameters() if last else ():
        if weights.ndim == 5:
            weights.data = weights.data.contiguous(memory_format=torch.channels_last_3d)
    (shape,) = plan.of_frames_read.inputs.values()
    for _ in range(2):
        network(torch.randn(2, *shape)).square().sum().backward()
    for name, weights in network.named_parameters():
        assert weights.grad is not None
        pairs = zip(weights.shape, weights.stride(), weights.grad.stride(), strict=True)
        assert all(size == 1 or mine == other for size, mine, other in pairs), name
