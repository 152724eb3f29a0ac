"""What is done to clips: one treatment for all frames, seeds and nothing else, values of each modality."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import interpolate

from archdsl.errors import SpecError
from archdsl.language import Clip, change
from archdsl.language.recipes.clips import Augment, Corners, Jitter, Middle, Resized, Values, Views
from archdsl.language.recipes.recipe import Recipe
from archdsl.recipes import recipe
from archdsl.training.data.clips import ClipRequest, Sample
from archdsl.training.data.transforms.augment import augment_batch, make_view
from archdsl.training.data.transforms.normalisation import normalise
from archdsl.training.data.transforms.reader_crops import ReaderCrop

CPU = torch.device("cpu")
PLAIN = Values(mean=(0.0,), std=(1.0,))
RGB = {"clip": Clip(frames=4, size=32)}


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


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**63), st.sampled_from([Jitter(), Corners(), Resized(), Middle()]), st.integers(0, 3))
def test_a_clip_depends_on_the_seed_of_its_take_alone(seed: int, crop: object, operations: int) -> None:
    chosen = made(augment=Augment(crop=crop, colour=0.4, rand_augment=operations, erasing=0.5))
    one, other = sample(3, 4, 40, 50, seed=1), sample(3, 4, 64, 36, seed=2)
    takes = [ClipRequest(seed=seed, training=True), ClipRequest(seed=7, training=True)]
    torch.manual_seed(0)
    both = augment_batch([one, other], takes, chosen, RGB, CPU)
    torch.manual_seed(1)
    swapped = augment_batch([other, one], takes[::-1], chosen, RGB, CPU)
    alone = augment_batch([one], takes[:1], chosen, RGB, CPU)
    assert both.shape == (2, 3, 4, 32, 32)
    assert both.isfinite().all()
    assert torch.equal(both[0], swapped[1])
    assert torch.equal(both[0], alone[0])


@pytest.mark.parametrize("crop", [Jitter(), Corners(), Resized()])
def test_seeds_differ(crop: object) -> None:
    clips = [
        augment_batch([sample(3, 4, 40, 50)], [ClipRequest(seed=s, training=True)], made(augment__crop=crop), RGB, CPU)[
            0
        ]
        for s in range(8)
    ]
    assert len({clip.numpy().tobytes() for clip in clips}) == 8


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**9))
def test_all_frames_of_a_clip_are_treated_alike(seed: int) -> None:
    still = noise(3, 1, 40, 50).expand(3, 4, 40, 50)
    chosen = made(augment=Augment(colour=0.8, rand_augment=4, magnitude=9.0))
    x = augment_batch(
        [Sample({"clip": still}, torch.tensor(0), "", 0.0, 1.0)],
        [ClipRequest(seed=seed, training=True)],
        chosen,
        RGB,
        CPU,
    )
    torch.testing.assert_close(x, x[:, :, :1].expand_as(x), rtol=0, atol=1e-5)


def test_flow_is_cut_as_its_video_is_and_its_x_changes_sign_in_a_mirror_image() -> None:
    clips = {"rgb": Clip(frames=2, size=32), "flow": Clip(frames=2, size=32, modality="flow")}
    video = noise(3, 2, 40, 50)
    flow = torch.stack((video[0].float(), video[1].float())) / 13  # so that what is read where can be seen
    read = Sample({"rgb": video, "flow": flow}, torch.tensor(0), "", 0.0, 1.0)
    signs = set()
    for seed in range(20):
        x = augment_batch([read], [ClipRequest(seed=seed, training=True)], made(augment__flip=0.5), clips, CPU)
        rgb, found = x["rgb"][0] * 255, x["flow"][0] * 20
        torch.testing.assert_close(found[1] * 13, rgb[1], rtol=0, atol=1e-2)
        sign = 1 if (found[0] > 0).any() else -1
        signs.add(sign)
        torch.testing.assert_close(found[0] * 13 * sign, rgb[0], rtol=0, atol=1e-2)
    assert signs == {1, -1}


@pytest.mark.parametrize("crop", [Jitter(short_side=(34, 64)), Corners(), Resized()])
def test_crops_are_mirrored_or_not_whatever_their_place_and_size(crop: object) -> None:
    """What is drawn for the mirror image says nothing about the crop."""
    ramp = torch.arange(64, dtype=torch.uint8).view(1, 1, 64).expand(3, 4, 64, 64)
    read = Sample({"clip": ramp}, torch.tensor(0), "", 0.0, 1.0)
    chosen = made(augment=Augment(crop=crop, flip=0.5))
    clips = [augment_batch([read], [ClipRequest(seed=s, training=True)], chosen, RGB, CPU) for s in range(120)]
    rows = torch.cat(clips)[:, 0, 0, 0]
    mirrored = rows[:, 0] > rows[:, -1]
    assert 40 < int(mirrored.sum()) < 80
    for drawn in (rows.amin(1), rows.amax(1), rows.amax(1) - rows.amin(1)):
        assert (drawn[mirrored].mean() - drawn[~mirrored].mean()).abs() < drawn.std() / 2


def test_flow_stored_as_pixels_is_inverted_about_its_rest() -> None:
    clips = {"clip": Clip(frames=1, size=32, modality="flow")}
    still = Sample({"clip": torch.full((2, 1, 32, 32), 255, dtype=torch.uint8)}, torch.tensor(0), "", 0.0, 1.0)
    x = augment_batch(
        [still], [ClipRequest(seed=0, training=True)], recipe("smoke").but(augment=Augment(flip=1.0)), clips, CPU
    )
    torch.testing.assert_close(x.mean(dim=(0, 2, 3, 4)), torch.tensor([-1.0, 1.0]))


def test_values_of_each_modality_by_hand() -> None:
    values = Values(mean=(0.4, 0.5, 0.6), std=(0.1, 0.2, 0.5))
    x = torch.tensor([51.0, 102.0, 153.0]).view(3, 1, 1, 1)
    rgb = normalise(x, Clip(frames=1, size=1), values, stored=True).flatten()
    torch.testing.assert_close(rgb, torch.tensor([-2.0, -0.5, 0.0]))
    gray = normalise(x[1:2], Clip(frames=1, size=1, modality="gray"), values, stored=True)
    assert gray.item() == pytest.approx((0.4 - 0.5) / (0.8 / 3), rel=1e-5)
    diff = normalise(
        torch.full((6, 1, 1, 1), 51.0), Clip(frames=1, size=1, channels=6, modality="rgb_diff"), values, stored=False
    )
    torch.testing.assert_close(diff.flatten(), torch.tensor([2.0, 1.0, 0.4, 2.0, 1.0, 0.4]))
    flow = normalise(
        torch.tensor([10.0, -30.0]).view(2, 1, 1, 1), Clip(frames=1, size=1, modality="flow"), values, stored=False
    )
    assert flow.flatten().tolist() == [0.5, -1.0]
    features = torch.ones(5, 4, 1, 1)
    assert (
        normalise(features, Clip(frames=4, size=1, channels=5, modality="features"), values, stored=False) is features
    )


def test_features_pass_through_untouched() -> None:
    clips = {"clip": Clip(frames=4, size=1, channels=5, modality="features")}
    read = Sample({"clip": torch.rand(5, 4, 1, 1)}, torch.tensor(0), "", 0.0, 1.0)
    x = augment_batch([read], [ClipRequest(seed=0, training=True)], made(augment__erasing=1.0), clips, CPU)
    assert torch.equal(x[0], read.frames["clip"])
    assert torch.equal(make_view(read, made(), clips, 0, CPU)[0], x[0])


def test_a_view_of_a_test_is_the_middle_resized() -> None:
    video = sample(3, 4, 60, 80)
    whole = (
        resized(video.frames["clip"], (37, 49))[..., 3:35, 9:41] / 255
    )  # 256/224 of 32; room 5 and 17, half rounded up
    torch.testing.assert_close(make_view(video, made(), RGB, 0, CPU)[0], whole, rtol=0, atol=1e-4)


def test_a_crop_larger_than_the_frame_is_refused_before_anything_is_read() -> None:
    with pytest.raises(SpecError) as error:
        augment_batch([], [], made(augment__crop=Jitter(short_side=(16, 40))), RGB, CPU)
    assert str(error.value).split("\n")[0] == "a crop larger than the frame"
    assert "short side 16, clip clip of 32 x 32" in str(error.value)
    with pytest.raises(SpecError, match=r"views\.short_side"):
        make_view(sample(3, 4, 40, 50), made(views__short_side=20), RGB, 0, CPU)
    with pytest.raises(SpecError, match="colour augmentation of flow"):
        augment_batch([], [], made(augment__rand_augment=1), {"clip": Clip(frames=1, size=32, modality="flow")}, CPU)
    wrong = Values(mean=(0.5, 0.5), std=(1.0, 1.0))
    with pytest.raises(SpecError, match="do not match the clip's channels"):
        make_view(sample(3, 4, 40, 50), made().but(values=wrong), RGB, 0, CPU)


@pytest.mark.parametrize("crop", [Jitter(short_side=(33, 45)), Corners(), Resized(), Middle()])
def test_rounded_pixels_leave_their_reader_as_bytes_of_the_crops_size(crop: object) -> None:
    """As OpenCV and PIL leave them: at most half a level from those that are not rounded."""
    chosen = made(augment=Augment(crop=crop, flip=0.5))
    rounding = change(chosen, "values.rounded", True)
    for seed in range(6):
        request = ClipRequest(seed=seed, training=True)
        read = ReaderCrop(rounding, RGB)(sample(3, 4, 40, 50), request)
        assert read.frames["clip"].shape == (3, 4, 32, 32)
        assert read.frames["clip"].dtype == torch.uint8
        x, whole = (augment_batch([sample(3, 4, 40, 50)], [request], one, RGB, CPU) for one in (rounding, chosen))
        assert torch.equal(x, augment_batch([read], [request], rounding, RGB, CPU))
        assert torch.equal(x, (whole * 255).round() / 255)
        assert (x - whole).abs().max() <= 0.5 / 255 + 1e-6


def test_views_are_rounded_as_clips_in_training_are_and_flow_in_motion_is_not() -> None:
    clips = {"a": RGB["clip"], "b": Clip(frames=4, size=32, modality="flow")}
    frames = {"a": noise(3, 4, 40, 50), "b": torch.rand(2, 4, 40, 50) * 9}
    read = Sample(frames, torch.tensor(0), "", 0.0, 1.0)
    chosen = made(augment__crop=Middle(), views__crops=3)
    rounding = change(chosen, "values.rounded", True)
    for crop in range(3):
        whole, x = (make_view(read, one, clips, crop, CPU) for one in (chosen, rounding))
        assert torch.equal(x["a"], (whole["a"] * 255).round() / 255)
        assert not torch.equal(x["a"], whole["a"])
        assert torch.equal(x["b"], whole["b"])
    middle = augment_batch([read], [ClipRequest(seed=0, training=True)], rounding, clips, CPU)
    assert torch.equal(middle["a"], make_view(read, rounding, clips, 1, CPU)["a"])


@pytest.mark.parametrize("crop", [Jitter(short_side=(33, 45)), Corners(), Resized(area=(0.5, 1.0)), Middle()])
def test_frames_of_large_videos_leave_their_reader_at_the_crops_size(crop: object) -> None:
    """As floats, of which there are fewer bytes than pixels; the clip is the same bit for bit."""
    clips = {"a": RGB["clip"], "b": Clip(frames=4, size=32, modality="flow")}
    read = Sample({"a": noise(3, 4, 160, 200), "b": torch.rand(2, 4, 160, 200) * 9}, torch.tensor(0), "", 0.0, 1.0)
    chosen = made(augment=Augment(crop=crop, flip=0.5))
    for seed in range(4):
        request = ClipRequest(seed=seed, training=True)
        small = ReaderCrop(chosen, clips)(read, request)
        assert small.resized == {"a", "b"}
        assert {x.shape[-2:] for x in small.frames.values()} == {(32, 32)}
        x = augment_batch([small], [request], chosen, clips, CPU)
        cuts = small.cuts or {}
        pixels, motion = (cuts[name].of(read.frames[name]) for name in clips)
        motion[0] *= -1 if cuts["b"].columns.mirrored else 1
        assert torch.equal(x["a"][0], pixels / 255)
        torch.testing.assert_close(x["b"][0], motion / 20)
