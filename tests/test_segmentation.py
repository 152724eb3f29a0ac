"""The class of every pixel: figures as torchmetrics has them, masks that move with frames, folders, one command."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copytree
from struct import pack
from typing import Any
from zlib import compress, crc32

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_jaccard_index

import archdsl
from archdsl.blocks import Conv
from archdsl.cli import main
from archdsl.errors import SpecError
from archdsl.language import Arch, Clip, Dense, Pathway, Several, Stage
from archdsl.language.writers.yaml_writer import to_yaml
from archdsl.recipes import recipe
from archdsl.training.batches import train_batches
from archdsl.training.data.annotations.mask_folders import mask_folder
from archdsl.training.data.annotations.masked_frames import class_ids
from archdsl.training.data.clips import Batch, ClipRequest, Unreadable
from archdsl.training.data.picture_files import encode_png
from archdsl.training.data.reader.decoder import frame_pixels
from archdsl.training.data.sources.pictures import decode_picture
from archdsl.training.evaluation.label_maps import PixelScores, class_colour, confusion_of
from archdsl.training.state.checkpoints import checkpoints_in
from archdsl.training.state.skipped_videos import SkippedVideos
from archdsl.training.tasks.choice import default_recipe, task_for
from archdsl.training.tasks.segmentation import Segmentation
from tests.filmed import film, numbered_frames
from tests.trained import entries, short


def tiny(classes: int = 11, frames: int = 3, act: Any = "none", enlarge: bool = True, size: int = 32) -> Arch:
    """One convolution at half the size, and the class of each pixel."""
    stages = dict(stem=Stage(Conv(channels=8, kernel=(3, 5, 5), stride=(1, 2, 2))))
    head = Dense(classes=classes, act=act, enlarge=enlarge)
    return Arch(
        name="tiny_map", clip=Clip(frames=frames, size=size), pathways=dict(main=Pathway(stages=stages)), head=head
    )


def task_of(arch: Arch, **options: Any) -> Segmentation:
    made = task_for(archdsl.compile(arch), recipe("smoke").but(task={"segmentation": options}))
    assert isinstance(made, Segmentation)
    return made


def batch_of(labels: Tensor, frames: list[int]) -> Batch:
    n = len(labels)
    targets = {"labels": labels.to(torch.uint8), "frame": torch.tensor(frames)}
    return Batch(torch.zeros(n), targets, torch.ones(n), tuple(range(n)), (), (), (), 0.0)


def scores_of(said: Tensor, labels: Tensor, classes: int) -> PixelScores:
    pixels = torch.stack([confusion_of(one, truth, classes) for one, truth in zip(said, labels)])
    return PixelScores(tuple(map(str, range(len(said)))), tuple(map(str, range(classes))), pixels)


@pytest.mark.parametrize("absent", [(), (2,), (0, 4)])
@pytest.mark.parametrize("ignored", [0.0, 0.3])
def test_figures_are_those_of_torchmetrics(absent: tuple[int, ...], ignored: float) -> None:
    """Of all frames at once; a class that is neither there nor said is no part of a mean."""
    rng = torch.Generator().manual_seed(len(absent))
    kept = torch.tensor([i for i in range(5) if i not in absent])
    labels, said = (kept[torch.randint(len(kept), (4, 9, 7), generator=rng)] for _ in range(2))
    labels[torch.rand(labels.shape, generator=rng) < ignored] = 255
    labels[0] = 255
    found = scores_of(said, labels, 5).figures
    given = {"num_classes": 5, "ignore_index": 255}
    assert found["miou"] == pytest.approx(float(multiclass_jaccard_index(said, labels, average="macro", **given)))
    assert found["pixel_accuracy"] == pytest.approx(float(multiclass_accuracy(said, labels, average="micro", **given)))
    assert found["mean_pixel_accuracy"] == pytest.approx(
        float(multiclass_accuracy(said, labels, average="macro", **given))
    )


def test_figures_by_hand_and_of_frames_without_labels() -> None:
    said, labels = torch.tensor([[[0, 0, 1, 1, 0, 1]]] * 2), torch.tensor([[[0, 1, 1, 255, 0, 1]], [[255] * 6]])
    made = scores_of(said, labels, 3)
    assert made.figures == pytest.approx({"miou": 2 / 3, "pixel_accuracy": 0.8, "mean_pixel_accuracy": 5 / 6})
    first, second = made.lines()
    assert first["miou"] == pytest.approx(2 / 3)
    assert second == {"name": "1", "pixels": 0, "miou": None, "pixel_accuracy": None}
    classes = dict(made.files("t"))["classes.csv"].splitlines()
    assert classes[0] == "class,pixels,iou,accuracy"
    assert classes[3].startswith("2,0,,")


def test_said_but_never_there_counts_as_a_wrong_class() -> None:
    made = scores_of(torch.tensor([[[0, 2]]]), torch.tensor([[[0, 0]]]), 3)
    assert made.figures["miou"] == pytest.approx(0.25)  # 1/2, left out, 0


def test_nothing_labelled_is_an_error_and_adds_no_loss() -> None:
    task, none = task_of(tiny()), torch.full((2, 32, 32), 255)
    batch = batch_of(none, [0, 2])
    outputs = torch.randn(2, 11, 3, 32, 32, requires_grad=True)
    assert task.amounts(batch).tolist() == [0, 0]
    loss = task.loss(outputs, batch, task.amounts(batch).sum()).sum()
    loss.backward()
    assert loss == 0
    assert outputs.grad is not None
    assert not outputs.grad.any()
    with pytest.raises(SpecError, match="no pixel is labelled"):
        task.results({0: torch.zeros(11, 11, dtype=torch.long)}, task.built_in("motion:1", "val"), ())


@pytest.mark.parametrize("enlarge", [True, False])
def test_the_loss_is_the_mean_over_labelled_pixels_of_the_labelled_frames(enlarge: bool) -> None:
    """Not the mean of clips' means; maps that leave small are enlarged."""
    task, side = task_of(tiny(enlarge=enlarge)), 32 if enlarge else 16
    assert task.plan.outputs["scores"] == (11, 3, side, side)
    outputs, labels = torch.randn(2, 11, 3, side, side), torch.randint(11, (2, 32, 32))
    labels[0, 4:] = 255
    batch = batch_of(labels, [2, 0])
    loss = task.loss(outputs, batch, task.amounts(batch).sum())
    picked = torch.stack([outputs[0, :, 2], outputs[1, :, 0]])
    large = functional.interpolate(picked, size=(32, 32), mode="bilinear")
    torch.testing.assert_close(loss.sum(), functional.cross_entropy(large, labels, ignore_index=255))


