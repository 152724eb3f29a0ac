"""Which frames a clip takes: in range, in order, spread as the rules say."""

from __future__ import annotations

from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archdsl.language.recipes.clips import Sampling
from archdsl.training.data.clip_frames import sample_frames
from archdsl.training.data.clips import ClipRequest, indices_at, requests_at

FPS = st.none() | st.floats(1, 60)
KINDS = st.builds(Sampling, kind=st.sampled_from(["dense", "centre"]), every=st.integers(1, 20), fps=FPS) | st.builds(
    Sampling, kind=st.just("segments"), snippet=st.integers(1, 6), fps=FPS
)
TAKES = st.integers(1, 10).flatmap(
    lambda clips: st.builds(
        ClipRequest,
        seed=st.integers(0, 2**62),
        training=st.booleans(),
        clip=st.integers(0, clips - 1),
        clips=st.just(clips),
        centre=st.none() | st.floats(-5, 100),
    )
)
DENSE, SEGMENTS = Sampling(kind="dense", every=2), Sampling(kind="segments")


@given(KINDS, TAKES, st.integers(1, 70), st.integers(1, 500), st.floats(1, 120))
def test_frames_are_in_the_video_in_order_and_a_function_of_the_take(sampling, take, count, length, fps) -> None:
    frames = sample_frames(sampling, take, count, length, fps)
    assert len(frames) == count
    assert 0 <= frames[0] <= frames[-1] < length
    assert frames == sample_frames(sampling, take, count, length, fps)
    if sampling.kind != "segments" or sampling.snippet == 1:
        assert frames == sorted(frames)


@given(TAKES, st.integers(1, 12), st.integers(1, 20), st.integers(1, 500))
def test_a_dense_clip_has_equal_steps_until_the_video_ends(take, every, count, length) -> None:
    frames = sample_frames(Sampling(every=every), take, count, length, 25)
    if (count - 1) * every < length:
        assert frames == list(range(frames[0], frames[0] + count * every, every))
    else:
        assert frames == [min(i * every, length - 1) for i in range(count)]


@given(st.integers(1, 30), st.integers(1, 300), st.integers(0, 2**62))
def test_segments_take_one_frame_of_each_equal_part(count, length, seed) -> None:
    for take in (ClipRequest(seed, training=True), ClipRequest(seed)):
        frames = sample_frames(SEGMENTS, take, count, length, 25)
        for i, frame in enumerate(frames):
            assert floor(i * length / count) <= frame <= (i + 1) * length / count


def test_every_place_is_drawn_in_training() -> None:
    dense = {sample_frames(DENSE, ClipRequest(s, training=True), 4, 10, 25)[0] for s in range(200)}
    assert dense == {0, 1, 2, 3}  # 4 frames 2 apart reach over 7 of 10
    second = {sample_frames(SEGMENTS, ClipRequest(s, training=True), 3, 12, 25)[1] for s in range(200)}
    assert second == {4, 5, 6, 7}


def test_tests_are_evenly_spread() -> None:
    """8 frames 2 apart reach over 15 of 60: the first begins at 0, the last at 45, the only one in the middle."""
    firsts = [sample_frames(DENSE, ClipRequest(0, clip=i, clips=4), 8, 60, 25)[0] for i in range(4)]
    assert firsts == [0, 15, 30, 45]
    assert sample_frames(DENSE, ClipRequest(0), 8, 60, 25)[0] == 22
    assert sample_frames(DENSE, ClipRequest(0, clip=3, clips=4), 8, 60, 25)[-1] == 59


def test_segments_in_tests_are_in_the_middle() -> None:
    assert sample_frames(SEGMENTS, ClipRequest(0), 3, 30, 25) == [5, 15, 25]
    assert sample_frames(Sampling(kind="segments", snippet=5), ClipRequest(0), 10, 24, 25) == [
        *range(5, 10),
        *range(15, 20),
    ]


def test_around_a_key_frame() -> None:
    """64 frames around second 10 of a video of 30 per second, but within the video."""
    around = Sampling(kind="centre")
    frames = sample_frames(around, ClipRequest(7, training=True, centre=10.0), 64, 900, 30)
    assert frames == list(range(268, 332))
    assert sample_frames(around, ClipRequest(7, centre=0.0), 64, 900, 30)[0] == 0
    assert sample_frames(around, ClipRequest(7, centre=99.0), 64, 900, 30)[-1] == 899


