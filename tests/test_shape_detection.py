"""Masks and key points of boxes: losses and likeness by hand and beside torchvision's, COCO's forms, runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import archdsl
from archdsl.blocks import Basic, Conv, Deconv, FlattenSpace, Linear, Norm, Resize
from archdsl.errors import SpecError
from archdsl.language import Arch, Clip, Pathway, Pyramid, RegionDetector, Stage
from archdsl.recipes import recipe
from archdsl.training.batches import train_batches
from archdsl.training.data.annotations.boxes.shaped_frames import Polygons, RunLengths, mask_outline
from archdsl.training.data.clips import ClipRequest, Unreadable
from archdsl.training.data.picture_files import encode_png
from archdsl.training.data.synthetic.truth import Truth
from archdsl.training.data.targets import targets_of_clips
from archdsl.training.evaluation.boxes.box_precision import FoundFrame
from archdsl.training.evaluation.boxes.shape_scores import ShapeScores
from archdsl.training.state.checkpoints import checkpoints_in
from archdsl.training.state.skipped_videos import SkippedVideos
from archdsl.training.tasks.boxes.shape_losses import (
    COCO_SPREADS,
    cut_mask,
    mask_loss,
    mask_overlaps,
    places_in_boxes,
    point_elements,
    point_likeness,
    point_loss,
    whole_masks,
)
from archdsl.training.tasks.choice import default_recipe, task_for
from tests.processes import two_and_one
from tests.trained import ending, short

BARE = Norm(kind="none")


def tiny_shapes(kind: str = "masks", frames: int = 1, points: int = 5, above: float = 0.0) -> Arch:
    """Two maps of a pyramid; a mask of each of 2 classes, or a map of each point, for eight boxes."""
    norm = Norm(kind="group", groups=4)
    stages = {
        "stem": Stage(Conv(channels=16, kernel=(1, 5, 5), stride=(1, 4, 4), norm=norm)),
        "res4": Stage(Basic(channels=16, stride=1, norm=norm)),
        "res5": Stage(Basic(channels=16, stride=2, norm=norm)),
    }
    up = Deconv(channels=16, kernel=(1, 2, 2), stride=(1, 2, 2), norm=BARE)
    last = dict(act="none", norm=BARE)
    shapes: dict[str, Any] = {"masks": (up, Conv(channels=2, **last))}
    if kind == "points":
        shapes = {"keypoints": (up, Conv(channels=points, **last), Resize(scale=(1, 2, 2)))}
    head = RegionDetector(
        classes=2,
        sides=(((12, 20),), ((24, 40),)),
        candidates=64,
        count=32,
        region=(FlattenSpace(), Linear(channels=32, init="default")),
        given=8,
        given_above=above,
        fine=7,
        reads=("p4", "p5"),
        **shapes,
    )
    pyramid = Pyramid(levels={"p4": "rgb.res4", "p5": "rgb.res5"}, channels=16, norm=norm)
    clip = Clip(frames=frames, size=64)
    return Arch(name=f"tiny_{kind}", clip=clip, pathways={"rgb": Pathway(stages=stages)}, pyramid=pyramid, head=head)


def task_of(arch: Arch) -> Any:
    return task_for(archdsl.compile(arch), recipe("smoke"))


# losses


def test_masks_learn_the_map_of_the_true_class() -> None:
    """Of boxes that hold a thing alone, cells as shares of what lies in them."""
    rng = torch.Generator().manual_seed(0)
    said = torch.randn(3, 4, 2, 2, generator=rng)
    masks = torch.zeros(2, 8, 8, dtype=torch.uint8)
    masks[0, 2:4, 2:6] = 1
    masks[1] = 1
    boxes = torch.tensor([[2.0, 2, 6, 6], [0, 0, 8, 8], [4, 4, 8, 8]])
    found, labels = torch.tensor([0, -1, 1]), torch.tensor([3, 1])
    wanted = {(0, 3): [[1.0, 1], [0, 0]], (2, 1): [[1.0, 1], [1, 1]]}
    each = [
        torch.where(torch.tensor(cells) > 0, said[row, label].sigmoid(), 1 - said[row, label].sigmoid()).log()
        for (row, label), cells in wanted.items()
    ]
    torch.testing.assert_close(mask_loss(said, boxes, found, masks, labels), -torch.stack(each).mean())
    nothing = mask_loss(said.requires_grad_(), boxes, torch.full((3,), -1), masks, labels)
    nothing.backward()
    assert nothing == 0
    assert said.grad is not None


def test_a_cut_mask_is_the_share_of_each_cell() -> None:
    """On a shape that is one pixel wide each cell of two pixels is half full."""
    mask = torch.zeros(6, 8)
    mask[:, 3] = 1
    assert cut_mask(mask, torch.tensor([2.0, 0, 6, 6]), 2).shape == (2, 2)
    torch.testing.assert_close(cut_mask(mask, torch.tensor([2.0, 1, 6, 5]), 4), mask[1:5, 2:6])
    coarse = cut_mask(torch.ones(6, 8), torch.tensor([1.3, 0.7, 5.1, 4.4]), 3)
    torch.testing.assert_close(coarse, torch.ones(3, 3))


def test_points_learn_the_element_they_lie_in() -> None:
    boxes = torch.tensor([[2.0, 2, 10, 6]])
    points = torch.tensor([[[2.0, 2, 1], [9.9, 5.9, 1], [10, 6, 1], [1.9, 3, 1], [5, 3, 0], [6, 4, 1]]])
    assert point_elements(points, boxes, 4).tolist() == [[0, 15, 15, -1, -1, 10]]
    said = torch.randn(1, 6, 4, 4, generator=torch.Generator().manual_seed(1))
    logs = said.flatten(2).log_softmax(2)[0]
    wanted = -(logs[0, 0] + logs[1, 15] + logs[2, 15] + logs[5, 10]) / 4
    torch.testing.assert_close(point_loss(said, boxes, torch.tensor([0]), points), wanted)
    assert point_loss(said, boxes, torch.tensor([-1]), points) == 0


# shapes in the frame


def test_masks_are_put_back_into_the_frame() -> None:
    """Full ones fill their box; a half fills half of it; a box beyond the frame is cut."""
    chances = torch.ones(3, 4, 4)
    chances[1, :, 2:] = 0
    boxes = torch.tensor([[2.0, 3, 6, 7], [0, 0, 8, 8], [6, 6, 12, 12]])
    found = whole_masks(chances, boxes, (8, 10))
    assert found[0].nonzero().min(0).values.tolist() == [3, 2]
    assert found[0].sum() == 16
    assert found[1].sum() == 32
    assert found[1, :, :4].all()
    assert found[2].nonzero().min(0).values.tolist() == [6, 6]


def test_likeness_by_hand() -> None:
    """Overlap of masks, of a crowd the share of the found one; COCO's similarity of points."""
    found, true = torch.zeros(1, 4, 4).bool(), torch.zeros(2, 4, 4)
    found[0, :2] = True
    true[0, 1:], true[1, :1] = 1, 1
    assert mask_overlaps(found, true, torch.tensor([False, False])).tolist() == [[pytest.approx(4 / 16), 0.5]]
    assert mask_overlaps(found, true, torch.tensor([True, False])).tolist() == [[0.5, 0.5]]
    here = torch.zeros(1, 17, 3)
    true_points = torch.cat([here[..., :2], torch.ones(1, 17, 1)], 2)
    box = torch.tensor([[0.0, 0, 10, 20]])
    assert point_likeness(here, true_points, box).item() == 1
    off = here + torch.tensor([3.0, 4, 0])
    wanted = sum(torch.tensor(-25 / (2 * 200 * (2 * k) ** 2)).exp().item() for k in COCO_SPREADS) / 17
    assert point_likeness(off, true_points, box).item() == pytest.approx(wanted, rel=1e-4)
    true_points[0, 1:, 2] = 0  # the nose alone is known
    nose = torch.tensor(-25 / (2 * 200 * (2 * 0.026) ** 2)).exp().item()
    assert point_likeness(off, true_points, box).item() == pytest.approx(nose, rel=1e-4, abs=1e-12)