def test_chances_are_learnt_by_their_logarithm() -> None:
    scores, labels = 200 * torch.randn(2, 11, 3, 32, 32), torch.randint(11, (2, 32, 32))
    batch = batch_of(labels, [1, 1])
    totals = torch.tensor(2 * 32 * 32.0)
    chances, plain = task_of(tiny(act="softmax")), task_of(tiny())
    near = scores / 200
    torch.testing.assert_close(chances.loss(near.softmax(1), batch, totals), plain.loss(near, batch, totals))
    far = scores.softmax(1).requires_grad_()
    loss = chances.loss(far, batch, totals).sum()
    loss.backward()
    assert loss.isfinite()
    assert far.grad is not None
    assert far.grad.isfinite().all()


def test_scores_that_are_not_finite_are_refused() -> None:
    with pytest.raises(SpecError, match="scores are not finite"):
        task_of(tiny()).said(torch.full((1, 11, 3, 32, 32), torch.nan))


@pytest.mark.parametrize("kind", ["motion:8", "motion:still:8"])
def test_labels_lie_on_what_the_labelled_frame_shows(kind: str) -> None:
    """Digits are brighter than any ground; still scenes show their first frame at every place."""
    videos = task_of(tiny()).videos(kind, "train")
    samples = [videos.read(i, ClipRequest(0)) for i in range(8)]
    for one in samples:
        shown = one.frames["clip"][:, one.targets["frame"]].amin(0) > 0.6 * 255
        assert torch.equal(shown, one.targets["labels"] > 0)
    assert {int(one.targets["frame"]) for one in samples} == {0, 1, 2}
    moving = task_of(tiny(9), scenes="motions").videos(kind, "train")
    assert len(moving.classes) == 9
    assert moving.read(0, ClipRequest(0)).targets["labels"].max() <= 8


