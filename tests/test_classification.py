"""Classification in its forms: auxiliary heads, weights of classes, even draws, labels of frames, a teacher."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

import archdsl
from archdsl.errors import SpecError
from archdsl.language import Arch, Classifier, Consensus, Several
from archdsl.language.recipes.recipe import Recipe
from archdsl.training import MovingDigits
from archdsl.training.data.clips import Batch, ClipRequest, Sample, requests_at
from archdsl.training.tasks.base import Task
from archdsl.training.tasks.choice import task_for
from archdsl.training.tasks.class_losses import balanced_weights, clip_amounts, clip_losses, taught_losses
from tests.trained import DATA, losses, short, small

EIGHT = DATA[0].classes


def task_of(arch: Arch, recipe: Recipe | None = None, **options: Any) -> Task:
    recipe = recipe or short()
    return task_for(archdsl.compile(arch), recipe.but(task={"classification": options}))


def batch_of(labels: Tensor) -> Batch:
    n = len(labels)
    return Batch(torch.zeros(n, 3, 4, 32, 32), labels, torch.ones(n), tuple(range(n)), (), (), (), 0.0)


def with_aux(share: float | None = 0.3) -> Arch:
    head = Classifier(classes=8, reads=("main",))
    auxiliary = {} if share is None else {"aux": share}
    return small().but(head=Several(heads={"scores": head, "aux": head}, auxiliary=auxiliary))


def test_auxiliary_heads_count_their_share_and_are_not_tested() -> None:
    outputs = {"scores": torch.randn(5, 8), "aux": torch.randn(5, 8)}
    labels = torch.tensor([0, 1, 2, 3, 7])
    main, aux = (functional.cross_entropy(x, labels) for x in outputs.values())
    for arch, share in ((with_aux(), 0.3), (with_aux(None), 1.0)):
        task = task_of(arch)
        loss = task.loss(outputs, batch_of(labels), task.amounts(batch_of(labels)).sum())
        torch.testing.assert_close(loss.sum(), main + share * aux)
    said = torch.stack(task_of(with_aux()).said(outputs))
    torch.testing.assert_close(said, outputs["scores"].softmax(1))
    both = torch.stack(task_of(with_aux(None)).said(outputs))
    torch.testing.assert_close(both, ((outputs["scores"] + outputs["aux"]) / 2).softmax(1))
    assert archdsl.load("googlenet_aux").head.auxiliary == {"aux1": 0.3, "aux2": 0.3}


@pytest.mark.parametrize("changes", [{"auxiliary": {"x": 1}}, {"auxiliary": {"a": 1, "b": 1}}, {"merge": "sum"}])
def test_auxiliary_heads_are_some_of_several(changes: dict[str, Any]) -> None:
    head = Classifier(classes=8, reads=("main",))
    with pytest.raises(SpecError, match="auxiliary heads are some of several"):
        Several(**{"heads": {"a": head, "b": head}, "auxiliary": {"a": 0.3}} | changes)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 0.5))
def test_weighted_losses_are_torchs(seed: int, smoothing: float) -> None:
    torch.manual_seed(seed)
    scores, weights, labels = torch.randn(6, 4), torch.rand(4) + 0.1, torch.randint(4, (6,))
    recipe = short(smoothing=smoothing)
    mean = clip_losses(scores, labels, recipe, weights).sum() / clip_amounts(labels, weights).sum()
    want = functional.cross_entropy(scores, labels, weights, label_smoothing=smoothing)
    torch.testing.assert_close(mean, want)
    several = torch.randint(2, (6, 4)).float()
    binary = clip_losses(scores, several, short(loss="binary"), weights).mean()
    torch.testing.assert_close(binary, functional.binary_cross_entropy_with_logits(scores, several, weights))
    frames, at_frames = torch.randn(6, 4, 3), torch.randint(4, (6, 3))
    torch.testing.assert_close(
        clip_losses(frames, at_frames, short()).mean(), functional.cross_entropy(frames, at_frames)
    )
    torch.testing.assert_close(
        clip_losses(frames, labels, short()).mean(), functional.cross_entropy(frames, labels[:, None].expand(6, 3))
    )


def test_balanced_weights_are_scikit_learns() -> None:
    """n / (classes x count), by hand: 12 videos, 3 classes that have some."""
    assert balanced_weights([6, 0, 4, 2]).tolist() == pytest.approx([12 / 18, 0, 1, 2])


def test_a_teachers_loss_by_hand() -> None:
    """arXiv:1503.02531: T^2 times the divergence of softened distributions; none from itself."""
    scores, taught = torch.randn(5, 7), torch.randn(5, 7)
    soft, goal = (scores / 3).log_softmax(1), (taught / 3).softmax(1)
    torch.testing.assert_close(taught_losses(scores, taught, 3), 9 * (goal * (goal.log() - soft)).sum(1))
    assert taught_losses(taught, taught, 4).abs().max() < 1e-6


class Rare(MovingDigits):
    """Three of four clips are of the first class."""

    def labels(self, index: int) -> tuple[int, ...]:
        return (0 if index % 4 else index // 4 % 8,)


RARE = Rare(64, 0, frames=4, size=32)


def test_classes_are_drawn_equally_often_and_every_video_in_turn() -> None:
    members = task_of(small(), draw="classes").drawn_evenly(RARE)
    assert members is not None
    assert [len(one) for one in members] == [50, 2, 2, 2, 2, 2, 2, 2]
    drawn = [index for step in range(40) for index, _ in requests_at(step, 8, 64, 3, members)]
    assert Counter(RARE.labels(index)[0] for index in drawn) == dict.fromkeys(range(8), 40)
    assert set(drawn[: 2 * 8]) >= {index for one in members[1:] for index in one}
    later = [index for index, _ in requests_at(7, 8, 64, 3, members)]
    assert later == drawn[56:64]
    assert drawn != [index for step in range(40) for index, _ in requests_at(step, 8, 64, 4, members)]


def test_a_run_with_weights_by_name_and_balanced(tmp_path: Path) -> None:
    """A step of clips of classes that weigh nothing else than others is the same; one class alone weighs alike."""
    options: dict[str, Any] = {"plain": {}, "named": {"class_weights": {EIGHT[0]: 3}}, "even": {"draw": "classes"}}
    options["balanced"] = {"class_weights": "balanced"}
    for name, given_options in options.items():
        recipe = short(steps=1).but(task={"classification": given_options})
        archdsl.train(small(), recipe, (RARE, DATA[1]), out=tmp_path / name, device="cpu", quiet=True)
    found = {name: losses(tmp_path / name)[1] for name in options}
    assert len({round(loss, 4) for loss in found.values()}) == 4


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"class_weights": {"rihgt at 1 px per frame": 2}}, "a weight of no class"),
        ({"teacher": {"run": "nowhere"}}, "not a run's folder"),
        ({"class_weights": {EIGHT[0]: -1}}, "recipe.task.classification.class_weights"),
        ({"teacher": {"run": "x", "hard": 2}}, "recipe.task.classification.teacher.hard"),
    ],
)
def test_options_that_do_not_fit(options: dict[str, Any], what: str, tmp_path: Path) -> None:
    recipe = short(steps=1).but(task={"classification": options})
    with pytest.raises(SpecError) as caught:
        archdsl.train(small(), recipe, DATA, out=tmp_path, device="cpu", quiet=True)
    assert what in str(caught.value)


def test_a_student_learns_from_a_run(tmp_path: Path) -> None:
    archdsl.train(small(), short(steps=2), DATA, out=tmp_path / "teacher", device="cpu", quiet=True)
    student = small(name="student", channels=4)
    for hard in (1.0, 0.0):
        taught = {"classification": {"teacher": {"run": str(tmp_path / "teacher"), "hard": hard, "temperature": 2}}}
        out = tmp_path / f"student {hard}"
        archdsl.train(student, short(steps=1).but(task=taught), DATA, out=out, device="cpu", quiet=True)
    archdsl.train(student, short(steps=1), DATA, out=tmp_path / "alone", device="cpu", quiet=True)
    alone, hard, soft = (losses(tmp_path / name)[1] for name in ("alone", "student 1.0", "student 0.0"))
    assert hard == pytest.approx(alone, rel=1e-5)
    assert soft != pytest.approx(alone, rel=0.01)
    wrong = {"classification": {"teacher": {"run": str(tmp_path / "teacher")}}}
    with pytest.raises(SpecError, match="a teacher of other clips"):
        archdsl.train(
            archdsl.load("slowfast_tiny", classes=8), short(steps=1).but(task=wrong), "motion:8",
            out=tmp_path / "wrong", device="cpu", quiet=True,
        )  # fmt: skip


class Framed(MovingDigits):
    """A label for each of four frames: all those of the clip."""

    def read(self, index: int, request: ClipRequest) -> Sample:
        sample = super().read(index, request)
        return sample._replace(targets=sample.targets.expand(4))


def test_labels_of_frames_are_learnt_and_tested_frame_by_frame(tmp_path: Path) -> None:
    arch = small().but(head=Consensus(classes=8, over="each"))
    data = [Framed(16, seed, frames=4, size=32) for seed in (0, 1)]
    framed = archdsl.train(arch, short(steps=2), (data[0], data[1]), out=tmp_path / "a", device="cpu", quiet=True)
    plain = [MovingDigits(16, seed, frames=4, size=32) for seed in (0, 1)]
    clips = archdsl.train(arch, short(steps=2), (plain[0], plain[1]), out=tmp_path / "b", device="cpu", quiet=True)
    assert losses(tmp_path / "a") == pytest.approx(losses(tmp_path / "b"))
    scores = archdsl.evaluate(tmp_path / "a", data[1], device="cpu", quiet=True)
    assert scores.scores.shape == (64, 8)
    assert len(set(scores.names)) == 64
    assert 0 <= framed.figures["top1"] <= 1
    assert 0 <= clips.figures["top1"] <= 1
