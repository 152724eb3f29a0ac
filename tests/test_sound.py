"""The sound of video files as log-mel spectra, beside torch's own transform; networks that hear."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
import torch
from torch import Tensor

import archdsl
from archdsl.blocks import Conv
from archdsl.cli import main
from archdsl.errors import SpecError
from archdsl.language import Arch, Classifier, Clip, Pathway, Stage
from archdsl.recipes import recipe
from archdsl.training.data.clips import ClipRequest, Unreadable
from archdsl.training.data.reader.sound import LOG_MEL_MEAN, LOG_MEL_STD, WAVE_RATE, log_mel, mel_bands, wave_between
from archdsl.training.data.sources.discovery import videos_of
from archdsl.training.data.synthetic.files import encode_mp4
from archdsl.training.tasks.choice import task_for
from tests.filmed import film, numbered_frames
from tests.trained import short


def tone(seconds: float, pitch: float, first: float = 0.0, last: float = 1e9) -> Tensor:
    """A tone between two times, else silence."""
    time = torch.arange(round(seconds * WAVE_RATE), dtype=torch.float64) / WAVE_RATE
    wave = 0.5 * torch.sin(2 * torch.pi * pitch * time) * ((time >= first) & (time < last))
    return wave.float()


def hearing(pictures: bool = True, frames: int = 8, steps: int = 16, classes: int = 2) -> Arch:
    """A pathway of pictures, and one of sound."""
    clips = {"clip": Clip(frames=frames, size=32)} if pictures else {}
    clips["audio"] = Clip(modality="audio", frames=steps, height=1, width=20, fps=50)
    stem = dict(stem=Stage(Conv(channels=8, kernel=(3, 3, 3), stride=(1, 2, 2))))
    heard = dict(stem=Stage(Conv(channels=8, kernel=(3, 1, 20), pad="valid")))
    pathways = {"sight": Pathway(clip="clip", stages=stem)} if pictures else {}
    pathways["sound"] = Pathway(clip="audio", stages=heard)
    return Arch(name="hearing", clips=clips, pathways=pathways, head=Classifier(classes=classes))


def test_spectra_are_those_of_torch() -> None:
    """At a hop of 256 samples; triangles meet at their neighbours' tops and cover every frequency between."""
    wave = torch.randn(WAVE_RATE, generator=torch.Generator().manual_seed(0))
    firsts = list(range(0, WAVE_RATE - 512, 256))
    power = torch.stft(wave, 512, 256, window=torch.hann_window(512), center=False, return_complex=True).abs() ** 2
    wanted = (power.T @ mel_bands(40)).clamp(min=1e-10).log()
    torch.testing.assert_close(log_mel(wave, firsts, 40), wanted[: len(firsts)], rtol=1e-4, atol=1e-4)
    bands = mel_bands(20)
    inner = bands.sum(1)[(bands.argmax(1) > 0) & (bands.argmax(1) < 19)]
    torch.testing.assert_close(inner, torch.ones_like(inner))
    centres = (bands * torch.linspace(0, 8000, 257)[:, None]).sum(0) / bands.sum(0)
    mels = 2595 * torch.log10(1 + centres / 700)
    assert mels.diff().std() < 0.05 * mels.diff().mean()


@pytest.mark.parametrize("pitch", [300.0, 1000.0, 3000.0])
def test_a_tone_is_heard_when_and_where_it_sounds(pitch: float, tmp_path: Path) -> None:
    """In a file, after its codec: the loudest band is the tone's, from when it begins to when it ends."""
    path = tmp_path / "a.mp4"
    path.write_bytes(encode_mp4(numbered_frames(50, 32, 32), 25, tone(2.0, pitch, 0.6, 1.2), WAVE_RATE))
    wave = wave_between(path, "a", 0.0, 2.0)
    loud = wave.abs().unfold(0, 160, 160).amax(1) > 0.25
    places = loud.nonzero().flatten() / 100
    assert (float(places[0]), float(places[-1])) == pytest.approx((0.6, 1.19), abs=0.03)
    later = wave_between(path, "a", 1.0, 1.6)
    torch.testing.assert_close(later[200:3000], wave[16200:19000], atol=0.02, rtol=0)
    bands = log_mel(wave, [12000], 40)[0]
    centres = (mel_bands(40) * torch.linspace(0, 8000, 257)[:, None]).sum(0) / mel_bands(40).sum(0)
    assert abs(float(centres[bands.argmax()]) - pitch) < 0.12 * pitch


