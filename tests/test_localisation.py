"""Where along time: losses beside slow ones, files of ActivityNet and THUMOS'14, runs that are resumed and split."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, smooth_l1_loss

import archdsl
from archdsl.cli import main
from archdsl.errors import SpecError
from archdsl.language import Arch
from archdsl.language.writers.yaml_writer import to_yaml
from archdsl.recipes import recipe
from archdsl.training.data.annotations.feature_sequences import FeatureSequences
from archdsl.training.data.annotations.segment_lists import feature_sequences
from archdsl.training.data.clips import Batch, ClipRequest
from archdsl.training.evaluation.segment_metrics import segment_overlaps
from archdsl.training.state.checkpoints import checkpoints_in
from archdsl.training.tasks.choice import default_recipe, task_for
from archdsl.training.tasks.localisation.anchors import moved_segments
from archdsl.training.tasks.localisation.boundaries import boundary_features, candidate_segments
from archdsl.training.tasks.localisation.task import Localisation
from tests.processes import told_by_two
from tests.test_segment_metrics import tiou
from tests.tiny_localisers import sequence, tiny_bmn, tiny_pem, tiny_tal, tiny_tem
from tests.trained import losses, small

TINY = (tiny_tem, tiny_pem, tiny_bmn, tiny_tal)


def task_of(arch: Arch) -> Localisation:
    made = task_for(archdsl.compile(arch), recipe("smoke_localisation"))
    assert isinstance(made, Localisation)
    return made


def batch_of(segments: list[list[tuple[float, float]]], **more: Any) -> Batch:
    n = len(segments)
    targets = {
        "segments": [[torch.tensor(one).view(-1, 2)] for one in segments],
        "labels": [[torch.arange(len(one)) % 3] for one in segments],
        "window": torch.tensor([[0.0, 10.0]] * n),
    }
    return Batch(torch.zeros(n), targets | more, torch.ones(n), tuple(range(n)), (), (), (), 0.0)


SEGMENTS = [[(0.1, 0.55), (0.513, 0.907)], [], [(0.26, 0.313)]]


def within(low: float, high: float, regions: list[tuple[float, float]]) -> float:
    """The share of a cell that the best region covers."""
    return max([max(0.0, min(high, b) - max(low, a)) / (high - low) for a, b in regions], default=0.0)


def slow_logistic(chances: list[float], labels: list[bool], positives: int, many: int) -> float:
    """Both kinds weigh alike: half of all over each."""
    ratio = min(max(many / max(positives, 1), 1.05), 21)
    total = 0.0
    for chance, label in zip(chances, labels):
        weight = 0.5 * ratio if label else 0.5 * ratio / (ratio - 1)
        total -= weight * float(torch.tensor(chance + 1e-5 if label else 1 - chance + 1e-5).log())
    return total / many


def test_the_loss_of_boundaries_is_that_of_its_definition() -> None:
    task, t = task_of(tiny_tem()), 24
    said = torch.rand(3, 3, t, generator=torch.Generator().manual_seed(1)).requires_grad_()
    batch = batch_of(SEGMENTS)
    loss = task.loss(said, batch, task.amounts(batch).sum(0))
    loss.sum().backward()
    assert said.grad is not None
    assert said.grad.isfinite().all()
    wanted = 0.0
    for column, weight in enumerate((2.0, 1.0, 1.0)):
        labels = []
        for parts in SEGMENTS:
            half = [max((b - a) / 10, 1 / t) / 2 for a, b in parts]
            places = [parts, *([(p[i] - h, p[i] + h) for p, h in zip(parts, half)] for i in (0, 1))][column]
            labels += [within(i / t, (i + 1) / t, places) > 0.5 for i in range(t)]
        wanted += weight * slow_logistic(said[:, column].flatten().tolist(), labels, sum(labels), 3 * t)
    assert float(loss.detach().sum()) == pytest.approx(wanted, rel=1e-5)


def test_the_loss_of_proposals_is_that_of_its_definition() -> None:
    """Starts and ends, ten times the squared error of overlaps, and which are sure; nothing beyond the end counts."""
    task, t = task_of(tiny_bmn()), 24
    rng = torch.Generator().manual_seed(2)
    said = {"start": torch.rand(3, 1, t, generator=rng), "end": torch.rand(3, 1, t, generator=rng)}
    said["proposals"] = torch.rand(3, 2, 1, t, t, generator=rng)
    batch = batch_of(SEGMENTS)
    found = float(task.loss(said, batch, task.amounts(batch).sum(0)).sum())
    wanted = 0.0
    for i, name in enumerate(("start", "end")):
        regions = [[(p[i] - 1.5 / t, p[i] + 1.5 / t) for p in parts] for parts in SEGMENTS]
        labels = [within((j - 0.5) / t, (j + 0.5) / t, one) > 0.5 for one in regions for j in range(t)]
        wanted += slow_logistic(said[name].flatten().tolist(), labels, sum(labels), 3 * t)
    rows = [
        (max([tiou((s / t, (s + d + 1) / t), part) for part in parts], default=0.0), *said["proposals"][n, :, 0, d, s])
        for n, parts in enumerate(SEGMENTS)
        for d in range(t)
        for s in range(t - d)
    ]
    high = [row for row in rows if row[0] > 0.7]
    middle = [row for row in rows if 0.3 < row[0] <= 0.7]
    low = [row for row in rows if 0 < row[0] <= 0.3]
    shares = [1.0, min(1.0, len(high) / len(middle)), min(1.0, len(high) / len(low))]
    whole = sum(share * len(some) for share, some in zip(shares, (high, middle, low)))
    squares = [share * sum(float(p - g) ** 2 for g, p, _ in some) for share, some in zip(shares, (high, middle, low))]
    sure = [row[0] > 0.9 for row in rows]
    wanted += 10 * 0.5 * sum(squares) / whole
    wanted += slow_logistic([float(row[2]) for row in rows], sure, sum(sure), len(rows))
    assert found == pytest.approx(wanted, rel=1e-4)


def test_what_the_second_network_reads_by_hand() -> None:
    """A ramp of actionness: every number is where it is read; beyond the sequence there is nothing."""
    t = 20
    ramp = torch.stack([(torch.arange(t) + 0.5) / t, torch.zeros(t), torch.zeros(t)])
    read = boundary_features(ramp, torch.tensor([[0.4, 0.6], [0.0, 1.0]]))
    assert read.shape == (32, 2)
    inside, start, end = read[:16, 0], read[16:24, 0], read[24:, 0]
    assert float(inside.mean()) == pytest.approx(0.5, abs=1e-5)
    assert inside.diff().min() > 0
    assert float(start.mean()) == pytest.approx(0.4, abs=1e-5)
    assert float(end.mean()) == pytest.approx(0.6, abs=1e-5)
    assert float(read[16, 1]) == 0
    assert float(read[31, 1]) == 0


def test_candidates_are_pairs_of_what_stands_out() -> None:
    chances = torch.zeros(3, 8)
    chances[1] = torch.tensor([0.1, 0.2, 0.9, 0.3, 0.1, 0.4, 0.1, 0.1])
    chances[2] = torch.tensor([0.1, 0.0, 0.0, 0.1, 0.8, 0.1, 0.1, 0.2])
    made = candidate_segments(chances, 100)
    starts, ends = [0, 2, 5, 7], [0, 4, 7]
    wanted = {(s, e): float(chances[1, s] * chances[2, e]) for s in starts for e in ends if s < e}
    places = [tuple(one) for one in (8 * made.segments - 0.5).round().int().tolist()]
    found = dict(zip(places, made.scores.tolist()))
    assert found == pytest.approx(wanted)
    assert made.scores.tolist() == sorted(made.scores.tolist(), reverse=True)
    assert len(candidate_segments(chances, 2).scores) == 2


def test_the_loss_of_overlaps_weighs_good_and_bad_ones() -> None:
    task = task_of(tiny_pem(6))
    places = torch.tensor([[0.1, 0.5], [0.1, 0.9], [0.5, 0.95], [0.7, 0.8], [0.1, 0.2], [0.0, 0.0]])
    batch = batch_of([[(0.1, 0.55)]], candidates=places[None], chances=torch.ones(1, 6))
    said = torch.rand(1, 1, 6, generator=torch.Generator().manual_seed(3))
    truth = segment_overlaps(places, torch.tensor([[0.1, 0.55]]))[:, 0]
    errors = smooth_l1_loss(said[0, 0], truth, reduction="none")
    weights = torch.tensor([1, 1, 2 / 3, 2 / 3, 2 / 3, 0])  # 1 good, 1 between, 3 bad; the last fills up
    assert [round(float(one), 2) for one in truth[:5]] == [0.89, 0.56, 0.06, 0.0, 0.22]
    weights[4], weights[2], weights[3] = 0.5, 1.0, 1.0  # 0.22 lies between: 2 of these, 2 bad ones
    weights[1] = 0.5
    wanted = (errors * weights).sum() / weights.sum()
    torch.testing.assert_close(task.loss(said, batch, task.amounts(batch).sum(0)).sum(), wanted)


def test_the_loss_of_anchors_is_faster_rcnns_on_a_line() -> None:
    task = task_of(tiny_tal())
    rng = torch.Generator().manual_seed(4)
    said = {name: torch.randn(1, *shape, generator=rng) for name, shape in task.plan.outputs.items()}
    said["proposals"] = torch.tensor([[[1.0, 2.0, 9.0, 0.0], [13.0, 5.0, 14.0, 0.0]]])
    said["scores"], said["ends"] = said["scores"][..., :4], said["ends"][..., :4]
    batch = batch_of([[(0.1, 0.55), (0.6, 0.7)]])
    actions = torch.tensor([[2.4, 13.2], [14.4, 16.8]])
    found = task.loss(said, batch, torch.tensor(1.0)).sum()
    places = torch.tensor([[i + 0.5 - s / 2, i + 0.5 + s / 2] for s in (3, 6, 12) for i in range(24)])
    rows = said["anchors"][0].view(3, 4, 24).permute(0, 2, 1).reshape(72, 4)
    table = torch.tensor([[tiou(tuple(p), tuple(a)) for a in actions.tolist()] for p in places.tolist()])
    good = (table.amax(1) > 0.7) | (table == table.amax(0)).any(1)
    bad = (table.amax(1) < 0.3) & ~good
    assert 0 < int(good.sum()) < 128
    kept = good | bad
    assert int(kept.sum()) <= 256
    wanted = cross_entropy(rows[kept, :2], good[kept].long(), reduction="sum") / kept.sum()
    goal = actions[table.argmax(1)]
    length, other = places[:, 1] - places[:, 0], goal[:, 1] - goal[:, 0]
    moves = torch.stack([(goal.mean(1) - places.mean(1)) / length, (other / length).log()], 1)
    wanted += smooth_l1_loss(rows[good, 2:], moves[good], reduction="sum") / kept.sum()
    # of the proposals the first shows the first action, two show none, the last fills up
    wanted += cross_entropy(said["scores"][0, :, :3].T, torch.tensor([1, 0, 0]), reduction="sum") / 3
    shift = torch.tensor([(7.8 - 7.0) / 12, float(torch.tensor(10.8 / 12).log())])
    wanted += smooth_l1_loss(said["ends"][0].view(8, 2, 4)[0, :, 0], shift, reduction="sum") / 3
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(moved_segments(torch.tensor([1.0, 13.0]), shift), actions[0])


@pytest.mark.parametrize("make", TINY)
def test_nothing_to_find_is_learnt_and_said(make: Callable[[], Arch]) -> None:
    task = task_of(make())
    batch = batch_of([[], []], candidates=torch.rand(2, 60, 2).sort(2).values, chances=torch.rand(2, 60))
    said = {name: torch.rand(2, *shape) for name, shape in task.plan.outputs.items()}
    leaves = {name: x.requires_grad_() for name, x in said.items()}
    loss = task.loss(leaves if len(leaves) > 1 else next(iter(leaves.values())), batch, task.amounts(batch).sum(0))
    loss.sum().backward()
    assert loss.isfinite().all()
    assert all(x.grad is None or x.grad.isfinite().all() for x in leaves.values())
    with pytest.raises(SpecError, match="no segment to find"):
        task.results({}, task.built_in("motion:1", "val"), ())
    with pytest.raises(SpecError, match="not finite"):
        task.said({name: x.detach() * torch.nan for name, x in said.items()})


def trained(arch: Arch, out: Path, data: str = "motion:16", **changes: Any) -> Any:
    made = recipe("smoke_localisation", steps=4, batch=4).but(log_every=1, save_every=2, **changes)
    return archdsl.train(arch, made, data, out=out, device="cpu", quiet=True)


@pytest.mark.parametrize(
    "make", [tiny_bmn, *(pytest.param(one, marks=pytest.mark.slow) for one in TINY[:2] + TINY[3:])]
)
def test_runs_are_resumed_and_split_exactly(make: Callable[[], Arch], tmp_path: Path) -> None:
    """From the second step bit for bit; micro-batches count as the whole."""
    whole = trained(make(), tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    made = whole.recipe
    first, out = checkpoints_in(tmp_path / "b")[0], tmp_path / "b"
    again = archdsl.train(make(), made, "motion:16", out=out, device="cpu", quiet=True, resume=first)
    assert all(map(torch.equal, whole.network.parameters(), again.network.parameters()))
    assert whole.figures == again.figures
    trained(make(), tmp_path / "c", optimizer=made.optimizer.but(accumulate=4))
    assert losses(tmp_path / "a") == pytest.approx(losses(tmp_path / "c"), rel=1e-4)
    tested = archdsl.evaluate(tmp_path / "a", device="cpu", quiet=True, out=tmp_path / "tested")
    assert tested.figures == pytest.approx(whole.figures, abs=1e-6)
    assert (tmp_path / "tested/curve.csv").exists()


def as_one(out: Path, rank: int) -> dict[str, Any]:
    found = {}
    for make in TINY:
        run = trained(make(), out / make.__name__)
        found[make.__name__] = {"figures": run.figures, "losses": losses(out / make.__name__)}
    return found


@pytest.mark.slow
def test_two_processes_are_as_one(tmp_path: Path) -> None:
    first, second = told_by_two(as_one, tmp_path)
    assert first == second
    for make in TINY:
        run = trained(make(), tmp_path / "one" / make.__name__)
        told = first[make.__name__]
        alone = losses(tmp_path / "one" / make.__name__)
        assert {int(step): loss for step, loss in told["losses"].items()} == pytest.approx(alone, rel=1e-4)
        assert told["figures"] == pytest.approx(run.figures, abs=1e-3)


# files


def made_files(arch: Arch, out: Path) -> str:
    """Built-in data of a network as files, and the network's spec."""
    out.mkdir(parents=True, exist_ok=True)
    spec = str(out / "net.yaml")
    Path(spec).write_text(to_yaml(arch))
    assert main(["data", "make", "motion", str(out / "data"), "--net", spec, "--count", "8"]) == 0
    return spec


