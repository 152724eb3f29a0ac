"""The moving digits hide their class from single frames, and every epoch sees every clip."""

from __future__ import annotations

import av
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import archdsl
from archdsl.training import MovingDigits
from archdsl.training.data.clips import epoch_order, indices_at
from archdsl.training.data.reader.preview import centre_crop, decode_first
from archdsl.training.data.synthetic.motion import render

DIGITS = MovingDigits(count=64, seed=3, frames=8, size=32)


def test_a_clip_is_a_function_of_seed_and_index():
    clips, labels = DIGITS.batch([5, 9])
    again, same = MovingDigits(count=64, seed=3, frames=8, size=32).batch([9])
    other, _ = MovingDigits(count=64, seed=4, frames=8, size=32).batch(range(64))
    assert clips.shape == (2, 3, 8, 32, 32)
    assert clips.min() >= -1
    assert clips.max() <= 1
    assert torch.equal(clips[1], again[0])
    assert labels[1] == same[0]
    assert not any(torch.equal(again[0], clip) for clip in other)


def test_classes_are_equally_often_there():
    _, labels = DIGITS.batch(range(64))
    assert torch.bincount(labels).tolist() == [8] * 8
    assert DIGITS.classes[1] == "right at 3 px per frame"


@given(st.integers(0, 63), st.integers(0, 7), st.integers(0, 7))
def test_any_frame_of_any_class_is_a_first_frame_of_the_scene_put_elsewhere(index, label, frame):
    """Places are uniform on the torus, so a single frame has one distribution, whatever the class."""
    _, scene = DIGITS.draw(index)
    shift = DIGITS.shifts(torch.tensor([label]))[0, frame]
    batch = type(scene)(*(part[None] for part in scene))
    moved = render(batch, DIGITS.shifts(torch.tensor([label])))[0, :, frame]
    elsewhere = batch._replace(ink=batch.ink.roll(tuple(shift.tolist()), dims=(1, 2)))
    assert torch.equal(moved, render(elsewhere, torch.zeros(1, 1, 2, dtype=torch.long))[0, :, 0])


def test_motion_is_what_the_label_says():
    """With 4 directions at 1 and 3 pixels: class 3 is `down at 3`."""
    assert DIGITS.classes[3] == "down at 3 px per frame"
    assert DIGITS.shifts(torch.tensor([3]))[0].tolist() == [[3 * t, 0] for t in range(8)]


def test_frozen_clips_show_the_first_frame_of_the_moving_ones():
    still = MovingDigits(count=64, seed=3, frames=8, size=32, frozen=True)
    (moving, labels), (frozen, same) = DIGITS.batch(range(8)), still.batch(range(8))
    assert torch.equal(labels, same)
    assert torch.equal(frozen, moving[:, :, :1].expand_as(moving))
    assert not torch.equal(frozen, moving)


@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 5))
def test_every_epoch_sees_every_clip_once(count, batch, seed):
    seen = [index for step in range(3 * count) for index in indices_at(step, batch, count, seed)]
    for epoch in range(3):
        assert sorted(seen[epoch * count : (epoch + 1) * count]) == list(range(count))


def test_epochs_and_seeds_have_orders_of_their_own():
    orders = {tuple(epoch_order(epoch, 50, seed)) for epoch in range(4) for seed in range(4)}
    assert len(orders) == 16


def video(path, frames: int) -> None:
    """A video whose frames are red, each one brighter."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for i in range(frames):
            frame = av.VideoFrame(96, 64, "rgb24")
            plane = frame.planes[0]
            plane.update(bytes([20 * i, 0, 0]) * (plane.line_size // 3) * 64)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())


def test_a_video_is_decoded_frame_by_frame(tmp_path):
    video(tmp_path / "red.mp4", 10)
    clip = decode_first(tmp_path / "red.mp4", 8)
    assert clip.shape == (3, 8, 64, 96)
    red = clip[0].float().mean((1, 2))
    assert (red[1:] > red[:-1] + 10).all()
    assert clip[1:].float().mean() < 10
    with pytest.raises(ValueError, match=r"red.mp4 has 10 frames, 12 are needed"):
        decode_first(tmp_path / "red.mp4", 12)


def test_the_centre_is_cut_at_the_short_side():
    clip = torch.zeros(3, 2, 64, 128, dtype=torch.uint8)
    clip[..., 32:96] = 255
    made = centre_crop(clip, short_side=32, crop=28)
    assert made.shape == (3, 2, 28, 28)
    assert made.min() == pytest.approx((1 - 0.45) / 0.225)


@pytest.mark.slow
def test_slowfast_tiny_learns_motion_and_a_single_frame_does_not(tmp_path):
    top1 = {
        data: archdsl.train("slowfast_tiny", "smoke", data, out=tmp_path / data, quiet=True).figures["top1"]
        for data in ("motion", "motion:still")
    }
    assert top1["motion"] >= 0.9
    assert top1["motion:still"] <= 0.25