def test_points_are_read_where_their_maps_are_largest() -> None:
    maps = torch.zeros(1, 2, 4, 4)
    maps[0, 0, 1, 3], maps[0, 1, 0, 0] = 2.0, 1.0
    assert places_in_boxes(maps, torch.tensor([[2.0, 2, 10, 6]]))[0].tolist() == [[9, 3.5, 2], [3, 2.5, 1]]


def test_figures_of_shapes_beside_those_of_boxes() -> None:
    """A mask that is right to six tenths counts at overlaps of 0.5, 0.55 and 0.6."""
    box, label, score = torch.tensor([[0.0, 0, 4, 4]]), torch.tensor([1]), torch.tensor([0.9])
    frame = FoundFrame(box, label, score, box, label, torch.tensor([False]))
    scores = ShapeScores(("a",), ("background", "x"), "coco", (frame,), likeness=(torch.tensor([[0.6]]),))
    assert scores.figures["ap"] == pytest.approx(1)
    assert scores.figures["mask_ap"] == pytest.approx(0.3)
    assert (scores.figures["mask_ap50"], scores.figures["mask_ap75"]) == (pytest.approx(1), 0)


# COCO's forms


def test_polygons_hold_the_pixels_whose_middle_lies_in_them() -> None:
    """Beside a test of each pixel; parts are joined, a part may bend inwards."""
    rng = torch.Generator().manual_seed(3)
    for _ in range(5):
        corners = 12 * torch.rand(6, 2, generator=rng, dtype=torch.float64)
        mask = Polygons((tuple(corners.flatten().tolist()),)).mask((10, 12))
        for row in range(10):
            for column in range(12):
                x, y, inside = column + 0.5, row + 0.5, False
                for (x0, y0), (x1, y1) in zip(corners.tolist(), corners.roll(-1, 0).tolist()):
                    if (y0 > y) != (y1 > y) and x > x0 + (y - y0) * (x1 - x0) / (y1 - y0):
                        inside = not inside
                assert bool(mask[row, column]) == inside
    two = Polygons(((0, 0, 2, 0, 2, 2, 0, 2), (4, 4, 6, 4, 6, 6, 4, 6)))
    assert two.mask((8, 8)).sum() == 8


