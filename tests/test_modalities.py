"""What clips are made of: pixels, brightness, differences, and flow that is found once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from filmed import every_frame, film, numbered_frames
from PIL import Image
from torch import Tensor

from archdsl.errors import SpecError
from archdsl.language import Clip
from archdsl.language.recipes.clips import Sampling
from archdsl.training.data import flow
from archdsl.training.data.clips import ClipRequest, Sample
from archdsl.training.data.modalities import check_modalities, clips_of_files
from archdsl.training.data.sources.videos import Action, Files, VideoEntry
from archdsl.training.data.tvl1 import TvL1, tvl1_flow

ROUGH = TvL1(scales=1, warps=1, outer=1, inner=3)
"""Flow in little time, where only its keeping is looked at."""


@pytest.fixture
def video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ARCHDSL_CACHE", str(tmp_path / "cache"))
    return film(tmp_path / "video.mp4", numbered_frames(6))


def read(video: Path, every: int = 2, **clips: Clip) -> Sample:
    files = Files((VideoEntry(video, "video", (Action(0),)),), ("a",), clips, Sampling(every=every))
    return files.read(0, ClipRequest(0))


def test_modalities_of_the_same_frames(video: Path) -> None:
    shown = every_frame(video)
    sample = read(
        video,
        rgb=Clip(frames=3, size=32),
        gray=Clip(modality="gray", frames=3, size=32),
        diff=Clip(modality="rgb_diff", frames=3, size=32),
    )
    assert torch.equal(sample.frames["rgb"], shown[:, [0, 2, 4]])
    red, green, blue = shown[:, [0, 2, 4]].float()
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    assert (sample.frames["gray"][0].float() - luma).abs().max() <= 0.51
    assert torch.equal(sample.frames["diff"], shown[:, [1, 3, 5]].float() - shown[:, [0, 2, 4]].float())
    assert (sample.start, sample.end) == pytest.approx((0, 0.16))


def test_beyond_the_last_frame_nothing_changes(video: Path) -> None:
    diff = read(video, every=1, diff=Clip(modality="rgb_diff", frames=6, size=32)).frames["diff"]
    assert diff[:, -1].abs().max() == 0
    assert diff[:, -2].abs().max() > 0


def test_consecutive_flows_lie_side_by_side(video: Path) -> None:
    """As the temporal net of arXiv:1406.2199 has them: x and y of frame 0, x and y of frame 1..."""
    shown = every_frame(video).float()[None]
    found = read(video, every=4, flow=Clip(modality="flow", channels=4, frames=2, size=32)).frames["flow"]
    expected = tvl1_flow(shown)[0]
    assert found.shape == (4, 2, 48, 64)
    assert torch.allclose(found[:2], expected[:, [0, 4]], atol=2e-3, rtol=1e-3)
    assert torch.allclose(found[2:, 0], expected[:, 1], atol=2e-3, rtol=1e-3)
    assert found[2:, 1].abs().max() == 0  # beyond the last frame nothing moves


def test_flow_is_of_the_pictures_that_are_read(video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clips that begin with one picture and go on with others; and a picture that is written anew under its name."""
    monkeypatch.setattr(flow, "FLOW_SETTINGS", ROUGH)
    shown = every_frame(video)
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for i, path in enumerate(paths):
        Image.fromarray(shown[:, i].permute(1, 2, 0).numpy()).save(path)

    def found(*pictures: Path) -> Tensor:
        clips, _, _ = clips_of_files(pictures, "clip", {"flow": Clip(modality="flow", frames=2, size=32)})
        return clips["flow"][:, 0]

    def expected(i: int, j: int) -> Tensor:
        return tvl1_flow(shown[:, [i, j]].float()[None], ROUGH)[0, :, 0].half().float()

    assert not torch.equal(expected(0, 1), expected(0, 2))
    for i in (1, 2):
        assert torch.equal(found(paths[0], paths[i]), expected(0, i))
    paths[1].write_bytes(paths[2].read_bytes())
    assert torch.equal(found(*paths[:2]), expected(0, 2))


def test_flow_is_found_once_and_again_where_its_file_is_damaged(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "FLOW_SETTINGS", ROUGH)
    clip = Clip(modality="flow", frames=2, size=32)
    first, made = read(video, flow=clip).frames["flow"], []

    def counting(frames: Tensor, how: TvL1) -> Tensor:
        made.append(1)
        return tvl1_flow(frames, how)

    monkeypatch.setattr(flow, "tvl1_flow", counting)
    assert torch.equal(read(video, flow=clip).frames["flow"], first)
    assert not made
    kept = sorted(path for path in Path(video.parent, "cache").rglob("*") if path.is_file())
    assert len(kept) == 2
    for damage in (kept[0].read_bytes()[:-5], b"", bytes(100)):
        kept[0].write_bytes(damage)
        assert torch.equal(read(video, flow=clip).frames["flow"], first)
    assert len(made) == 3
    film(video, numbered_frames(6).flip(3))
    assert not torch.equal(read(video, flow=clip).frames["flow"], first)
    assert len(made) == 5


def test_a_clip_that_no_video_holds() -> None:
    audio, length = Clip(modality="audio", frames=4, size=8), Clip(modality="flow", channels=3, frames=4, size=8)
    for clip in (audio, length, Clip(modality="heatmaps", frames=4, size=8)):
        with pytest.raises(SpecError, match="clip modality not available from videos"):
            check_modalities({"clip": clip})
