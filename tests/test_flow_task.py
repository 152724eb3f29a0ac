"""Optical flow: targets, loss and metric by hand, files as FlyingChairs has them, and a network that trains."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import archdsl
from archdsl.blocks import Conv, FlowNetS
from archdsl.cli import main
from archdsl.errors import SpecError
from archdsl.language import Arch, Clip, Dense, Pathway, Stage
from archdsl.language.writers.yaml_writer import to_yaml
from archdsl.recipes import recipe
from archdsl.training.data.clips import Batch, ClipRequest, Unreadable
from archdsl.training.data.inspection import check_videos
from archdsl.training.data.sources.flow_pairs import flow_pairs
from archdsl.training.data.sources.pictures import read_picture
from archdsl.training.data.transforms.crops import view_crop
from archdsl.training.data.transforms.geometry import uncut
from archdsl.training.evaluation.flow_picture import colour_wheel, flow_colours
from archdsl.training.tasks.choice import default_recipe, task_for
from archdsl.training.tasks.flow import FLOW_UNIT, Flow, averaged_flow, end_point_errors, flow_back
from tests.filmed import film, numbered_frames
from tests.trained import losses

NAN = float("nan")
SMOKE = recipe("smoke_flow", steps=2, batch=2)


def tiny(base: int = 2, size: int = 64) -> Arch:
    """FlowNet-S with few channels."""
    stages = {"net": Stage(FlowNetS(base=base))}
    head = Dense(classes=2, kernel=3, enlarge=False, predicts="flow")
    return Arch(
        name="tiny_flow", clip=Clip(frames=2, size=size), pathways={"flow": Pathway(pairs=2, stages=stages)}, head=head
    )


def flow_task(arch: Arch | None = None) -> Flow:
    made = task_for(archdsl.compile(arch or tiny()), SMOKE)
    assert isinstance(made, Flow)
    return made


def batch_of(targets: Tensor) -> Batch:
    count = len(targets)
    return Batch(torch.zeros(count), targets, torch.ones(count), (), (), (), (), 0.0)


def some_flow(*shape: int, unknown: float = 0.0, seed: int = 0) -> Tensor:
    """Random flow of which a share of the pixels is unknown."""
    rng = torch.Generator().manual_seed(seed)
    flow = 10 * torch.randn(*shape, generator=rng)
    gone = torch.rand(*shape[:-3], 1, *shape[-2:], generator=rng) < unknown
    return torch.where(gone, NAN, flow)


@pytest.mark.parametrize("unknown", [0.0, 0.3, 1.0])
def test_errors_are_those_of_numpy(unknown: float) -> None:
    target, flow = some_flow(3, 2, 5, 7, unknown=unknown), some_flow(3, 2, 5, 7, seed=1)
    told = flow_task().judged(flow[0], target[0])
    t, f = target.numpy(), flow.numpy()
    wanted = np.sqrt((f[:, 0] - t[:, 0]) ** 2 + (f[:, 1] - t[:, 1]) ** 2)
    assert end_point_errors(flow, target).numpy() == pytest.approx(np.nan_to_num(wanted), abs=1e-5)
    assert told.pixels == np.isfinite(wanted[0]).sum()
    assert told.total == pytest.approx(np.nansum(wanted[0]), abs=1e-3)
    if unknown == 1:
        assert (told.pixels, told.total, told.mean) == (0, 0.0, None)


def test_the_loss_is_that_of_flownet_by_hand() -> None:
    """Of two levels; the second clip has pixels whose flow is unknown, a whole cell among them."""
    made, target = flow_task(), some_flow(2, 2, 64, 64)
    target[1, 1, :20, :5] = NAN
    outputs = {"coarse": some_flow(2, 2, 1, 8, 8, seed=1) / 20, "fine": some_flow(2, 2, 1, 16, 16, seed=2) / 20}
    wanted = np.zeros(2)
    for name, weight, side in (("fine", 0.005, 16), ("coarse", 0.01, 8)):
        step = 64 // side
        for clip, row, column in np.ndindex(2, side, side):
            cell = target[clip, :, row * step : (row + 1) * step, column * step : (column + 1) * step].numpy() / 20
            known = np.isfinite(cell).all(0)
            if known.any():
                mean = cell[:, known].mean(1)
                wanted[clip] += weight * np.hypot(*(outputs[name][clip, :, 0, row, column].numpy() - mean))
    told = made.loss(outputs, batch_of(target), torch.tensor(2.0))
    assert told.tolist() == pytest.approx((wanted / 2).tolist(), rel=1e-4)


def test_perfect_and_unknown_flow_have_no_loss_and_no_gradient() -> None:
    target = torch.full((2, 2, 64, 64), 20.0)
    target[1] = NAN
    out = torch.ones(2, 2, 1, 16, 16, requires_grad=True)
    loss = flow_task().loss(out, batch_of(target), torch.tensor(2.0))
    loss.sum().backward()
    assert loss.tolist() == [0, 0]
    assert out.grad is not None
    assert out.grad.abs().sum() == 0


def test_cells_are_means_of_what_is_known() -> None:
    target = torch.tensor([[[[1.0, 3.0], [NAN, 5.0]], [[2.0, 2.0], [7.0, 2.0]]]])
    assert averaged_flow(target, (1, 1)).flatten().tolist() == [3.0, 2.0]
    assert averaged_flow(torch.full((1, 2, 2, 2), NAN), (1, 1)).isnan().all()


def test_targets_say_where_each_pixel_of_the_second_frame_is_in_the_first() -> None:
    """Read off the pixels themselves: a digit of the second frame has its colours in the first, there."""
    made, moved = flow_task().scenes("motion:24", "val", flow_back, (), digits=(1, 1)), 0
    for index in range(len(made)):
        sample = made.read(index, ClipRequest(0))
        first, second = sample.frames["clip"].unbind(1)
        rows, columns = torch.where((sample.targets != 0).any(0))
        x, y = sample.targets[:, rows, columns].long()
        assert torch.equal(second[:, rows, columns], first[:, rows + y, columns + x])
        moved += len(rows)
    assert moved > 1000


def test_flow_moves_with_its_frames() -> None:
    """A mirror image negates x; half the size halves both; what is not known spreads to what reads it, no further."""
    made, flow = flow_task(), some_flow(2, 8, 8)
    mirrored = made.moved(flow, uncut((8, 8)).flipped())
    assert torch.equal(mirrored[0], -flow[0].flip(1))
    assert torch.equal(mirrored[1], flow[1].flip(1))
    flow = torch.full((2, 8, 8), 6.0)
    flow[0, 0, 0] = NAN
    half = made.moved(flow, view_crop(0, 1, (8, 8), 4, (4, 4)))
    assert half.shape == (2, 4, 4)
    assert half[:, 0, 0].isnan().all()
    assert half[:, 2:, 2:].flatten().tolist() == pytest.approx([3.0] * 8)


def test_output_is_enlarged_in_pixels() -> None:
    (said,) = flow_task().said(torch.full((1, 2, 1, 16, 16), 0.5))
    assert said.shape == (2, 64, 64)
    assert said.unique().tolist() == [FLOW_UNIT / 2]


def test_the_metric_counts_pixels_not_pairs() -> None:
    made, videos = flow_task(), flow_task().built_in("motion:2", "val")
    sparse, dense = torch.full((2, 4, 4), NAN), torch.zeros(2, 4, 4)
    sparse[:, 0, 0] = 0.0
    flow = torch.zeros(2, 4, 4)
    flow[0] = 3.0
    found = {0: made.judged(flow, sparse), 1: made.judged(flow / 3, dense)}
    assert made.results(found, videos, ()).figures == {"epe_px": pytest.approx((3 + 16) / 17)}
    joined = made.joined(*found.values())
    assert (joined.total, joined.pixels) == (pytest.approx(19), 17)
    with pytest.raises(SpecError, match="no flow to compare with"):
        made.results({0: made.judged(flow, torch.full((2, 4, 4), NAN))}, videos, ())
    with pytest.raises(SpecError, match="not finite"):
        made.results({0: made.judged(flow * NAN, dense)}, videos, ())


def test_colours_are_middleburys() -> None:
    """The first, and the place where each of the six ranges begins, in the published wheel."""
    wheel = (255 * colour_wheel()).round().int().tolist()
    assert len(wheel) == 55
    starts = {0: [255, 0, 0], 15: [255, 255, 0], 21: [0, 255, 0], 25: [0, 255, 255], 36: [0, 0, 255], 49: [255, 0, 255]}
    assert {place: wheel[place] for place in starts} == starts
    assert (wheel[1], wheel[16]) == ([255, 17, 0], [213, 255, 0])
    flow = torch.tensor([[[1.0, 0.0, NAN, -1.0]], [[0.0, 0.0, 1.0, 0.0]]])
    picture = flow_colours(flow)
    assert picture[:, 0, 0].tolist() == [255, 0, 0]
    assert picture[:, 0, 1].tolist() == [255, 255, 255]
    assert picture[:, 0, 2].tolist() == [0, 0, 0]
    assert picture[2, 0, 3] == 255  # to the left: blue


def write_pair(folder: Path, stem: str, frames: Tensor, flow: Tensor) -> None:
    """A pair as FlyingChairs has it: (first, second), and flow at the first one's pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, picture in enumerate(frames.unbind(1), 1):
        _, height, width = picture.shape
        body = picture.permute(1, 2, 0).numpy().tobytes()
        (folder / f"{stem}_img{i}.ppm").write_bytes(b"P6\n%d %d\n255\n" % (width, height) + body)
    head = struct.pack("<fii", 202021.25, *flow.shape[:0:-1])
    (folder / f"{stem}_flow.flo").write_bytes(head + flow.permute(1, 2, 0).contiguous().numpy().tobytes())


