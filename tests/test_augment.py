"""What is done to clips: crops against torch's and PIL's own, one treatment for all frames, seeds and nothing else."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor
from torch.nn.functional import interpolate

from archdsl.errors import SpecError
from archdsl.language import Clip, change
from archdsl.language.recipe import Recipe
from archdsl.language.recipe_clips import Augment, Corners, Jitter, Middle, Resized, Values, Views
from archdsl.recipes import recipe
from archdsl.training import rand_augment as ra
from archdsl.training.augment import augmented, viewed
from archdsl.training.clips import Batch, Sample, Take
from archdsl.training.colours import brightened, contrasted, saturated
from archdsl.training.crops import FIVE, drawn_cut, placed_cut
from archdsl.training.feed import train_feed
from archdsl.training.geometry import cut_of_part, cut_of_resized, with_short_side
from archdsl.training.loop import losses_of
from archdsl.training.motion import MovingDigits
from archdsl.training.noise import erased, mixed
from archdsl.training.skips import Skips
from archdsl.training.values import in_values

CPU = torch.device("cpu")
PLAIN = Values(mean=(0.0,), std=(1.0,))
RGB = {"clip": Clip(frames=4, size=32)}
sides = st.integers(33, 90)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    """torch's own, of all frames."""
    return interpolate(x.float().transpose(0, 1), size=size, mode="bilinear", antialias=True).transpose(0, 1)


def sample(*shape: int, seed: int = 0) -> Sample:
    return Sample({"clip": noise(*shape, seed=seed)}, torch.tensor(seed), f"video {seed}", 0.0, 1.0)


def made(**changes: object) -> Recipe:
    """A recipe whose values are pixels over 255, with parts of it changed."""
    base = recipe("smoke").but(values=PLAIN, views=Views(), augment=Augment(flip=0.0))
    for path, value in changes.items():
        base = change(base, path.replace("__", "."), value)
    return base


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
        cuts = [placed_cut(i, crops, frame, short, (out, out)) for i in range(crops)]
        return [(cut.rows.start / cut.rows.step, cut.columns.start / cut.columns.step) for cut in cuts]

    # PySlowFast's spatial_shift_crop_list at 256 x 340, crop 256 and 224; and of a tall video
    assert corners((256, 340), 3, out=256) == [(0, 0), (0, 42), (0, 84)]
    assert corners((256, 340), 3) == [(16, 0), (16, 58), (16, 116)]
    assert corners((340, 256), 3) == [(0, 16), (58, 16), (116, 16)]
    assert corners((256, 340), 1) == [(16, 58)]
    five = [(0, 0), (0, 116), (32, 0), (32, 116), (16, 58)]
    assert corners((256, 340), 5) == five
    assert corners((256, 340), 10) == five * 2
    assert [placed_cut(i, 10, (256, 340), 256, (224, 224)).columns.mirrored for i in range(10)] == [False] * 5 + [
        True
    ] * 5


def test_short_sides_are_drawn_within_their_range_and_evenly() -> None:
    for inverse in (False, True):
        crop = Jitter(short_side=(256, 320), inverse=inverse)
        cuts = [drawn_cut(crop, (256, 340), (224, 224), Random(seed)) for seed in range(2000)]
        shorts = [256 / cut.rows.step for cut in cuts]
        assert min(shorts) >= 256
        assert max(shorts) <= 320
        # the mean of an even draw, and of one that is even in 1 / short: ln(320/256) / (1/256 - 1/320)
        assert sum(shorts) / len(shorts) == pytest.approx(285.6 if inverse else 288, abs=1.5)


def test_a_jittered_crop_reaches_every_place() -> None:
    cuts = [drawn_cut(Jitter(short_side=(34, 34)), (34, 36), (32, 32), Random(seed)) for seed in range(300)]
    assert {(cut.rows.low, cut.columns.low) for cut in cuts} == {(y, x) for y in range(3) for x in range(5)}


def test_corners_are_of_the_pairs_and_places_of_the_authors() -> None:
    cuts = [drawn_cut(Corners(), (256, 340), (224, 224), Random(seed)) for seed in range(3000)]
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
        for cut in (drawn_cut(Corners(scales=(0.5,), places=13), (64, 64), (32, 32), Random(s)) for s in range(500))
    }
    assert many == {(8 * y, 8 * x) for y, x in [*FIVE, (2, 0), (2, 4), (4, 2), (0, 2), (1, 1), (1, 3), (3, 1), (3, 3)]}


