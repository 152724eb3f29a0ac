"""Captions: figures beside other tools and by hand, beam search beside all there is, files, runs that are resumed."""

from __future__ import annotations

import json
import shutil
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchmetrics.text import BLEUScore

import archdsl
from archdsl.cli import main
from archdsl.errors import SpecError
from archdsl.language.writers.yaml_writer import to_yaml
from archdsl.recipes import recipe
from archdsl.training.data.annotations.captioned_videos import (
    CaptionedVideos,
    caption_ids,
    caption_vocabulary,
    caption_words,
    captions_in,
)
from archdsl.training.data.clips import Batch, ClipRequest
from archdsl.training.evaluation.caption_metrics import bleu, cider, exact_match
from archdsl.training.evaluation.caption_scores import CaptionScores, subtitle_time
from archdsl.training.state.checkpoints import checkpoints_in
from archdsl.training.tasks.captions import Captioning
from archdsl.training.tasks.choice import default_recipe, task_for
from tests.filmed import film, numbered_frames
from tests.processes import told_by_two
from tests.tiny_writer import tiny_writer
from tests.trained import losses, small

REFERENCES = [
    ["a man rides a horse", "the man is riding a brown horse"],
    ["a dog runs on grass", "a dog is running"],
    ["two cats sleep on a bed", "cats sleeping"],
]
FOUND = ["a man rides a brown horse", "a dog is running on grass", "two cats on a bed"]


def split(captions: list[str]) -> list[tuple[str, ...]]:
    return [tuple(one.split()) for one in captions]


def task_of(arch: Any = None, **options: Any) -> Captioning:
    made = recipe("smoke_captions").but(task={"captioning": options})
    task = task_for(archdsl.compile(arch or tiny_writer()), made)
    assert isinstance(task, Captioning)
    return task


def test_figures_are_those_of_cocos_tools() -> None:
    """Worked out by pycocoevalcap on these captions."""
    found, references = split(FOUND), [split(some) for some in REFERENCES]
    assert [bleu(found, references, n) for n in (1, 2, 3, 4)] == pytest.approx(
        [1.0, 0.925820, 0.776135, 0.584707], abs=1e-6
    )
    assert cider(found, references) == pytest.approx([4.651279, 4.763424, 2.696730], abs=1e-6)
    assert exact_match(found, references) == 0
    assert exact_match([references[0][1], found[1]], references[:2]) == 0.5


@pytest.mark.parametrize("seed", range(8))
def test_bleu_is_that_of_torchmetrics(seed: int) -> None:
    """On random captions of few words, where references tie in length and some captions are short."""
    rng = torch.Generator().manual_seed(seed)

    def drawn(most: int) -> list[str]:
        many = int(torch.randint(4, most, (), generator=rng))
        return ["abcd"[i] for i in torch.randint(4, (many,), generator=rng).tolist()]

    found = [drawn(9) for _ in range(5)]
    references = [sorted((drawn(12) for _ in range(3)), key=len) for _ in range(5)]  # of equally near ones the shorter
    other = BLEUScore(n_gram=2)([" ".join(one) for one in found], [[" ".join(r) for r in some] for some in references])
    assert bleu(found, references, 2) == pytest.approx(float(other), abs=1e-5)


def test_captions_of_nothing() -> None:
    none = CaptionScores(("v",), ((),), ((("a",),),))
    assert none.figures == {"exact_match": 0.0, "bleu_4": 0.0, "cider": 0.0}
    assert cider([("a", "b")], [[("a", "b")]]) == [0.0]  # one video alone: no word is rarer than another
    assert bleu([("a",)], [[("a",)]]) < 0.01
    assert subtitle_time(3723.5) == "01:02:03,500"


def test_words_and_their_ids() -> None:
    captions = [caption_words(one) for one in ("A man's dog, running!", "a dog.", "The  dog_barks")]
    assert captions[0] == ("a", "man's", "dog", "running")
    assert caption_vocabulary(captions, 2) == ("<end>", "<other>", "dog", "a")
    places = {word: i for i, word in enumerate(caption_vocabulary(captions, 1))}
    given, wanted = caption_ids(("a", "dog", "new"), places, 6)
    assert given.tolist() == [0, places["a"], places["dog"], 1, 0, 0]
    assert wanted.tolist() == [places["a"], places["dog"], 1, 0, -1, -1]
    given, wanted = caption_ids(("dog",) * 9, places, 4)
    assert (given.tolist(), wanted.tolist()) == ([0, 2, 2, 2], [2, 2, 2, 0])