def test_a_clip_at_another_rate() -> None:
    """15 per second of a video of 30, every second one: 4 source frames apart."""
    frames = sample_frames(Sampling(every=2, fps=15.0), ClipRequest(0), 4, 13, 30)
    assert frames == [0, 4, 8, 12]


VARIABLE = (0.0, 0.033, 0.053, 0.103, 0.123, 0.323, 0.4, 0.6)


def test_frames_by_time_are_those_a_player_shows() -> None:
    """At 0, 1/15, 2/15... seconds the last frame that has come is on the screen."""
    by_time = Sampling(fps=15.0)
    taken = sample_frames(by_time, ClipRequest(0), 8, 6, 18.6, times=VARIABLE[:6])
    assert [VARIABLE[i] for i in taken] == [0, 0.053, 0.123, 0.123, 0.123, 0.323, 0.323, 0.323]
    for seed in range(100):
        frames = sample_frames(by_time, ClipRequest(seed, training=True), 4, 8, 11.7, times=VARIABLE)
        first = VARIABLE[frames[0]]
        assert first + 3 / 15 <= VARIABLE[-1]
        shown = [max(i for i, time in enumerate(VARIABLE) if time <= first + k / 15 + 1e-9) for k in range(4)]
        assert frames == shown
    middle = sample_frames(Sampling(kind="centre", fps=15.0), ClipRequest(0, centre=0.3), 3, 8, 11.7, times=VARIABLE)
    assert middle == [4, 4, 5]  # 0.233, 0.3, 0.367
    second = sample_frames(by_time, ClipRequest(0, clip=1, clips=2), 4, 8, 11.7, times=VARIABLE)
    assert second == [6, 6, 6, 7]  # 0.4, 0.467, 0.533, 0.6


@given(st.sampled_from([24, 25, 30, 50, 60]), st.integers(10, 200), st.integers(0, 2**62))
def test_times_that_a_container_rounds_leave_out_no_frame(rate, length, seed) -> None:
    """Matroska counts whole milliseconds."""
    times = [round(i / rate, 3) for i in range(length)]
    for take in (ClipRequest(seed, training=True), ClipRequest(seed)):
        frames = sample_frames(Sampling(fps=float(rate)), take, 8, length, rate, times=times)
        assert frames == list(range(frames[0], frames[0] + 8))


def test_a_video_shorter_than_a_clip_repeats_its_last_frame() -> None:
    assert sample_frames(DENSE, ClipRequest(3, training=True), 5, 4, 25) == [0, 2, 3, 3, 3]
    assert sample_frames(SEGMENTS, ClipRequest(0), 4, 1, 25) == [0, 0, 0, 0]


@given(st.integers(0, 60), st.sampled_from([4, 8, 12]), st.integers(1, 40), st.integers(0, 9))
def test_what_a_step_sees_is_a_function_of_the_step(step, batch, count, seed) -> None:
    asked = requests_at(step, batch, count, seed)
    assert asked == requests_at(step, batch, count, seed)
    assert [index for index, _ in asked] == indices_at(step, batch, count, seed)
    seeds = {take.seed for s in range(step, step + 3) for _, take in requests_at(s, batch, count, seed)}
    assert len(seeds) == 3 * batch


@pytest.mark.parametrize("fps", [23.976, 29.97, 59.94, 100.0])
def test_rates_that_are_no_whole_numbers_lose_no_frame(fps: float) -> None:
    """The second of frame i, times the rate, may come out a hair below i: it is frame i all the same."""
    centre = Sampling(kind="centre")
    for i in range(300):
        assert sample_frames(centre, ClipRequest(0, centre=i / fps), 1, 300, fps) == [i]
        assert sample_frames(centre, ClipRequest(0, centre=(i + 1) / fps), 3, 303, fps) == [i, i + 1, i + 2]
    for length in (7, 10, 13):
        drawn = {sample_frames(Sampling(fps=fps), ClipRequest(s, training=True), 4, length, fps)[0] for s in range(200)}
        assert drawn == set(range(length - 3))
