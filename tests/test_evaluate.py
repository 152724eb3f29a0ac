"""Networks tested: views joined, each video once, processes alike; the folders and words of evaluate and predict."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.dom import minidom

import av
import pytest
import torch
from torch import Tensor, nn

import archdsl
from archdsl.backend import build
from archdsl.cli import main
from archdsl.errors import SpecError
from archdsl.language import Clip, change
from archdsl.language.recipes.recipe import Recipe
from archdsl.language.writers.yaml_writer import to_yaml
from archdsl.recipes import recipe
from archdsl.training.data.clips import ClipRequest, Sample, Unreadable
from archdsl.training.data.reader.decoder import VideoFile
from archdsl.training.data.sources.built_in import BUILT_IN
from archdsl.training.data.synthetic.motion import MovingDigits
from archdsl.training.evaluation.evaluate import with_views
from archdsl.training.evaluation.scores import Scores
from archdsl.training.evaluation.views import judge_videos
from tests.trained import classifying, short, small

CLIPS = {"clip": Clip(frames=2, size=4)}
DIGITS = MovingDigits(24, 1, frames=4, size=32)


class Toy:
    """Videos of one colour: view `clip` of video i is i * 10 + clip; its right class is i % 3."""

    classes = ("zero", "one", "two")

    def __init__(self, count: int = 7, broken: tuple[int, ...] = (), multi_label: bool = False) -> None:
        self.count, self.broken, self.multi_label = count, broken, multi_label

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        return f"video {index}"

    def read(self, index: int, take: ClipRequest) -> Sample:
        if index in self.broken:
            raise Unreadable(self.name(index), "broken")
        pixels = torch.full((3, 2, 4, 4), index * 10 + take.clip, dtype=torch.uint8)
        label = torch.eye(3)[index % 3] if self.multi_label else torch.tensor(index % 3)
        return Sample({"clip": pixels}, label, self.name(index), 0.0, 1.0)


class Table(nn.Module):
    """Scores by the colour that is seen."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(256, 3, generator=torch.Generator().manual_seed(0)))

    def forward(self, clips: Tensor) -> Tensor:
        assert not self.training
        return self.weight[(clips[:, 0, 0, 0, 0] * 255).round().long()]


def viewing(**views: Any) -> Recipe:
    made = change(recipe("smoke"), "values", {"mean": [0.0], "std": [1.0]})
    return made.but(views=made.views.but(**views))


@pytest.mark.parametrize("kind", ["softmax", "logits", "sigmoid"])
@pytest.mark.parametrize("join", ["mean", "max"])
@pytest.mark.parametrize("batch", [1, 5, 64])
def test_views_are_joined_as_the_recipe_says(kind: str, join: str, batch: int) -> None:
    network = Table().train()
    made = judge_videos(network, classifying(viewing(clips=4, scores=kind, join=join)), Toy(), CLIPS, batch=batch)
    rows = network.weight.detach()
    one = {"softmax": lambda x: x.softmax(-1), "logits": lambda x: x, "sigmoid": torch.sigmoid}[kind]
    for i in range(7):
        views = torch.stack([one(rows[i * 10 + clip]) for clip in range(4)])
        want = views.mean(0) if join == "mean" else views.amax(0)
        torch.testing.assert_close(made.scores[i], want)
    assert made.names == tuple(f"video {i}" for i in range(7))
    assert made.labels.tolist() == [i % 3 for i in range(7)]
    assert network.training


def test_progress_is_told_every_view_and_crops_count() -> None:
    seen: list[int] = []
    judge_videos(Table(), classifying(viewing(clips=2, crops=5)), Toy(), CLIPS, progress=seen.append)
    assert sum(seen) == 7 * 2 * 5


def test_unreadable_videos_count_nowhere_and_are_named() -> None:
    made = judge_videos(Table(), classifying(viewing()), Toy(broken=(1, 4)), CLIPS)
    whole = judge_videos(Table(), classifying(viewing()), Toy(), CLIPS)
    assert made.skipped == ("video 1", "video 4")
    assert len(made.names) == 5
    assert torch.equal(made.scores, whole.scores[[0, 2, 3, 5, 6]])
    with pytest.raises(SpecError, match="nothing to test"):
        judge_videos(Table(), classifying(viewing()), Toy(3, broken=(0, 1, 2)), CLIPS)