def test_activitynets_files_are_what_memory_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = made_files(tiny_bmn(), tmp_path)
    assert main(["data", "check", str(tmp_path / "data"), "--net", spec, "--json"]) == 0
    report = json.loads(capsys.readouterr().out.partition("\n")[2])
    assert (report["videos"], report["unreadable"]) == (8, [])
    task = task_of(tiny_bmn())
    files, memory = task.files(str(tmp_path / "data"), "train"), task.built_in("motion:8", "train")
    assert isinstance(files, FeatureSequences)
    for index in range(8):
        one, other = (videos.read(index, ClipRequest(0)) for videos in (files, memory))
        torch.testing.assert_close(one.frames["clip"], other.frames["clip"], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(one.targets["segments"][0], other.targets["segments"][0], rtol=1e-4, atol=1e-5)
        assert [files.classes[i] for i in one.targets["labels"][0]] == [
            memory.classes[i] for i in other.targets["labels"][0]
        ]
    run = trained(tiny_bmn(), tmp_path / "run", str(tmp_path / "data"))
    assert 0 <= run.figures["auc"] <= 1
    tested = archdsl.evaluate(tmp_path / "run", device="cpu", quiet=True)
    written = json.loads(dict(tested.files("t"))["detections.json"])
    assert [*written["results"]] == ["val000000"]
    assert {*written["results"]["val000000"][0]} == {"score", "segment"}


def test_thumos_files_of_two_streams(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A network with a rate sees windows; one that reads more positions than a video has sees zeros behind it."""
    arch = tiny_tal(streams=("rgb", "flow"))
    spec = made_files(arch, tmp_path)
    assert main(["data", "check", str(tmp_path / "data"), "--net", spec]) == 0
    task = task_of(arch)
    files, memory = task.files(str(tmp_path / "data"), "train"), task.built_in("motion:8", "train")
    for index in range(8):
        one, other = (videos.read(index, ClipRequest(0)) for videos in (files, memory))
        for clip in ("rgb_features", "flow_features"):
            assert torch.equal(one.frames[clip], other.frames[clip])
        pairs = {tuple(pair.tolist()) for pair in one.targets["segments"][0]}
        assert len(pairs) == len({tuple(pair.tolist()) for pair in other.targets["segments"][0]})
    run = trained(arch, tmp_path / "run", str(tmp_path / "data"))
    assert [*run.figures][:2] == ["map", "map_30"]
    text = dict(archdsl.evaluate(tmp_path / "run", device="cpu", quiet=True).files("t"))["detections.txt"]
    assert text == "" or text.startswith("video_test_0000001 ")


def test_windows_cover_long_videos(tmp_path: Path) -> None:
    """Half a window apart, the last at the end; in training moved; segments as shares of the window."""
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations/Jump_val.txt").write_text("video_validation_0000001  8.0 12.0\n")
    (tmp_path / "annotations/Ambiguous_val.txt").write_text("video_validation_0000001  40.0 41.0\n")
    np.save(tmp_path / "video_validation_0000001.npy", np.arange(60 * 8, dtype=np.float32).reshape(60, 8))
    clips = {"clip": sequence(fps=tiny_tal().clips["rgb_features"].fps)}
    videos = feature_sequences(str(tmp_path), "train", clips)
    assert [videos.name(i).partition("@")[2] for i in range(len(videos))] == ["0", "12", "24", "36"]
    first = videos.read(0, ClipRequest(0))
    assert first.targets["segments"][0].flatten().tolist() == pytest.approx([8 / 19.2, 12 / 19.2])
    assert (first.start, first.end) == pytest.approx((0, 19.2))
    assert float(videos.read(3, ClipRequest(0)).frames["clip"][0, 0, 0, 0]) == 36 * 8
    starts = {videos.read(1, ClipRequest(seed, training=True)).start for seed in range(20)}
    assert len(starts) > 5
    truth = videos.truth_of_video(0)
    assert (truth.segments.tolist(), truth.ambiguous.tolist()) == ([[8.0, 12.0]], [[40.0, 41.0]])
    assert videos.classes == ("Jump",)


def broken(name: str, **fields: Any) -> dict[str, Any]:
    """A record of ActivityNet with something wrong."""
    return {name: {"duration": 10.0, "subset": "training", "annotations": [], **fields}}


def test_broken_annotations_are_named_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def one(start: Any, end: Any, label: Any = "a") -> list[dict[str, Any]]:
        return [{"segment": [start, end], "label": label}]

    records = (
        broken("good", annotations=one(1, 20))
        | broken("turned", annotations=one(4, 3))
        | broken("late", annotations=one(11, 12))
        | broken("nan", annotations=one(float("nan"), 2))
        | broken("text", annotations=one("1", 2))
        | broken("nameless", annotations=[{"segment": [1, 2]}])
        | broken("timeless", duration=0)
        | broken("lost")
        | broken("ragged")
        | broken("wide")
        | broken("infinite")
        | broken("other", subset="validation")
    )
    text = json.dumps({"database": records})
    text = text.replace('"lost":', '"good2": {"duration": 1, "subset": "training"}, "good2":', 1)
    (tmp_path / "activity_net.json").write_text(text)
    row = ",".join(["0.5"] * 8)
    for name in [*records, "good2"]:
        (tmp_path / f"v_{name}.csv").write_text("\n".join([row, *[row] * 5]))
    (tmp_path / "v_ragged.csv").write_text(f"{row}\n{row}\n0.5,1\n")
    (tmp_path / "v_wide.csv").write_text(f"{row},1\n{row},1\n")
    (tmp_path / "v_infinite.csv").write_text(f"{row}\n{row}\n{row.replace('0.5', 'inf', 1)}\n")
    (tmp_path / "net.yaml").write_text(to_yaml(tiny_bmn()))
    (tmp_path / "v_lost.csv").unlink()
    assert main(["data", "check", str(tmp_path), "--net", str(tmp_path / "net.yaml"), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    found = {one["name"]: one["reason"] for one in report["unreadable"]}
    where = "activity_net.json"
    assert report["videos"] == 11
    assert found == {
        "turned": "a segment that ends before it begins, or begins before 0: 4 to 3 s, a",
        "late": "a segment beyond the video's 10 s: 11 to 12 s, a",
        "nan": "a segment that is no number: nan to 2 s, a",
        "text": f"{where}, text, annotation 0: no segment [start, end] with a label",
        "nameless": f"{where}, nameless, annotation 0: no segment [start, end] with a label",
        "timeless": f"{where}, timeless: no duration above 0",
        "good2": f"{where}, good2: two videos of that name",
        "ragged": "v_ragged.csv:3 has 2 numbers, its head 8",
        "wide": "v_wide.csv has 9 numbers a position, the clip 8",
        "infinite": "v_infinite.csv:3 has inf",
    }


def test_broken_lines_of_thumos_are_named(tmp_path: Path) -> None:
    (tmp_path / "Jump_val.txt").write_text("v 1 2\nv 2 1\nv nan 3\nv 1\nv a b\n\n")
    np.save(tmp_path / "v.npy", np.zeros((30, 8), dtype=np.float32))
    with pytest.raises(SpecError) as caught:
        feature_sequences(str(tmp_path), "train", {"clip": sequence()})
    assert [fault.written for fault in caught.value.faults] == [f"Jump_val.txt:{i}" for i in (2, 3, 4, 5)]


@pytest.mark.parametrize(
    ("files", "what"),
    [
        ({}, "no annotations"),
        ({"a.json": "[1]"}, "not annotations of segments"),
        ({"a.json": "{"}, "cannot parse annotations"),
        ({"a.json": '{"database": {}}'}, "no features"),
        ({"a.json": '{"database": {}}', "v.csv": "a\n1"}, "no videos of train"),
    ],
)
def test_folders_of_another_form_are_refused(files: dict[str, str], what: str, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(SpecError, match=what):
        feature_sequences(str(tmp_path), "train", {"clip": sequence()})


def test_features_of_other_lengths_are_spread_and_damaged_ones_named(tmp_path: Path) -> None:
    records = broken("a") | broken("b") | broken("c") | broken("d")
    (tmp_path / "x_train.json").write_text(json.dumps(records))
    np.save(tmp_path / "a.npy", np.arange(48, dtype=np.float64).repeat(8).reshape(48, 8))
    np.save(tmp_path / "b.npy", np.zeros((8, 24), dtype=np.float32))
    (tmp_path / "c.npy").write_bytes(b"\x93NUMPY\x01\x00")
    np.save(tmp_path / "d.npy", np.array([object()]), allow_pickle=True)
    videos = feature_sequences(str(tmp_path), "train", {"clip": sequence()})
    spread: Tensor = videos.read(0, ClipRequest(0)).frames["clip"][0, :, 0, 0]
    assert spread.tolist() == pytest.approx([2 * i + 0.5 for i in range(24)])
    for index, reason in ((1, "its axes may be turned"), (2, "is no .npy file"), (3, "is no .npy file")):
        with pytest.raises(Exception, match=reason):
            videos.read(index, ClipRequest(0))


def test_bsn_from_features_to_proposals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the first network says of files is written as the second reads it; both predict, with a time line."""
    made_files(tiny_tem(), tmp_path)
    trained(tiny_tem(), tmp_path / "tem", str(tmp_path / "data"))
    given = [str(tmp_path / "tem"), str(tmp_path / "data/csv_mean_100"), "--pictures", str(tmp_path / "next/tem")]
    capsys.readouterr()
    assert main(["predict", *given, "--device", "cpu", "--json", "--top", "3"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert len(said) == 9
    assert (said[0]["unit"], len(said[0]["segments"])) == ("shares", 3)
    lines = (tmp_path / "next/tem/v_train000000.csv").read_text().splitlines()
    assert (lines[0], len(lines)) == ("action,start,end", 25)
    drawn = (tmp_path / "next/tem/v_train000000.svg").read_text()
    assert drawn.count('class="d-dot"') == 3
    shutil.copy(tmp_path / "data/activity_net.json", tmp_path / "next")
    run = trained(tiny_pem(), tmp_path / "pem", str(tmp_path / "next"))
    assert 0 <= run.figures["ar_100"] <= 1
    (one,) = archdsl.predict(tmp_path / "pem", [tmp_path / "next/tem/v_train000000.csv"], device="cpu")
    assert all(0 <= part["start"] < part["end"] <= 1 for part in one.record()["segments"])


def test_predictions_of_windows_are_in_seconds(tmp_path: Path) -> None:
    trained(tiny_tal(), tmp_path / "run")
    np.save(tmp_path / "long.npy", np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32))
    (said,) = archdsl.predict(tmp_path / "run", [tmp_path / "long.npy"], device="cpu", top=50)
    record = said.record()
    assert (record["unit"], record["duration"]) == ("seconds", pytest.approx(48.0))
    assert record["segments"]
    assert max(part["end"] for part in record["segments"]) > 19.2
    assert "svg" in dict(said.pictures())
    (odd,) = archdsl.predict(tmp_path / "run", [tmp_path / "long.txt"], device="cpu")
    assert odd.unreadable


def test_networks_that_are_no_localisers_and_classes_that_do_not_fit() -> None:
    with pytest.raises(SpecError, match="no localiser that is known"):
        task_for(archdsl.compile(small()), recipe("smoke").but(task="localisation"))
    task = task_of(tiny_tal(5))
    with pytest.raises(SpecError) as caught:
        task.check_classes(task.built_in("motion:1", "val").classes)
    assert caught.value.faults[0].fix == "--classes 8"
    task_of(tiny_tal(12)).check_classes(task_of(tiny_tal(12)).built_in("motion:1", "val").classes)
    task_of(tiny_bmn()).check_classes(("any", "number"))


def test_recipes_of_the_task() -> None:
    names = {"bmn": "bmn_activitynet", "bsn_tem": "bsn_tem", "bsn_pem": "bsn_pem", "tal_net": "tal_net_thumos14"}
    for name, wanted in names.items():
        assert default_recipe(archdsl.load(name), "anet").name == wanted
        assert default_recipe(archdsl.load(name), "motion").name == "smoke_localisation"