def test_run_lengths_go_down_the_columns() -> None:
    assert RunLengths((2, 3), (1, 2, 3)).mask((2, 3)).tolist() == [[0, 1, 0], [1, 0, 0]]
    with pytest.raises(ValueError, match="run lengths of 3 x 2 pixels, a picture of 2 x 3"):
        RunLengths((2, 3), (1, 2, 3)).mask((3, 2))
    assert mask_outline({"segmentation": {"size": [2, 3], "counts": [1, 2, 3]}}) == RunLengths((2, 3), (1, 2, 3))


@pytest.mark.parametrize(
    ("segmentation", "what"),
    [
        (None, "cannot parse segmentation"),
        ([], "cannot parse segmentation"),
        ([[1, 2, 3, 4]], "cannot parse segmentation"),
        ([[1, 2, 3, 4, 5, "x"]], "cannot parse segmentation"),
        ([[1, 2, 3, 4, 5, float("inf")]], "cannot parse segmentation"),
        ({"size": [2, 2], "counts": [3]}, "cannot parse run lengths"),
        ({"size": [2], "counts": [2]}, "cannot parse run lengths"),
        ({"size": [2, 2], "counts": "abc"}, "cannot parse run lengths"),
    ],
)
def test_broken_outlines_are_refused(segmentation: Any, what: str) -> None:
    with pytest.raises(SpecError, match=what):
        mask_outline({"segmentation": segmentation})


def coco(root: Path, kind: str, annotation: dict[str, Any]) -> Path:
    """A folder of one picture of 10 x 12 with one thing."""
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    (root / "train").mkdir(exist_ok=True)
    (root / "train/a.png").write_bytes(encode_png(torch.zeros(3, 10, 12, dtype=torch.uint8)))
    data = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [2, 2, 4, 4], **annotation}],
        "categories": [{"id": 1, "name": "thing", "keypoints": ["l_a", "r_a", "b", "c", "d"], "skeleton": [[1, 2]]}],
    }
    (root / f"annotations/{kind}_train.json").write_text(json.dumps(data))
    return root


