"""What runs again in backward to fit a memory: as little as can be, within it, as measured, with equal results."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import combinations, product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

import archdsl
from archdsl.backend import build
from archdsl.blocks import Conv
from archdsl.cli import main
from archdsl.errors import SpecError
from archdsl.language import Arch, Classifier, Clip, Pathway, Stage
from archdsl.language.recipes.recipe import Recipe
from archdsl.report.memory.recompute import Selection, cheapest_within, descended, modules_to_recompute
from archdsl.report.memory.report import Memory, Setup
from archdsl.testing.arches import plain_arches as arches
from archdsl.training.device_memory import StepMemory
from archdsl.training.network_setup import prepare_network
from archdsl.training.norms import train_mode
from archdsl.training.processes import process_group
from archdsl.training.train import initial_state
from benchmarks.memory import Tracked, measured
from tests.trained import DATA, losses, short, small

TINY = "slowfast_tiny"


def fitting(memory: Memory, share: float) -> Memory:
    """The same within a share of what is needed when nothing runs again."""
    kilobytes = int(memory.peak * share) // 1000
    setup = Setup(**vars(memory.setup) | {"checkpoint": f"{kilobytes} KB"})
    return Memory(memory.plan, setup)


def every_choice(plan: archdsl.Plan) -> Iterator[tuple[str, ...]]:
    """Of every stage nothing, itself, or some of its blocks."""
    blocks = modules_to_recompute(plan, "block")
    options: list[list[tuple[str, ...]]] = []
    for stage in modules_to_recompute(plan, "stage"):
        inner = [block for block in blocks if block.startswith(f"{stage}.")]
        options.append([(stage,), *(some for n in range(len(inner) + 1) for some in combinations(inner, n))])
    return (sum(chosen, ()) for chosen in product(*options))


@pytest.mark.parametrize(
    ("name", "overrides", "batch"),
    [
        ("resnet18", {"size": 64}, 128),
        pytest.param("r3d_18", {"frames": 8, "size": 56}, 64, marks=pytest.mark.slow),
        pytest.param(TINY, {}, 4, marks=pytest.mark.slow),
    ],
)
def test_no_choice_that_fits_costs_less(name: str, overrides: dict[str, int], batch: int) -> None:
    """All choices tried."""
    plan = archdsl.compile(archdsl.load(name, **overrides))
    memory = Memory(plan, Setup(batch))
    tried = [
        (sum(plan.cost_of(module).macs for module in choice), memory.simulated(choice).peak)
        for choice in every_choice(plan)
    ]
    most, least = memory.simulated(()).peak, min(peak for _, peak in tried)
    assert least < most / 1.3
    for i in range(21):
        room = least + (most - least) * i // 20
        found = cheapest_within(plan, memory.simulated, room)
        assert memory.simulated(found.modules).peak <= room
        assert found.macs == min(macs for macs, peak in tried if peak <= room)
    assert memory.simulated(cheapest_within(plan, memory.simulated, least - 1).modules).peak == least


def test_what_modules_hold_together_is_taken_off_the_room() -> None:
    """A step that needs more than the sum of its parts fits all the same, and costs no more than it must."""
    stages = {f"res{i}": Stage(Conv(channels=c), Conv(channels=c)) for i, c in enumerate((8, 16, 8))}
    memory = Memory(archdsl.compile(small().but(pathways={"main": Pathway(stages=stages)})), Setup(16))

    def runs(again: Iterable[str]) -> Any:
        ran = memory.simulated(again)
        return SimpleNamespace(peak=ran.peak + 20_000 * len(list(again)), peaks=ran.peaks, activations=ran.activations)

    plan = memory.plan
    tried = [(sum(plan.cost_of(one).macs for one in some), runs(some).peak) for some in every_choice(plan)]
    rooms = {memory.simulated(some).peak + 10_000 for some in every_choice(plan)}
    over = 0
    for room in sorted(room for room in rooms if room >= min(peak for _, peak in tried)):
        found = cheapest_within(plan, runs, room)
        assert runs(found.modules).peak <= room
        assert found.macs == min(macs for macs, peak in tried if peak <= room)
        over += found != cheapest_within(plan, memory.simulated, room)
    assert over, "no room that the sum of the parts just fits"


def test_changes_of_one_module_at_a_time_find_the_least_memory() -> None:
    """From no module recomputed on, as among all choices; it stops where it fits."""
    stages = {name: Stage(Conv(channels=8, kernel=(1, 3, 3))) for name in ("stem", "res2")}
    pathways = {name: Pathway(stages=stages) for name in ("slow", "fast")}
    net = Arch(name="net", clip=Clip(frames=8, size=16), pathways=pathways, head=Classifier(classes=1))
    memory = Memory(archdsl.compile(net), Setup(2))
    modules = modules_to_recompute(memory.plan, "block")
    peaks = {memory.simulated(some).peak for count in range(len(modules) + 1) for some in combinations(modules, count)}
    for room in (min(peaks), sorted(peaks)[1]):
        found = descended(memory.plan, memory.simulated, room, Selection())
        assert memory.simulated(found.modules).peak <= room < memory.simulated(()).peak
        assert found.macs == sum(memory.plan.cost_of(one).macs for one in found.modules)
    assert descended(memory.plan, memory.simulated, max(peaks), Selection()) == Selection()


@settings(max_examples=20, deadline=None)
@given(arches(), st.randoms(use_true_random=False), st.sampled_from([2, 64]))
def test_any_arch_fits_where_some_choice_does(arch: archdsl.Arch, luck: Any, batch: int) -> None:
    plan = archdsl.compile(arch)
    memory = Memory(plan, Setup(batch))
    blocks = modules_to_recompute(plan, "block")
    some: list[str] = []
    for stage in modules_to_recompute(plan, "stage"):
        inner = [block for block in blocks if block.startswith(f"{stage}.") and luck.random() < 0.5]
        some += [stage] if luck.random() < 0.3 else inner
    room = memory.simulated(some).peak
    assert memory.simulated(cheapest_within(plan, memory.simulated, room).modules).peak <= room


@pytest.mark.parametrize(
    ("name", "overrides", "batch", "share"),
    [
        (TINY, {}, 4, 0.8),
        (TINY, {}, 4, 0.55),
        ("mobilenet_v2", {"size": 64}, 16, 0.7),
        pytest.param("r2plus1d_18", {"frames": 8, "size": 56}, 8, 0.8, marks=pytest.mark.slow),
        pytest.param("x3d_s", {}, 1, 0.4, marks=pytest.mark.slow),
        pytest.param("ircsn_r50", {"frames": 16, "size": 96}, 4, 0.7, marks=pytest.mark.slow),
        pytest.param("densenet121", {"size": 64}, 16, 0.6, marks=pytest.mark.slow),
        pytest.param("nasnet_a_mobile", {"size": 96}, 16, 0.6, marks=pytest.mark.slow),
        pytest.param("i3d_inception_rgb", {"frames": 16, "size": 112}, 4, 0.8, marks=pytest.mark.slow),
    ],
)
def test_it_fits_as_measured(name: str, overrides: dict[str, int], batch: int, share: float) -> None:
    memory = fitting(Memory(archdsl.compile(archdsl.load(name, **overrides)), Setup(batch)), share)
    memory.check()
    assert memory.recomputed
    peak, kept = measured(memory.plan, memory.setup)
    assert memory.peak <= memory.setup.budget
    assert (peak, kept) == pytest.approx((memory.peak, memory.activations), rel=0.02)


def a_run(recipe: Recipe) -> tuple[Memory, int]:
    """What a training's step is predicted to take, and the most that lived in its second one."""
    plan = archdsl.compile(small(channels=32))
    with process_group("cpu") as world, Tracked() as tracked:
        memory = StepMemory(plan, recipe, world.size, shard=False).predicted
        network = prepare_network(build(plan), plan, recipe, world, recomputed=memory.recomputed, shard=False)
        state = initial_state(network, recipe, world)
        train_mode(network, recipe.norms)
        clip = torch.randn(memory.setup.batch, *plan.inputs["clip"])
        for tensor in (*network.parameters(), *network.buffers(), clip):
            tracked.see(tensor)
        for _ in range(2):
            tracked.peak = tracked.live
            for _ in range(recipe.optimizer.accumulate):
                cross_entropy(network(clip), torch.zeros(len(clip), dtype=torch.long)).backward()
            state.optimizer.step()
            state.optimizer.zero_grad(set_to_none=True)
            if state.average:
                state.average.update()
    return memory, tracked.peak


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"average": 0.9},
        {"optimizer__accumulate": 2},
        {"norms__split": 4},
        {"norms__split": 4, "checkpoint": "block"},
        {"optimizer__kind": "adamw", "checkpoint": "stage"},
        {"checkpoint": "5100 KB"},
    ],
    ids=str,
)
def test_what_a_recipe_keeps_is_counted(changes: dict[str, Any]) -> None:
    memory, peak = a_run(short(batch=16, **changes))
    assert memory.peak == pytest.approx(peak, rel=0.05)


