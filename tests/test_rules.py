"""Recipes that cite a rule draw what it says: thousands of clips, crops and rates beside papers and published code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import product
from math import cos, floor, pi
from pathlib import Path
from random import Random

import pytest
import torch

import archdsl
from archdsl.compiler.expansion import frame_choice
from archdsl.errors import SpecError
from archdsl.language import Clip, Pathway
from archdsl.recipes import recipe
from archdsl.training.data.clip_frames import sample_frames
from archdsl.training.data.clips import ClipRequest, Sample
from archdsl.training.data.snippets import snippets_of
from archdsl.training.data.sources.discovery import videos_for
from archdsl.training.data.transforms.augment import augment_batch
from archdsl.training.data.transforms.crops import training_crop, view_crop
from tests.filmed import film

DRAWS = 2000
SEGMENTED = {
    "tsn_r50": ("tsn_k400", 8, 1),
    "tsn_bn_inception": ("tsn_k400", 3, 1),
    "tsn_bn_inception_flow": ("tsn_k400", 3, 6),
    "tsm_r50": ("tsm_k400", 8, 1),
    "tsm_r50_16f": ("tsm_ssv2", 16, 1),
    "tin_r50": ("tsm_ssv2", 8, 1),
    "tanet_r50": ("tsm_ssv2", 8, 1),
    "tea_r50": ("tsm_ssv2", 8, 1),
    "tdn_r50": ("tsm_ssv2", 8, 5),
    "trn_r50": ("tsm_ssv2", 8, 1),
    "stm_r50": ("tsm_ssv2", 8, 1),
    "teinet_r50": ("tsm_ssv2", 8, 1),
}
"""Net -> (recipe, segments, frames of the video that a snippet needs: of flow one more than it has)."""


def even(drawn: Iterable[object], expected: Iterable[object]) -> None:
    """Exactly these are drawn, each equally often: chi-squared within five deviations."""
    counts, all_of = Counter(drawn), set(expected)
    assert set(counts) == all_of
    mean = sum(counts.values()) / len(all_of)
    chi = sum((count - mean) ** 2 for count in counts.values()) / mean
    free = len(all_of) - 1
    assert abs(chi - free) < 5 * (2 * free) ** 0.5 + 5, counts


def frames_read(name: str, sampling: object, take: ClipRequest, length: int) -> dict[str, list[int]]:
    """Pathway -> frames of the video that reach its first stage."""
    arch = archdsl.load(name)
    ((clip_name, clip),) = arch.clips.items()
    snippets = snippets_of(arch, sampling)[clip_name]
    clip_frames = sample_frames(sampling, take, clip.frames, length, 25, snippets=snippets)
    return {
        key: [clip_frames[place] for place in frame_choice(pathway).frames(clip.frames)]
        for key, pathway in arch.pathways.items()
    }


@pytest.mark.parametrize("name", SEGMENTED)
@pytest.mark.parametrize("length", [240, 250])
def test_each_segment_is_drawn_from_all_of_its_part(name: str, length: int) -> None:
    """TSN: K segments of equal durations, a snippet at random from each. 240 frames, 8 segments: 0-29, 30-59..."""
    told, segments, span = SEGMENTED[name]
    sampling, starts = recipe(told).sampling, length - span + 1
    arch = archdsl.load(name)
    ((key, clip),) = arch.clips.items()
    (group,) = snippets_of(arch, sampling)[key]
    assert (len(group.places), group.span) == (segments, span)
    heads = [places[0] for places in group.places]
    drawn = [
        sample_frames(sampling, ClipRequest(seed, training=True), clip.frames, length, 25, snippets=(group,))
        for seed in range(DRAWS if name in ("tsn_r50", "tdn_r50") else 300)
    ]
    for i, head in enumerate(heads):
        first, last = i * starts / segments, (i + 1) * starts / segments
        seen = Counter(frames[head] for frames in drawn)
        assert floor(first) <= min(seen) <= max(seen) < last
        if len(drawn) == DRAWS and starts % segments == 0:
            even((frames[head] for frames in drawn), range(int(first), int(last)))
        else:
            assert min(seen) <= first + (last - first) / 8
            assert max(seen) >= last - (last - first) / 8 - 1
    corner = {
        (frames[heads[0]] < starts / segments / 2, frames[heads[1]] < starts / segments * 1.5) for frames in drawn
    }
    assert len(corner) == 4  # segments are drawn apart


@pytest.mark.parametrize("name", SEGMENTED)
def test_a_snippet_is_frames_in_a_row_and_tests_take_the_middle(name: str) -> None:
    told, segments, span = SEGMENTED[name]
    sampling = recipe(told).sampling
    tick = (240 - span + 1) / segments
    for take in (ClipRequest(5, training=True), ClipRequest(0)):
        read = frames_read(name, sampling, take, 240)
        for frames in read.values():
            length = len(frames) // segments
            for i in range(segments):
                snippet = frames[i * length : (i + 1) * length]
                assert snippet == list(range(snippet[0], snippet[0] + length))
        if name == "tdn_r50":  # the net reads the middle one of the five whose differences it sees
            assert read["main"] == read["steps"][2::5]
        if not take.training:
            first = read["steps"][::5] if name == "tdn_r50" else next(iter(read.values()))[:: max(span - 1, 1)]
            assert first == [int(tick / 2 + tick * i) for i in range(segments)]


def test_two_clips_of_tsm_lie_in_the_middle_and_at_the_beginning_of_segments() -> None:
    """`twice_sample` of ops/dataset.py."""
    sampling, views = recipe("tsm_ssv2").sampling, recipe("tsm_ssv2").views
    clips = [
        frames_read("tsm_r50", sampling, ClipRequest(0, clip=i, clips=views.clips), 240)["main"]
        for i in range(views.clips)
    ]
    assert clips == [[15 + 30 * i for i in range(8)], [30 * i for i in range(8)]]
    firsts = [frames_read("tsm_r50", sampling, ClipRequest(0, clip=i, clips=5), 240)["main"][0] for i in range(5)]
    assert sorted(firsts) == [3, 9, 15, 21, 27]


def test_nets_of_other_segments_side_by_side_each_get_theirs_or_are_refused() -> None:
    """8 and 16 segments of one clip meet no frame twice in TSM's, but in TDN's."""
    sampling = recipe("tsm_ssv2").sampling
    read = frames_read("tsm_r50_en", sampling, ClipRequest(0), 240)
    assert read["small_main"] == [15 + 30 * i for i in range(8)]
    assert read["large_main"] == [floor(7.5 + 15 * i) for i in range(16)]
    with pytest.raises(SpecError, match="pathways of one clip read different numbers of segments"):
        snippets_of(archdsl.load("tdn_r101_en"), sampling)
    assert snippets_of(archdsl.load("tdn_r101_en"), recipe("slowfast_k400").sampling) == {}
    with pytest.raises(SpecError, match="snippet length set twice"):
        snippets_of(archdsl.load("tsn_r50"), sampling.but(snippet=5))


def test_what_a_network_sees_of_files_is_what_the_rule_says(tmp_path: Path) -> None:
    """From pictures on the disk to the clip: each picture tells its number by its brightness."""
    for i in range(48):
        frame = torch.full((3, 1, 16, 16), 5 * i, dtype=torch.uint8)
        for split in ("train", "val"):
            film(tmp_path / split / "a" / "video" / f"img_{i:05d}.png", frame, codec="png", pix_fmt="rgb24")
    arch = archdsl.load("tsn_r50", size=16)
    arch = arch.but(pathways={"main": Pathway(segments=4, stages=arch.pathways["main"].stages)})
    made = recipe("tsn_k400")
    places = frame_choice(arch.pathways["main"]).frames(80)
    train, val = (videos_for(str(tmp_path), split, arch, made) for split in ("train", "val"))
    seen = [train.read(0, ClipRequest(seed, training=True)).frames["clip"][0, places, 0, 0] // 5 for seed in range(150)]
    for i, column in enumerate(torch.stack(seen).T.tolist()):
        assert set(column) == set(range(12 * i, 12 * i + 12))
    assert (val.read(0, ClipRequest(0)).frames["clip"][0, places, 0, 0] // 5).tolist() == [6, 18, 30, 42]


DENSE = {  # recipe -> (net, frames apart that reach its pathways' clip, frames of the video)
    "slowfast_k400": ("slowfast_8x8_r50", 1, 64),
    "x3d_k400": ("x3d_m", 1, 80),
    "i3d_k400": ("i3d_inception", 1, 64),
    "charades": ("slowfast_16x8_r50", 1, 128),
    "repflow_k400": ("repflow_r50_2d", 2, 31),
}


@pytest.mark.parametrize("name", DENSE)
def test_a_dense_clip_begins_anywhere_it_fits(name: str) -> None:
    """SlowFast, section 4.1: a clip from the full-length video at random; tests evenly from its first to its last."""
    made, (net, apart, reach) = recipe(name), DENSE[name]
    length, fps = reach + 29, made.sampling.fps or 25
    clip = next(iter(archdsl.load(net).clips.values())) if name != "charades" else Clip(frames=128, size=224)
    drawn = [
        sample_frames(made.sampling, ClipRequest(seed, training=True), clip.frames, length, fps)
        for seed in range(DRAWS)
    ]
    assert all(frames == list(range(frames[0], frames[0] + reach, apart)) for frames in drawn)
    even((frames[0] for frames in drawn), range(30))
    clips = made.views.clips
    firsts = [
        sample_frames(made.sampling, ClipRequest(0, clip=i, clips=clips), clip.frames, length, fps)[0]
        for i in range(clips)
    ]
    assert firsts == ([floor(29 * i / 9 + 1e-6) for i in range(10)] if clips == 10 else [14])


@pytest.mark.parametrize("name", ["slowfast_k400", "x3d_k400", "i3d_k400", "charades", "repflow_k400"])
def test_short_sides_and_crops_are_drawn_as_pyslowfast_does(name: str) -> None:
    """The short side evenly from a range, or its inverse (Charades); the crop anywhere in it."""
    low, high = {"i3d_k400": (256, 256), "charades": (256, 340), "repflow_k400": (128, 128)}.get(name, (256, 320))
    crop, out = recipe(name).augment.crop, 112 if name == "repflow_k400" else 224
    drawn = []
    for seed in range(DRAWS):
        cut = training_crop(crop, (240, 320), (out, out), Random(seed))
        short = round(240 / cut.rows.step)
        drawn.append((short, round(cut.rows.start / cut.rows.step), round(cut.columns.start / cut.columns.step)))
    shorts = [short for short, *_ in drawn]
    assert (min(shorts), max(shorts)) == (low, high)
    if low < high:  # of the even quantity a tenth lies in every tenth of its range
        ends = (1 / high, 1 / low) if name == "charades" else (low, high)
        values = [1 / s if name == "charades" else s for s in shorts]
        even_tenths([(v - ends[0]) / (ends[1] - ends[0]) for v in values])
    even_tenths([(top + 0.5) / (short - out + 1) for short, top, _ in drawn])
    even_tenths([(left + 0.5) / (floor(short * 320 / 240) - out + 1) for short, _, left in drawn])


def even_tenths(shares: list[float]) -> None:
    """As many in every tenth from 0 to 1, within five deviations and what whole pixels take."""
    counts = Counter(min(int(share * 10), 9) for share in shares)
    assert all(abs(counts[i] / len(shares) - 0.1) < 5 * (0.09 / len(shares)) ** 0.5 + 0.025 for i in range(10)), counts


@pytest.mark.parametrize(("name", "places"), [("tsn_k400", 5), ("tsm_k400", 13), ("tsm_ssv2", 13)])
def test_corners_are_drawn_as_in_the_code(name: str, places: int) -> None:
    """GroupMultiScaleCrop: 1, .875, .75, .66 of the short side, pairs one apart at most, 5 or 13 places: all alike."""
    sizes = [int(256 * scale) for scale in (1, 0.875, 0.75, 0.66)]
    pairs = [(h, w) for (i, h), (j, w) in product(enumerate(sizes), repeat=2) if abs(i - j) <= 1]
    crop, drawn = recipe(name).augment.crop, []
    for seed in range(3 * DRAWS):
        cut = training_crop(crop, (256, 340), (224, 224), Random(seed))
        high, wide = cut.rows.high - cut.rows.low, cut.columns.high - cut.columns.low
        steps = ((256 - high) // 4, (340 - wide) // 4)
        quarter = (cut.rows.low // steps[0] if steps[0] else None, cut.columns.low // steps[1])
        drawn.append(((high, wide), quarter))
    even((pair for pair, _ in drawn), pairs)
    small = [quarter for pair, quarter in drawn if pair[0] < 256]
    even(small, {(0, 0), (0, 4), (4, 0), (4, 4), (2, 2)} if places == 5 else thirteen())


def thirteen() -> set[tuple[int, int]]:
    """fill_fix_offset with more_fix_crop: corners, centre, middles of the sides, quarters."""
    return {(h, w) for h, w in product((0, 2, 4), repeat=2)} | set(product((1, 3), repeat=2))


@pytest.mark.parametrize("frame", [(256, 340), (256, 455), (320, 256)])
def test_ten_crops_lie_where_the_code_puts_them(frame: tuple[int, int]) -> None:
    """GroupOverSample and mmaction2's TenCrop: whole quarters of the room."""
    h, w = ((size - 224) // 4 for size in frame)
    five = [(0, 0), (0, 4 * w), (4 * h, 0), (4 * h, 4 * w), (2 * h, 2 * w)]
    cuts = [view_crop(i, 10, frame, 256, (224, 224)) for i in range(10)]
    assert [(cut.rows.low, cut.columns.low) for cut in cuts] == five * 2


@pytest.mark.parametrize(
    "name", ["slowfast_k400", "x3d_k400", "i3d_k400", "charades", "repflow_k400", "tsn_k400", "tsm_k400", "tsm_ssv2"]
)
def test_half_of_all_clips_are_mirrored_but_where_left_and_right_are_classes(name: str) -> None:
    """By the pixels: a ramp that rises to the right."""
    ramp = torch.arange(32, dtype=torch.uint8).mul(8).expand(3, 1, 32, 32)
    made, clips, draws = recipe(name), {"clip": Clip(frames=1, size=8)}, 400
    takes = [ClipRequest(seed, training=True) for seed in range(draws)]
    samples = [Sample({"clip": ramp}, torch.tensor(0), "ramp", 0.0, 0.0)] * draws
    made_clips = augment_batch(samples, takes, made, clips, torch.device("cpu"))
    assert isinstance(made_clips, torch.Tensor)
    mirrored = int((made_clips[:, 0, 0, 0, 0] > made_clips[:, 0, 0, 0, -1]).sum())
    assert mirrored == 0 if name == "tsm_ssv2" else abs(mirrored - draws / 2) < 5 * draws**0.5 / 2


def warmed(epoch: float, warmup: float, start: float, goal: float) -> float:
    """A line from the first rate to the one at the end of the warm-up."""
    return start + (goal - start) * epoch / warmup


def rate_of(name: str, epoch: float) -> float:
    """The learning rate as the sources state it; epochs, or steps of I3D."""
    match name:
        case "slowfast_k400":  # eta 1.6, half-period cosine over 256 epochs, 8k steps of warm-up; a tenth at first
            rate = lambda e: 0.5 * 1.6 * (1 + cos(pi * e / 256))  # noqa: E731
            return warmed(epoch, 34, 0.16, rate(34)) if epoch < 34 else rate(epoch)
        case "x3d_k400":  # BASE_LR 0.1, WARMUP_START_LR 0.01, 35 of 300 epochs
            rate = lambda e: 0.5 * 0.1 * (1 + cos(pi * e / 300))  # noqa: E731
            return warmed(epoch, 35, 0.01, rate(35)) if epoch < 35 else rate(epoch)
        case "charades":  # BASE_LR 0.0375, STEPS 0, 41, 49, WARMUP_START_LR 0.0001, 4 epochs
            return warmed(epoch, 4, 0.0001, 0.0375) if epoch < 4 else 0.0375 * 0.1 ** sum(epoch >= e for e in (41, 49))
        case "tsn_k400":
            return 0.01 * 0.1 ** sum(epoch >= e for e in (40, 80))
        case "tsm_k400" | "tsm_ssv2":
            return (0.02 if name == "tsm_k400" else 0.01) * 0.1 ** sum(epoch >= e for e in (20, 40))
        case "i3d_k400":
            return 0.1 * 0.1 ** sum(epoch >= e for e in (97_000, 108_000))
        case _:
            return 0.01


@pytest.mark.parametrize(
    "name", ["slowfast_k400", "x3d_k400", "i3d_k400", "charades", "repflow_k400", "tsn_k400", "tsm_k400", "tsm_ssv2"]
)
def test_rates_over_all_steps_are_those_of_the_sources(name: str) -> None:
    made = recipe(name)
    count = 100 * made.batch
    per = 1 if made.steps else 100
    steps = made.steps_for(count)
    assert (
        steps
        == {"slowfast_k400": 256, "x3d_k400": 300, "charades": 57, "repflow_k400": 60}.get(
            name, {"i3d_k400": 1150, "tsn_k400": 100}.get(name, 50)
        )
        * 100
    )
    for step in [*range(0, steps, max(steps // 2000, 1)), steps - 1]:
        assert made.rate_at(step, count) == pytest.approx(rate_of(name, step / per), rel=1e-9)