def test_rectangles_have_the_area_and_aspect_that_were_asked_for() -> None:
    for seed in range(300):
        cut = drawn_cut(Resized(area=(0.2, 0.5)), (200, 300), (32, 32), Random(seed))
        h, w = cut.rows.high - cut.rows.low, cut.columns.high - cut.columns.low
        assert 0.19 <= h * w / 60000 <= 0.51
        assert 0.73 <= w / h <= 1.36
    cut = drawn_cut(Resized(area=(1.0, 1.0)), (100, 300), (32, 32), Random(0))  # no draw fits: the middle
    assert (cut.rows.low, cut.rows.high, cut.columns.low, cut.columns.high) == (0, 100, 83, 216)


def test_nothing_is_drawn_of_a_middle_crop() -> None:
    assert drawn_cut(Middle(), (64, 80), (32, 32), Random(0)) == placed_cut(0, 1, (64, 80), 37, (32, 32))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**63), st.sampled_from([Jitter(), Corners(), Resized(), Middle()]), st.integers(0, 3))
def test_a_clip_depends_on_the_seed_of_its_take_alone(seed: int, crop: object, operations: int) -> None:
    chosen = made(augment=Augment(crop=crop, colour=0.4, rand_augment=operations, erasing=0.5))
    one, other = sample(3, 4, 40, 50, seed=1), sample(3, 4, 64, 36, seed=2)
    takes = [Take(seed=seed, training=True), Take(seed=7, training=True)]
    torch.manual_seed(0)
    both, labels = augmented([one, other], takes, chosen, RGB, CPU)
    torch.manual_seed(1)
    swapped, _ = augmented([other, one], takes[::-1], chosen, RGB, CPU)
    alone, _ = augmented([one], takes[:1], chosen, RGB, CPU)
    assert both.shape == (2, 3, 4, 32, 32)
    assert both.isfinite().all()
    assert labels.tolist() == [1, 2]
    assert torch.equal(both[0], swapped[1])
    assert torch.equal(both[0], alone[0])


@pytest.mark.parametrize("crop", [Jitter(), Corners(), Resized()])
def test_seeds_differ(crop: object) -> None:
    clips = [
        augmented([sample(3, 4, 40, 50)], [Take(seed=s, training=True)], made(augment__crop=crop), RGB, CPU)[0]
        for s in range(8)
    ]
    assert len({clip.numpy().tobytes() for clip in clips}) == 8


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**9))
def test_all_frames_of_a_clip_are_treated_alike(seed: int) -> None:
    still = noise(3, 1, 40, 50).expand(3, 4, 40, 50)
    chosen = made(augment=Augment(colour=0.8, rand_augment=4, magnitude=9.0))
    x, _ = augmented(
        [Sample({"clip": still}, torch.tensor(0), "", 0.0, 1.0)], [Take(seed=seed, training=True)], chosen, RGB, CPU
    )
    torch.testing.assert_close(x, x[:, :, :1].expand_as(x), rtol=0, atol=1e-5)


def test_flow_is_cut_as_its_video_is_and_its_x_changes_sign_in_a_mirror_image() -> None:
    clips = {"rgb": Clip(frames=2, size=32), "flow": Clip(frames=2, size=32, modality="flow")}
    video = noise(3, 2, 40, 50)
    flow = torch.stack((video[0].float(), video[1].float())) / 13  # so that what is read where can be seen
    read = Sample({"rgb": video, "flow": flow}, torch.tensor(0), "", 0.0, 1.0)
    signs = set()
    for seed in range(20):
        x, _ = augmented([read], [Take(seed=seed, training=True)], made(augment__flip=0.5), clips, CPU)
        rgb, found = x["rgb"][0] * 255, x["flow"][0] * 20
        torch.testing.assert_close(found[1] * 13, rgb[1], rtol=0, atol=1e-2)
        sign = 1 if (found[0] > 0).any() else -1
        signs.add(sign)
        torch.testing.assert_close(found[0] * 13 * sign, rgb[0], rtol=0, atol=1e-2)
    assert signs == {1, -1}