def test_shapes_of_cocos_files(tmp_path: Path) -> None:
    task = task_of(tiny_shapes())
    root = coco(tmp_path / "m", "instances", {"segmentation": [[2, 2, 6, 2, 6, 6, 2, 6]]})
    sample = task.files(str(root), "train").read(0, ClipRequest(0))
    (mask,) = sample.targets["true_masks"][0]
    assert mask.nonzero().min(0).values.tolist() == [2, 2]
    assert mask.sum() == 16
    task = task_of(tiny_shapes("points"))
    root = coco(tmp_path / "p", "person_keypoints", {"keypoints": [2, 2, 2] * 4 + [0, 0, 0]})
    targets = task.files(str(root), "train").read(0, ClipRequest(0)).targets
    assert targets["true_points"][0][0].tolist() == [[2, 2, 1]] * 4 + [[0, 0, 0]]
    assert targets["mirror"].tolist() == [1, 0, 2, 3, 4]
    with pytest.raises(SpecError, match="knows another number of points than the data"):
        task_of(tiny_shapes("points", points=4)).files(str(root), "train")
    with pytest.raises(SpecError, match="no folder of pictures with masks"):
        task_of(tiny_shapes()).files(str(root), "train")
    root = coco(tmp_path / "r", "instances", {"segmentation": {"size": [4, 4], "counts": [16]}})
    with pytest.raises(Unreadable, match="run lengths of 4 x 4 pixels"):
        task_of(tiny_shapes()).files(str(root), "train").read(0, ClipRequest(0))
    root = coco(tmp_path / "b", "instances", {"segmentation": [[1, 2]]})
    with pytest.raises(SpecError, match="cannot parse segmentation") as caught:
        task_of(tiny_shapes()).files(str(root), "train")
    assert caught.value.faults[0].written == "instances_train.json, annotations[0]"


# targets of scenes


def shaped_batch(kind: str, frames: int = 1) -> tuple[Any, Any]:
    task = task_of(tiny_shapes(kind, frames))
    task.recipe = short(steps=1, augment={"flip": 1.0, "crop": {"jitter": {"short_side": [72, 90]}}})
    videos = task.videos("motion:8", "train")
    options: dict[str, Any] = dict(start=0, steps=1, device=torch.device("cpu"), skips=SkippedVideos(None, 0.5))
    return task, next(train_batches(videos, task.recipe, task.plan.arch.clips, task=task, **options))


@pytest.mark.parametrize("kind", ["masks", "points"])
def test_shapes_lie_in_their_boxes_after_crops_and_mirror_images(kind: str) -> None:
    """Also in clips of several frames, whose things stand one behind the other."""
    task, batch = shaped_batch(kind, frames=2)
    seen = 0
    for row in range(len(batch.weights)):
        (boxes,), (kept,) = batch.targets["boxes"][row], batch.targets["kept"][row]
        (shapes,) = batch.targets[f"true_{kind}"][row]
        assert len(shapes) == len(batch.targets["true_boxes"][row][0])
        for (x1, y1, x2, y2), shape in zip(boxes.tolist(), shapes[kept]):
            places = shape.nonzero().flip(1) + 0.5 if kind == "masks" else shape[shape[:, 2] > 0, :2]
            if len(places):
                seen += 1
                assert places[:, 0].min() >= x1 - 1
                assert places[:, 0].max() <= x2 + 1
                assert places[:, 1].min() >= y1 - 1
                assert places[:, 1].max() <= y2 + 1
    assert seen > 4
    assert len(task.truths(batch)[0]) == 2


def given_truth(task: Any, batch: Any, kind: str) -> dict[str, Tensor]:
    """Outputs that give the true boxes of every frame, and shapes that are right."""
    frames, given, channels = task.frames, 8, 2 if kind == "masks" else 5
    side = 14 if kind == "masks" else 28
    found = torch.zeros(len(batch.weights), 6, frames, given, 1)
    shapes = torch.full((len(batch.weights), channels, frames * given, side, side), -20.0)
    for row in range(len(batch.weights)):
        (true,), (kept,), (at,) = (batch.targets[name][row] for name in (f"true_{kind}", "kept", "at"))
        for place, truth in task.truths(batch)[row].items():
            mine = true[kept][at == place]
            for i, (box, label) in enumerate(zip(truth.boxes, truth.labels)):
                found[row, :, place, i, 0] = torch.cat([label.view(1), torch.ones(1), box])
                slot = place * given + i
                if kind == "masks":
                    shapes[row, label, slot] = 40 * cut_mask(mine[i], box, side) - 20
                else:
                    for point, element in enumerate(point_elements(mine[i : i + 1], box[None], side)[0].tolist()):
                        if element >= 0:
                            shapes[row, point, slot].view(-1)[element] = 20.0
    return {"detections": found, "masks" if kind == "masks" else "keypoints": shapes}


