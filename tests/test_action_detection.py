"""Actions in given boxes: frame-mAP as AVA's own code counts it, boxes that move with frames, AVA's files."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

import archdsl
from archdsl.blocks import Conv
from archdsl.cli import main
from archdsl.errors import SpecError
from archdsl.language import Arch, Clip, Pathway, Roi, Stage
from archdsl.language.writers.yaml_writer import to_yaml
from archdsl.recipes import recipe
from archdsl.training import Run
from archdsl.training.batches import split_batch, train_batches
from archdsl.training.data.annotations.boxes.key_frame_boxes import KeyFrames, Person, box_targets
from archdsl.training.data.clips import Batch, ClipRequest
from archdsl.training.data.targets import tensors_of
from archdsl.training.data.transforms.geometry import cut_of_part
from archdsl.training.evaluation.average_precision import FrameActions, action_precisions
from archdsl.training.state.checkpoints import checkpoints_in
from archdsl.training.state.skipped_videos import SkippedVideos
from archdsl.training.tasks.boxes.action_detection import ActionDetection
from archdsl.training.tasks.choice import default_recipe, task_for
from tests.processes import told_by_two
from tests.trained import losses, short

WIDE = torch.float64


def tiny(classes: int = 8, boxes: int = 4, size: int = 32) -> Arch:
    """One convolution over time, and what is done in each box."""
    stages = dict(stem=Stage(Conv(channels=8, kernel=(3, 5, 5), stride=(1, 2, 2))))
    clips = {"clip": Clip(frames=8, size=size), "boxes": Clip(modality="boxes", frames=boxes, size=1)}
    return Arch(
        name="tiny_roi",
        clips=clips,
        pathways=dict(main=Pathway(clip="clip", stages=stages)),
        head=Roi(classes=classes, size=3),
    )


def task_of(arch: Arch, **options: Any) -> ActionDetection:
    made = task_for(archdsl.compile(arch), recipe("smoke").but(task={"action_detection": options}))
    assert isinstance(made, ActionDetection)
    return made


# the metric


def precisions_slowly(frames: list[FrameActions], classes: list[int]) -> dict[int, float]:
    """The official evaluation (activitynet/ActivityNet, get_ava_performance.py), written out step by step."""
    found = {}
    for one in classes:
        rows, positives = [], 0
        for frame in frames:
            pairs = [(i, c) for i in range(len(frame.boxes)) for c in classes]
            best = sorted(pairs, key=lambda pair: -float(frame.scores[pair]))[:50]
            true = [box.tolist() for box, label in zip(frame.true_boxes, frame.true_labels) if label[one]]
            positives += len(true)
            taken = set()
            for i, c in best:
                x1, y1, x2, y2 = frame.boxes[i].tolist()
                if c != one or x1 >= x2 or y1 >= y2:
                    continue
                shares = [overlap_of((x1, y1, x2, y2), box) for box in true]
                place = max(range(len(shares)), key=lambda k: (shares[k], -k)) if shares else None
                right = place is not None and shares[place] >= 0.5 and place not in taken
                taken |= {place} if right else set()
                rows.append((float(frame.scores[i, c]), right))
        rows.sort(key=lambda row: -row[0])
        hits = [sum(right for _, right in rows[: k + 1]) for k in range(len(rows))]
        precision = [hit / (k + 1) for k, hit in enumerate(hits)]
        area = sum(max(precision[k:]) for k, (_, right) in enumerate(rows) if right)
        found[one] = area / positives if positives else float("nan")
    return found


def overlap_of(one: Any, other: Any) -> float:
    width = max(min(one[2], other[2]) - max(one[0], other[0]), 0)
    height = max(min(one[3], other[3]) - max(one[1], other[1]), 0)
    common = width * height
    return common / ((one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1]) - common)


def random_frame(rng: torch.Generator, true: int, boxes: int, classes: int) -> FrameActions:
    """Boxes, most of them near true ones."""
    corners = torch.rand(true + boxes, 2, 2, generator=rng, dtype=WIDE).sort(1).values.flatten(1)
    found = corners[true:]
    if true:
        near = corners[torch.arange(boxes) % true] + 0.05 * torch.randn(boxes, 4, generator=rng, dtype=WIDE)
        found = torch.where(torch.rand(boxes, 1, generator=rng) < 0.7, near, found)
    labels = (torch.rand(true, classes, generator=rng) < 0.4).float()
    return FrameActions(corners[:true], labels, found, torch.rand(boxes, classes, generator=rng))


@pytest.mark.parametrize("seed", range(8))
def test_frame_map_is_what_the_official_evaluation_counts(seed: int) -> None:
    """Also of key frames without boxes or without anybody, of classes that nobody does, and of more than 50 pairs."""
    rng, draw = torch.Generator().manual_seed(seed), Random(seed)
    classes = draw.choice([1, 3, 12])
    tested = sorted(draw.sample(range(classes), draw.randint(1, classes)))
    frames = [random_frame(rng, draw.choice([0, 1, 2, 5]), draw.choice([0, 1, 3, 9]), classes) for _ in range(5)]
    if len(frames[0].boxes):
        frames[0].boxes[0] = torch.tensor([0.5, 0.5, 0.4, 0.9])
    assert action_precisions(frames, tested) == pytest.approx(precisions_slowly(frames, tested), nan_ok=True)


def test_frame_map_by_hand() -> None:
    """Scores of file order do not matter; the box of a frame that has none is wrong."""
    b, b2, f = (0.1, 0.1, 0.5, 0.5), (0.1, 0.12, 0.52, 0.5), (0.6, 0.6, 0.9, 0.9)

    def frame(true: list[tuple[Any, int]], said: list[tuple[Any, int, float]]) -> FrameActions:
        scores = torch.full((len(said), 3), -1.0)
        labels = torch.zeros(len(true), 3)
        for row, (_, one, score) in enumerate(said):
            scores[row, one] = score
        for row, (_, one) in enumerate(true):
            labels[row, one] = 1
        boxes = (torch.tensor([one[0] for one in rows], dtype=WIDE).reshape(-1, 4) for rows in (true, said))
        true_boxes, found = boxes
        return FrameActions(true_boxes, labels, found, scores)

    frames = [
        frame([(b, 0), (b, 1), (f, 0)], [(b2, 0, 0.3), (b, 0, 0.9), (f, 0, 0.6), (b, 1, 0.4), (f, 1, 0.7)]),
        frame([(f, 1)], [(f, 1, 0.5), (b, 0, 0.8)]),
    ]
    assert action_precisions(frames, [0, 1, 2]) == pytest.approx({0: 5 / 6, 1: 2 / 3, 2: float("nan")}, nan_ok=True)
    frames.append(frame([], [(b, 0, 0.95)]))
    assert action_precisions(frames, [0])[0] == pytest.approx(0.5)


# targets and loss


def batches_of(task: ActionDetection, data: str, **changes: Any) -> list[Batch]:
    task.recipe = short(steps=2, **changes).but(task="action_detection")
    videos = task.videos(data, "train")
    clips, skips = task.plan.arch.clips, SkippedVideos()
    device = torch.device("cpu")
    feed = train_batches(videos, task.recipe, clips, task=task, start=0, steps=2, device=device, skips=skips)
    return [*feed]


def test_boxes_lie_on_digits_after_crops_and_mirror_images() -> None:
    """In the batches of a training; one that a crop does not show counts for nothing."""
    task = task_of(tiny())
    crop = {"corners": {"scales": [0.6, 0.8], "apart": 1, "places": 13}}
    met = set()
    for batch in batches_of(task, "motion:16", augment={"flip": 0.5, "crop": crop}):
        assert isinstance(batch.clips, dict)
        seen = batch.targets["seen"]
        for i, j in product(range(len(seen)), range(4)):
            box = batch.clips["boxes"][i, :, j, 0, 0]
            met.add(round(float(seen[i, j]) * 1.998) / 2)
            if seen[i, j] == 0:
                assert box[0] == box[2] or box[1] == box[3]
                assert batch.targets["labels"][i, j].sum() <= 1
            elif seen[i, j] > 0.9:
                x1, y1, x2, y2 = box.round().long().tolist()
                frame = batch.clips["clip"][i, :, 4].amin(0)
                assert (frame[y1:y2, x1:x2] > 0.1).any()  # a digit's ink is brighter than any ground
    assert met == {0.0, 0.5, 1.0}


def test_a_still_scene_repeats_its_key_frame() -> None:
    """Boxes lie on what it shows; the same frame of the moving scene is the same picture."""
    task = task_of(tiny())
    moving, still = (task.built_in(f"motion{kind}:8", "train") for kind in ("", ":still"))
    name = next(iter(task.pictures))
    for index in range(8):
        shown, whole = still.read(index, ClipRequest(0)), moving.truth(index)
        frames = shown.frames[name]
        assert torch.equal(frames, whole.pictures[:, whole.frames // 2, None].expand_as(frames))
        for x1, y1, x2, y2 in shown.targets["pixels"][shown.targets["seen"] > 0].long().tolist():
            assert frames[:, 0, y1:y2, x1:x2].amax() > 0.7 * 255


def test_the_loss_is_the_mean_over_boxes_and_classes_of_the_step() -> None:
    """Whatever parts the batch is split into: clips have one to three boxes."""
    task = task_of(tiny())
    batch = batches_of(task, "motion:16", augment={"flip": 0, "crop": "middle"})[0]
    outputs = torch.randn(len(batch.weights), 8, 4, generator=torch.Generator().manual_seed(1))
    totals = task.amounts(batch).sum()
    seen = batch.targets["seen"] > 0
    assert len(set(seen.sum(1).tolist())) > 1
    wanted = binary_cross_entropy_with_logits(outputs.transpose(1, 2)[seen], batch.targets["labels"][seen])
    torch.testing.assert_close(task.loss(outputs, batch, totals).sum(), wanted)
    size = len(batch.weights) // 4
    parts = [
        task.loss(outputs[i * size : (i + 1) * size], part, totals).sum()
        for i, (part, _) in enumerate(split_batch(batch, 4))
    ]
    torch.testing.assert_close(torch.stack(parts).sum(), wanted)


def test_memory_of_targets_is_what_they_take() -> None:
    """Where every box that the network reads is there."""
    task = task_of(tiny(boxes=1))
    batch = batches_of(task, "motion:8", augment={"flip": 0, "crop": "middle"})[0]
    taken = sum(x.numel() * x.element_size() for x in tensors_of(batch.targets))
    assert taken == len(batch.weights) * task.target_bytes()


def test_key_frames_without_boxes_add_no_loss() -> None:
    task = task_of(tiny())
    blank = task.collated([task.blank(task.built_in("motion:1", "train"))] * 2)
    batch = Batch(torch.zeros(2), blank, torch.ones(2), (0, 1), (), (), (), 0.0)
    outputs = torch.randn(2, 8, 4, requires_grad=True)
    loss = task.loss(outputs, batch, task.amounts(batch).sum()).sum()
    loss.backward()
    assert loss == 0
    assert outputs.grad is not None
    assert not outputs.grad.any()


def test_a_box_is_told_by_the_view_that_shows_most_of_it() -> None:
    task = task_of(tiny())
    left, right = Person((0, 0, 0.25, 0.5), (1,)), Person((0.6, 0, 1, 0.5), (2,))
    targets = box_targets([left, right], [left, right], 4, 8, (40, 80))
    said = [torch.full((4, 8), 0.1), torch.full((4, 8), 0.9)]
    views = [
        task.judged(x, task.moved(targets, cut_of_part((40, 40), (0, at), (32, 32)))) for x, at in zip(said, (0, 40))
    ]
    assert views[0].seen.tolist() == [1, 0]
    assert views[1].seen.tolist() == pytest.approx([0, 1])
    joined = task.joined(*views)
    assert joined.frame.scores[:, 0].tolist() == pytest.approx([0.1, 0.9])


def test_recipe_and_classes() -> None:
    arch = archdsl.load("slowfast_8x8_r50_ava")
    assert default_recipe(arch, "motion").name == "smoke"
    made = default_recipe(arch, "ava")
    assert made.name == "slowfast_ava"
    per = 1000 / made.batch
    rates = [made.rate_at(round(epoch * per), 1000) for epoch in (0, 5, 9.9, 10.1, 15.1)]
    assert rates == pytest.approx([1.25e-4, 0.1, 0.1, 0.01, 0.001], rel=0.02)
    task = task_of(tiny(classes=5))
    with pytest.raises(SpecError) as caught:
        task.check_classes(task.built_in("motion:1", "train").classes)
    assert caught.value.faults[0].fix == "--classes 8"


# files


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built-in data in AVA's formats, and the network that reads it."""
    folder = tmp_path_factory.mktemp("ava")
    (folder / "net.yaml").write_text(to_yaml(tiny(size=64)))
    net = str(folder / "net.yaml")
    assert main(["data", "make", "motion", str(folder / "ava"), "--net", net, "--count", "10"]) == 0
    return folder


