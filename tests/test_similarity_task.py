"""Clips and texts that find each other: losses and ranks beside others, files, runs that are resumed and predict."""

from __future__ import annotations

import json
import shlex
import shutil
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

import archdsl
from archdsl.cli import main
from archdsl.errors import SpecError
from archdsl.language import Arch
from archdsl.language.writers.yaml_writer import to_yaml
from archdsl.recipes import recipe
from archdsl.training.data.annotations.texts import text_ids
from archdsl.training.data.clips import Batch, ClipRequest, Unreadable
from archdsl.training.evaluation.retrieval import RetrievalScores, ranks
from archdsl.training.state.checkpoints import checkpoints_in
from archdsl.training.tasks.choice import default_recipe, task_for
from archdsl.training.tasks.similarity import SimilarityTask, TextClasses
from tests.filmed import film, numbered_frames
from tests.processes import two_and_one
from tests.tiny_towers import tiny_towers
from tests.trained import ending, losses, small


def task_of(arch: Arch | None = None, **options: Any) -> Any:
    made = recipe("smoke_similarity").but(task={"similarity": options})
    return task_for(archdsl.compile(arch or tiny_towers()), made)


# loss


def batch_of(there: list[int]) -> Batch:
    weights = torch.tensor(there, dtype=torch.float32)
    return Batch(torch.zeros(len(there)), {}, weights, tuple(range(len(there))), (), (), (), 0.0)


def outputs_of(clips: Tensor, texts: Tensor, scale: Tensor) -> dict[str, Tensor]:
    """As the head gives them."""
    return {
        "scores": scale * (clips * texts).sum(1, keepdim=True),
        "clip": clips,
        "texts": texts[..., None, None, None],
    }


def losses_by_hand(clips: Tensor, texts: Tensor, scale: Tensor, rows: list[int]) -> Tensor:
    """Of each clip that counts, one number after the other."""
    found = []
    for i in rows:
        to_texts = torch.stack([scale * clips[i] @ texts[j] for j in rows])
        to_clips = torch.stack([scale * clips[j] @ texts[i] for j in rows])
        own = scale * clips[i] @ texts[i]
        found.append((to_texts.exp().sum().log() + to_clips.exp().sum().log()) / 2 - own)
    return torch.stack(found)


@pytest.mark.parametrize("seed", range(4))
def test_the_loss_is_that_of_clip_with_its_gradient(seed: int) -> None:
    """Also where clips cannot be read: neither they nor their texts are anybody's."""
    rng = torch.Generator().manual_seed(seed)
    there = [1] * 6 if seed == 0 else torch.randint(2, (6,), generator=rng).tolist()
    there[seed] = 1
    rows = [i for i, one in enumerate(there) if one]
    drawn = [torch.randn(6, 5, generator=rng, dtype=torch.float64) for _ in range(2)]
    some = [normalize(one, dim=1).float().requires_grad_() for one in drawn]
    scale = torch.tensor(7.0, requires_grad=True)
    found = task_of().loss(outputs_of(*some, scale), batch_of(there), torch.tensor(float(len(rows))))
    wanted = losses_by_hand(*some, scale, rows) / len(rows)
    torch.testing.assert_close(found[rows], wanted)
    mine = torch.autograd.grad(found[rows].sum(), [*some, scale], retain_graph=True)
    for one, other in zip(mine, torch.autograd.grad(wanted.sum(), [*some, scale])):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_a_clip_alone_and_texts_that_are_alike() -> None:
    """One clip has nothing to be told from; of n equal texts each is as likely."""
    task, one = task_of(), normalize(torch.ones(1, 4), dim=1)
    alone = task.loss(outputs_of(one, one, torch.tensor(5.0)), batch_of([1]), torch.tensor(1.0))
    torch.testing.assert_close(alone, torch.zeros(1))
    alike = task.loss(
        outputs_of(one.expand(3, 4), one.expand(3, 4), torch.tensor(5.0)), batch_of([1] * 3), torch.tensor(1.0)
    )
    torch.testing.assert_close(alike, torch.full((3,), 3.0).log())


# ranks


def scores_of(clips: Tensor, texts: Tensor, captions: str) -> RetrievalScores:
    names = tuple(str(i) for i in range(len(clips)))
    return RetrievalScores(names, clips, texts, tuple((one,) for one in captions))


def test_recall_and_ranks_by_hand() -> None:
    texts = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    clips = torch.tensor([[1.0, 0.0], [0.8, 0.6], [-0.6, 0.8]])
    found = scores_of(clips, texts, "abc")
    assert found.ranks == ([1, 2, 2], [1, 2, 1])
    assert found.figures == {
        "text_r1": pytest.approx(1 / 3),
        "text_r5": 1.0,
        "text_r10": 1.0,
        "clip_r1": pytest.approx(2 / 3),
        "clip_r5": 1.0,
        "clip_r10": 1.0,
        "text_rank_loss": 2.0,
        "clip_rank_loss": 1.0,
    }
    assert [*found.lines()][1] == {"name": "1", "caption": "b", "text_rank": 2, "clip_rank": 2}


