"""Crops against torch's own resizing, the authors' places, and the ranges that were asked for."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import interpolate

from archdsl.language.recipes.clips import Corners, Jitter, Middle, Resized
from archdsl.training.data.transforms.crops import FIVE, training_crop, view_crop
from archdsl.training.data.transforms.geometry import cut_of_part, cut_of_resized, with_short_side

sides = st.integers(33, 90)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    """torch's own, of all frames."""
    return interpolate(x.float().transpose(0, 1), size=size, mode="bilinear", antialias=True).transpose(0, 1)


@settings(max_examples=40, deadline=None)
@given(sides, sides, st.integers(32, 120), st.data())
def test_what_is_read_of_a_resized_frame_is_what_torch_gives_when_it_resizes_all(
    h: int, w: int, short: int, data: st.DataObject
) -> None:
    x, out = noise(3, 2, h, w), (32, 32)
    size = with_short_side((h, w), short, out)
    at = (data.draw(st.integers(0, size[0] - 32)), data.draw(st.integers(0, size[1] - 32)))
    whole = resized(x, size)[..., at[0] : at[0] + 32, at[1] : at[1] + 32]
    torch.testing.assert_close(cut_of_resized((h, w), size, at, out).of(x), whole, rtol=0, atol=0.02)


@settings(max_examples=40, deadline=None)
@given(sides, sides, st.data())
def test_a_part_that_is_resized_reads_nothing_beyond_it(h: int, w: int, data: st.DataObject) -> None:
    x = noise(3, 2, h, w)
    part = (data.draw(st.integers(1, h)), data.draw(st.integers(1, w)))
    at = (data.draw(st.integers(0, h - part[0])), data.draw(st.integers(0, w - part[1])))
    alone = resized(x[..., at[0] : at[0] + part[0], at[1] : at[1] + part[1]], (32, 48))
    torch.testing.assert_close(cut_of_part(part, at, (32, 48)).of(x), alone, rtol=0, atol=0.02)


def test_frames_of_the_right_size_are_copied_bit_for_bit() -> None:
    x = noise(3, 4, 40, 50)
    cut = cut_of_resized((40, 50), (40, 50), (3, 7), (32, 32))
    assert torch.equal(cut.of(x), x[..., 3:35, 7:39].float())
    assert torch.equal(cut.flipped().of(x), x[..., 3:35, 7:39].flip(-1).float())


def test_a_mirror_image_is_the_crop_mirrored() -> None:
    cut = cut_of_resized((40, 50), (64, 80), (3, 7), (32, 32))
    assert torch.equal(cut.flipped().of(noise(3, 4, 40, 50)), cut.of(noise(3, 4, 40, 50)).flip(-1))


def test_sizes_of_resized_frames_as_pyslowfast_has_them() -> None:
    assert with_short_side((240, 320), 256, (224, 224)) == (256, 341)  # 341.33 rounded down
    assert with_short_side((720, 406), 300, (224, 224)) == (532, 300)
    assert with_short_side((256, 340), 256, (256, 256)) == (256, 340)


def test_three_crops_lie_along_the_long_side() -> None:
    def corners(frame: tuple[int, int], crops: int, short: int = 256, out: int = 224) -> list[tuple[float, float]]:
        cuts = [view_crop(i, crops, frame, short, (out, out)) for i in range(crops)]
        return [(cut.rows.start / cut.rows.step, cut.columns.start / cut.columns.step) for cut in cuts]

    # PySlowFast's spatial_shift_crop_list at 256 x 340, crop 256 and 224; and of a tall video
    assert corners((256, 340), 3, out=256) == [(0, 0), (0, 42), (0, 84)]
    assert corners((256, 340), 3) == [(16, 0), (16, 58), (16, 116)]
    assert corners((340, 256), 3) == [(0, 16), (58, 16), (116, 16)]
    assert corners((256, 340), 1) == [(16, 58)]
    five = [(0, 0), (0, 116), (32, 0), (32, 116), (16, 58)]
    assert corners((256, 340), 5) == five
    assert corners((256, 340), 10) == five * 2
    assert [view_crop(i, 10, (256, 340), 256, (224, 224)).columns.mirrored for i in range(10)] == [False] * 5 + [
        True
    ] * 5


def test_short_sides_are_drawn_within_their_range_and_evenly() -> None:
    for inverse in (False, True):
        crop = Jitter(short_side=(256, 320), inverse=inverse)
        cuts = [training_crop(crop, (256, 340), (224, 224), Random(seed)) for seed in range(2000)]
        shorts = [256 / cut.rows.step for cut in cuts]
        assert min(shorts) >= 256
        assert max(shorts) <= 320
        # the mean of an even draw, and of one that is even in 1 / short: ln(320/256) / (1/256 - 1/320)
        assert sum(shorts) / len(shorts) == pytest.approx(285.6 if inverse else 288, abs=1.5)


def test_a_jittered_crop_reaches_every_place() -> None:
    cuts = [training_crop(Jitter(short_side=(34, 34)), (34, 36), (32, 32), Random(seed)) for seed in range(300)]
    assert {(cut.rows.low, cut.columns.low) for cut in cuts} == {(y, x) for y in range(3) for x in range(5)}


def test_corners_are_of_the_pairs_and_places_of_the_authors() -> None:
    cuts = [training_crop(Corners(), (256, 340), (224, 224), Random(seed)) for seed in range(3000)]
    parts = Counter((cut.rows.high - cut.rows.low, cut.columns.high - cut.columns.low) for cut in cuts)
    sizes = [256, 224, 192, 168]  # int(256 * 0.66) = 168
    assert set(parts) == {(a, b) for i, a in enumerate(sizes) for j, b in enumerate(sizes) if abs(i - j) <= 1}
    assert min(parts.values()) > 200  # each of ten as often
    at = {
        (cut.rows.low, cut.columns.low)
        for cut in cuts
        if cut.rows.high - cut.rows.low == 224 == cut.columns.high - cut.columns.low
    }
    assert at == {(0, 0), (0, 116), (32, 0), (32, 116), (16, 58)}
    many = {
        (cut.rows.low, cut.columns.low)
        for cut in (training_crop(Corners(scales=(0.5,), places=13), (64, 64), (32, 32), Random(s)) for s in range(500))
    }
    assert many == {(8 * y, 8 * x) for y, x in [*FIVE, (2, 0), (2, 4), (4, 2), (0, 2), (1, 1), (1, 3), (3, 1), (3, 3)]}


def test_rectangles_have_the_area_and_aspect_that_were_asked_for() -> None:
    for seed in range(300):
        cut = training_crop(Resized(area=(0.2, 0.5)), (200, 300), (32, 32), Random(seed))
        h, w = cut.rows.high - cut.rows.low, cut.columns.high - cut.columns.low
        assert 0.19 <= h * w / 60000 <= 0.51
        assert 0.73 <= w / h <= 1.36
    cut = training_crop(Resized(area=(1.0, 1.0)), (100, 300), (32, 32), Random(0))  # no draw fits: the middle
    assert (cut.rows.low, cut.rows.high, cut.columns.low, cut.columns.high) == (0, 100, 83, 216)


def test_nothing_is_drawn_of_a_middle_crop() -> None:
    assert training_crop(Middle(), (64, 80), (32, 32), Random(0)) == view_crop(0, 1, (64, 80), 37, (32, 32))