@pytest.mark.parametrize("kind", ["masks", "points"])
def test_what_is_right_costs_little_and_is_found(kind: str) -> None:
    """Right shapes have hardly a loss and are judged alike; those of the next box have one, and are not."""
    task, batch = shaped_batch(kind, frames=2)
    outputs = given_truth(task, batch, kind)
    key = "masks" if kind == "masks" else "keypoints"

    def loss_of(shapes: Tensor) -> float:
        said, known = outputs | {key: shapes}, enumerate(task.truths(batch))
        return sum(float(task.shape_loss(said, batch, row, truths)) for row, truths in known)

    right, wrong = loss_of(outputs[key]), loss_of(outputs[key].roll(1, 2))
    assert right < 0.2 * wrong
    said = task.said(outputs)
    target = targets_of_clips(batch.targets, 0)
    for place, frame, like in task.judged(said[0], target):
        kept = batch.targets["kept"][0][0]
        assert like.shape == (len(frame.boxes), len(frame.true_boxes))
        mine = kept[batch.targets["at"][0][0] == place] - int((target["true_at"][0] < place).sum())
        for i, one in enumerate(mine.tolist()):
            shape = target[f"true_{kind}"][0][kept][batch.targets["at"][0][0] == place][i]
            if (shape.sum() if kind == "masks" else shape[:, 2].sum()) > 2:
                assert like[i, one] > 0.6


def test_crops_of_a_digit_behind_others_are_what_shows_of_it() -> None:
    """Masks of a scene share no pixel."""
    task = task_of(tiny_shapes())
    videos = task.built_in("motion:8", "train")
    for i in range(8):
        (masks,) = videos.read(i, ClipRequest(0)).targets["true_masks"]
        assert masks.sum(0).max() <= 1
        truth = videos.truth(i)
        assert isinstance(truth, Truth)
        assert int(masks.sum()) == int((truth.owners[0] > 0).sum())


# runs


def trained(arch: Arch, out: Path, **changes: Any) -> Any:
    made = short(steps=4, optimizer__rate=0.01, **changes)
    return archdsl.train(arch, made, "motion:16", out=out, device="cpu", quiet=True)


@pytest.mark.parametrize("kind", ["masks", pytest.param("points", marks=pytest.mark.slow)])
def test_a_run_is_resumed_tested_and_predicts(kind: str, tmp_path: Path) -> None:
    arch = tiny_shapes(kind)
    whole = trained(arch, tmp_path / "a", average=0.9)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    first, out = checkpoints_in(tmp_path / "b")[0], tmp_path / "b"
    again = archdsl.train(arch, whole.recipe, "motion:16", out=out, device="cpu", quiet=True, resume=first, workers=1)
    assert all(map(torch.equal, whole.network.parameters(), again.network.parameters()))
    assert whole.figures == again.figures
    assert archdsl.evaluate(tmp_path / "a", device="cpu", quiet=True).figures == pytest.approx(whole.figures)
    assert {"map", f"{kind[:-1]}_ap50"} <= whole.figures.keys()
    (tmp_path / "p.png").write_bytes(encode_png(torch.zeros(3, 64, 96, dtype=torch.uint8)))
    (said,) = archdsl.predict(tmp_path / "a", [tmp_path / "p.png"], device="cpu")
    for box in said.record()["frames"][0]["boxes"]:
        assert ("mask_pixels" if kind == "masks" else "points") in box
    assert any(name.endswith(".svg") for name, _ in said.pictures())
    assert default_recipe(arch, "motion").name == "smoke"
    assert default_recipe(arch, "data").name == "fasterrcnn_coco"


def as_one(out: Path, rank: int, kind: str) -> dict[str, Any]:
    return ending(out / "run", trained(tiny_shapes(kind), out / "run"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["masks", "points"])
def test_two_processes_are_as_one(kind: str, tmp_path: Path) -> None:
    two_and_one(as_one, tmp_path, kind)
