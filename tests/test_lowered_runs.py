"""Runs whose networks are lowered: the losses and scores of the literal network, and a record of the passes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import archdsl
import archdsl.training.passes as lowering
from archdsl.backend.inference import Frozen
from archdsl.blocks import Basic, Conv
from archdsl.errors import SpecError
from archdsl.language import Arch, Classifier, Clip, Pathway, Stage
from archdsl.training import MovingDigits
from archdsl.training.run import Run
from archdsl.training.state.checkpoints import checkpoints_in, digest, read_facts
from tests.test_resume import finished, stopped_at
from tests.trained import DATA, losses, short, small

QUIET = pytest.mark.filterwarnings("ignore")
"""torch's compiler warns of its own parts (torch 2.13)."""
LONG_DATA = MovingDigits(count=32, seed=0, frames=16, size=32), MovingDigits(count=16, seed=1, frames=16, size=32)


def run(out: Path, changes: dict[str, Any], arch: Any = None, data: Any = DATA, **options: Any) -> Run:
    return archdsl.train(arch or small(), short(**changes), data, out=out, device="cpu", quiet=True, **options)


def flat() -> Arch:
    """The small network without windows along time."""
    stages = dict(
        stem=Stage(Conv(channels=8, kernel=(1, 5, 5), stride=(1, 4, 4))),
        res2=Stage(Basic(channels=16, kernel_t=1, stride=2)),
    )
    return Arch(
        name="flat",
        clip=Clip(frames=4, size=32),
        pathways=dict(main=Pathway(stages=stages)),
        head=Classifier(classes=8),
    )


def record(out: Path) -> Any:
    return json.loads((out / "run.json").read_text())


@pytest.mark.parametrize(
    ("arch", "data"),
    [
        pytest.param(flat(), DATA, marks=pytest.mark.slow),
        pytest.param(small(), DATA, marks=pytest.mark.slow),
        pytest.param(archdsl.load("slowfast_tiny", size=32), LONG_DATA, marks=pytest.mark.slow),
    ],
    ids=lambda given: getattr(given, "name", ""),
)
def test_fifty_steps_are_the_literal_networks(arch: Arch, data: Any, tmp_path: Path) -> None:
    """At a rate at which the loss falls and rounding is not blown up from step to step."""
    changes = {"steps": 50, "save_every": 50, "optimizer__rate": 0.005, "schedule__warmup": 5}
    lowered = run(tmp_path / "lowered", changes, arch, data)
    literal = run(tmp_path / "literal", {**changes, "lower": "none"}, arch, data)
    assert "channels_last" in record(tmp_path / "lowered")["lowerings"]
    assert record(tmp_path / "literal")["lowerings"] == []
    assert losses(tmp_path / "lowered") == pytest.approx(losses(tmp_path / "literal"), rel=2e-4)
    assert lowered.figures == literal.figures
    assert [*lowered.network.state_dict()] == [*literal.network.state_dict()]


@pytest.mark.parametrize(
    "changes",
    [
        {"norms__split": 2, "norms__precise": 16, "checkpoint": "block", "optimizer__accumulate": 2},
        {"norms__freeze": "all_but_first", "average": 0.5, "optimizer__clip": 0.1, "channels_last": True},
        {"lower": ["channels_last", "views", "depthwise", "fusion", "overwriting"], "checkpoint": "block"},
        pytest.param({"compiled": True}, marks=[pytest.mark.slow, QUIET]),
        pytest.param({"compiled": True, "checkpoint": "stage"}, marks=[pytest.mark.slow, QUIET]),
    ],
    ids=str,
)
def test_with_other_fields_of_a_recipe(changes: dict[str, Any], tmp_path: Path) -> None:
    arch = small(dropout=0.3)
    lowered = run(tmp_path / "lowered", {"steps": 3, **changes}, arch)
    literal = run(tmp_path / "literal", {"steps": 3, **changes, "lower": "none"}, arch)
    assert losses(tmp_path / "lowered") == pytest.approx(losses(tmp_path / "literal"), rel=1e-5)
    for (name, one), other in zip(lowered.network.state_dict().items(), literal.network.state_dict().values()):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5, msg=name)


def test_half_precision_is_near(tmp_path: Path) -> None:
    run(tmp_path / "lowered", {"steps": 3, "precision": "bf16"})
    run(tmp_path / "literal", {"steps": 3, "precision": "bf16", "lower": "none"})
    assert losses(tmp_path / "lowered") == pytest.approx(losses(tmp_path / "literal"), rel=0.01)


