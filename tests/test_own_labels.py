"""Several heads with labels of their own: verb and noun."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from filmed import film, numbered_frames
from torch.nn import functional

import archdsl
from archdsl.blocks import Norm
from archdsl.cli import main
from archdsl.errors import SpecError
from archdsl.language import Arch, Classifier, Clip, Several
from archdsl.language.recipes.clips import Values
from archdsl.language.writers.yaml_writer import to_yaml
from archdsl.training.data.clips import Batch, ClipRequest
from archdsl.training.data.transforms.normalisation import normalise, pixels_of
from archdsl.training.evaluation.scores import Scores
from archdsl.training.tasks.choice import task_for
from archdsl.training.tasks.own_labels import OwnScores
from tests.trained import losses, short, small


def kitchen(verbs: int = 8, nouns: int = 10, norm: str | Norm = "batch") -> Arch:
    heads = {"verb": Classifier(classes=verbs, reads=("main",)), "noun": Classifier(classes=nouns, reads=("main",))}
    return small(norm).but(head=Several(heads=heads))


def test_the_loss_is_the_sum_of_both() -> None:
    task = task_for(archdsl.compile(kitchen()), short())
    assert task.name == "own_labels"
    outputs = {"verb": torch.randn(3, 8), "noun": torch.randn(3, 10)}
    verb, noun = torch.tensor([1, 7, 0]), torch.tensor([9, 0, 3])
    targets = torch.cat([functional.one_hot(verb, 8), functional.one_hot(noun, 10)], dim=1).float()
    batch = Batch(torch.zeros(3), targets, torch.ones(3), (0, 1, 2), (), (), (), 0.0)
    loss = task.loss(outputs, batch, task.amounts(batch).sum()).sum()
    want = functional.cross_entropy(outputs["verb"], verb) + functional.cross_entropy(outputs["noun"], noun)
    torch.testing.assert_close(loss, want)


def test_an_action_is_right_where_both_are() -> None:
    """Products by hand: .6 x .5 is the best; the second video's right pair, .4 x .3, is the third of four."""
    verb = Scores(("p", "q"), ("a", "b"), False, torch.tensor([[0.6, 0.4], [0.6, 0.4]]), torch.tensor([0, 1]))
    noun = Scores(("p", "q"), ("x", "y"), False, torch.tensor([[0.5, 0.3], [0.5, 0.3]]), torch.tensor([0, 1]))
    made = OwnScores(("p", "q"), {"verb": verb, "noun": noun})
    assert [made.rank(row) for row in (0, 1)] == [0, 3]
    assert made.figures["action_top1"] == 0.5
    assert made.figures["verb_top1"] == made.figures["noun_top1"] == 0.5
    assert next(iter(made.figures)) == "action_top1"


def test_it_trains_on_motions_and_digits(tmp_path: Path) -> None:
    run = archdsl.train(kitchen(), short(steps=2), "motion:16", out=tmp_path, device="cpu", quiet=True)
    assert {"action_top1", "verb_top1", "noun_mean_class"} <= run.figures.keys()
    tested = archdsl.evaluate(tmp_path, device="cpu", quiet=True, out=tmp_path / "out")
    assert tested.figures == pytest.approx(run.figures)
    assert (tmp_path / "out" / "noun_confusion.svg").exists()
    film(tmp_path / "a.mp4", numbered_frames(9, 32, 32))
    (said,) = archdsl.predict(tmp_path, [tmp_path / "a.mp4"], device="cpu", top=2)
    assert len(said.record()["noun"]["best"]) == 2
    assert "verb\n" in said.text()
    with pytest.raises(SpecError, match="built-in data has two labels"):
        archdsl.train(kitchen(4, 5), short(steps=2), "motion:16", out=tmp_path / "b", device="cpu", quiet=True)


EPIC = "narration_id,participant_id,video_id,start_timestamp,stop_timestamp,narration,verb_class,noun_class\n"


def test_it_trains_on_a_list_of_epic_kitchens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The part of a video between two times; hundredths behind the seconds."""
    (tmp_path / "P01" / "videos").mkdir(parents=True)
    film(tmp_path / "P01" / "videos" / "P01_01.MP4", numbered_frames(50, 40, 40))
    lines = [f"P01_01_{i},P01,P01_01,00:00:0{i % 2}.20,00:00:0{i % 2}.80,take,{i % 3},{i}" for i in range(4)]
    for split, rows in (("train", lines), ("validation", lines[2:])):
        (tmp_path / f"EPIC_100_{split}.csv").write_text(EPIC + "\n".join(rows) + "\n")
    arch = kitchen(3, 5)
    task = task_for(archdsl.compile(arch), short())
    videos = task.files(str(tmp_path), "train")
    assert videos.classes == ("verb/0", "verb/1", "verb/2", *(f"noun/{i}" for i in range(5)))
    assert videos.read(3, ClipRequest(0)).targets.tolist() == [1, 0, 0, 0, 0, 0, 1, 0]
    assert 1.2 <= videos.read(3, ClipRequest(0)).start <= 1.8
    run = archdsl.train(arch, short(steps=2, batch=2), str(tmp_path), out=tmp_path / "run", device="cpu", quiet=True)
    assert len(losses(tmp_path / "run")) == 2
    assert json.loads((tmp_path / "run" / "run.json").read_text())["task"] == "own_labels"
    assert 0 <= run.figures["action_top1"] <= 1
    with pytest.raises(SpecError, match="labels of no output"):
        task_for(archdsl.compile(kitchen(2, 5)), short()).files(str(tmp_path), "train")
    capsys.readouterr()
    (tmp_path / "net.yaml").write_text(to_yaml(arch))
    check = ["data", "check", str(tmp_path), "--net", str(tmp_path / "net.yaml"), "--json", "--workers", "0"]
    assert main(check) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["videos"], told["classes"]["verb/0"], told["classes"]["noun/4"]) == (4, 2, 0)
    (tmp_path / "EPIC_100_train.csv").write_text(EPIC + lines[0].replace(",take,0,", ",take,open,") + "\n")
    with pytest.raises(SpecError, match="not the number of a class") as caught:
        task.files(str(tmp_path), "train")
    assert caught.value.faults[0].written == "EPIC_100_train.csv:2"
    assert main(check) == 2
    assert "written EPIC_100_train.csv:2" in capsys.readouterr().err


def test_predictions_are_drawn(tmp_path: Path) -> None:
    archdsl.train(kitchen(), short(steps=1), "motion:8", out=tmp_path / "run", device="cpu", quiet=True)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        film(tmp_path / folder / "clip.mp4", numbered_frames(20, 32, 32))
    videos = [str(tmp_path / folder / "clip.mp4") for folder in ("a", "b")]
    command = ["predict", str(tmp_path / "run"), *videos, "--pictures", str(tmp_path / "drawn"), "--device", "cpu"]
    assert main(command) == 0
    drawn = sorted(path.name for path in (tmp_path / "drawn").iterdir())
    assert drawn == ["clip.noun.svg", "clip.verb.svg", "clip_2.noun.svg", "clip_2.verb.svg"]
    words = (tmp_path / "drawn" / "clip.verb.svg").read_text()
    assert words.count("<rect") == 1 + 5
    assert "0:00.0" in words


def test_normalised_pixels_are_pixels_again() -> None:
    values, pixels = Values(), torch.randint(256, (3, 2, 5, 5), dtype=torch.uint8)
    clip = Clip(frames=2, size=5)
    assert torch.equal(pixels_of(normalise(pixels.float(), clip, values, stored=True), values), pixels)