def test_several_labels_get_a_mean_average_precision() -> None:
    made = judge_videos(Table(), classifying(viewing(scores="sigmoid")), Toy(multi_label=True), CLIPS)
    assert list(made.figures) == ["map"]
    assert 0 < made.figures["map"] <= 1


def test_scores_that_are_no_numbers_are_told_by_video() -> None:
    network = Table()
    network.weight.data[30] = torch.nan
    with pytest.raises(SpecError, match=r"1 of 7 videos: video 3"):
        judge_videos(network, classifying(viewing()), Toy(), CLIPS)


def test_several_heads_count_alike() -> None:
    class Two(Table):
        def forward(self, clips: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
            x = super().forward(clips)
            return {"a": x, "b": torch.zeros_like(x)}

    one = judge_videos(Table(), classifying(viewing(scores="logits")), Toy(), CLIPS)
    two = judge_videos(Two(), classifying(viewing(scores="logits")), Toy(), CLIPS)
    torch.testing.assert_close(two.scores, one.scores / 2)


def test_views_of_the_command_line() -> None:
    made = with_views(recipe("smoke"), "10x3").views
    assert (made.clips, made.crops) == (10, 3)
    assert with_views(recipe("smoke"), "4").views.crops == 1
    for text in ("10x4", "x3", "3x", "0", "-1x3", "10x3x2", "9" * 30, "ten", "010x3", "10x"):
        with pytest.raises(SpecError):
            with_views(recipe("smoke"), text)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small networks trained for a moment: runs/one and runs/two; the spec beside them."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "small.yaml").write_text(to_yaml(small()))
    data = (MovingDigits(64, 0, frames=4, size=32), DIGITS)
    for name, seed in (("one", 0), ("two", 1)):
        archdsl.train(small(), short(steps=3, seed=seed), data, out=folder / name, device="cpu", quiet=True)
    return folder


def test_a_run_is_tested_as_it_was_at_its_end(runs: Path) -> None:
    logged = json.loads((runs / "one" / "metrics.jsonl").read_text().splitlines()[-1])
    made = archdsl.evaluate(runs / "one", DIGITS, device="cpu", quiet=True)
    assert made.figures == {name: logged[name] for name in made.figures}
    options = {"recipe": runs / "one" / "recipe.yaml", "weights": runs / "one", "device": "cpu", "quiet": True}
    again = archdsl.evaluate(runs / "small.yaml", DIGITS, **options)
    assert torch.equal(again.scores, made.scores)


def test_what_is_written(runs: Path, tmp_path: Path) -> None:
    made = archdsl.evaluate(runs / "one", DIGITS, out=tmp_path / "out", views="2x3", device="cpu", quiet=True)
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["figures"] == made.figures
    assert results["views"] == "2x3"
    assert results["input"] == {"clip": [3, 4, 32, 32]}
    lines = [json.loads(line) for line in (tmp_path / "out" / "videos.jsonl").read_text().splitlines()]
    assert [line["name"] for line in lines] == list(made.names)
    right = sum(line["best"][0]["class"] == line["classes"][0] for line in lines)
    assert right / 24 == pytest.approx(made.figures["top1"])
    rows = list(csv.DictReader((tmp_path / "out" / "classes.csv").read_text().splitlines()))
    assert [row["class"] for row in rows] == list(made.classes)
    matrix = list(csv.reader((tmp_path / "out" / "confusion.csv").read_text().splitlines()))
    assert sum(int(cell) for row in matrix[1:] for cell in row[1:]) == 24
    for name in ("classes.svg", "confusion.svg"):
        minidom.parse(str(tmp_path / "out" / name))


def test_a_folder_that_cannot_be_made_is_told_before_videos_are_read(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SpecError, match=r"cannot write .*file"):
        archdsl.evaluate(runs / "one", (), out=tmp_path / "file")  # no videos: reading these would be another error


def say(argv: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = main(argv)
    said = capsys.readouterr()
    return code, said.out, said.err


def test_the_command_tests_and_fuses(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BUILT_IN, "val", (24, 1))
    networks = [str(runs / "one"), f"other={runs / 'two'}"]
    argv = ["evaluate", *networks, "--fuse", "one:1", "other:1.5", "--device", "cpu", "--out", str(tmp_path / "out")]
    code, out, _ = say([*argv, "--json"], capsys)
    rows = json.loads(out)
    assert code == 0
    assert [row["name"] for row in rows] == ["one", "other", "fused"]
    assert all(row["videos"] == 24 for row in rows)
    one, two = (archdsl.evaluate(runs / name, "motion", device="cpu", quiet=True) for name in ("one", "two"))
    mean = (one.scores + 1.5 * two.scores) / 2.5
    assert rows[2]["top1"] == pytest.approx((mean.argmax(1) == one.labels).double().mean().item())
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["fused", "one", "other"]


def test_which_checkpoint_was_tested_is_said(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last; a better one is named, and can be asked for."""
    monkeypatch.setitem(BUILT_IN, "val", (24, 1))
    data, figures = (MovingDigits(64, 0, frames=4, size=32), DIGITS), iter((0.5, 0.25, 0.25))
    monkeypatch.setattr(Scores, "figures", property(lambda scores: {"top1": next(figures)}))
    recipe = short(steps=3, evaluate_every=1, save_every=1, keep=1)
    archdsl.train(small(), recipe, data, out=tmp_path / "run", device="cpu", quiet=True)
    monkeypatch.undo()
    monkeypatch.setitem(BUILT_IN, "val", (24, 1))
    best = tmp_path / "run" / "checkpoints" / "step_00000001"
    code, out, _ = say(["evaluate", str(tmp_path / "run"), "--device", "cpu"], capsys)
    assert code == 0
    assert f"run: step 3, the run's last; top1 was best at step 1, 50.0%: --weights {best}" in " ".join(out.split())
    code, out, _ = say(["evaluate", str(runs / "one"), "--device", "cpu"], capsys)
    assert "one: step 3, the run's last and its best" in out
    code, out, _ = say(["evaluate", str(tmp_path / "run"), "--weights", str(best), "--device", "cpu"], capsys)
    assert code == 0
    assert "last" not in out


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["evaluate", "{runs}/one", "--fuse", "one:1"], "nothing to fuse with"),
        (["evaluate", "{runs}/one", "{runs}/two", "--fuse", "one:1", "tow:1"], "fix     two"),
        (["evaluate", "{runs}/one", "{runs}/two", "--fuse", "one:1", "two:-1"], "not a fusion weight"),
        (["evaluate", "{runs}/one", "{runs}/two", "--fuse", "one:1", "two:nan"], "not a fusion weight"),
        (["evaluate", "{runs}/one", "{runs}/one"], "two networks named one"),
        (["evaluate", "{runs}"], "no recipe.yaml, no run.json"),
        (["evaluate", "slowfast_tiny"], "no recipe and no weights"),
        (["evaluate", "slowfast_tiny", "--weights", "{runs}/one", "--set", "recipe.views.clips=2"], "no recipe"),
        (["evaluate", "slowfast_tiny", "--recipe", "smoke", "--weights", "{runs}/one"], "weights of another network"),
        (["evaluate", "{runs}/small.yaml", "--recipe", "smoke", "--weights", "{runs}/none.pt"], "no such file"),
        (["evaluate", "{runs}/one", "--views", "10x4"], "1, 3, 5 or 10"),
        (["evaluate", "{runs}/one", "--views", "many"], "invalid views"),
        (["evaluate", "{runs}/one", "--views", ""], "invalid views"),
        (["evaluate", "{runs}/one", "--workers", "100000"], "too many data-loading workers"),
        (["evaluate", "{runs}/one", "--data", "{runs}/none"], "no such data"),
        (["evaluate", "{runs}/one", "--data", ""], "no such data"),
        (["predict", "{runs}/one", ""], "an empty path"),
        (["evaluate", "slowfast_tiny", "--recipe", "smoke", "--weights", "/dev/null"], "got     a device"),
        (["evaluate", "{runs}/one", "--classes", "9"], "fix     --classes 8"),
        (["evaluate", "{runs}/one", "--set", "recipe.views.crop=3"], "has no field 'crop'"),
        (["evaluate", "{runs}/one", "--device", "cuda:77"], "no device 'cuda:77'"),
        (["predict", "{runs}", "x.mp4"], "is not a run's folder"),
        (["predict", "{runs}/one", "{runs}/one/checkpoints"], "no videos in"),
        (["predict", "{runs}/one", "x.mp4", "--names", "{runs}/none"], "cannot read"),
        (
            ["predict", "{runs}/one", "x.mp4", "--names", "{runs}/one/metrics.jsonl"],
            "as many class names as scores are needed",
        ),
        (
            ["predict", "posec3d_slowonly", "x.mp4", "--recipe", "smoke", "--weights", "x.pt"],
            "clip modality not available from videos",
        ),
    ],
)
def test_what_is_asked_wrongly(argv: list[str], said: str, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = say([word.replace("{runs}", str(runs)) for word in argv], capsys)
    assert code == 2
    assert said in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "argv",
    [
        *(["evaluate", "{}"], ["predict", "{}", "x.mp4"], ["features", "{}", "x.mp4", "-o", "out"], ["count", "{}"]),
        *(["export", "{}", "-o", "net.onnx"], ["table", "{}"], ["emit", "{}"], ["train", "{}"]),
    ],
    ids=lambda argv: argv[0],
)
def test_a_run_that_is_not_there_names_the_one_that_is(
    argv: list[str], runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = say([word.replace("{}", f"{runs}/on") for word in argv], capsys)
    assert code == 2
    assert f"neither a spec file nor the folder of a run: {runs}/on\n  got     nothing at that path\n" in err
    assert f"  fix     {runs}/one\n" in err


def test_weights_of_a_run_that_is_not_there(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = say(["weights", "show", f"{runs}/none"], capsys)
    assert (code, "want    a file of weights, or the folder of a run" in err) == (2, True)


class Renamed(MovingDigits):
    """The same videos, their classes listed backwards; or one of them under another name."""

    backwards = True

    @property
    def classes(self) -> tuple[str, ...]:
        names = super().classes
        return names[::-1] if self.backwards else ("rihgt at 1 px per frame", *names[1:])

    def read(self, index: int, take: ClipRequest) -> Sample:
        sample = super().read(index, take)
        return sample._replace(targets=7 - sample.targets) if self.backwards else sample


def test_a_run_knows_its_classes_by_name_not_by_number(runs: Path) -> None:
    one = archdsl.evaluate(runs / "one", DIGITS, device="cpu", quiet=True)
    two = archdsl.evaluate(runs / "one", Renamed(24, 1, frames=4, size=32), device="cpu", quiet=True)
    assert two.figures == one.figures
    assert torch.equal(two.scores.flip(1), one.scores)
    wrong = Renamed(24, 1, frames=4, size=32)
    object.__setattr__(wrong, "backwards", False)
    with pytest.raises(SpecError, match="videos have classes that the run does not") as error:
        archdsl.evaluate(runs / "one", wrong, device="cpu", quiet=True)
    assert error.value.faults[0].fix == "right at 1 px per frame"


@pytest.mark.slow
def test_two_processes_test_what_one_does(runs: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m", "archdsl"]
    argv = ["evaluate", str(runs / "one"), "--device", "cpu", "--views", "2x3", "--json", "--out"]
    environment = {**os.environ, "PYTHONPATH": str(Path(archdsl.__file__).parent.parent), "OMP_NUM_THREADS": "1"}
    options: dict[str, Any] = {"capture_output": True, "text": True, "timeout": 240, "env": environment, "check": True}
    two = subprocess.run([*command, *argv, str(tmp_path / "two")], **options)
    one = archdsl.evaluate(runs / "one", "motion", views="2x3", out=tmp_path / "one", device="cpu", quiet=True)
    assert json.loads(two.stdout) == [{"name": "one", "videos": 512, "skipped": 0} | one.figures]
    assert len((tmp_path / "two" / "videos.jsonl").read_text().splitlines()) == 512


def film(path: Path, frames: int, size: int = 64) -> None:
    """A video of noise, 25 frames per second."""
    dice = torch.Generator().manual_seed(frames)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=25)
        stream.width = stream.height = size
        for _ in range(frames):
            picture = av.VideoFrame(size, size, "rgb24")
            pixels = torch.randint(0, 256, (size * picture.planes[0].line_size,), generator=dice, dtype=torch.uint8)
            picture.planes[0].update(bytes(pixels.tolist()))
            file.mux(stream.encode(picture))
        file.mux(stream.encode())


def test_predict_tells_classes_and_times(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").mkdir()
    film(tmp_path / "in" / "long.mp4", 50)
    film(tmp_path / "in" / "one.mp4", 1)
    (tmp_path / "in" / "broken.mp4").write_bytes(b"not a video")
    (tmp_path / "in" / "notes.txt").write_text("no video")
    argv = ["predict", str(runs / "one"), str(tmp_path / "in"), "--top", "2", "--device", "cpu"]
    changes = ["--set", "recipe.sampling.every=5", "--set", "recipe.precision=fp16"]
    code, out, err = say([*argv, "-o", str(tmp_path / "seen.json"), *changes], capsys)
    assert code == 0
    assert f"left out, not a video file: 1: {tmp_path}/in/notes.txt\n" in err
    assert err.count("warning: fp16 on a CPU: torch emulates it") == 1
    assert "broken.mp4 cannot be read: not a video" in err
    seen = {Path(one["path"]).name: one for one in json.loads((tmp_path / "seen.json").read_text())}
    assert list(seen) == ["broken.mp4", "long.mp4", "one.mp4"]
    long = seen["long.mp4"]
    assert [len(long["best"]), len(long["windows"])] == [2, 3]  # 50 frames, 20 at a time
    assert long["windows"][0]["start"] == 0
    assert long["windows"][-1]["end"] == pytest.approx(49 / 25)
    assert long["best"][0]["class"] in MovingDigits(1, 0).classes
    assert len(seen["one.mp4"]["windows"]) == 1
    assert set(seen["broken.mp4"]) == {"path", "unreadable"}
    assert "0:00.0 to 0:00.6" in out


def test_predict_fails_only_where_nothing_could_be_read(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.mp4").write_bytes(b"")
    code, out, err = say(["predict", str(runs / "one"), str(tmp_path / "a.mp4"), str(tmp_path / "b.mp4")], capsys)
    assert (code, out) == (2, "")
    assert "an empty file" in err
    assert "no such file" in err


def test_predict_is_the_average_of_its_windows_and_crops(runs: Path, tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", 16)
    (one,) = archdsl.predict(runs / "one", [tmp_path / "a.mp4"], top=8, device="cpu")
    assert len(one.windows) == 4
    for name, score in one.best:
        assert score == pytest.approx(sum(dict(window.best)[name] for window in one.windows) / 4, abs=1e-6)


def test_predict_looks_for_the_frames_of_a_file_once(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not once for each of its windows."""
    film(tmp_path / "a.mp4", 16)
    real, looked = VideoFile.index, []
    monkeypatch.setattr(VideoFile, "index", lambda video: looked.append(video.name) or real(video))
    (one,) = archdsl.predict(runs / "one", [tmp_path / "a.mp4"], device="cpu")
    assert len(one.windows) == 4
    assert looked == [str(tmp_path / "a.mp4")]


def test_a_network_without_a_run_names_classes_by_number(runs: Path, tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", 4)
    torch.save(build(small()).state_dict(), tmp_path / "w.pt")
    (one,) = archdsl.predict(small(), [tmp_path / "a.mp4"], recipe="smoke", weights=tmp_path / "w.pt", device="cpu")
    assert {name for name, _ in one.best} <= {f"class {i}" for i in range(8)}


def test_predict_ranks_no_scores_that_are_no_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Weights that are finite, and overflow; evaluate refuses them in the same words."""
    film(tmp_path / "a.mp4", 4)
    (tmp_path / "small.yaml").write_text(to_yaml(small()))
    weights = {name: x * 1e30 if x.ndim > 1 else x for name, x in build(small()).state_dict().items()}
    torch.save(weights, tmp_path / "w.pt")
    argv = ["predict", f"{tmp_path}/small.yaml", f"{tmp_path}/a.mp4", "--recipe=smoke", f"--weights={tmp_path}/w.pt"]
    code, out, err = say([*argv, "--json"], capsys)
    assert (code, out) == (2, "")
    assert "scores are not finite" in err


def test_predict_keeps_a_name_that_is_not_utf_8(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = os.fsdecode(b"caf\xe9.mp4")
    film(tmp_path / "a.mp4", 4)
    (tmp_path / "a.mp4").rename(tmp_path / name)
    (tmp_path / os.fsdecode(b"bad\xe9.mp4")).write_bytes(b"no video")
    code, out, err = say(["predict", str(runs / "one"), str(tmp_path), "-o", str(tmp_path / "seen.json")], capsys)
    assert code == 0
    assert r"caf\xe9.mp4" in out
    assert r"bad\xe9.mp4 cannot be read" in err
    assert [Path(one["path"]).name for one in json.loads((tmp_path / "seen.json").read_text())][1] == name


def test_scores_are_told_by_video() -> None:
    made = Scores(("v",), ("a", "b"), False, torch.tensor([[0.2, 0.8]]), torch.tensor([0]))
    assert made.best(0, 9) == [("b", pytest.approx(0.8)), ("a", pytest.approx(0.2))]
