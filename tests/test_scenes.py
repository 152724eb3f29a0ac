"""The built-in scenes: whatever is said to be true of them is what their pixels show, also after a crop."""

from __future__ import annotations

import math
from random import Random
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from archdsl.language import Clip
from archdsl.language.recipes.clips import Corners, Jitter, Resized
from archdsl.recipes import recipe
from archdsl.training.data.clips import ClipRequest, Sample
from archdsl.training.data.reader.transport import pack, unpack
from archdsl.training.data.synthetic.key_frame_scenes import KeyFrameScenes
from archdsl.training.data.synthetic.scenes import (
    Scenes,
    feature_directions,
    features_of,
    heatmaps_of,
    motion_of_first,
    question_of,
)
from archdsl.training.data.synthetic.truth import MOTION_NAMES, MOTIONS, SOUND_RATE, Digit, Truth, draw_truth
from archdsl.training.data.targets import stack_targets, targets_of_clips
from archdsl.training.data.transforms.augment import augment_batch
from archdsl.training.data.transforms.crops import training_crop
from archdsl.training.data.transforms.geometry import Cut, cut_of_part
from archdsl.training.data.transforms.moves import move_boxes, move_flow, move_labels

SEEDS = st.integers(0, 10**6)


def scene(seed: int, frames: int = 8, height: int = 48, width: int = 64, digits: tuple[int, int] = (1, 3)) -> Truth:
    return draw_truth(str(seed), frames, height, width, digits=digits)


@settings(max_examples=8, deadline=None)
@given(SEEDS)
def test_boxes_are_the_borders_of_what_shows(seed: int) -> None:
    truth = scene(seed, digits=(1, 1))
    for box, owner in zip(truth.boxes[:, 0].tolist(), truth.owners):
        rows, columns = owner.nonzero().T
        assert box == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


@settings(max_examples=8, deadline=None)
@given(SEEDS)
def test_flow_leads_every_pixel_to_where_it_is_next(seed: int) -> None:
    """To the same digit, or behind a nearer one; what stands has no flow."""
    truth = scene(seed)
    for t in range(truth.frames - 1):
        rows, columns = truth.owners[t].nonzero().T
        owner, (x, y) = truth.owners[t][rows, columns], truth.flow[:, t, rows, columns].long()
        assert (truth.owners[t + 1][rows + y, columns + x] >= owner).all()
        assert not truth.flow[:, t][:, truth.owners[t] == 0].any()
        moves = truth.flow[:, t, rows, columns].abs().sum(0) > 0
        assert torch.equal(moves, truth.moving[t][owner - 1])
        assert torch.equal(truth.motion_map[t][rows, columns] > 0, moves)


@settings(max_examples=8, deadline=None)
@given(SEEDS)
def test_a_movement_lasts_from_its_start_to_its_end(seed: int) -> None:
    truth = scene(seed, frames=24)
    for motion, first, last in truth.actions:
        assert 0 <= first < last <= 24
        (i, *_) = [
            i for i, one in enumerate(truth.digits) if (one.motion, one.first, one.last) == (motion, first, last)
        ]
        assert truth.moving[:, i].nonzero().flatten().tolist() == list(range(first, last))
    assert (truth.boxes[..., :2] >= 0).all()
    assert (truth.boxes[..., 2] <= 64).all()
    assert (truth.boxes[..., 3] <= 48).all()