def test_ties_count_against_and_equal_texts_are_equally_right() -> None:
    """A network that says the same of everything finds nothing; a text that stands twice is found twice."""
    same = torch.ones(4, 1)
    assert scores_of(same, same, "abcd").ranks == ([4] * 4, [4] * 4)
    assert scores_of(same, same, "aabb").ranks == ([3] * 4, [3] * 4)
    assert scores_of(same, same, "aaaa").ranks == ([1] * 4, [1] * 4)


@pytest.mark.parametrize("seed", range(3))
def test_ranks_are_places_in_the_sorted_row(seed: int) -> None:
    scores = torch.randn(7, 7, generator=torch.Generator().manual_seed(seed))
    order = scores.argsort(1, descending=True).tolist()
    assert ranks(scores, torch.eye(7).bool()) == [1 + row.index(i) for i, row in enumerate(order)]


# texts


def test_a_text_stands_between_its_marks() -> None:
    clip = tiny_towers(words=40, tokens=6).clips["words"]
    assert text_ids([3, 4], clip).tolist() == [38, 3, 4, 39, 0, 0]
    assert text_ids(range(2, 20), clip).tolist() == [38, 2, 3, 4, 5, 39]  # a long one is cut
    assert text_ids([], clip).tolist() == [38, 39, 0, 0, 0, 0]


def test_texts_of_captions_and_of_classes() -> None:
    task = task_of()
    videos = task.built_in("motion:4", "train")
    ids = videos.read(1, ClipRequest(0)).frames["words"].flatten().tolist()
    assert [videos.classes[i] for i in ids if 0 < i < 38] == [*videos.caption(1)]
    named = task_of(tiny_towers(8))
    assert isinstance(named, TextClasses)
    videos = named.built_in("motion:4", "train")
    named.check_classes(videos.classes)
    rows = videos.read(1, ClipRequest(0)).frames["words"]
    assert rows.shape == (1, 10, 8, 1)
    assert len({tuple(row) for row in rows[0, :, :, 0].T.tolist()}) == 8