def test_labels_are_mirrored_and_cropped_with_frames() -> None:
    """In the batches of a training."""
    task = task_of(tiny())
    made = short(steps=2, augment={"flip": 0.5, "crop": {"corners": {"scales": [1]}}}).but(task="segmentation")
    task.recipe = made
    videos = task.videos("motion:16", "train")
    feed = train_batches(
        videos,
        made,
        task.plan.arch.clips,
        task=task,
        start=0,
        steps=2,
        device=torch.device("cpu"),
        skips=SkippedVideos(),
    )
    for batch in feed:
        assert isinstance(batch.clips, Tensor)
        for clip, labels, frame in zip(batch.clips, batch.targets["labels"], batch.targets["frame"]):
            assert torch.equal(clip[:, frame].amin(0) > 0.2, labels > 0)


def write_pair(folder: Path, name: str, image: Tensor | None, mask: Tensor | None) -> None:
    for kind, picture in (("images", image), ("masks", mask)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        if picture is not None:
            data = mask_png(picture) if picture.ndim == 2 else encode_png(picture)
            (folder / kind / f"{name}.png").write_bytes(data)


def mask_png(picture: Tensor, palette: bool = False) -> bytes:
    """A PNG of gray levels, or of indices of a palette that is not gray.  (h, w) uint8"""
    height, width = picture.shape
    lines = b"".join(b"\0" + bytes(line) for line in picture.tolist())
    chunks = [(b"IHDR", pack(">IIBBBBB", width, height, 8, 3 if palette else 0, 0, 0, 0))]
    chunks += [(b"PLTE", bytes(x for i in range(256) for x in (255 - i, 7, i)))] if palette else []
    chunks += [(b"IDAT", compress(lines)), (b"IEND", b"")]
    parts = [pack(">I", len(data)) + kind + data + pack(">I", crc32(kind + data)) for kind, data in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four pairs of each split: squares on black, the last column of each mask unlabelled."""
    (tmp_path / "classes.txt").write_text("ground\nsquare\n")
    for split in ("train", "val"):
        for i in range(4):
            mask = torch.zeros(40, 48, dtype=torch.uint8)
            mask[4 + i : 20, 4:20] = 1
            image = (mask * 200).expand(3, 40, 48).contiguous()
            mask[:, -1] = 255
            write_pair(tmp_path / split, f"{i:03}", image, mask)
    return tmp_path


def test_a_folder_of_masks_trains_and_is_tested(folder: Path, tmp_path: Path) -> None:
    """The same as its images say; a mask is read as its numbers."""
    videos = mask_folder(folder, "val", tiny(2).clips)
    sample = videos.read(0, ClipRequest(0))
    assert videos.classes == ("ground", "square")
    assert videos.name(0) == "images/000.png"
    assert torch.equal(sample.targets["labels"][:, :-1] == 1, sample.frames["clip"][0, 2, :, :-1] == 200)
    assert (sample.targets["labels"][:, -1] == 255).all()
    made = short(steps=20, augment={"flip": 0.5}, optimizer__rate=0.1).but(task="segmentation")
    run = archdsl.train(tiny(2), made, str(folder), out=tmp_path / "run", device="cpu", quiet=True)
    assert run.figures["miou"] > 0.8
    assert [*run.figures] == ["miou", "pixel_accuracy", "mean_pixel_accuracy"]


def test_broken_pairs_are_named_by_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image, mask = torch.zeros(3, 40, 48, dtype=torch.uint8), torch.zeros(40, 48, dtype=torch.uint8)
    write_pair(folder / "train", "small", image, mask[:39])
    high = mask.clone()
    high[3, 5:7] = 2
    write_pair(folder / "train", "high", image, high)
    write_pair(folder / "train", "colours", image, image)
    write_pair(folder / "train", "alone", image, None)
    write_pair(folder / "train", "lost", None, mask)
    write_pair(folder / "train", "torn", image, mask)
    (folder / "train/masks/torn.png").write_bytes(b"\x89PNG")
    (folder / "train/masks/notes.txt").write_text("")
    (folder / "tiny.yaml").write_text(to_yaml(tiny(2)))
    assert main(["data", "check", str(folder), "--net", str(folder / "tiny.yaml"), "--json", "--split", "train"]) == 1
    report = json.loads(capsys.readouterr().out)
    found = {one["name"]: one["reason"] for one in report["unreadable"]}
    assert report["videos"] == 10
    assert report["left_out"] == ["masks/notes.txt"]
    assert found.pop("images/torn.png").startswith("torn.png cannot be read: ")
    assert "rgb24" in found.pop("images/colours.png")
    assert found == {
        "images/small.png": "masks/small.png has 48x39 pixels, the image 48x40",
        "images/high.png": "masks/high.png has class 2 at row 3, column 5: classes are 0 to 1, and 255 for none; "
        "2 pixels are of none",
        "images/alone.png": "no mask of that name in masks",
        "masks/lost.png": "no image of that name in images",
    }


def test_a_folder_of_another_form_is_refused(folder: Path) -> None:
    clips = tiny(2).clips
    with pytest.raises(SpecError, match="not a folder of images and masks"):
        mask_folder(folder, "test", clips)
    (folder / "train/images/000.jpg").write_bytes(b"")
    with pytest.raises(SpecError, match="two pictures of one name"):
        mask_folder(folder, "train", clips)
    (folder / "classes.txt").write_text("7 road\n8 kerb\n")
    with pytest.raises(SpecError, match="not numbered from 0"):
        mask_folder(folder, "val", clips)


def test_classes_that_do_not_fit_are_refused_with_a_fix() -> None:
    task = task_of(tiny(19))
    with pytest.raises(SpecError) as caught:
        task.check_classes(task.videos("motion:1", "train").classes)
    assert caught.value.faults[0].fix == "--classes 11"


def test_recipes_of_the_task() -> None:
    arch = archdsl.load("dff_r101_deeplab")
    assert default_recipe(arch, "motion").name == "smoke"
    made = default_recipe(arch, "cityscapes")
    assert made.name == "dff_cityscapes"
    rates = [made.rate_at(step, 2975) for step in (0, 1000, 14999, 15000, 19999)]
    assert rates == pytest.approx([5e-5, 5e-4, 5e-4, 5e-5, 5e-5])


def test_predictions_colour_every_frame(tmp_path: Path) -> None:
    """The masks' colours over the frames, as PNG."""
    made = short(steps=1).but(task="segmentation")
    archdsl.train(tiny(), made, "motion:8", out=tmp_path / "run", device="cpu", quiet=True)
    film(tmp_path / "a.mp4", numbered_frames(6, 32, 32))
    given = [str(tmp_path / "run"), str(tmp_path / "a.mp4"), "--pictures", str(tmp_path / "out"), "--device", "cpu"]
    assert main(["predict", *given]) == 0
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == [f"a.{i}.png" for i in range(1, 7)]
    (said,) = archdsl.predict(tmp_path / "run", [tmp_path / "a.mp4"], device="cpu")
    record = said.record()
    assert sum(one["share"] for one in record["shares"]) <= 1 + 1e-9
    assert (record["frames"], record["height"], record["width"]) == (6, 32, 32)
    picture = decode_picture(tmp_path / "out/a.3.png", "a", frame_pixels).float()
    colour = torch.tensor([class_colour(int(i)) for i in said.maps[2].flatten()]).T.view(3, 32, 32)
    torch.testing.assert_close(picture, (said.frames[:, 2] + colour) / 2, atol=0.51, rtol=0)
    assert len({class_colour(i) for i in range(255)}) == 255


@pytest.mark.slow
def test_deep_feature_flow_trains_by_one_command(tmp_path: Path) -> None:
    """Two steps, then a test of the whole: smaller than the paper's."""
    given = ["--param", "depth=50", "--size", "32", "--classes", "11", "--data", "motion:2", "--steps", "2"]
    quick = ["--batch", "2", "--device", "cpu", "--quiet", "--out", str(tmp_path), "--set", "recipe.log_every=1"]
    assert main(["train", "dff_r101_deeplab", *given, *quick, "--set", "recipe.optimizer.rate=0.001"]) == 0
    found = entries(tmp_path)
    assert [one["loss"] > 0 for one in found if "loss" in one] == [True, True]
    assert 0 <= found[-1]["miou"] <= 1


def test_a_palette_is_read_as_numbers(tmp_path: Path) -> None:
    for palette in (False, True):
        picture = torch.arange(256, dtype=torch.uint8).view(4, 64)[:, :61]
        (tmp_path / "m.png").write_bytes(mask_png(picture, palette))
        assert torch.equal(decode_picture(tmp_path / "m.png", "m", class_ids), picture)


def test_a_mask_that_does_not_fit_is_skipped_and_counted(folder: Path, tmp_path: Path) -> None:
    (folder / "val/masks/000.png").write_bytes(mask_png(torch.full((40, 48), 9, dtype=torch.uint8)))
    with pytest.raises(Unreadable, match="class 9 at row 0, column 0"):
        mask_folder(folder, "val", tiny(2).clips).read(0, ClipRequest(0))
    made = short(steps=1, most_skipped=0.5).but(task="segmentation")
    run = archdsl.train(tiny(2), made, str(folder), out=tmp_path / "run", device="cpu", quiet=True)
    tested = archdsl.evaluate(tmp_path / "run", device="cpu", quiet=True)
    assert tested.names == ("images/001.png", "images/002.png", "images/003.png")
    assert tested.skipped == ("images/000.png",)
    assert tested.figures == pytest.approx(run.figures)


def test_a_run_is_resumed_bit_for_bit(tmp_path: Path) -> None:
    """From its second step, with a reader beside it."""
    made = short(steps=4, augment={"flip": 0.5}).but(task={"segmentation": {"scenes": "motions"}})
    whole = archdsl.train(tiny(9), made, "motion:16", out=tmp_path / "a", device="cpu", quiet=True)
    copytree(tmp_path / "a", tmp_path / "b")
    first = checkpoints_in(tmp_path / "b")[0]
    again = archdsl.train(
        tiny(9), made, "motion:16", out=tmp_path / "b", device="cpu", quiet=True, resume=first, workers=1
    )
    assert all(map(torch.equal, whole.network.parameters(), again.network.parameters()))
    assert whole.figures == again.figures


def test_auxiliary_scores_count_by_their_share() -> None:
    """The loss has that of an auxiliary head, a quarter of it; what is said, judged and checked has not."""
    arch = tiny(classes=3)
    ends = dict(main=Stage(Conv(channels=8)), aux=Stage(Conv(channels=4)))
    pathways = arch.pathways | {name: Pathway(after="main.stem", stages={"end": end}) for name, end in ends.items()}
    pathways = dict(trunk=arch.pathways["main"], **{k: p.but(after="trunk") for k, p in pathways.items() if p.after})
    heads = dict(scores=Dense(classes=3, reads=("main",)), aux=Dense(classes=3, act="softmax", reads=("aux",)))
    task = task_of(arch.but(pathways=pathways, head=Several(heads=heads, auxiliary=dict(aux=0.25))))
    maps = {"scores": torch.randn(2, 3, 3, 32, 32), "aux": torch.randn(2, 3, 3, 32, 32).softmax(1)}
    labels, frames = torch.randint(3, (2, 32, 32)), torch.tensor([0, 2])
    batch = batch_of(labels, [0, 2])
    both = [functional.cross_entropy(maps["scores"][[0, 1], :, frames], labels, reduction="sum")]
    both.append(functional.nll_loss(maps["aux"][[0, 1], :, frames].log(), labels, reduction="sum"))
    got = task.loss(maps, batch, torch.tensor(1.0)).sum()
    torch.testing.assert_close(got, both[0] + 0.25 * both[1])
    said = task.said(maps)
    assert torch.stack([one[t] for one, t in zip(said, (0, 2))]).equal(
        maps["scores"][[0, 1], :, frames].argmax(1).to(torch.uint8)
    )
    task.check_classes(("a", "b", "c"))
    with pytest.raises(SpecError, match="other classes than the masks"):
        task.check_classes(("a", "b"))