def test_the_loss_is_the_mean_over_words() -> None:
    """Not the mean of captions' means; what lies behind the end does not count."""
    task = task_of()
    scores = torch.randn(2, 23, 8, generator=torch.Generator().manual_seed(0))
    words = torch.tensor([[4, 5, 0, -1, -1, -1, -1, -1], [3, 4, 5, 6, 7, 8, 9, 0]])
    batch = Batch(torch.zeros(2), {"words": words}, torch.ones(2), (0, 1), (), (), (), 0.0)
    assert task.amounts(batch).tolist() == [3, 8]
    logs = scores.log_softmax(1)
    picked = [-logs[i, w, j] for i, row in enumerate(words.tolist()) for j, w in enumerate(row) if w >= 0]
    torch.testing.assert_close(task.loss(scores, batch, torch.tensor(11.0)).sum(), torch.stack(picked).mean())


class Chain(nn.Module):
    """The next word depends on the last one and on the clip."""

    def __init__(self, words: int) -> None:
        super().__init__()
        rng = torch.Generator().manual_seed(5)
        self.table = torch.randn(3, words, words, generator=rng)

    def forward(self, clips: dict[str, Tensor]) -> Tensor:
        kind = clips["clip"][:, 0, 0, 0, 0].long()
        return self.table[kind[:, None], clips["words"][:, 0, :, 0, 0]].movedim(2, 1)


def test_beams_find_the_likeliest_caption() -> None:
    """Of all captions of four words there are; one beam takes the best next word."""
    words, length = 4, 4
    network = Chain(words)
    clips = {"clip": torch.arange(3.0).view(3, 1, 1, 1, 1), "words": torch.zeros(3, 1, length, 1, 1, dtype=torch.long)}
    wide = task_of(tiny_writer(words, length), beam=words**2)
    narrow = task_of(tiny_writer(words, length))
    for row in range(3):
        logs = network.table[row].log_softmax(1)

        def chance(caption: tuple[int, ...], logs: Tensor = logs) -> float:
            steps = [*caption, 0][:length]
            return sum(float(logs[before, after]) for before, after in zip([0, *steps], steps))

        every = [one for n in range(length + 1) for one in product(range(1, words), repeat=n)]
        best = max(every, key=chance)
        assert wide.said(wide.outputs(network, clips))[row] == best
        greedy, last = [], 0
        while len(greedy) < length and (last := int(logs[last].argmax())):
            greedy.append(last)
        assert narrow.said(narrow.outputs(network, clips))[row] == tuple(greedy)


def trained(out: Path, data: str = "motion:16", **changes: Any) -> Any:
    made = recipe("smoke_captions", steps=4, batch=4).but(log_every=1, save_every=2, **changes)
    return archdsl.train(tiny_writer(), made, data, out=out, device="cpu", quiet=True)


def test_a_run_is_resumed_and_split_exactly(tmp_path: Path) -> None:
    whole = trained(tmp_path / "a", average=0.9)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    first, out = checkpoints_in(tmp_path / "b")[0], tmp_path / "b"
    again = archdsl.train(
        tiny_writer(), whole.recipe, "motion:16", out=out, device="cpu", quiet=True, resume=first, workers=1
    )
    assert all(map(torch.equal, whole.network.parameters(), again.network.parameters()))
    assert whole.figures == again.figures
    trained(tmp_path / "c", average=0.9, optimizer=whole.recipe.optimizer.but(accumulate=4))
    assert losses(tmp_path / "a") == pytest.approx(losses(tmp_path / "c"), rel=1e-4)
    tested = archdsl.evaluate(tmp_path / "a", device="cpu", quiet=True)
    assert tested.figures == pytest.approx(whole.figures)
    assert [one["image_id"] for one in json.loads(dict(tested.files("t"))["captions.json"])][:1] == ["scene/1/0"]


def as_one(out: Path, rank: int) -> dict[str, Any]:
    run = trained(out / "two")
    return {"figures": run.figures, "losses": losses(out / "two")}


@pytest.mark.slow
def test_two_processes_are_as_one(tmp_path: Path) -> None:
    first, second = told_by_two(as_one, tmp_path)
    assert first == second
    run = trained(tmp_path / "one")
    assert {int(step): loss for step, loss in first["losses"].items()} == pytest.approx(
        losses(tmp_path / "one"), rel=1e-4
    )
    assert first["figures"] == pytest.approx(run.figures, abs=1e-3)


@pytest.mark.slow
def test_a_small_network_learns_to_write(tmp_path: Path) -> None:
    """Which way the digit moves and how fast is found out in most scenes; which digit it is takes longer."""
    made = recipe("smoke_captions", steps=300).but(log_every=100)
    run = archdsl.train(tiny_writer(), made, "motion", out=tmp_path, device="cpu", quiet=True)
    assert run.figures["bleu_4"] > 0.3


# files