def test_classes_by_name_are_learnt_as_scores() -> None:
    """X-CLIP: cross-entropy of the scores of all texts."""
    task = task_of(tiny_towers(8, prompts=True))
    scores, labels = torch.randn(3, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([1, 7, 0])
    batch = batch_of([1, 1, 1])._replace(targets=labels)
    found = task.loss({"scores": scores[..., None], "clip": scores, "texts": scores}, batch, torch.tensor(3.0))
    wanted = torch.stack([scores[i].exp().sum().log() - scores[i, label] for i, label in enumerate(labels)])
    torch.testing.assert_close(found.sum(), wanted.mean())


# networks that do not fit


def fault(call: Any) -> Any:
    with pytest.raises(SpecError) as caught:
        call()
    return caught.value.faults[0]


def test_networks_that_do_not_compare_and_words_that_do_not_fit() -> None:
    assert (
        "small does not compare"
        in fault(lambda: task_for(archdsl.compile(small()), recipe("smoke").but(task="similarity"))).what
    )
    task = task_of(tiny_towers(words=20))
    assert (
        fault(lambda: task.check_classes(task.built_in("motion:1", "val").classes)).fix
        == "--set clips.words.vocabulary=24"
    )
    assert fault(lambda: task_of(tiny_towers(prompts=True))).fix == "--set clips.words.height=8"
    named = task_of(tiny_towers(5))
    assert (
        fault(lambda: named.check_classes(named.built_in("motion:1", "val").classes)).fix
        == "--set clips.words.height=8"
    )
    assert fault(lambda: named.columns(("a", "b"), ("b", "a"))).what == "data has other classes than the run"


def test_recipes_of_the_task() -> None:
    assert default_recipe(tiny_towers(), "motion").name == "smoke_similarity"
    assert default_recipe(tiny_towers(), "videos").name == "clip4clip_msrvtt"
    assert default_recipe(tiny_towers(8), "videos").name == "xclip_k400"


NEW = {"text.tokens.0.": 1.0}
"""The table of words, which neither takes from CLIP."""
RATES = {
    "clip4clip_msrvtt": ("clip4clip_b32_transformer", NEW | {"image.clip.": 1, "image.body": 0.001, "head.": 0.001}),
    "xclip_k400": (
        "xclip_b32",
        NEW
        | {"clip.clip.": 1, "edges.": 1, "patches.": 1, "frames.body.3.message": 1, "frames.body.3.exchange.": 1}
        | {"text.body": 0, "head.": 0, "clip.embed": 0.1, "frames.body.3.mlp": 0.1},
    ),
}


@pytest.mark.parametrize("name", RATES)
def test_groups_of_the_recipes_are_parts_of_the_networks(name: str) -> None:
    model, rates = RATES[name]
    addresses = [node.address for node in archdsl.compile(archdsl.load(model)).nodes]
    groups = recipe(name).optimizer.groups
    for start, rate in rates.items():
        mine = [one for one in addresses if one.startswith(start)]
        assert mine, start
        for address in mine:
            found = next(group.rate for group in groups if fnmatchcase(f"{address}.weight", group.match))
            assert found == rate, address


# runs


def trained(out: Path, data: str = "motion:16", arch: Arch | None = None, **changes: Any) -> Any:
    made = recipe("smoke_similarity", steps=4, batch=4).but(log_every=1, save_every=2, **changes)
    return archdsl.train(arch or tiny_towers(), made, data, out=out, device="cpu", quiet=True)


@pytest.mark.parametrize("texts", [1, 8])
def test_a_run_is_resumed_and_tested_exactly(texts: int, tmp_path: Path) -> None:
    """With an average, and readers beside it."""
    arch = tiny_towers(texts, prompts=texts > 1)
    whole = trained(tmp_path / "a", arch=arch, average=0.9)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    first, out = checkpoints_in(tmp_path / "b")[0], tmp_path / "b"
    again = archdsl.train(arch, whole.recipe, "motion:16", out=out, device="cpu", quiet=True, resume=first, workers=1)
    assert all(map(torch.equal, whole.network.parameters(), again.network.parameters()))
    assert whole.figures == again.figures
    tested = archdsl.evaluate(tmp_path / "a", device="cpu", quiet=True)
    assert tested.figures == pytest.approx(whole.figures)
    assert losses(tmp_path / "a").keys() == {1, 2, 3, 4}


def as_one(out: Path, rank: int, texts: str) -> dict[str, Any]:
    return ending(out / "run", trained(out / "run", arch=tiny_towers(int(texts), prompts=texts != "1")))


@pytest.mark.slow
@pytest.mark.parametrize("texts", ["1", "8"])
def test_two_processes_are_as_one(texts: str, tmp_path: Path) -> None:
    """Each clip is told from those of both processes, and gradients go back to both."""
    two, one = two_and_one(as_one, tmp_path, texts)
    assert two["figures"] == pytest.approx(one["figures"], abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("texts", "figure", "least"), [(1, "clip_r10", 0.5), (8, "top1", 0.6)])
def test_small_towers_learn_to_find_each_other(texts: int, figure: str, least: float, tmp_path: Path) -> None:
    """By chance one in eight classes is right, and 10 in 80 captions are among the first ten."""
    made = recipe("smoke_similarity", steps=600 if texts == 1 else 300).but(log_every=100)
    arch = tiny_towers(texts, prompts=texts > 1)
    run = archdsl.train(arch, made, "motion", out=tmp_path, device="cpu", quiet=True)
    assert run.figures[figure] > least


# files


def test_captions_of_files_are_learnt_and_texts_are_ranked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.yaml").write_text(to_yaml(tiny_towers()))
    given = [str(tmp_path / "data"), "--net", str(tmp_path / "net.yaml")]
    assert main(["data", "make", "motion", *given, "--count", "6"]) == 0
    assert main(["data", "check", *given]) == 0
    run = trained(tmp_path / "run", str(tmp_path / "data"))
    assert {"text_r1", "clip_r1"} <= run.figures.keys()
    video = str(next((tmp_path / "data/val").glob("*.mp4")))
    capsys.readouterr()
    assert main(["predict", str(tmp_path / "run"), video, "--device", "cpu"]) == 2
    told = capsys.readouterr().err
    assert "no texts to rank" in told
    fix = shlex.split(told.partition("fix ")[2])
    assert main(["predict", str(tmp_path / "run"), video, "--device", "cpu", "--json", *fix]) == 0
    (said,) = json.loads(capsys.readouterr().out)
    assert {one["class"] for one in said["best"]} == {"a three moves left fast", "a nine moves up"}


def test_a_word_list_of_ones_own_and_broken_captions(tmp_path: Path) -> None:
    """Ids are places in words.txt; faults are named by file and line, a video that is missing by its name."""
    film(tmp_path / "v.mp4", numbered_frames(8, 32, 32))
    (tmp_path / "train.csv").write_text("video,caption\nv,b a c\nlost,a\n")
    (tmp_path / "words.txt").write_text("a\nb\n")
    videos = task_of().files(str(tmp_path), "train")
    assert isinstance(task_of(), SimilarityTask)
    assert videos.classes == ("<end>", "<other>", "a", "b")
    assert videos.read(0, ClipRequest(0)).frames["words"].flatten().tolist()[:6] == [38, 3, 2, 1, 39, 0]
    with pytest.raises(Unreadable, match="no video of that name"):
        videos.read(1, ClipRequest(0))
    (tmp_path / "train.csv").write_text("video,caption\nv\n,b\n")
    assert [one.written for one in fault_list(lambda: task_of().files(str(tmp_path), "train"))] == [
        "train.csv:2",
        "train.csv:3",
    ]


def fault_list(call: Any) -> Any:
    with pytest.raises(SpecError) as caught:
        call()
    return caught.value.faults