def test_scores_of_a_lowered_and_frozen_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last batch is smaller; three crops of two clips."""
    made = run(tmp_path / "run", {"steps": 4, "views__crops": 3, "views__clips": 2, "views__short_side": 40})
    seen = []
    real = lowering.frozen_if_foldable
    monkeypatch.setattr(lowering, "frozen_if_foldable", lambda network: seen.append(real(network)) or seen[-1])
    lowered = archdsl.evaluate(tmp_path / "run", DATA[1], batch=18, out=tmp_path / "out", quiet=True)
    assert isinstance(seen[0], Frozen)
    literal = archdsl.evaluate(tmp_path / "run", DATA[1], recipe=made.recipe.but(lower="none"), quiet=True)
    assert not isinstance(seen[1], Frozen)
    torch.testing.assert_close(lowered.scores, literal.scores, rtol=1e-5, atol=1e-6)
    assert not torch.equal(lowered.scores, literal.scores)
    assert lowered.figures == made.figures
    about = json.loads((tmp_path / "out" / "results.json").read_text())
    assert about["lowered"].startswith("lowered by channels_last, ")
    assert about["lowered"].endswith("frozen")


def test_the_first_lines_say_which_passes_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archdsl.train(small(), short(steps=1), DATA, out=tmp_path / "auto", device="cpu")
    assert capsys.readouterr().err.splitlines()[0] == "lowered by channels_last, views, steady_norms"
    archdsl.train(small(), short(steps=1, lower=["views"]), DATA, out=tmp_path / "views", device="cpu")
    assert capsys.readouterr().err.splitlines()[0] == "lowered by views"
    archdsl.train(small(), short(steps=1, lower="none"), DATA, out=tmp_path / "none", device="cpu")
    assert capsys.readouterr().err.splitlines()[0] == "the literal network: no lowering"


def test_a_resumed_run_keeps_its_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit for bit, though another table says by then that other passes pay."""
    chosen = short(steps=6, save_every=100)
    whole = archdsl.train(small(), chosen, DATA, out=tmp_path / "whole", device="cpu", quiet=True)
    stopped_at(tmp_path / "part", 3, monkeypatch, chosen)
    real = lowering.passes_taken
    other = {"views": {"channels": 8}}
    monkeypatch.setattr(lowering, "passes_taken", lambda lower, **given: other if lower == "auto" else real(lower))
    rest = archdsl.train(small(), chosen, DATA, out=tmp_path / "part", device="cpu", quiet=True)
    assert losses(tmp_path / "part") == losses(tmp_path / "whole")
    assert rest.lowered == whole.lowered
    assert rest.lowered[-1].passes != other


@pytest.mark.parametrize("before", ["none", "auto"])
def test_a_resumed_run_may_change_its_passes(before: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Losses agree to rounding, and the record says where the passes changed."""
    changes = {"steps": 6, "save_every": 100}
    run(tmp_path / "whole", changes | {"lower": before})
    stopped_at(tmp_path / "part", 3, monkeypatch, short(**changes, lower=before))
    run(tmp_path / "part", changes | {"lower": "auto" if before == "none" else ["channels_last"]})
    assert losses(tmp_path / "part") == pytest.approx(losses(tmp_path / "whole"), rel=1e-5)
    first, last = record(tmp_path / "part")["lowered"]
    assert (first["step"], last["step"]) == (0, 3)
    assert (first["passes"] == {}) == (before == "none")
    assert ("depthwise" in last["passes"]) == (before == "none")
    facts = read_facts(checkpoints_in(tmp_path / "part")[-1])
    assert [one.step for one in facts.lowered] == [0, 3]


def test_a_checkpoint_that_knows_no_passes_goes_on_literally(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Earlier versions trained literal networks."""
    chosen = short(steps=4, save_every=100)
    literal = run(tmp_path / "literal", {"steps": 4, "save_every": 100, "lower": "none"})
    stopped_at(tmp_path / "part", 2, monkeypatch, short(steps=4, save_every=100, lower="none"))
    state = checkpoints_in(tmp_path / "part")[-1] / "state.json"
    facts = json.loads(state.read_text())
    del facts["lowered"], facts["recipe"]["lower"], facts["checksum"]
    state.write_text(json.dumps(facts | {"checksum": digest(facts)}))
    archdsl.train(small(), chosen, DATA, out=tmp_path / "part", device="cpu", quiet=True)
    assert losses(tmp_path / "part") == losses(tmp_path / "literal")
    assert literal.lowered[-1].passes == {}


def test_passes_that_cannot_train_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no lowering 'vews'") as caught:
        run(tmp_path, {"lower": ["vews"]})
    assert caught.value.faults[0].at == "recipe.lower"
    assert caught.value.faults[0].fix == "views"
    with pytest.raises(SpecError, match="for inference only") as caught:
        run(tmp_path, {"lower": ["branches", "views"]})
    assert caught.value.faults[0].fix == "lower: [views]"
    run(tmp_path, {"steps": 1, "lower": ["views"]})


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"norms__sync": True, "norms__precise": 16, "average": 0.9}], ids=str)
def test_two_processes(changes: dict[str, Any], tmp_path: Path) -> None:
    """DDP and FSDP2, lowered, give the losses of the literal network in two processes."""
    literal = finished(tmp_path / "literal", 2, lower="none", **changes)
    assert finished(tmp_path / "lowered", 2, **changes) == pytest.approx(literal, rel=1e-5)
    assert finished(tmp_path / "shards", 2, shard=True, **changes) == pytest.approx(literal, rel=1e-5)
    assert record(tmp_path / "shards")["lowerings"]