def test_flow_stored_as_pixels_is_inverted_about_its_rest() -> None:
    clips = {"clip": Clip(frames=1, size=32, modality="flow")}
    still = Sample({"clip": torch.full((2, 1, 32, 32), 255, dtype=torch.uint8)}, torch.tensor(0), "", 0.0, 1.0)
    x, _ = augmented([still], [Take(seed=0, training=True)], recipe("smoke").but(augment=Augment(flip=1.0)), clips, CPU)
    torch.testing.assert_close(x.mean(dim=(0, 2, 3, 4)), torch.tensor([-1.0, 1.0]))


def test_values_of_each_modality_by_hand() -> None:
    values = Values(mean=(0.4, 0.5, 0.6), std=(0.1, 0.2, 0.5))
    x = torch.tensor([51.0, 102.0, 153.0]).view(3, 1, 1, 1)
    rgb = in_values(x, Clip(frames=1, size=1), values, stored=True).flatten()
    torch.testing.assert_close(rgb, torch.tensor([-2.0, -0.5, 0.0]))
    gray = in_values(x[1:2], Clip(frames=1, size=1, modality="gray"), values, stored=True)
    assert gray.item() == pytest.approx((0.4 - 0.5) / (0.8 / 3), rel=1e-5)
    diff = in_values(
        torch.full((6, 1, 1, 1), 51.0), Clip(frames=1, size=1, channels=6, modality="rgb_diff"), values, stored=False
    )
    torch.testing.assert_close(diff.flatten(), torch.tensor([2.0, 1.0, 0.4, 2.0, 1.0, 0.4]))
    flow = in_values(
        torch.tensor([10.0, -30.0]).view(2, 1, 1, 1), Clip(frames=1, size=1, modality="flow"), values, stored=False
    )
    assert flow.flatten().tolist() == [0.5, -1.0]
    features = torch.ones(5, 4, 1, 1)
    assert (
        in_values(features, Clip(frames=4, size=1, channels=5, modality="features"), values, stored=False) is features
    )


def test_features_pass_through_untouched() -> None:
    clips = {"clip": Clip(frames=4, size=1, channels=5, modality="features")}
    read = Sample({"clip": torch.rand(5, 4, 1, 1)}, torch.tensor(0), "", 0.0, 1.0)
    x, _ = augmented([read], [Take(seed=0, training=True)], made(augment__erasing=1.0), clips, CPU)
    assert torch.equal(x[0], read.frames["clip"])
    assert torch.equal(viewed(read, made(), clips, 0, CPU)[0], x[0])


def test_a_view_of_a_test_is_the_middle_resized() -> None:
    video = sample(3, 4, 60, 80)
    whole = (
        resized(video.frames["clip"], (37, 49))[..., 3:35, 9:41] / 255
    )  # 256/224 of 32; room 5 and 17, half rounded up
    torch.testing.assert_close(viewed(video, made(), RGB, 0, CPU)[0], whole, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "ours", "theirs"),
    [
        ("autocontrast", lambda x: ra.auto_contrast(x, 0), ImageOps.autocontrast),
        ("equalize", lambda x: ra.equalize(x, 0), ImageOps.equalize),
        ("solarize", lambda x: ra.solarize(x, 0.6), lambda p: ImageOps.solarize(p, 102)),
        ("posterize", lambda x: ra.posterize(x, 0.5), lambda p: ImageOps.posterize(p, 6)),
        ("color", lambda x: ra.color(x, 0.5), lambda p: ImageEnhance.Color(p).enhance(1.45)),
        ("contrast", lambda x: ra.contrast(x, -0.5), lambda p: ImageEnhance.Contrast(p).enhance(0.55)),
        ("brightness", lambda x: ra.brightness(x, 0.5), lambda p: ImageEnhance.Brightness(p).enhance(1.45)),
        ("sharpness", lambda x: ra.sharpness(x, 0.5), lambda p: ImageEnhance.Sharpness(p).enhance(1.45)),
        ("saturated", lambda x: saturated(x, 0.3), lambda p: ImageEnhance.Color(p).enhance(0.3)),
        ("contrasted", lambda x: contrasted(x, 1.6), lambda p: ImageEnhance.Contrast(p).enhance(1.6)),
        ("brightened", lambda x: brightened(x, 0.3), lambda p: ImageEnhance.Brightness(p).enhance(0.3)),
    ],
)
def test_colours_as_pil_has_them(name: str, ours: object, theirs: object) -> None:
    x = (noise(3, 1, 24, 30).float() * 0.6 + 30).round()
    picture = Image.frombytes("RGB", (30, 24), bytes(x[:, 0].permute(1, 2, 0).flatten().to(torch.uint8).tolist()))
    want = torch.frombuffer(bytearray(theirs(picture).tobytes()), dtype=torch.uint8).view(24, 30, 3).permute(2, 0, 1)
    got = ours(x)[:, 0]
    # PIL rounds every step to whole numbers, gray included, and a change of gray counts 0.9 or 0.6 times
    assert (got - want).abs().max() <= 2, (got - want).abs().max()