def test_a_run_says_what_runs_again_and_learns_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Equal weights, statistics and losses, dropout too."""
    arch, recipe = small(channels=32, dropout=0.5), short(steps=3, batch=16, checkpoint="5100 KB")
    plain = archdsl.train(arch, recipe.but(checkpoint="none"), DATA, out=tmp_path / "plain", device="cpu", quiet=True)
    again = archdsl.train(arch, recipe, DATA, out=tmp_path / "again", device="cpu")
    assert again.memory.recomputed == ("main.stem.0",)
    assert losses(tmp_path / "plain") == losses(tmp_path / "again")
    theirs = again.network.state_dict()
    for name, tensor in plain.network.state_dict().items():
        assert name.endswith("num_batches_tracked") or torch.equal(tensor, theirs[name]), name
    about = json.loads((tmp_path / "again" / "run.json").read_text())
    assert about["again"] == ["main.stem.0"]
    assert about["memory"] == again.memory.peak < 5_100_000 < plain.memory.peak
    said = f"main.stem.0 recomputed in backward, {again.memory.recomputed_macs / again.plan.macs:.1%} of the macs twice"
    assert said in capsys.readouterr().err
    assert json.loads((tmp_path / "plain" / "run.json").read_text())["again"] == []


def test_a_recipe_that_cannot_fit(tmp_path: Path) -> None:
    recipe = short(batch=16, checkpoint="4MB")
    with pytest.raises(SpecError) as caught:
        archdsl.train(small(channels=32), recipe, DATA, out=tmp_path, device="cpu", quiet=True)
    assert str(caught.value).split("\n") == [
        "a step that does not fit the memory budget",
        "  at      recipe.checkpoint",
        f"  written {recipe.written}",
        "  got     4MB for a micro-batch of 16 clips, fp32",
        "  want    at least 4.97 MB, with the modules recomputed that save the most",
        "  fix     a micro-batch of at most 10 clips",
    ]


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["count", TINY, "--memory", "--batch", "4", "--checkpoint", "30MB", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["again"]
    assert row["peak"] <= 30_000_000
    assert main(["count", TINY, "--memory", "--batch", "4", "--checkpoint", "30MB"]) == 0
    assert "training with sgd, fp32, batch 4, as little as fits 30MB checkpointed" in capsys.readouterr().out
    assert main(["count", TINY, "--memory", "--batch", "4", "--checkpoint", "10MB"]) == 2
    assert capsys.readouterr().err.split("\n") == [
        "a step that does not fit the memory budget",
        "  got     10MB for a micro-batch of 4 clips, fp32",
        "  want    at least 16.8 MB, with the modules recomputed that save the most",
        "  fix     a micro-batch of at most 2 clips",
        "",
    ]
