"""Two streams from video files, trained together and apart, with flow that is computed or lies beside the pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

import archdsl
from archdsl.blocks import Conv
from archdsl.cli import main
from archdsl.language import Arch, Classifier, Clip, Pathway, Several, Stage, change_all
from archdsl.language.writers.yaml_writer import to_yaml
from archdsl.recipes import recipe
from archdsl.training.data.clips import ClipRequest, Unreadable
from archdsl.training.data.picture_files import encode_png
from archdsl.training.data.sources.discovery import videos_of
from archdsl.training.data.transforms.augment import make_view
from tests.trained import entries, short


def streams(side: int = 16, flow_frames: int = 2) -> Arch:
    """A frame and the flow behind it, a convolution each, their scores averaged."""
    clips = {"rgb": Clip(frames=1, size=side), "flow": Clip(modality="flow", frames=flow_frames, size=side)}
    stem = Stage(Conv(channels=8, kernel=(1, 3, 3), stride=(1, 2, 2)))
    moved = Stage(Conv(channels=8, kernel=(flow_frames, 3, 3), stride=(1, 2, 2)))
    towers = {"spatial": Pathway(clip="rgb", stages=dict(stem=stem))}
    towers["temporal"] = Pathway(clip="flow", stages=dict(stem=moved))
    heads = {name: Classifier(reads=(name,), classes=2, act="softmax") for name in towers}
    return Arch(name="streams", clips=clips, pathways=towers, head=Several(heads=heads, merge="average"))


def stored(folder: Path, frames: int, flow: tuple[int, int], size: int = 20) -> Path:
    """A folder of gray pictures with flow beside them: one value for x, one for y."""
    folder.mkdir(parents=True)
    for i in range(1, frames + 1):
        (folder / f"img_{i:05d}.png").write_bytes(encode_png(torch.full((3, size, size), 90, dtype=torch.uint8)))
        for axis, value in zip("xy", flow) if i < frames else ():
            picture = torch.full((3, size, size), value, dtype=torch.uint8)
            picture[:, :, 0] = i
            (folder / f"flow_{axis}_{i:05d}.png").write_bytes(encode_png(picture))
    return folder


def test_stored_flow_is_read_where_it_belongs(tmp_path: Path) -> None:
    """One pair fewer than pictures; the last one again; a value of 255 is the bound, and x turns in a mirror."""
    stored(tmp_path / "train/a/v", 4, (255, 0))
    arch, made = streams(side=20, flow_frames=4), recipe("smoke")
    made = made.but(sampling=made.sampling.but(every=1))
    videos = videos_of(str(tmp_path), "train", arch.clips, made)
    sample = videos.read(0, ClipRequest(0))
    flow = sample.frames["flow"]
    assert (flow.dtype, flow.shape) == (torch.uint8, (2, 4, 20, 20))
    assert flow[:, :, 3, 0].tolist() == [[1, 2, 3, 3]] * 2
    assert flow[0, :, 0, 1:].unique().tolist() == [255]
    view = make_view(sample, made, arch.clips, 0, torch.device("cpu"))
    assert isinstance(view, dict)
    bound: Tensor = view["flow"][0, :, 0, 0, 5]
    assert bound.tolist() == pytest.approx([0.5 / made.values.flow_std, -0.5 / made.values.flow_std])


def test_broken_stored_flow_is_named(tmp_path: Path) -> None:
    for name, lost in (("one", "flow_y_00002.png"), ("other", None)):
        folder = stored(tmp_path / f"train/a/{name}", 4, (128, 128))
        if lost:
            (folder / lost).unlink()
        for i in (1, 2, 3) if not lost else ():
            (folder / f"flow_y_{i:05d}.png").write_bytes(encode_png(torch.zeros(3, 8, 8, dtype=torch.uint8)))
    videos = videos_of(str(tmp_path), "train", streams().clips, recipe("smoke"))
    with pytest.raises(Unreadable, match=r"flow_x_00002\.png or flow_y_00002\.png is missing"):
        videos.read(0, ClipRequest(0))
    with pytest.raises(Unreadable, match="different sizes"):
        videos.read(1, ClipRequest(0))


def test_streams_learn_together_and_apart(tmp_path: Path) -> None:
    """Pictures are alike, so that flow alone tells: the spatial stream stays at chance, both together do not."""
    for split, count in (("train", 4), ("val", 2)):
        for i in range(count):
            stored(tmp_path / f"data/{split}/left/l{i}", 5, (70 + 5 * i, 128))
            stored(tmp_path / f"data/{split}/right/r{i}", 5, (185 - 5 * i, 128))
    made = short(steps=20, optimizer__rate=0.1)
    (tmp_path / "net.yaml").write_text(to_yaml(streams()))
    both = archdsl.train(streams(), made, tmp_path / "data", out=tmp_path / "both", device="cpu", quiet=True)
    assert both.figures["top1"] == 1.0
    for keep, lose, clip in (("spatial", "temporal", "flow"), ("temporal", "spatial", "rgb")):
        gone = [(f"pathways.{lose}", None), (f"clips.{clip}", None), (f"head.heads.{lose}", None)]
        alone = change_all(streams(), gone)
        run = archdsl.train(alone, made, tmp_path / "data", out=tmp_path / keep, device="cpu", quiet=True)
        assert run.figures["top1"] == (0.5 if keep == "spatial" else 1.0)
    fused = ["--fuse", "spatial:1", "temporal:2", "--device", "cpu", "--quiet"]
    names = [str(tmp_path / name) for name in ("spatial", "temporal")]
    assert main(["evaluate", *names, *fused]) == 0


@pytest.mark.slow
def test_flow_of_video_files_is_computed_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By one command from mp4 files; the second run reads the cache."""
    monkeypatch.setenv("ARCHDSL_CACHE", str(tmp_path / "cache"))
    made = ["data", "make", "motion", str(tmp_path / "data"), "--count", "8", "--frames", "6", "--size", "32"]
    assert main(made) == 0
    arch = change_all(streams(side=32), [("head.heads.*.classes", 8)])
    (tmp_path / "net.yaml").write_text(to_yaml(arch))
    given = ["--data", str(tmp_path / "data"), "--recipe", "smoke", "--steps", "2", "--batch", "4", "--device", "cpu"]
    losses = []
    for name in ("a", "b"):
        out = tmp_path / name
        argv = [
            "train",
            str(tmp_path / "net.yaml"),
            *given,
            "--out",
            str(out),
            "--quiet",
            "--set",
            "recipe.log_every=1",
        ]
        assert main(argv) == 0
        losses.append([one["loss"] for one in entries(out) if "loss" in one])
        found = sorted(path.relative_to(tmp_path) for path in (tmp_path / "cache").rglob("*") if path.is_file())
        assert found
    assert losses[0] == losses[1]