def test_moves_by_hand() -> None:
    x = noise(1, 1, 331, 331).float()
    moved = ra.translate_x(x, 0.2)  # 30 pixels
    torch.testing.assert_close(moved[..., :-30], x[..., 30:], rtol=0, atol=0.05)
    assert moved[..., -29:].unique().tolist() == [128.0]
    torch.testing.assert_close(ra.translate_y(x, -0.2)[..., 30:, :], x[..., :-30, :], rtol=0, atol=0.05)
    turned = ra.moved(x, ((0, -1, 0), (1, 0, 0)))
    torch.testing.assert_close(turned, x.rot90(1, (2, 3)), rtol=0, atol=0.05)
    tall = noise(1, 1, 21, 41).float()
    sheared = ra.moved(tall, ((1, 1.0, 0), (0, 1, 0)))  # every row one pixel further than the one above
    for row, shift in ((10, 0), (13, 3), (5, -5)):
        inner = slice(10, 30)
        want = tall[0, 0, row].roll(-shift)[inner]
        torch.testing.assert_close(sheared[0, 0, row, inner], want, rtol=0, atol=0.05)


@pytest.mark.parametrize("operation", ra.OPERATIONS, ids=lambda operation: operation.__name__)
def test_no_magnitude_is_no_change_and_any_stays_within_bounds(operation: ra.Operation) -> None:
    x = noise(3, 2, 20, 24).float()
    if operation not in (ra.auto_contrast, ra.equalize):
        torch.testing.assert_close(operation(x, 0.0), x, rtol=0, atol=0.01)
    for level in (-1.0, 1.0):
        made = operation(x, level)
        assert made.shape == x.shape
        assert made.min() >= 0
        assert made.max() <= 255.01
        assert operation is ra.identity or not torch.equal(made, x)
    flat = torch.full((3, 2, 20, 24), 77.0)
    assert operation(flat, 0.5).isfinite().all()


def test_there_are_the_papers_fourteen_operations_and_each_is_drawn() -> None:
    assert len(ra.OPERATIONS) == 14
    x = noise(3, 1, 24, 24).float() * 0.6 + 30
    assert (
        len({ra.rand_augmented(x, 1, 7.0, Random(s)).numpy().tobytes() for s in range(400)}) == 23
    )  # 9 have two signs


def test_a_rectangle_is_erased_through_all_frames_and_nothing_else_is_touched() -> None:
    x = torch.zeros(3, 4, 40, 50)
    for seed in range(50):
        made = erased(x, 1.0, Random(seed))
        touched = made != 0
        assert (touched == touched[:1, :1]).all()
        rows, columns = touched[0, 0].any(1).nonzero().flatten(), touched[0, 0].any(0).nonzero().flatten()
        assert touched.sum() == 12 * len(rows) * len(columns)
        assert 0.015 <= len(rows) * len(columns) / 2000 <= 0.345
    assert not x.any()
    hits = sum(bool(erased(x, 0.25, Random(seed)).any()) for seed in range(800))
    assert 150 <= hits <= 250


def test_mixup_mixes_neighbours_and_their_labels_alike() -> None:
    clips, labels, weights = torch.eye(4).view(4, 1, 1, 2, 2), torch.tensor([0, 1, 2, 3]), torch.ones(4)
    x, shares = mixed(clips, labels, weights, Augment(mixup=0.8), 4, seed=3)
    assert torch.equal(x.flatten(1), shares)
    kept = shares.diagonal()
    assert 0 < kept[0] < 1
    assert torch.equal(kept, kept[:1].expand(4))
    torch.testing.assert_close(shares.sum(1), torch.ones(4))
    assert torch.equal(shares, mixed(clips, labels, weights, Augment(mixup=0.8), 4, seed=3)[1])
    assert not torch.equal(shares, mixed(clips, labels, weights, Augment(mixup=0.8), 4, seed=4)[1])


