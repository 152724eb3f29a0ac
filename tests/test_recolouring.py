"""Colours against PIL's, moves by hand, rectangles of noise, clips and labels mixed."""

from __future__ import annotations

from random import Random

import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor

from archdsl.language import Clip, change
from archdsl.language.recipes.clips import Augment, Middle, Values, Views
from archdsl.language.recipes.recipe import Recipe
from archdsl.ops import Shape
from archdsl.recipes import recipe
from archdsl.training.batches import train_batches
from archdsl.training.data.clips import Batch
from archdsl.training.data.synthetic.motion import MovingDigits
from archdsl.training.data.transforms import rand_augment as ra
from archdsl.training.data.transforms.colours import adjust_brightness, adjust_contrast, adjust_saturation
from archdsl.training.data.transforms.noise import draw_erased, erase, mix_clips
from archdsl.training.state.skipped_videos import SkippedVideos
from archdsl.training.tasks.class_losses import clip_losses
from tests.trained import classifying

CPU = torch.device("cpu")
PLAIN = Values(mean=(0.0,), std=(1.0,))
RGB = {"clip": Clip(frames=4, size=32)}


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def made(**changes: object) -> Recipe:
    """A recipe whose values are pixels over 255, with parts of it changed."""
    base = recipe("smoke").but(values=PLAIN, views=Views(), augment=Augment(flip=0.0))
    for path, value in changes.items():
        base = change(base, path.replace("__", "."), value)
    return base


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
        ("saturated", lambda x: adjust_saturation(x, 0.3), lambda p: ImageEnhance.Color(p).enhance(0.3)),
        ("contrasted", lambda x: adjust_contrast(x, 1.6), lambda p: ImageEnhance.Contrast(p).enhance(1.6)),
        ("brightened", lambda x: adjust_brightness(x, 0.3), lambda p: ImageEnhance.Brightness(p).enhance(0.3)),
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
    turned = ra.warp_affine(x, ((0, -1, 0), (1, 0, 0)))
    torch.testing.assert_close(turned, x.rot90(1, (2, 3)), rtol=0, atol=0.05)
    tall = noise(1, 1, 21, 41).float()
    sheared = ra.warp_affine(tall, ((1, 1.0, 0), (0, 1, 0)))  # every row one pixel further than the one above
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
    assert len({ra.rand_augment(x, 1, 7.0, Random(s)).numpy().tobytes() for s in range(400)}) == 23  # 9 have two signs


def test_a_rectangle_is_erased_through_all_frames_and_nothing_else_is_touched() -> None:
    x = torch.zeros(3, 4, 40, 50)
    for seed in range(50):
        made = erase(x, draw_erased(Shape(*x.shape), 1.0, Random(seed)))
        touched = made != 0
        assert (touched == touched[:1, :1]).all()
        rows, columns = touched[0, 0].any(1).nonzero().flatten(), touched[0, 0].any(0).nonzero().flatten()
        assert touched.sum() == 12 * len(rows) * len(columns)
        assert 0.015 <= len(rows) * len(columns) / 2000 <= 0.345
    assert not x.any()
    hits = sum(draw_erased(Shape(*x.shape), 0.25, Random(seed)) is not None for seed in range(800))
    assert 150 <= hits <= 250


def test_mixup_mixes_neighbours_and_their_labels_alike() -> None:
    clips, labels, readable = torch.eye(4).view(4, 1, 1, 2, 2), torch.tensor([0, 1, 2, 3]), [True] * 4
    x, shares = mix_clips(clips, labels, readable, Augment(mixup=0.8), 4, seed=3)
    assert torch.equal(x.flatten(1), shares)
    kept = shares.diagonal()
    assert 0 < kept[0] < 1
    assert torch.equal(kept, kept[:1].expand(4))
    torch.testing.assert_close(shares.sum(1), torch.ones(4))
    assert torch.equal(shares, mix_clips(clips, labels, readable, Augment(mixup=0.8), 4, seed=3)[1])
    assert not torch.equal(shares, mix_clips(clips, labels, readable, Augment(mixup=0.8), 4, seed=4)[1])


@pytest.mark.parametrize("seed", range(20))
def test_cutmix_gives_labels_the_shares_of_the_area(seed: int) -> None:
    clips = torch.arange(3.0).view(3, 1, 1, 1, 1).expand(3, 1, 2, 20, 30)
    x, shares = mix_clips(
        {"a": clips, "b": clips}, torch.tensor([0, 1, 2]), [True] * 3, Augment(cutmix=1.0), 3, seed=seed
    )
    assert torch.equal(x["a"], x["b"])
    for i in range(3):
        for label in range(3):
            assert (x["a"][i] == label).float().mean().item() == pytest.approx(shares[i, label].item(), abs=1e-6)


def test_several_labels_are_mixed_too_and_unreadable_clips_with_nobody() -> None:
    labels = torch.tensor([[1.0, 1, 0], [0, 0, 1], [1, 0, 0]])
    x, shares = mix_clips(
        torch.tensor([1.0, 100, 2]).view(3, 1, 1, 1, 1),
        labels,
        [True, False, True],
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
        len(mix_clips(clips, labels, [True] * 2, Augment(mixup=1.0, cutmix=1.0), 2, seed=s)[0][0].unique()) == 2
        for s in range(40)
    ]
    assert 8 < sum(cut) < 32
    assert mix_clips(clips, labels, [True] * 2, Augment(), 2, seed=0) == (clips, labels)


def test_a_step_mixes_its_batch_by_seed_and_step_and_learns_from_shares() -> None:
    videos = MovingDigits(16, 0, frames=4, size=32)
    chosen = made(batch=4, augment=Augment(crop=Middle(short_side="crop"), mixup=0.8, cutmix=1.0))

    def batches(start: int, steps: int) -> list[Batch]:
        given = dict(start=start, steps=steps, device=CPU, skips=SkippedVideos())
        return list(train_batches(videos, chosen, RGB, task=classifying(chosen), **given))

    three = batches(0, 3)
    assert all(batch.targets.shape == (4, 8) for batch in three)
    torch.testing.assert_close(torch.stack([batch.targets.sum(1) for batch in three]), torch.ones(3, 4))
    (third,) = batches(2, 1)
    assert torch.equal(third.clips, three[2].clips)
    assert torch.equal(third.targets, three[2].targets)
    shares = {batch.targets.max(1).values[0].item() for batch in three}
    assert len(shares) == 3
    losses = clip_losses(torch.zeros(4, 8), third.targets, chosen)
    torch.testing.assert_close(losses, torch.full((4,), 8.0).log())
