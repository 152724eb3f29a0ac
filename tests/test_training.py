"""The moving digits hide their class from single frames; the loop learns, and repeats itself."""

from __future__ import annotations

from fractions import Fraction

import av
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import archdsl
from archdsl.blocks import Basic, Conv
from archdsl.errors import SpecError
from archdsl.language import Arch, Classifier, Clip, Edge, Pathway, Stage, TimeConv
from archdsl.language.recipe import Recipe
from archdsl.training import MovingDigits, evaluate, train
from archdsl.training.clips import epoch_order, indices_at
from archdsl.training.loop import groups
from archdsl.training.motion import film
from archdsl.training.video import centred, decoded

DIGITS = MovingDigits(count=64, seed=3, frames=8, size=32)


def small() -> Arch:
    """A SlowFast of one residual stage for clips of 8 x 32 x 32."""
    slow, fast = (
        Pathway(
            every=every,
            width_ratio=ratio,
            stages=dict(
                stem=Stage(Conv(channels=16, kernel=(kernel_t, 5, 5), stride=(1, 2, 2))),
                res2=Stage(Basic(channels=32, kernel_t=3, stride=2)),
            ),
        )
        for every, ratio, kernel_t in ((4, Fraction(1), 1), (1, Fraction(1, 2), 3))
    )
    edge = Edge(source="fast", target="slow", after=("stem",), transform=TimeConv(kernel=5))
    return Arch(
        name="small",
        clip=Clip(frames=8, size=32),
        pathways=dict(slow=slow, fast=fast),
        edges=(edge,),
        head=Classifier(classes=8),
    )


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return archdsl.build(small())


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
    moved = film(batch, DIGITS.shifts(torch.tensor([label])))[0, :, frame]
    elsewhere = batch._replace(ink=batch.ink.roll(tuple(shift.tolist()), dims=(1, 2)))
    assert torch.equal(moved, film(elsewhere, torch.zeros(1, 1, 2, dtype=torch.long))[0, :, 0])


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


def test_the_rate_rises_in_a_line_and_falls_in_half_a_cosine():
    recipe = Recipe(steps=100, batch=1, rate=0.4, warmup=3)
    assert [recipe.rate_at(step) for step in range(3)] == pytest.approx([0.1, 0.2, 0.3], rel=1e-2)
    assert recipe.rate_at(50) == pytest.approx(0.2)
    assert recipe.rate_at(99) < 1e-3


def test_a_recipe_refuses_what_cannot_be():
    with pytest.raises(SpecError, match="greater than or equal to 1"):
        Recipe(steps=0, batch=1, rate=0.1)


def test_equal_seeds_train_equal_networks():
    recipe = Recipe(steps=3, batch=4, rate=0.05, log_every=1)
    losses, weights = [], []
    for _ in range(2):
        log: list[tuple[int, float]] = []
        trained = network()
        train(trained, recipe, DIGITS, lambda step, loss, log=log: log.append((step, loss)))
        losses.append(log)
        weights.append(trained.state_dict())
    assert losses[0] == losses[1]
    assert [step for step, _ in losses[0]] == [1, 2, 3]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


class Oracle(torch.nn.Module):
    """Scores that put the label, which the clip carries, at a given place."""

    def __init__(self, place: int) -> None:
        super().__init__()
        self.place = torch.nn.Parameter(torch.tensor(float(place)))

    def forward(self, clip):
        label = clip[:, 0, 0, 0, 0].long()
        ranks = (torch.arange(8) - label[:, None] + int(self.place)) % 8
        return -ranks.float()


class Labels:
    """Clips that carry their labels."""

    def __len__(self) -> int:
        return 20

    def batch(self, indices):
        labels = torch.tensor(list(indices)) % 8
        return labels.float().view(-1, 1, 1, 1, 1), labels


@pytest.mark.parametrize(("place", "top1", "top5"), [(0, 1.0, 1.0), (4, 0.0, 1.0), (5, 0.0, 0.0)])
def test_top1_and_top5_count_places(place, top1, top5):
    assert evaluate(Oracle(place), Labels(), batch=7) == {"top1": top1, "top5": top5}


def test_norms_and_biases_have_no_weight_decay():
    made = network()
    decayed, free = groups(made, 0.1)
    names = {id(weights): name for name, weights in made.named_parameters()}
    assert {names[id(p)].rpartition(".")[2] for p in free["params"]} == {"weight", "bias"}
    assert all("norm" in names[id(p)] or names[id(p)].endswith("bias") for p in free["params"])
    assert len(decayed["params"]) + len(free["params"]) == len(names)


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
    clip = decoded(tmp_path / "red.mp4", 8)
    assert clip.shape == (3, 8, 64, 96)
    red = clip[0].float().mean((1, 2))
    assert (red[1:] > red[:-1] + 10).all()
    assert clip[1:].float().mean() < 10
    with pytest.raises(ValueError, match=r"red.mp4 has 10 frames, 12 are needed"):
        decoded(tmp_path / "red.mp4", 12)


def test_the_centre_is_cut_at_the_short_side():
    clip = torch.zeros(3, 2, 64, 128, dtype=torch.uint8)
    clip[..., 32:96] = 255
    made = centred(clip, short_side=32, crop=28)
    assert made.shape == (3, 2, 28, 28)
    assert made.min() == pytest.approx((1 - 0.45) / 0.225)


@pytest.mark.slow
def test_slowfast_tiny_learns_motion_and_a_single_frame_does_not():
    recipe = Recipe(steps=150, batch=16, rate=0.1, warmup=20)
    top1 = {}
    for frozen in (False, True):
        torch.manual_seed(0)
        tiny = archdsl.build(archdsl.load("slowfast_tiny"))
        train(tiny, recipe, MovingDigits(count=recipe.steps * recipe.batch, seed=0, frozen=frozen))
        top1[frozen] = evaluate(tiny, MovingDigits(count=256, seed=1, frozen=frozen))["top1"]
    assert top1[False] >= 0.9
    assert top1[True] <= 0.25
