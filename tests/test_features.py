"""Values from inside networks: without hooks in Python, as files of videos by one command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import archdsl
from archdsl.blocks import ClassToken, Patches, Positions, Transformer
from archdsl.catalog import zoo
from archdsl.cli import main
from archdsl.compiler.inner_values import plan_of_values, values_of_head
from archdsl.errors import SpecError
from archdsl.language import Arch, Clip, Pathway, Stage, TokenClassifier
from archdsl.training.data.clips import ClipRequest
from archdsl.training.data.sources.one_video import one_video
from archdsl.training.data.transforms.augment import make_view
from archdsl.training.evaluation.feature_files import resampled
from archdsl.training.state.initial_weights import network_with_weights
from tests.filmed import film, numbered_frames
from tests.trained import short, small


def tokens() -> Arch:
    """A small transformer whose class token stands beside the map."""
    stages = dict(
        tokens=Stage(Patches(kernel=(1, 8, 8), channels=16), Positions(over=("hw", "t")), ClassToken()),
        body=Stage(Transformer(heads=2)),
    )
    head = TokenClassifier(classes=8)
    return Arch(name="tokens", clip=Clip(frames=4, size=32), pathways=dict(main=Pathway(stages=stages)), head=head)


@pytest.mark.parametrize("lower", ["none", "auto"])
def test_features_are_what_a_hook_sees(lower: str) -> None:
    """Of several addresses at once, by the network's own weights and modes, and gradients reach these."""
    network = archdsl.build(archdsl.load("slowfast_tiny"), lower)
    seen: dict[str, Tensor] = {}
    for at in ("slow.res3", "fast.res2.0"):
        network.get_submodule(at).register_forward_hook(lambda _, __, y, at=at: seen.update({at: y}))
    clip = torch.randn(2, 3, 16, 64, 64)
    network.eval()(clip)
    found = network.features(clip, at=["slow.res3", "fast.res2.0"])
    assert [*found] == ["slow.res3", "fast.res2.0"]
    for at, value in found.items():
        torch.testing.assert_close(value, seen[at], rtol=1e-4, atol=1e-5)
    network.train()
    found["slow.res3"].sum().backward()
    assert network.get_parameter("slow.stem.0.conv.weight").grad is not None
    assert network.get_parameter("head.classifier.weight").grad is None
    before = network.get_buffer("fast.stem.0.norm.running_mean").clone()
    trained = network.features(clip, "fast.stem")["fast.stem"]
    assert not torch.equal(network.get_buffer("fast.stem.0.norm.running_mean"), before)
    assert not torch.allclose(trained, network.eval().features(clip, "fast.stem")["fast.stem"], atol=1e-3)


def test_without_the_head_maps_leave_without_their_tokens() -> None:
    arch = tokens()
    network = archdsl.build(arch).eval()
    clip = torch.randn(2, 3, 4, 32, 32)
    (ends,) = values_of_head(archdsl.compile(arch))
    found = network.features(clip)
    assert {at: value.shape for at, value in found.items()} == {ends: (2, 16, 4, 4, 4)}
    token = network.features(clip, "head.token")["head.token"]
    scores = network.head.classifier(token.flatten(1))
    torch.testing.assert_close(scores, network(clip))


def test_addresses_that_there_are_not() -> None:
    network = archdsl.build(archdsl.load("slowfast_tiny"), "auto").eval()
    clip = torch.zeros(1, 3, 16, 64, 64)
    with pytest.raises(SpecError) as caught:
        network.features(clip, ["slow.res9", "slow.res3", "slow.res3"])
    first, second = caught.value.faults
    assert (first.what, first.fix) == ("no value at 'slow.res9'", "slow.res4")
    assert second.what == "two values at 'slow.res3'"
    with pytest.raises(SpecError, match="no value at 'clip'"):
        network.features(clip, "clip")
    with pytest.raises(SpecError, match="a frozen network does not give features"):
        archdsl.freeze(network).features(clip)


