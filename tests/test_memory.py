"""Memory: what the plan predicts beside tracked storages, and rules worked out by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import archdsl
from archdsl.cli import main
from archdsl.errors import SpecError
from archdsl.language.amounts import bytes_of, bytes_text
from archdsl.report.memory.report import Memory, Setup
from archdsl.testing.arches import plain_arches as arches
from benchmarks.memory import measured

TINY = "slowfast_tiny"


@pytest.fixture(scope="module")
def plan() -> archdsl.Plan:
    return archdsl.compile(archdsl.load(TINY))


def near(plan: archdsl.Plan, setup: Setup, share: float) -> None:
    memory = Memory(plan, setup)
    peak, kept = measured(plan, setup)
    assert memory.peak == pytest.approx(peak, rel=share), setup
    if setup.training:
        assert memory.activations == pytest.approx(kept, rel=share), setup


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("name", "overrides"),
    [(TINY, {}), ("mobilenet_v3_large", {"size": 64}), ("i3d_inception_rgb", {"frames": 16, "size": 64})],
)
def test_predicted_as_measured(name: str, overrides: dict[str, int], training: bool) -> None:
    plan = archdsl.compile(archdsl.load(name, **overrides))
    near(plan, Setup(batch=2, training=training), 0.03)


@pytest.mark.parametrize(
    "setup",
    [
        Setup(batch=4, checkpoint="stage"),
        Setup(batch=4, checkpoint="block"),
        Setup(batch=4, optimizer="adamw"),
        Setup(batch=4, precision="bf16", training=False),
    ],
    ids=str,
)
def test_setups_as_measured(plan: archdsl.Plan, setup: Setup) -> None:
    near(plan, setup, 0.03)


def test_autocast_as_measured() -> None:
    """A network without pools: torch 2.13's autocast runs those in float32 on a CPU, which a GPU does not."""
    plan = archdsl.compile(archdsl.load("mobilenet_v2", size=64))
    near(plan, Setup(batch=4, precision="bf16"), 0.03)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "overrides", "batch"),
    [
        ("slowfast_4x16_r50", {}, 1),
        ("resnet50", {"size": 112}, 8),
        ("densenet121", {"size": 64}, 4),
        ("alexnet", {}, 4),
        ("inception_v3", {"size": 107}, 4),
        ("r2plus1d_18", {"frames": 8, "size": 56}, 2),
        ("x3d_s", {}, 1),
        ("ircsn_r50", {"frames": 8, "size": 96}, 1),
        ("nasnet_a_mobile", {"size": 96}, 1),
        ("late_fusion", {}, 1),
    ],
)
def test_families_as_measured(name: str, overrides: dict[str, int], batch: int) -> None:
    plan = archdsl.compile(archdsl.load(name, **overrides))
    for training in (True, False):
        near(plan, Setup(batch, training), 0.15)


@settings(max_examples=10)
@given(arches(), st.booleans())
def test_any_arch_as_measured(arch: archdsl.Arch, training: bool) -> None:
    """Maps are tiny here: what is not counted (losses, statistics of norms, small indices) has a larger share."""
    plan = archdsl.compile(arch)
    peak, _ = measured(plan, Setup(2, training))
    assert Memory(plan, Setup(2, training)).peak == pytest.approx(peak, rel=0.08, abs=20_000)


def test_calls_are_the_modules(plan: archdsl.Plan) -> None:
    """The simulated calls are the modules whose forward is called, in order."""
    network = archdsl.build(plan).eval()
    called: list[str] = []
    for address, module in network.named_modules():
        if address and address in plan.scopes:
            module.register_forward_pre_hook(lambda m, x, address=address: called.append(address))
    with torch.no_grad():
        network(torch.zeros(1, *plan.inputs["clip"]))

    def listed(call: Any) -> list[str]:
        inner = (listed(step) for step in call.steps if not isinstance(step, str))
        return [call.address, *(address for addresses in inner for address in addresses)]

    assert called == listed(plan.modules)[1:]


def test_weights_by_hand(plan: archdsl.Plan) -> None:
    memory = Memory(plan, Setup(optimizer="adamw"))
    assert (memory.parameters, memory.gradients, memory.optimiser) == tuple(n * 4 * plan.params for n in (1, 1, 2))
    half = Memory(plan, Setup(training=False, precision="fp16"))
    assert (half.parameters, half.gradients, half.optimiser, half.activations) == (2 * plan.params, 0, 0, 0)


def test_checkpoints_keep_only_what_stages_read(plan: archdsl.Plan) -> None:
    """Inputs of stages, and what laterals and head keep."""
    whole, stage, block = (Memory(plan, Setup(8, checkpoint=c)) for c in ("none", "stage", "block"))
    assert stage.activations <= block.activations < whole.activations
    assert max(stage.peak, block.peak) < whole.peak


def test_the_largest_batch_fits_and_one_more_does_not(plan: archdsl.Plan) -> None:
    memory = Memory(plan, Setup(precision="bf16"))
    batch = memory.largest(10**9)
    assert memory.at(batch).peak <= 10**9 < memory.at(batch + 1).peak
    assert memory.largest(1000) == 0


def test_sizes_are_read_and_written() -> None:
    assert (bytes_of("80GB"), bytes_of("24 GiB"), bytes_of("1.5mb")) == (80 * 10**9, 24 * 2**30, 1_500_000)
    assert [bytes_text(n) for n in (12, 1234, 12_345_678, 123_456_789, 80 * 10**9)] == [
        "12 B",
        "1.23 KB",
        "12.3 MB",
        "123 MB",
        "80.0 GB",
    ]
    for text in ("80", "GB", "-1GB", "0GB", "1e9GB", "9" * 5000 + "GB"):
        with pytest.raises(SpecError, match="invalid amount of memory"):
            bytes_of(text)


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["count", TINY, "--memory", "--batch", "4", "--fits", "80GB", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["batch"], row["training"], row["precision"], row["budget"]) == (4, True, "fp32", 80 * 10**9)
    assert row["peak"] > row["parameters"] + row["optimiser"] + row["activations"]
    assert row["largest_batch"] > 1000
    for form in ("text", "md", "csv", "html", "latex"):
        assert main(["count", TINY, "slow_4x16_r50", "--memory", "--infer", "--format", form]) == 0
        assert TINY.split("_")[1] in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "what"),
    [
        (["--memory", "--precision", "bf15"], "fix     bf16"),
        (["--memory", "--optimizer", "adamm"], "fix     adam"),
        (["--memory", "--checkpoint", "blok"], "fix     block"),
        (["--memory", "--infer", "--checkpoint", "block"], "activation checkpointing in inference"),
        (["--memory", "--infer", "--optimizer", "sgd"], "an optimizer in inference"),
        (["--memory", "--claims"], "--memory and --claims together"),
        (["--memory", "--fits", "much"], "invalid amount of memory"),
        (["--fits", "80GB"], "--fits without --memory"),
    ],
)
def test_what_a_person_wrote_wrongly(capsys: pytest.CaptureFixture[str], argv: list[str], what: str) -> None:
    assert main(["count", TINY, *argv]) == 2
    assert what in capsys.readouterr().err