def test_sound_lies_around_the_middle_of_the_frames(tmp_path: Path) -> None:
    """8 frames of 25 a second span 0.28 s; 16 spectra of 50 a second span 0.3 s around the same middle."""
    path = tmp_path / "train/a/a.mp4"
    path.parent.mkdir(parents=True)
    path.write_bytes(encode_mp4(numbered_frames(50, 32, 32), 25, tone(2.0, 1000.0, 1.0, 1.1), WAVE_RATE))
    made = recipe("smoke")
    clips = hearing().clips
    videos = videos_of(str(tmp_path), "train", clips, made.but(sampling=made.sampling.but(every=1)))
    sample = videos.read(0, ClipRequest(0, clip=1, clips=3))
    assert sample.frames["clip"].shape == (3, 8, 32, 32)
    heard = sample.frames["audio"]
    assert heard.shape == (1, 16, 1, 20)
    middle = (sample.start + sample.end) / 2
    times = middle + (torch.arange(16) - 7.5) / 50
    loud = heard[0, :, 0].amax(1) > (torch.tensor(1.0).log() - LOG_MEL_MEAN) / LOG_MEL_STD
    inside = (times > 1.0 - 0.005) & (times < 1.1 + 0.005)
    assert inside.any()
    assert torch.equal(loud | inside, loud)
    assert not loud[(times < 0.97) | (times > 1.13)].any()


def test_files_without_sound_are_named(tmp_path: Path) -> None:
    film(tmp_path / "train/a/a.mp4", numbered_frames(20, 32, 32))
    videos = videos_of(str(tmp_path), "train", hearing().clips, recipe("smoke"))
    with pytest.raises(Unreadable, match="no sound"):
        videos.read(0, ClipRequest(0))
    (tmp_path / "bad.mp4").write_bytes(b"no")
    with pytest.raises(Unreadable):
        wave_between(tmp_path / "bad.mp4", "bad", 0.0, 1.0)


@pytest.mark.parametrize("pictures", [True, False])
def test_pitches_are_learnt_from_files(pictures: bool, tmp_path: Path) -> None:
    """All pictures are alike, so that what is told apart is heard; predictions hear it too."""
    frames = numbered_frames(20, 32, 32)
    for split, count in (("train", 4), ("val", 2)):
        for name, pitch in (("low", 300.0), ("high", 3000.0)):
            for i in range(count):
                path = tmp_path / "data" / split / name / f"{i}.mp4"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(encode_mp4(frames, 25, tone(0.8, pitch + 40 * i), WAVE_RATE))
    made = short(steps=12, optimizer__rate=0.05)
    run = archdsl.train(hearing(pictures), made, tmp_path / "data", out=tmp_path / "run", device="cpu", quiet=True)
    assert run.figures["top1"] == 1.0
    (said,) = archdsl.predict(tmp_path / "run", [tmp_path / "data/val/high/0.mp4"], device="cpu", top=1)
    assert said.record()["best"][0]["class"] == "high"
    given = [str(tmp_path / "run"), str(tmp_path / "data/val"), "-o", str(tmp_path / "out"), "--format", "npz"]
    assert main(["features", *given]) == 0


def test_sound_of_another_form_is_refused() -> None:
    arch = hearing(pictures=False)
    odd = arch.but(clips={"audio": Clip(modality="audio", channels=2, frames=16, height=1, width=20, fps=Fraction(50))})
    task = task_for(archdsl.compile(odd), recipe("smoke"))
    with pytest.raises(SpecError, match="clip modality not available"):
        task.check_inputs()
