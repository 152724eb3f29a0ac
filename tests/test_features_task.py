"""Encoders without a head: the loss beside one written out, neighbours by hand, runs that are resumed and predict."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

import archdsl
from archdsl.cli import main
from archdsl.errors import SpecError
from archdsl.language import Arch, Clip, Features, MaskedFeatures, Pathway, Several
from archdsl.recipes import recipe
from archdsl.training.data.clips import Batch, ClipRequest
from archdsl.training.evaluation.neighbours import NeighbourScores
from archdsl.training.state.checkpoints import checkpoints_in
from archdsl.training.tasks.choice import default_recipe, task_for
from archdsl.training.tasks.features import alike
from archdsl.training.tasks.masked_features import GivenFeatures
from tests.filmed import film, numbered_frames
from tests.processes import two_and_one
from tests.test_masked_tasks import tiny
from tests.trained import ending, short, small

BARE = small("layer", name="bare").but(head=Features())


def task_of(arch: Arch = BARE, **options: Any) -> Any:
    task = {} if arch.head.task != "features" else {"task": {"features": options}}
    return task_for(archdsl.compile(arch), recipe("smoke").but(**task))


def batch_of(labels: Tensor, there: list[int]) -> Batch:
    weights = torch.tensor(there, dtype=torch.float32)
    return Batch(torch.zeros(len(there)), labels, weights, tuple(range(len(there))), (), (), (), 0.0)


def losses_by_hand(maps: Tensor, labels: list[int], there: list[int], heat: float) -> list[Tensor]:
    """Equation 2 of arXiv:2004.11362, clip after clip."""
    rows = [i for i, one in enumerate(there) if one]
    vectors = [v / v.norm() for v in maps.flatten(2).mean(2)]
    found = []
    for i in rows:
        others = [j for j in rows if j != i]
        like = [j for j in others if labels[j] == labels[i]]
        whole = sum(((vectors[i] @ vectors[j] / heat).exp() for j in others), torch.tensor(0.0))
        parts = [(vectors[i] @ vectors[j] / heat).exp() / whole for j in like]
        found.append(-torch.stack(parts).log().mean() if like else torch.tensor(0.0))
    return found


@pytest.mark.parametrize("seed", range(6))
def test_the_loss_is_that_of_the_paper(seed: int) -> None:
    """Also where clips cannot be read, and where a clip shares its class with none."""
    rng = torch.Generator().manual_seed(seed)
    maps = torch.randn(6, 5, 2, 1, 3, generator=rng).requires_grad_()
    labels, there = (torch.randint(high, (6,), generator=rng) for high in (3, 2))
    there[:2] = 1
    found = task_of(temperature=0.5).loss(maps, batch_of(labels, there.tolist()), torch.tensor(1.0))[there > 0]
    wanted = torch.stack(losses_by_hand(maps, labels.tolist(), there.tolist(), 0.5))
    torch.testing.assert_close(found, wanted)
    gradient = torch.autograd.grad(found.sum(), maps, retain_graph=True)[0]
    if wanted.requires_grad:
        torch.testing.assert_close(gradient, torch.autograd.grad(wanted.sum(), maps)[0], atol=1e-6, rtol=1e-4)


def test_a_clip_alone_adds_nothing() -> None:
    maps = torch.randn(3, 5, 1, 1, 1).requires_grad_()
    found = task_of().loss(maps, batch_of(torch.tensor([1, 1, 2]), [1, 0, 0]), torch.tensor(1.0))
    found.sum().backward()
    assert found[0] == 0
    assert maps.grad is not None
    assert torch.isfinite(maps.grad).all()


def test_clips_of_several_classes_are_alike_where_they_share_one() -> None:
    labels = torch.tensor([[1.0, 1, 0], [0, 1, 0], [0, 0, 1]])
    assert alike(labels, labels).tolist() == [[True, True, False], [True, True, False], [False, False, True]]
    assert alike(torch.tensor([2, 5]), torch.tensor([5, 2, 5])).tolist() == [[False, True, False], [True, False, True]]


def test_neighbours_by_hand() -> None:
    """The third is alone in its class: never found. Of two as near the wrong one stands first."""
    vectors = normalize(torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [-1.0, 0.0]]), dim=1)
    labels = torch.tensor([0, 0, 1, 0])
    found = NeighbourScores(("a", "b", "c", "d"), vectors, alike(labels, labels))
    assert found.ranks == [1, 1, 5, 2]
    assert found.figures == {"neighbour_r1": 0.5, "neighbour_r5": 0.75}
    same = NeighbourScores(("a", "b", "c"), torch.ones(3, 1), alike(torch.tensor([0, 0, 1]), torch.tensor([0, 0, 1])))
    assert same.ranks == [2, 2, 4]


def test_a_run_is_resumed_and_tested_exactly(tmp_path: Path) -> None:
    made = short(steps=4, average=0.9)
    whole = archdsl.train(BARE, made, "motion:24", out=tmp_path / "a", device="cpu", quiet=True)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    first = checkpoints_in(tmp_path / "b")[0]
    again = archdsl.train(
        BARE, made, "motion:24", out=tmp_path / "b", device="cpu", quiet=True, resume=first, workers=1
    )
    assert all(map(torch.equal, whole.network.parameters(), again.network.parameters()))
    assert whole.figures == again.figures
    assert archdsl.evaluate(tmp_path / "a", device="cpu", quiet=True).figures == pytest.approx(whole.figures)
    film(tmp_path / "v.mp4", numbered_frames(8, 32, 32))
    (said,) = archdsl.predict(tmp_path / "a", [tmp_path / "v.mp4"], device="cpu")
    assert len(said.record()["features"]) == 16
    assert "16 features" in said.text()


def as_one(out: Path, rank: int) -> dict[str, Any]:
    run = archdsl.train(BARE, short(steps=3), "motion:24", out=out / "run", device="cpu", quiet=True)
    return ending(out / "run", run)


@pytest.mark.slow
def test_two_processes_are_as_one(tmp_path: Path) -> None:
    two, one = two_and_one(as_one, tmp_path)
    assert two["figures"] == pytest.approx(one["figures"], abs=1e-3)


@pytest.mark.slow
def test_a_bare_encoder_learns_which_clips_are_alike(tmp_path: Path) -> None:
    """By chance an eighth of the nearest clips would be of the same class; before training it is hardly more."""
    made = recipe("smoke", steps=150).but(log_every=50)
    run = archdsl.train(small("batch").but(head=Features()), made, "motion", out=tmp_path, device="cpu", quiet=True)
    assert run.figures["neighbour_r1"] > 0.4


def test_networks_of_several_maps_are_refused() -> None:
    heads = {"a": Features(reads=("main",)), "b": Features(reads=("main",))}
    task = task_of(BARE.but(head=Several(heads=heads)))
    with pytest.raises(SpecError, match="several maps of features"):
        task.check_classes(())
    assert default_recipe(BARE, "motion").name == "smoke"
    assert default_recipe(BARE, "videos").name == "encoder_k400"


# predictors of features that are given


def predictor() -> Arch:
    """The predictor of a tiny network alone: it reads the map that an encoder gives."""
    whole = tiny("features")
    keep, decoder = whole.pathways["main"].stages["keep"], whole.pathways["decoder"].stages
    return Arch(
        name="tiny_predictor",
        clips={"features": Clip(modality="features", channels=24, frames=2, size=4), "mask": whole.clips["mask"]},
        pathways={"predictor": Pathway(clip="features", stages={"keep": keep, **decoder})},
        head=MaskedFeatures(channels=24),
    )


def test_a_predictor_learns_features_that_are_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a scene the share of each numeral in each cell; targets are what it does not see, normed."""
    task = task_of(predictor())
    assert isinstance(task, GivenFeatures)
    videos = task.built_in("motion:4", "train")
    clips = {name: x[None].float() for name, x in videos.read(0, ClipRequest(0)).frames.items()}
    assert clips["features"].shape == (1, 24, 2, 4, 4)
    assert len(clips["features"].flatten(2).unique(dim=2)[0].T) > 1
    batch = Batch(clips, torch.zeros(1), torch.ones(1), (0,), (), (0.0,), (1.0,), 0.0)
    target = task.filled(task.features(batch), batch)
    assert torch.allclose(target.mean(1), torch.zeros(()), atol=1e-5)
    torch.testing.assert_close(task.errors(target, batch), torch.zeros(1, target.shape[3] * target.shape[4]))
    run = archdsl.train(predictor(), short(steps=3), "motion:16", out=tmp_path, device="cpu", quiet=True)
    assert run.figures["masked_loss"] > 0
    film(tmp_path / "v.mp4", numbered_frames(8, 32, 32))
    assert main(["predict", str(tmp_path), str(tmp_path / "v.mp4"), "--device", "cpu"]) == 2
    assert "vjepa2_vitl_pretrain" in capsys.readouterr().err
    with pytest.raises(SpecError, match="reads features that an encoder gives"):
        task.videos(str(tmp_path), "train")