def chairs(folder: Path, count: int = 4) -> Path:
    """Built-in pairs as files, the last one to test on."""
    made = flow_task().built_in(f"motion:{count}", "train")
    for index in range(count):
        sample = made.read(index, ClipRequest(0))
        write_pair(folder / "data", f"{index + 1:05d}", sample.frames["clip"].flip(1), sample.targets)
    (folder / "FlyingChairs_train_val.txt").write_text("1\n" * (count - 1) + "2\n")
    return folder


def test_files_are_read_as_they_were_made(tmp_path: Path) -> None:
    built_in = flow_task().built_in("motion:4", "train")
    for data in (chairs(tmp_path), tmp_path / "data"):
        train, val, test = (flow_task().videos(str(data), split) for split in ("train", "val", "test"))
        assert [train.name(i) for i in range(len(train))] == ["00001", "00002", "00003"]
        assert [val.name(0), test.name(0), len(val)] == ["00004", "00004", 1]
        for index in range(3):
            one, other = train.read(index, ClipRequest(0)), built_in.read(index, ClipRequest(0))
            assert torch.equal(one.frames["clip"], other.frames["clip"])
            assert torch.equal(one.targets, other.targets)


def test_built_in_pairs_are_written_as_flying_chairs(tmp_path: Path) -> None:
    """By the command; read again they are the pairs in memory."""
    (tmp_path / "tiny.yaml").write_text(to_yaml(tiny()))
    made = ["data", "make", "motion", str(tmp_path / "d"), "--net", str(tmp_path / "tiny.yaml"), "--count", "5"]
    assert main(made) == 0
    task = flow_task()
    for split, count in (("train", 5), ("val", 1)):
        read, known = (task.videos(data, split) for data in (str(tmp_path / "d"), f"motion:{count}"))
        assert len(read) == count
        for i in range(count):
            one, other = (videos.read(i, ClipRequest(0)) for videos in (read, known))
            assert one.targets.equal(other.targets)
            assert one.frames["clip"].equal(other.frames["clip"])


