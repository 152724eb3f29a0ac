"""Batches are the same for any number of readers and processes; what cannot be read is told and counted."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import pytest
import torch
from filmed import film, numbered_frames, silent_sound
from torch import Tensor

from archdsl.errors import SpecError
from archdsl.language import Clip
from archdsl.language.recipes.recipe import Recipe
from archdsl.recipes import recipe
from archdsl.training.batches import train_batches, view_batches
from archdsl.training.data.clips import Batch, ClipRequest, Sample, Unreadable, Videos
from archdsl.training.data.reader.transport import pack, unpack
from archdsl.training.data.reader.workers import read_clips
from archdsl.training.data.sources.discovery import videos_of
from archdsl.training.state.skipped_videos import SkippedVideos
from tests.trained import classifying

CPU = torch.device("cpu")
CLIPS = {"clip": Clip(frames=4, size=32)}
BAD = ("empty", "missing", "sound", "text", "truncated")


def recipe_for(batch: int = 4, **more: object) -> Recipe:
    return recipe("smoke").but(batch=batch, **more)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight videos of two classes and two sizes."""
    root = tmp_path_factory.mktemp("videos")
    for i in range(8):
        frames = numbered_frames(12 + i, 48, 64 if i % 3 else 48).roll(5 * i, 3)
        film(root / "train" / ("left", "right")[i % 2] / f"{i}.mp4", frames)
    return root


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A list of twelve videos; five cannot be read, one has one frame."""
    root = tmp_path_factory.mktemp("broken")
    for i in range(6):
        film(root / f"{i}.mp4", numbered_frames(10).roll(5 * i, 3))
    film(root / "one.mp4", numbered_frames(1))
    (root / "empty.mp4").touch()
    (root / "text.mp4").write_text("no video\n" * 30)
    (root / "truncated.mp4").write_bytes((root / "0.mp4").read_bytes()[:900])
    silent_sound(root / "sound.mp4")
    names = [*map(str, range(6)), "one", *BAD]
    (root / "train.csv").write_text("".join(f"{name}.mp4 {i % 2}\n" for i, name in enumerate(names)))
    (root / "val.csv").write_text((root / "train.csv").read_text())
    return root


def of(data: Path, recipe: Recipe, split: str = "train") -> Videos:
    return videos_of(str(data), split, CLIPS, recipe)


def fed(videos: Videos, recipe: Recipe, skips: SkippedVideos | None = None, **more: int) -> list[Batch]:
    given = {"start": 0, "steps": 5, "workers": 0} | more
    return list(
        train_batches(
            videos, recipe, CLIPS, task=classifying(recipe), device=CPU, skips=skips or SkippedVideos(), **given
        )
    )


def same(one: Batch, other: Batch) -> bool:
    assert isinstance(one.clips, Tensor)
    tensors = all(torch.equal(getattr(one, key), getattr(other, key)) for key in ("clips", "targets", "weights"))
    return tensors and all(getattr(one, key) == getattr(other, key) for key in ("indices", "names", "starts", "ends"))


def test_batches_do_not_depend_on_readers_or_where_one_begins(folder: Path) -> None:
    made = recipe_for()
    videos = of(folder, made)
    torch.manual_seed(1)
    alone = fed(videos, made)
    torch.manual_seed(2)
    read_aside = fed(videos, made, workers=2)
    assert len(alone) == len(read_aside) == 5
    assert all(map(same, alone, read_aside))
    assert all(map(same, alone[3:], fed(videos, made, start=3, steps=2, workers=1)))
    assert {tuple(batch.clips.shape) for batch in alone} == {(4, 3, 4, 32, 32)}
    assert len({batch.clips.sum().item() for batch in alone}) == 5
    assert all(batch.waited >= 0 and batch.weights.tolist() == [1] * 4 for batch in alone)


def test_reading_leaves_torchs_dice_alone(folder: Path) -> None:
    made = recipe_for()
    torch.manual_seed(4)
    before = torch.get_rng_state()
    fed(of(folder, made), made, steps=2, workers=1)
    assert torch.equal(before, torch.get_rng_state())


def test_processes_share_the_batch_of_one(folder: Path) -> None:
    made = recipe_for()
    videos = of(folder, made)
    shares = [fed(videos, made, rank=rank, world=2) for rank in (0, 1)]
    for whole, first, second in zip(fed(videos, made), *shares):
        assert whole.indices == first.indices + second.indices
        assert torch.equal(whole.clips, torch.cat([first.clips, second.clips]))
        assert torch.equal(whole.targets, torch.cat([first.targets, second.targets]))
        assert whole.starts == first.starts + second.starts


def test_every_view_of_every_video_once(folder: Path) -> None:
    made = recipe_for()
    made = made.but(views=made.views.but(clips=2, crops=3))
    videos = of(folder, made)
    given: Any = dict(device=CPU, skips=SkippedVideos(), batch=12, task=classifying(made))
    batches = list(view_batches(videos, made, CLIPS, workers=2, **given))
    indices = [index for batch in batches for index in batch.indices]
    assert indices == [index for index in range(8) for _ in range(6)]
    shares = [list(view_batches(videos, made, CLIPS, rank=rank, world=2, **given)) for rank in (0, 1)]
    assert sorted(i for share in shares for batch in share for i in batch.indices) == indices
    alone = list(view_batches(videos, made, CLIPS, **given))
    assert all(map(same, alone, batches))


@pytest.mark.parametrize("workers", [0, 2])
def test_unreadable_videos_are_told_once_and_weigh_nothing(workers: int, broken: Path, tmp_path: Path) -> None:
    made = recipe_for(batch=4, most_skipped=0.5)
    skips = SkippedVideos.for_run(tmp_path, made)
    batches = fed(of(broken, made), made, skips, steps=6, workers=workers)  # two epochs
    assert sum(batch.weights.sum().item() for batch in batches) == 14
    for batch in batches:
        for name, weight in zip(batch.names, batch.weights.tolist()):
            assert weight == (Path(name).stem not in BAD)
        assert len(batch.starts) in (4, 0)
    told = [json.loads(line) for line in (tmp_path / "skipped.jsonl").read_text().splitlines()]
    assert sorted(one["name"] for one in told) == [f"{name}.mp4" for name in BAD]
    assert all(one["reason"] for one in told)
    assert skips.clips == 10
    assert str(skips).startswith("5 videos could not be read (10 clips)")


def test_unreadable_videos_have_no_view(broken: Path) -> None:
    made = recipe_for(most_skipped=0.5)
    skips = SkippedVideos()
    batches = list(
        view_batches(
            of(broken, made, "val"), made, CLIPS, task=classifying(made), device=CPU, skips=skips, batch=2, workers=2
        )
    )
    assert sorted({i for batch in batches for i in batch.indices}) == list(range(7))
    assert sorted(skips.names) == [f"{name}.mp4" for name in BAD]


def test_a_batch_of_nothing_readable(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("a.mp4 0\nb.mp4 1\n")
    made = recipe_for(batch=2)
    (batch,) = fed(of(tmp_path / "train.csv", made), made, steps=1)
    assert batch.weights.tolist() == [0, 0]
    assert batch.clips.shape == (2, 3, 4, 32, 32)
    assert batch.targets.shape == (2,)


def test_too_many_unreadable_videos_end_a_run(broken: Path) -> None:
    made = recipe_for(most_skipped=0.35)
    with pytest.raises(SpecError, match="too many unreadable videos") as caught:
        fed(of(broken, made), made, SkippedVideos(max_share=0.35), steps=3)
    assert "5 of 12" in str(caught.value)
    assert "at most 35% of them" in str(caught.value)


class Odd:
    """Videos that misbehave when the third is read."""

    classes, multi_label = ("a",), False

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.tries = 0

    def __len__(self) -> int:
        return 4

    def name(self, index: int) -> str:
        return f"video {index}"

    def read(self, index: int, take: ClipRequest) -> Sample:
        if index == 2:
            self.tries += 1
            match self.mode:
                case "blinks" if self.tries == 1:
                    raise Unreadable("video 2", "the drive is away")
                case "unreadable":
                    raise Unreadable("video 2", "for good")
                case "denied":
                    raise PermissionError(13, "Permission denied", "video")
                case "memory":
                    raise MemoryError
        return Sample({"clip": torch.full((3, 4, 40, 40), index, dtype=torch.uint8)}, torch.tensor(0), "", 0.0, 1.0)


def asked(count: int = 4) -> list[list[tuple[int, ClipRequest]]]:
    return [[(index, ClipRequest(0))] for index in range(count)]


def test_a_video_is_tried_twice_and_no_more() -> None:
    blinks, gone = Odd("blinks"), Odd("unreadable")
    assert all(isinstance(found[0], Sample) for _, found, _ in read_clips(blinks, asked(), 0))
    assert [isinstance(found[0], Sample) for _, found, _ in read_clips(gone, asked(), 0)] == [True, True, False, True]
    assert (blinks.tries, gone.tries) == (2, 2)


@pytest.mark.parametrize(("mode", "reason"), [("denied", "Permission denied"), ("memory", "MemoryError")])
def test_what_the_machine_refuses_is_unreadable(mode: str, reason: str) -> None:
    (_, _, third, _) = (found[0] for _, found, _ in read_clips(Odd(mode), asked(), 0))
    assert isinstance(third, Unreadable)
    assert reason in third.reason


def test_clips_are_packed_and_unpacked_whatever_their_numbers() -> None:
    one = Sample({"a": torch.arange(7, dtype=torch.uint8), "b": torch.randn(2, 3)}, torch.tensor(3), "one", 0.0, 1.0)
    other = Sample({"a": torch.zeros(0, 4), "b": torch.ones(1).double()}, torch.rand(5), "other", 1.0, 2.0)
    missing = Unreadable("third", "gone")
    first, third, second = unpack(pack([one, missing, other]))
    assert third is missing
    for made, given in ((first, one), (second, other)):
        assert made[2:] == given[2:]
        assert torch.equal(made.targets, given.targets)
        assert all(torch.equal(made.frames[key], given.frames[key]) for key in "ab")
    assert unpack(pack([missing])) == [missing]


MANY = """
import resource, torch
from test_feed import Odd, asked
from archdsl.training.data.clips import ClipRequest
from archdsl.training.data.reader.workers import read_clips
from tests.trained import classifying
resource.setrlimit(resource.RLIMIT_NOFILE, (96, 96))
many = [[(1, ClipRequest(0))] * 200] * 4
kept = [found for _, found, _ in read_clips(Odd(""), many, 1)]
print(sum(len(found) for found in kept), int(kept[-1][-1].frames["clip"].sum()))
"""


@pytest.mark.slow
def test_a_large_batch_needs_few_open_files() -> None:
    """torch hands over each tensor as an open file, of which a shell allows 1024."""
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parent.parent)])
    done = subprocess.run(
        [sys.executable, "-c", MANY], env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.split() == ["800", str(3 * 4 * 40 * 40)], done.stderr[-2000:]


def test_a_feed_that_is_left_early_leaves_no_process(folder: Path) -> None:
    made, before = recipe_for(), set(active_children())
    batches: Iterator[Batch] = train_batches(
        of(folder, made),
        made,
        CLIPS,
        task=classifying(made),
        start=0,
        steps=50,
        device=CPU,
        workers=2,
        skips=SkippedVideos(),
    )
    next(batches)
    assert len(set(active_children()) - before) == 2
    batches.close()
    gc.collect()  # a reader's process ends with the loader's iterator
    assert not set(active_children()) - before