def test_files_say_what_the_scenes_do(written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Clips, boxes and labels of the written files are those of the scenes in memory."""
    task = task_of(tiny(size=64))
    scenes, files = task.videos("motion:10", "train"), task.videos(str(written / "ava"), "train")
    assert isinstance(files, KeyFrames)
    assert (len(files), files.classes) == (10, scenes.classes)
    for i in range(10):
        one, other = (videos.read(i, ClipRequest(0)) for videos in (scenes, files))
        inked, filmed = (sample.frames["clip"].float().mean(0) > 128 for sample in (one, other))
        assert (inked != filmed).float().sum() < 0.03 * inked.sum()
        for name in ("pixels", "labels", "seen"):
            torch.testing.assert_close(one.targets[name], other.targets[name], atol=1e-3, rtol=0)
        torch.testing.assert_close(one.frames["boxes"], other.frames["boxes"], atol=1e-3, rtol=0)
    capsys.readouterr()
    given = ["data", "check", str(written / "ava"), "--net", str(written / "net.yaml"), "--json"]
    assert main([*given, "--split", "val"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["videos"], report["unreadable"], sum(report["classes"].values()) >= 2) == (2, [], True)


def test_train_evaluate_predict(written: Path, tmp_path: Path) -> None:
    made = short(steps=2, views={"crops": 3, "short_side": "crop"}).but(task="action_detection")
    run = archdsl.train(tiny(size=64), made, str(written / "ava"), out=tmp_path / "run", device="cpu", quiet=True)
    tested = archdsl.evaluate(tmp_path / "run", device="cpu", quiet=True, out=tmp_path / "tested")
    assert tested.figures == pytest.approx(run.figures)
    assert [*tested.figures] == ["map"]
    line = json.loads((tmp_path / "tested/videos.jsonl").read_text().splitlines()[0])
    assert (line["name"], len(line["true"])) == ("val000000,0901", len(line["said"]))
    assert (tmp_path / "tested/classes.csv").read_text().startswith("class,boxes,ap\n")
    video = tmp_path / "a.mp4"
    video.write_bytes((written / "ava/videos/val000000.mp4").read_bytes())
    (tmp_path / "a.boxes.csv").write_text("a,1,0.1,0.1,0.4,0.9,,0.95\na,1,0.5,0.1,0.9,0.9,,0.99\na,1,0,0,1,1,,0.2\n")
    given = [str(tmp_path / "run"), str(video), "--pictures", str(tmp_path / "out"), "--device", "cpu"]
    assert main(["predict", *given, "-o", str(tmp_path / "said.json")]) == 0
    (said,) = json.loads((tmp_path / "said.json").read_text())
    (key,) = said["key_frames"]
    assert [box["box"] for box in key["boxes"]] == [
        pytest.approx([6.4, 6.4, 25.6, 57.6], abs=0.1),
        pytest.approx([32, 6.4, 57.6, 57.6], abs=0.1),
    ]
    picture = (tmp_path / "out/a.00000.boxes.svg").read_text()
    assert picture.count('fill="none"') == 2
    assert key["boxes"][0]["best"][0]["class"] in picture
    (tmp_path / "a.boxes.csv").unlink()
    (alone,) = archdsl.predict(tmp_path / "run", [video], device="cpu")
    assert [box["box"] for one in alone.record()["key_frames"] for box in one["boxes"]] == [[0, 0, 64, 64]] * 2


ROWS = """\
v,0902,0.1,0.1,0.4,0.9,3,0
v,0902,0.1,0.1,0.4,0.9,5,0
v,0902,0.5,0.1,0.9,0.9,3,1
v,0903,0.5,0.1,0.9,0.9,1,1
v,0904
w,0902,0.5,0.1,0.9,0.9,1,0
"""
ACTIONS = "".join(f'label {{\n  name: "a{i}"\n  label_id: {i}\n}}\n' for i in (1, 3, 5))


def ava(folder: Path, rows: str = ROWS, **others: str) -> Path:
    (folder / "annotations").mkdir(parents=True)
    (folder / "annotations/ava_action_list_v2.2_for_activitynet_2019.pbtxt").write_text(ACTIONS)
    (folder / "annotations/ava_train_v2.2.csv").write_text(rows)
    (folder / "annotations/ava_val_v2.2.csv").write_text(rows)
    for name, text in others.items():
        (folder / f"annotations/{name}.csv").write_text(text)
    return folder


def test_lists_of_ava(tmp_path: Path) -> None:
    """A box with all of its actions; excluded key frames; predicted boxes to test on, beside true ones to train on."""
    folder = ava(
        tmp_path / "ava",
        ava_train_excluded_timestamps_v2="v,0903\n",
        ava_train_predicted_boxes="v,0902,0.2,0.1,0.4,0.9,,0.85\nv,0902,0.2,0.2,0.4,0.9,,0.5\n",
        ava_detection_val_boxes_and_labels="v,902,0.2,0.1,0.4,0.9,3,0.95\nx,902,0.2,0.1,0.4,0.9,3,0.95\n",
    )
    task = task_of(tiny(5, boxes=2))
    train, test = (task.files(str(folder), split) for split in ("train", "val"))
    assert train.classes == ("a1", "id 2", "a3", "id 4", "a5")
    assert train.tested == (0, 2, 4)
    assert [train.name(i) for i in range(len(train))] == ["v,0902", "v,0902", "w,0902"]
    first, second, _ = train.key_frames
    assert first.given == (Person((0.1, 0.1, 0.4, 0.9), (2, 4)), Person((0.5, 0.1, 0.9, 0.9), (2,)))
    assert second.given == (Person((0.2, 0.1, 0.4, 0.9), ()),)
    assert (len(first.true), second.true) == (2, ())
    assert [test.name(i) for i in range(len(test))] == ["v,0902", "v,0903", "v,0904", "w,0902"]
    assert test.key_frames[0].given == (Person((0.2, 0.1, 0.4, 0.9), (2,)),)
    assert test.key_frames[1].given == ()
    assert len(test.key_frames[0].true) == 2
    assert train.entries[0].fault.startswith("ava_train_v2.2.csv: no video or folder of pictures v")
    assert train.entries[0].centre == 2


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("v,0902,0.1,0.1,0.4,nan,3,0", "not a number"),
        ("v,0902,0.1,0.1,0.4,1.7,3,0", "a box outside the frame"),
        ("v,0902,-0.2,0.1,0.4,0.7,3,0", "a box outside the frame"),
        ("v,0902,0.4,0.1,0.4,0.7,3,0", "a box without area"),
        ("v,0902,0.1,0.1,0.4,0.9,6,0", "an action that the label map lacks"),
        ("v,0902,0.1,0.1,0.4,0.9,0,0", "an action that the label map lacks"),
        ("v,0902,0.1,0.1,0.4,0.9,x,0", "not the number of an action"),
        ("v,0902,0.1,0.1,0.4,0.9,3,0", "the same line twice"),
        ("v,half,0.1,0.1,0.4,0.9,3,0", "cannot parse line"),
        ("v,0902,0.1,0.1", "cannot parse line"),
        (",0902,0.1,0.1,0.4,0.9,3,0", "cannot parse line"),
    ],
)
def test_broken_lines_are_named(line: str, what: str, tmp_path: Path) -> None:
    folder = ava(tmp_path, ROWS + line + "\n")
    with pytest.raises(SpecError) as caught:
        task_of(tiny(5)).files(str(folder), "train")
    (fault,) = caught.value.faults
    assert (fault.what, fault.written) == (what, "ava_train_v2.2.csv:7")


def test_every_broken_line_is_counted(tmp_path: Path) -> None:
    folder = ava(tmp_path, ROWS + "v,0902,0.1,0.1,0.4,nan,3,0\n" * 12)
    with pytest.raises(SpecError) as caught:
        task_of(tiny(5)).files(str(folder), "train")
    assert [one.written for one in caught.value.faults][:2] == ["ava_train_v2.2.csv:7", "ava_train_v2.2.csv:8"]
    assert caught.value.faults[-1].what == "and 2 more"


def test_folders_of_another_form_are_refused(tmp_path: Path) -> None:
    task = task_of(tiny(5))
    with pytest.raises(SpecError, match="no such folder"):
        task.files(str(tmp_path / "x"), "train")
    with pytest.raises(SpecError, match="not a folder of AVA"):
        task.files(str(tmp_path), "train")
    folder = ava(tmp_path / "y")
    maps = folder / "annotations/ava_action_list_v2.2_for_activitynet_2019.pbtxt"
    maps.write_text('  name: "a"\n  id: 1\n  name: "b"\n  id: 1\n')
    with pytest.raises(SpecError, match="two actions of one number"):
        task.files(str(folder), "train")
    maps.unlink()
    with pytest.raises(SpecError, match="no list of actions"):
        task.files(str(folder), "train")


# runs


def trained(out: Path, **changes: Any) -> Run:
    made = short(augment={"flip": 0.5, "crop": {"jitter": {"short_side": [36, 48]}}}, **changes)
    return archdsl.train(tiny(), made.but(task="action_detection"), "motion:24", out=out, device="cpu", quiet=True)


def weights_of(run: Run) -> list[Tensor]:
    return [weights.detach() for weights in run.network.parameters()]


def test_a_run_is_resumed_bit_for_bit(tmp_path: Path) -> None:
    whole = trained(tmp_path / "whole", steps=4, save_every=2, keep=9)
    first = checkpoints_in(tmp_path / "whole")[0]
    again = archdsl.train(
        tiny(), whole.recipe, "motion:24", out=tmp_path / "whole", device="cpu", quiet=True, resume=first, workers=1
    )
    assert all(map(torch.equal, weights_of(whole), weights_of(again)))


def as_one(out: Path, rank: int) -> dict[int, float]:
    run = trained(out / "two", steps=3)
    return losses(out / "two") | {9: run.figures["map"]}


@pytest.mark.slow
def test_two_processes_are_as_one(tmp_path: Path) -> None:
    run = trained(tmp_path / "one", steps=3)
    first, second = told_by_two(as_one, tmp_path)
    assert first == second
    alone = losses(tmp_path / "one") | {9: run.figures["map"]}
    assert {int(step): loss for step, loss in first.items()} == pytest.approx(alone, rel=1e-4)


AVA_NETS = [
    *("slow_4x16_r50_ava", "slowfast_4x16_r50_ava", "slowfast_8x8_r50_ava", "slowfast_8x8_r101_ava"),
    *("slowfast_8x8_r101_nl_ava", "slowfast_16x8_r101_nl_ava"),
]


@pytest.mark.slow
@pytest.mark.parametrize("name", AVA_NETS)
def test_the_zoo_trains_by_one_command(name: str, tmp_path: Path) -> None:
    """At 80 classes, of which built-in data uses eight."""
    options = ["--recipe", "smoke", "--steps", "2", "--batch", "2", "--size", "64", "--data", "motion:4"]
    assert main(["train", name, *options, "--out", str(tmp_path), "--device", "cpu", "--quiet"]) == 0
    assert 0 < losses(tmp_path)[2] < 1