def spoilt(path: Path, start: int, data: bytes) -> None:
    """Some bytes of a file replaced."""
    body = bytearray(path.read_bytes())
    body[start : start + len(data)] = data
    path.write_bytes(body)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda p: spoilt(p, 0, b"XXXX"), "00001_flow.flo is not a .flo file: it does not begin with 202021.25"),
        (lambda p: p.write_bytes(b""), "an empty file"),
        (lambda p: p.write_bytes(p.read_bytes()[:7]), "00001_flow.flo says 64x0, its pictures are 64x64"),
        (lambda p: p.write_bytes(p.read_bytes()[:-1]), "00001_flow.flo has fewer than 32768 bytes of flow"),
        (lambda p: p.write_bytes(p.read_bytes() + b"1"), "00001_flow.flo has more than 32768 bytes of flow"),
        (
            lambda p: spoilt(p, 4, struct.pack("<ii", -1, 2**31 - 1)),
            "00001_flow.flo says -1x2147483647, its pictures are 64x64",
        ),
        (lambda p: p.unlink(), "no file 00001_flow.flo"),
        (lambda p: (p.unlink(), p.mkdir()), "no file 00001_flow.flo"),
        (lambda p: (p.parent / "00001_img2.ppm").unlink(), "no file 00001_img2.ppm"),
        (
            lambda p: (p.parent / "00001_img2.ppm").write_bytes(b"P6\n1 2\n255\n" + bytes(6)),
            "pictures of 64x64 and 1x2",
        ),
    ],
)
def test_broken_files_are_named(spoil: Any, reason: str, tmp_path: Path) -> None:
    data = chairs(tmp_path, 2)
    spoil(data / "data" / "00001_flow.flo")
    found = [*check_videos(flow_task().videos(str(data), "train"), 0)]
    assert [(one.name, one.reason) for one in found] == [("00001", reason)]