@pytest.mark.parametrize("seed", range(20))
def test_cutmix_gives_labels_the_shares_of_the_area(seed: int) -> None:
    clips = torch.arange(3.0).view(3, 1, 1, 1, 1).expand(3, 1, 2, 20, 30)
    x, shares = mixed(
        {"a": clips, "b": clips}, torch.tensor([0, 1, 2]), torch.ones(3), Augment(cutmix=1.0), 3, seed=seed
    )
    assert torch.equal(x["a"], x["b"])
    for i in range(3):
        for label in range(3):
            assert (x["a"][i] == label).float().mean().item() == pytest.approx(shares[i, label].item(), abs=1e-6)


def test_several_labels_are_mixed_too_and_unreadable_clips_with_nobody() -> None:
    labels = torch.tensor([[1.0, 1, 0], [0, 0, 1], [1, 0, 0]])
    x, shares = mixed(
        torch.tensor([1.0, 100, 2]).view(3, 1, 1, 1, 1),
        labels,
        torch.tensor([1.0, 0, 1]),
        Augment(mixup=1.0),
        3,
        seed=0,
    )
    kept = shares[0, 1].item()
    torch.testing.assert_close(shares, torch.tensor([[1, kept, 0], [0, 0, 1], [1, 1 - kept, 0]]))
    torch.testing.assert_close(x.flatten(), torch.tensor([kept + 2 * (1 - kept), 100, 2 * kept + 1 - kept]))


def test_both_are_drawn_where_a_recipe_has_both_and_nothing_happens_without() -> None:
    clips, labels = torch.arange(2.0).view(2, 1, 1, 1, 1).expand(2, 1, 1, 40, 40), torch.tensor([0, 1])
    cut = [
        len(mixed(clips, labels, torch.ones(2), Augment(mixup=1.0, cutmix=1.0), 2, seed=s)[0][0].unique()) == 2
        for s in range(40)
    ]
    assert 8 < sum(cut) < 32
    assert mixed(clips, labels, torch.ones(2), Augment(), 2, seed=0) == (clips, labels)


def test_a_crop_larger_than_the_frame_is_refused_before_anything_is_read() -> None:
    with pytest.raises(SpecError) as error:
        augmented([], [], made(augment__crop=Jitter(short_side=(16, 40))), RGB, CPU)
    assert str(error.value).split("\n")[0] == "a crop larger than the frame"
    assert "short side 16, clip clip of 32 x 32" in str(error.value)
    with pytest.raises(SpecError, match=r"views\.short_side"):
        viewed(sample(3, 4, 40, 50), made(views__short_side=20), RGB, 0, CPU)
    with pytest.raises(SpecError, match="colours are changed, but flow has none"):
        augmented([], [], made(augment__rand_augment=1), {"clip": Clip(frames=1, size=32, modality="flow")}, CPU)
    wrong = Values(mean=(0.5, 0.5), std=(1.0, 1.0))
    with pytest.raises(SpecError, match="other channels than the clip's"):
        viewed(sample(3, 4, 40, 50), made().but(values=wrong), RGB, 0, CPU)


def test_a_step_mixes_its_batch_by_seed_and_step_and_learns_from_shares() -> None:
    videos = MovingDigits(16, 0, frames=4, size=32)
    chosen = made(batch=4, augment=Augment(crop=Middle(short_side="crop"), mixup=0.8, cutmix=1.0))

    def batches(start: int, steps: int) -> list[Batch]:
        return list(train_feed(videos, chosen, RGB, start=start, steps=steps, device=CPU, skips=Skips()))

    three = batches(0, 3)
    assert all(batch.labels.shape == (4, 8) for batch in three)
    torch.testing.assert_close(torch.stack([batch.labels.sum(1) for batch in three]), torch.ones(3, 4))
    (third,) = batches(2, 1)
    assert torch.equal(third.clips, three[2].clips)
    assert torch.equal(third.labels, three[2].labels)
    shares = {batch.labels.max(1).values[0].item() for batch in three}
    assert len(shares) == 3
    losses = losses_of(torch.zeros(4, 8), third.labels, chosen)
    torch.testing.assert_close(losses, torch.full((4,), 8.0).log())