def told_by_places(found: list[tuple[tuple[int, int], int]]) -> float:
    """Chi-square of motions and places in a raster of 4 x 4: about 105 where neither tells the other."""
    counts = torch.zeros(16, len(MOTIONS))
    for (row, column), motion in found:
        counts[row * 4 // 45 * 4 + column * 4 // 53, motion] += 1  # a digit of 20 x 12 in 64 x 64
    expected = counts.sum(1, keepdim=True) * counts.sum(0) / counts.sum()
    return float(((counts - expected).square() / expected.clamp(min=1e-9)).sum())


@pytest.mark.parametrize("alike", [True, False])
def test_the_key_frame_tells_no_motion(alike: bool) -> None:
    """Any place is as likely with any motion there, not so in the first frame; digits move around that time."""
    scenes = (Scenes if alike else KeyFrameScenes)(1, 0, {}, motion_of_first, MOTION_NAMES, alike=alike)
    assert scenes.keyed
    first, middle = [], []
    for seed in range(4000):
        truth = draw_truth(str(seed), 16, 64, 64, digits=(1, 1), motion=seed % 8 if alike else None, key=8)
        motion, places = truth.digits[0].motion, truth.places[:, 0]
        middle.append(((int(places[8, 0]), int(places[8, 1])), motion))
        first.append(((int(places[0, 0]), int(places[0, 1])), motion))
        assert (truth.boxes >= 0).all()
        assert (truth.boxes <= 64).all()
        assert truth.moving[:, 0].sum() >= 8
        assert truth.moving[7:9, 0].any()
    assert told_by_places(middle) < 105 + 4 * math.sqrt(2 * 105)
    assert told_by_places(first) > 1000


def test_what_is_said_and_heard() -> None:
    truth = scene(3, digits=(2, 2))
    said = truth.caption.split(" and ")
    assert len(said) == 2
    assert all(one.split()[0] in ("a", "an") and one.split()[-1] in ("fast", "slowly") for one in said)
    assert truth.sound.shape == (8 * SOUND_RATE // 25,)
    heard = truth.sound.view(8, -1).abs().amax(1) > 0
    assert torch.equal(heard, truth.moving.any(1))
    assert len({scene(seed).caption for seed in range(40)}) > 35


CLIPS = {
    "rgb": Clip(frames=4, height=32, width=48),
    "deep": Clip(frames=1, height=32, width=48, channels=9),
    "gray": Clip(frames=4, size=32, modality="gray"),
    "diff": Clip(frames=3, size=32, modality="rgb_diff"),
    "flow": Clip(frames=1, size=32, modality="flow", channels=20),
    "length": Clip(frames=4, size=32, modality="flow", channels=3),
    "heatmaps": Clip(frames=4, height=32, width=48, modality="heatmaps"),
    "audio": Clip(frames=16, height=1, width=40, modality="audio"),
    "boxes": Clip(frames=5, size=1, modality="boxes"),
    "features": Clip(frames=10, size=1, modality="features", channels=12),
    "markers": Clip(frames=10, size=1, modality="features", channels=1),
    "map": Clip(frames=4, size=8, modality="features", channels=12),
    "question": Clip(frames=7, size=1, modality="text", vocabulary=20),
}
STEADY = ("boxes", "markers", "question")
"""Clips whose frames are no times of a scene."""


@settings(max_examples=8, deadline=None)
@given(SEEDS)
def test_heatmaps_are_largest_at_the_centres_of_digits(seed: int) -> None:
    """Also in maps of another size than the pictures beside them."""
    truth = scene(seed, digits=(1, 1))
    for height, width in ((48, 64), (24, 32)):
        clip = Clip(frames=8, height=height, width=width, modality="heatmaps")
        maps = heatmaps_of(truth, clip, torch.arange(8))
        assert maps.flatten(1).any(1).nonzero().flatten().tolist() == [truth.digits[0].digit]
        x1, y1, x2, y2 = (truth.boxes[:, 0] * height / truth.height).T
        found = maps[truth.digits[0].digit]
        mass = found.sum((1, 2))
        column = (found.sum(1) * (torch.arange(width) + 0.5)).sum(1) / mass
        row = (found.sum(2) * (torch.arange(height) + 0.5)).sum(1) / mass
        torch.testing.assert_close(column, (x1 + x2) / 2, atol=0.05, rtol=0)
        torch.testing.assert_close(row, (y1 + y2) / 2, atol=0.05, rtol=0)


def test_heatmaps_by_hand() -> None:
    """Digits of one numeral share a channel, where the larger value counts; sigma is 0.6 pixels."""
    digits = tuple(Digit(3, 0, 0, column, 0, 0, (1.0, 1.0, 1.0)) for column in (0, 3))
    maps = heatmaps_of(Truth(digits, 1, 16, 16, ""), Clip(frames=1, size=16, modality="heatmaps"), torch.tensor([0]))
    near, far = (math.exp(-(away**2) / (2 * 0.6**2)) for away in (1.0, 2.0))
    assert maps[3, 0, 2, :6].tolist() == pytest.approx([near, 1, near, near, 1, near])
    assert maps[3, 0, 4, 1].item() == pytest.approx(far)
    assert maps.sum() == maps[3].sum()


def test_heatmaps_mirror_with_the_pictures_beside_them() -> None:
    clips = {"rgb": Clip(frames=4, size=64), "heatmaps": Clip(frames=4, size=64, modality="heatmaps")}
    videos = Scenes(1, 0, clips, motion_of_first, MOTION_NAMES, digits=(1, 1))
    plain, mirrored = (
        augment_batch(
            [videos.read(0, ClipRequest(0))],
            [ClipRequest(3, training=True)],
            recipe("smoke").but(augment=recipe("smoke").augment.but(flip=flip)),
            clips,
            torch.device("cpu"),
        )
        for flip in (0, 1)
    )
    assert isinstance(plain, dict)
    assert isinstance(mirrored, dict)
    for name in clips:
        torch.testing.assert_close(mirrored[name], plain[name].flip(-1))
    assert plain["heatmaps"].max() > 0.1


@pytest.mark.parametrize("name", CLIPS)
def test_a_scene_is_shown_in_every_modality(name: str) -> None:
    clip = CLIPS[name]
    videos = Scenes(8, 0, {name: clip}, motion_of_first, MOTION_NAMES, alike=True)
    samples = [videos.read(i, ClipRequest(0)) for i in range(8)]
    for index, sample in enumerate(samples):
        assert sample.frames[name].shape == clip.shape
        assert int(sample.targets) == index
        assert torch.equal(sample.frames[name], videos.read(index, ClipRequest(9)).frames[name])
    if name not in STEADY[:2]:
        assert len({sample.frames[name].float().sum().item() for sample in samples}) > 1
    still = Scenes(8, 0, {name: clip}, motion_of_first, MOTION_NAMES, alike=True, frozen=True)
    shown = still.read(1, ClipRequest(0)).frames[name]
    if name not in STEADY:
        assert torch.equal(shown, shown[:, :1].expand_as(shown))


def test_a_question_names_the_digit_and_is_cut() -> None:
    """Ids of `how does the three move`; with few words an unknown one is the last of them."""
    truth = scene(3, digits=(1, 1))
    number = 5 + truth.digits[0].digit
    for frames, vocabulary, ids in ((6, 20, [1, 2, 3, number, 4, 0]), (2, 20, [1, 2]), (4, 4, [1, 2, 3, 3])):
        clip = Clip(frames=frames, size=1, modality="text", vocabulary=vocabulary)
        assert question_of(truth, clip, torch.arange(1)).flatten().tolist() == ids


def test_a_map_of_features_is_a_mean_of_what_shows_in_each_cell() -> None:
    """A cell that a digit fills by a half lies half way between its direction and the ground's."""
    truth = scene(5, digits=(1, 1))
    clip = Clip(frames=8, size=8, modality="features", channels=6)
    found = features_of(truth, clip, torch.arange(8))
    ground, digit = feature_directions(6, 11)[[0, truth.digits[0].digit + 1]]
    share = (truth.owners[0] > 0).float().view(8, truth.height // 8, 8, truth.width // 8).mean((1, 3))
    wanted = share[..., None] * digit + (1 - share[..., None]) * ground
    torch.testing.assert_close(found[:, 0].permute(1, 2, 0), wanted)


def test_clips_of_one_scene_show_the_same() -> None:
    """Two clips of one length: the flow of one is that of the other's pixels."""
    clips = {"rgb": Clip(frames=4, size=64), "flow": Clip(frames=4, size=64, modality="flow")}
    videos = Scenes(4, 0, clips, motion_of_first, MOTION_NAMES)
    sample = videos.read(2, ClipRequest(0))
    changed = (sample.frames["rgb"][:, 1:] != sample.frames["rgb"][:, :-1]).any(0)
    moved = sample.frames["flow"].abs().sum(0)[:-1] > 0
    assert torch.equal(changed.flatten(1).any(1), moved.flatten(1).any(1))


CROPS = st.sampled_from([Jitter(short_side=(40, 60)), Corners(), Resized()])


@settings(max_examples=15, deadline=None)
@given(SEEDS, CROPS, st.booleans())
def test_targets_move_with_the_pixels(seed: int, crop: Any, mirrored: bool) -> None:
    """A mask of each digit, cropped as pixels are, lies in its moved box to a pixel, and so do the moved labels."""
    truth = scene(seed, frames=2, height=96, width=128)
    cut = training_crop(crop, (96, 128), (32, 40), Random(seed))
    cut = cut.flipped() if mirrored else cut
    labels = move_labels(truth.owners[:1], cut)
    for i, box in enumerate(move_boxes(truth.boxes[0], cut).tolist()):
        shown = cut.of((truth.owners[:1] == i + 1)[None].float())[0, 0]
        rows, columns = (shown > 0.5).nonzero().T
        if len(rows):
            assert box[0] - 1 <= columns.min()
            assert columns.max() + 1 <= box[2] + 1
            assert box[1] - 1 <= rows.min()
            assert rows.max() + 1 <= box[3] + 1
        assert ((labels[0] == i + 1) & (shown < 0.05)).sum() <= 2


def whole(mirrored: bool) -> Cut:
    cut = cut_of_part((48, 64), (0, 0), (96, 128))
    return cut.flipped() if mirrored else cut


@pytest.mark.parametrize("mirrored", [False, True])
def test_flow_of_an_enlarged_frame_is_longer_and_mirrored(mirrored: bool) -> None:
    flow = scene(5).flow[:, :1]
    moved = move_flow(flow, whole(mirrored))
    sign = torch.tensor([-2.0 if mirrored else 2.0, 2.0])
    assert moved.shape == (2, 1, 96, 128)
    assert torch.equal(moved.flatten(1).abs().amax(1), 2 * flow.flatten(1).abs().amax(1))
    assert torch.equal((moved.flatten(1).sum(1) * sign).sign(), flow.flatten(1).sum(1).sign())


def test_boxes_outside_have_no_area_and_zeros_stay() -> None:
    cut = cut_of_part((10, 10), (20, 20), (20, 20))
    boxes = torch.tensor([[22.0, 24, 26, 28], [0, 0, 5, 5], [18, 18, 40, 25], [0, 0, 0, 0]])
    want = [[4.0, 8, 12, 16], [0, 0, 0, 0], [0, 0, 20, 10], [0, 0, 0, 0]]
    assert move_boxes(boxes, cut).tolist() == want
    assert move_boxes(boxes, cut.flipped())[0].tolist() == [8, 8, 16, 16]


def nested(seed: int, boxes: int) -> Sample:
    made = torch.Generator().manual_seed(seed)
    targets = {"boxes": [torch.rand(boxes, 4, generator=made)], "mask": torch.randint(3, (2, 5), generator=made)}
    return Sample({"clip": torch.zeros(3, 1, 2, 2)}, {"label": torch.tensor(seed), "more": targets}, "", 0.0, 1.0)


def test_targets_in_dicts_and_lists_travel_and_become_batches() -> None:
    samples = [nested(seed, boxes) for seed, boxes in enumerate((2, 0, 3))]
    back = [one for one in unpack(pack([*samples])) if isinstance(one, Sample)]
    made = stack_targets([one.targets for one in back])
    assert made["label"].tolist() == [0, 1, 2]
    assert made["more"]["mask"].shape == (3, 2, 5)
    assert [len(boxes) for (boxes,) in made["more"]["boxes"]] == [2, 0, 3]
    part = targets_of_clips(made, slice(1, 3))
    assert part["label"].tolist() == [1, 2]
    assert torch.equal(part["more"]["boxes"][1][0], samples[2].targets["more"]["boxes"][0])
    one = targets_of_clips(made, 2)
    assert torch.equal(one["more"]["mask"], samples[2].targets["more"]["mask"])


def test_there_are_as_many_names_as_motions() -> None:
    assert len(MOTION_NAMES) == len(MOTIONS) == 8
    labels: Tensor = motion_of_first(scene(0))
    assert 0 <= int(labels) < 8