def test_flow_that_is_no_number_or_endless_is_unknown(tmp_path: Path) -> None:
    data = chairs(tmp_path, 2)
    spoilt(data / "data" / "00001_flow.flo", 12, struct.pack("<ffffff", NAN, 1, float("inf"), 1, 1, -2e9))
    target = flow_pairs(str(data), "train", "clip").read(0, ClipRequest(0)).targets
    assert target.isfinite().all(0).flatten().tolist()[:4] == [False, False, False, True]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1\n2\n", ["a list needs a line for each pair", "2 lines", "3 lines"]),
        ("1\n3\n\n", ["no split", "train_val.txt:2", "3", "train_val.txt:3", "an empty line", "1 or 2"]),
        ("2\n2\n2\n", ["no pairs for train"]),
        (None, ["no list says which pairs to train on"]),
    ],
)
def test_a_wrong_list_is_named_by_its_line(text: str | None, said: list[str], tmp_path: Path) -> None:
    path = chairs(tmp_path, 3) / "FlyingChairs_train_val.txt"
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(SpecError) as caught:
        flow_pairs(str(tmp_path), "train", "clip")
    assert all(part in str(caught.value) for part in said), str(caught.value)


def test_folders_without_pairs(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no such folder"):
        flow_pairs(str(tmp_path / "none"), "train", "clip")
    with pytest.raises(SpecError, match="no pairs of pictures with flow"):
        flow_pairs(str(tmp_path), "train", "clip")
    chairs(tmp_path, 2)
    (tmp_path / "data").rename(tmp_path / "val")
    assert len(flow_pairs(str(tmp_path), "test", "clip")) == 2


def test_networks_that_are_not_for_it() -> None:
    head = Dense(classes=2, predicts="flow", enlarge=False)
    pathways = {"main": Pathway(stages={"stem": Stage(Conv(channels=4, stride=(1, 4, 4)))})}
    four = Arch(name="four", clip=Clip(frames=4, size=32), pathways=pathways, head=head)
    with pytest.raises(SpecError, match="four does not read a pair of frames"):
        flow_task(four).check_classes(())
    with pytest.raises(SpecError, match="two does not output flow"):
        flow_task(Arch(name="two", clip=Clip(frames=2, size=32), pathways=pathways, head=head)).built_in(
            "motion", "train"
        )
    with pytest.raises(SpecError, match="outputs flow, not classes"):
        flow_task().check_classes(("a", "b"))


@pytest.mark.parametrize("name", ["mixup", "cutmix", "rand_augment"])
def test_an_augmentation_that_flow_does_not_follow(name: str) -> None:
    changed = SMOKE.but(augment=SMOKE.augment.but(**{name: 1}))
    made = task_for(archdsl.compile(tiny()), changed)
    with pytest.raises(SpecError) as caught:
        made.prepare(made.built_in("motion:2", "train"), torch.device("cpu"))
    assert caught.value.faults[0].at == f"recipe.augment.{name}"


def test_a_recipe_is_found_for_it() -> None:
    arch = tiny()
    assert [default_recipe(arch, data).name for data in ("motion", "chairs")] == ["smoke_flow", "flownet_chairs"]
    paper = recipe("flownet_chairs")
    rates = [paper.rate_at(step, 22_232) for step in (0, 299_999, 300_000, 400_000, 599_999)]
    assert rates == pytest.approx([1e-4, 1e-4, 5e-5, 2.5e-5, 1.25e-5])
    assert paper.steps_for(22_232) == 600_000


def test_a_run_of_files_is_tested_and_predicts_pictures(tmp_path: Path) -> None:
    data = chairs(tmp_path / "chairs", 5)
    (data / "data" / "00002_flow.flo").unlink()
    made = recipe("flownet_chairs", steps=2, batch=2).but(most_skipped=0.9)
    made = made.but(augment=made.augment.but(crop={"jitter": {"short_side": [64, 80]}}))
    run = archdsl.train(tiny(), made, str(data), out=tmp_path / "run", device="cpu", quiet=True)
    assert all(np.isfinite([*losses(tmp_path / "run").values()]))
    tested = archdsl.evaluate(tmp_path / "run", device="cpu", quiet=True, out=tmp_path / "tested")
    assert tested.figures == pytest.approx(run.figures)
    lines = (tmp_path / "tested" / "videos.jsonl").read_text().splitlines()
    assert [(one["name"], one["pixels"]) for one in map(json.loads, lines)] == [("00005", 64 * 64)]
    film(tmp_path / "a.mp4", numbered_frames(4))
    shown = tmp_path / "shown"
    assert main(["predict", str(tmp_path / "run"), str(tmp_path / "a.mp4"), "--pictures", str(shown)]) == 0
    assert sorted(file.name for file in shown.iterdir()) == ["a.00000.flow.png", "a.00001.flow.png"]
    assert read_picture(shown / "a.00000.flow.png", "a").shape == (3, 64, 64)


def test_data_check_counts_broken_pairs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = chairs(tmp_path, 3)
    (data / "data" / "00001_flow.flo").write_bytes(b"nothing of the kind")
    assert main(["data", "check", str(data), "--net", "flownet_s", "--split", "train"]) == 1
    assert "unreadable: 00001: 00001_flow.flo is not a .flo file" in capsys.readouterr().err


def test_one_command_trains_flownet(tmp_path: Path) -> None:
    argv = ["train", "flownet_s", "--size", "64", "--set", "pathways.flow.stages.net.base=4", "--batch", "2"]
    argv += ["--data", "motion:8", "--steps", "2", "--device", "cpu", "--out", str(tmp_path / "run")]
    assert main(argv) == 0
    assert "epe_px" in (tmp_path / "run" / "metrics.jsonl").read_text()


@pytest.mark.slow
def test_the_whole_flownet_s_trains(tmp_path: Path) -> None:
    argv = ["train", "flownet_s", "--recipe", "smoke", "--size", "64", "--batch", "2", "--data", "motion:4"]
    assert main([*argv, "--steps", "2", "--device", "cpu", "--out", str(tmp_path / "run")]) == 0


def test_a_picture_without_end_is_unreadable(tmp_path: Path) -> None:
    data = chairs(tmp_path, 2)
    (data / "data" / "00001_img1.ppm").write_bytes(b"P6\n99999 99999\n255\n")
    with pytest.raises(Unreadable, match=r"00001_img1\.ppm"):
        flow_pairs(str(data), "train", "clip").read(0, ClipRequest(0))