def test_rows_at_other_times_by_hand() -> None:
    rows, seconds = torch.tensor([[0.0], [10.0], [40.0]]), [1.0, 2.0, 4.0]
    assert resampled(rows, seconds, 4).flatten().tolist() == pytest.approx([0, 10, 25, 40])
    assert resampled(rows, seconds, 1).tolist() == [[0.0]]
    assert resampled(rows[:1], seconds[:1], 3).flatten().tolist() == [0, 0, 0]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, and two videos beside it, of which one has ten frames and one cannot be read."""
    out = tmp_path_factory.mktemp("features")
    archdsl.train(small(), short(steps=1), "motion:8", out=out / "run", device="cpu", quiet=True)
    film(out / "videos/a/long.mp4", numbered_frames(10, 32, 32))
    film(out / "videos/b/short.mp4", numbered_frames(4, 32, 32))
    (out / "videos/b/bad.mp4").write_bytes(b"no video")
    return out


def written(run: Path, out: Path, *options: str) -> int:
    return main(["features", str(run / "run"), str(run / "videos"), "-o", str(out), "--device", "cpu", *options])


def windows_of(run: Path, video: Path, at: str) -> Tensor:
    """What the literal network gives of each window of a video."""
    arch = small()
    recipe, videos = one_video(video, arch, short())
    network = network_with_weights(archdsl.compile(arch), run / "run").eval()
    requests = [ClipRequest(0, clip=i, clips=recipe.views.clips) for i in range(recipe.views.clips)]
    clips = [make_view(videos.read(0, one), recipe, arch.clips, 0, torch.device("cpu")) for one in requests]
    with torch.no_grad():
        found: Tensor = network.features(torch.cat(clips), at)[at]
    return found


def test_a_file_for_each_video(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert written(run, tmp_path, "--at", "main.res2") == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("2 files  1 cannot be read")
    assert "bad.mp4 cannot be read" in shown.err
    value = windows_of(run, run / "videos/a/long.mp4", "main.res2")
    assert value.shape[0] == 3
    found = np.load(tmp_path / "a/long.npy")
    torch.testing.assert_close(torch.from_numpy(found), value.mean((2, 3, 4)), rtol=1e-4, atol=1e-5)
    assert np.load(tmp_path / "b/short.npy").shape == (1, 16)


def test_an_interrupted_command_goes_on(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert written(run, tmp_path, "--at", "main.res2", "--json") == 0
    first = json.loads(capsys.readouterr().out)
    kept, gone = tmp_path / "a/long.npy", tmp_path / "b/short.npy"
    bytes_before, stamp = gone.read_bytes(), kept.stat().st_mtime_ns
    gone.unlink()
    assert written(run, tmp_path, "--at", "main.res2", "--json") == 0
    again = {one["file"]: one["kept"] for one in json.loads(capsys.readouterr().out) if one["file"]}
    assert again == {str(kept): True, str(gone): False}
    assert [one["kept"] for one in first] == [False, False, False]
    assert gone.read_bytes() == bytes_before
    assert kept.stat().st_mtime_ns == stamp
    assert written(run, tmp_path, "--at", "main.stem") == 2
    assert '"main.stem"' in capsys.readouterr().err


def test_several_addresses_and_rows(run: Path, tmp_path: Path) -> None:
    """Times of windows beside them; the localisers' file has a head and a row for each position."""
    given = ["--at", "main.stem", "--at", "main.res2", "--pool", "hw", "--format", "npz"]
    assert written(run, tmp_path / "npz", *given) == 0
    found = np.load(tmp_path / "npz/a/long.npz")
    value = windows_of(run, run / "videos/a/long.mp4", "main.stem").mean((3, 4)).transpose(1, 2).flatten(0, 1)
    torch.testing.assert_close(torch.from_numpy(found["main.stem"]), value, rtol=1e-4, atol=1e-5)
    assert found["main.res2"].shape == (12, 16)
    assert found["windows"][0].tolist() == pytest.approx([0.0, 0.12])
    assert written(run, tmp_path / "csv", "--format", "csv", "--rows", "100", "--at", "main.res2") == 0
    lines = (tmp_path / "csv/a/long.csv").read_text().splitlines()
    assert len(lines) == 101
    assert lines[0].split(",")[:2] == ["f0", "f1"]
    first = windows_of(run, run / "videos/a/long.mp4", "main.res2").mean((2, 3, 4))[0]
    assert [float(one) for one in lines[1].split(",")] == pytest.approx(first.tolist(), rel=1e-3, abs=1e-4)
    assert written(run, tmp_path / "none", "--pool", "none", "--at", "main.res2") == 0
    assert np.load(tmp_path / "none/a/long.npy").shape == (12, 16, 4, 4)


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (["--pool", "wh"], "no pool 'wh'"),
        (["--format", "pt"], "no format 'pt'"),
        (["--format", "csv", "--pool", "t"], "a CSV has a row of numbers for each time"),
        (["--at", "main.stem", "--at", "main.res2"], "a .npy file has one array"),
        (["--at", "main.res7"], "no value at 'main.res7'"),
    ],
)
def test_what_cannot_be(
    run: Path, tmp_path: Path, given: list[str], what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert written(run, tmp_path / "out", *given) == 2
    assert capsys.readouterr().err.startswith(what)


def test_two_videos_of_one_name(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("x", "y"):
        film(tmp_path / name / "same.mp4", numbered_frames(4, 32, 32))
    given = [str(tmp_path / name / "same.mp4") for name in ("x", "y")]
    assert main(["features", str(run / "run"), *given, "-o", str(tmp_path / "out")]) == 2
    assert "two videos of one name" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("name", [model.name for model in zoo()])
def test_every_network_loses_its_head(name: str) -> None:
    """Its source is written for the ends and for a value in the middle, lowered and not."""
    plan = archdsl.compile(archdsl.load(name))
    archdsl.emit(plan_of_values(plan, values_of_head(plan)), "auto")
    archdsl.emit(plan_of_values(plan, [plan.nodes[len(plan.nodes) // 2].address]))


def test_a_pathway_called_features_stays_what_the_forward_reads() -> None:
    """As that of detectors and of Deep Feature Flow."""
    stages = dict(
        tokens=Stage(Patches(kernel=(1, 8, 8), channels=16), Positions(over=("hw", "t")), ClassToken()),
        body=Stage(Transformer(heads=2)),
    )
    head = TokenClassifier(classes=8)
    arch = Arch(name="named", clip=Clip(frames=4, size=32), pathways=dict(features=Pathway(stages=stages)), head=head)
    assert archdsl.build(arch)(torch.zeros(1, 3, 4, 32, 32)).shape == (1, 8)