def test_captions_are_written_learnt_and_predicted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Built-in data as files and back; subtitles of a video."""
    (tmp_path / "net.yaml").write_text(to_yaml(tiny_writer()))
    given = [str(tmp_path / "data"), "--net", str(tmp_path / "net.yaml")]
    assert main(["data", "make", "motion", *given, "--count", "8"]) == 0
    assert main(["data", "check", *given]) == 0
    task = task_of()
    files, memory = task.files(str(tmp_path / "data"), "train"), task.built_in("motion:8", "train")
    assert isinstance(files, CaptionedVideos)
    for index in range(8):
        one, other = (videos.read(index, ClipRequest(0)) for videos in (files, memory))
        told = [
            [videos.classes[i] for i in sample.frames["words"].flatten().tolist()]
            for videos, sample in ((files, one), (memory, other))
        ]
        assert told[0] == told[1]
        assert one.frames["clip"].shape == other.frames["clip"].shape
    run = trained(tmp_path / "run", str(tmp_path / "data"))
    assert {*run.figures} == {"exact_match", "bleu_4", "cider"}
    video = next((tmp_path / "data/val").glob("*.mp4"))
    capsys.readouterr()
    shown = ["--pictures", str(tmp_path / "out"), "--device", "cpu", "--json"]
    assert main(["predict", str(tmp_path / "run"), str(video), *shown]) == 0
    (said,) = json.loads(capsys.readouterr().out)
    assert said["captions"][0]["start"] == 0
    assert "-->" in (tmp_path / "out" / f"{video.stem}.srt").read_text()


def test_formats_of_captions(tmp_path: Path) -> None:
    """MSR-VTT's and COCO's JSON, a table; each video with all of its captions."""
    videos = [{"video_id": "video0", "split": "train"}, {"video_id": "video1", "split": "validate"}]
    pairs = (("video0", "A cat."), ("video0", "a dog"), ("video1", "b"))
    sentences = [{"video_id": name, "caption": text} for name, text in pairs]
    (tmp_path / "videodatainfo_2017.json").write_text(json.dumps({"videos": videos, "sentences": sentences}))
    assert captions_in(tmp_path, "train") == [("video0", (("a", "cat"), ("a", "dog")), "")]
    assert captions_in(tmp_path, "val") == [("video1", (("b",),), "")]
    other = tmp_path / "coco"
    other.mkdir()
    for part, key in (("train", 7), ("val", 8)):
        data = {"images": [{"id": key, "file_name": f"{key}.mp4"}], "annotations": [{"image_id": key, "caption": part}]}
        (other / f"captions_{part}2014.json").write_text(json.dumps(data))
    assert captions_in(other, "train") == [("7", (("train",),), "")]
    (other / "train.csv").write_text('caption,video\n"one, two",v\n"three",v\n')
    assert captions_in(other, "train") == [("v", (("one", "two"), ("three",)), "")]


def test_any_caption_of_a_video_is_learnt(tmp_path: Path) -> None:
    film(tmp_path / "v.mp4", numbered_frames(8, 32, 32))
    (tmp_path / "train.csv").write_text("video,caption\nv,a b\nv,b a\nlost,a\nempty,...\nempty.mp4,x\n")
    videos = task_of().files(str(tmp_path), "train")
    met = {tuple(videos.read(0, ClipRequest(seed, training=True)).targets["words"][:2].tolist()) for seed in range(20)}
    places = [videos.classes.index(word) for word in "ab"]
    assert met == {tuple(places), tuple(places[::-1])}
    assert tuple(videos.read(0, ClipRequest(3)).targets["words"][:2].tolist()) == tuple(places)
    for index, reason in ((1, "no video of that name"), (2, "a caption without words")):
        with pytest.raises(Exception, match=reason):
            videos.read(index, ClipRequest(0))


@pytest.mark.parametrize(
    ("files", "what", "where"),
    [
        ({}, "no captions", None),
        ({"a.json": "[]"}, "not captions of videos", "a.json"),
        ({"a.json": "{"}, "cannot parse captions", "a.json"),
        ({"a.json": '{"videos": [1], "sentences": []}'}, "not captions of videos", "a.json"),
        ({"a.json": '{"videos": [], "sentences": []}'}, "no videos of train", None),
        ({"train.csv": "name,text\n"}, "no columns video and caption", "train.csv:1"),
        ({"train.csv": "video,caption\nv\nw,a\n,b\n"}, "cannot parse caption", "train.csv:2"),
    ],
)
def test_broken_files_are_named(files: dict[str, str], what: str, where: str | None, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(SpecError, match=what) as caught:
        captions_in(tmp_path, "train")
    assert caught.value.faults[0].written == where


def test_networks_that_do_not_write_and_words_that_do_not_fit() -> None:
    with pytest.raises(SpecError, match="small does not write"):
        task_for(archdsl.compile(small()), recipe("smoke").but(task="captioning"))
    task = task_of(tiny_writer(words=20))
    with pytest.raises(SpecError) as caught:
        task.check_classes(task.built_in("motion:1", "train").classes)
    assert caught.value.faults[0].fix == "--set clips.words.vocabulary=22"
    larger = task_of(tiny_writer(words=30))
    larger.check_classes(larger.built_in("motion:1", "train").classes)


def test_recipes_of_the_task() -> None:
    assert default_recipe(tiny_writer(), "motion").name == "smoke_captions"
    assert default_recipe(tiny_writer(), "videos").name == "lrcn_captions"
