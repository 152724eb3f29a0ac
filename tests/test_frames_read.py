"""Frames that no pathway reads are not decoded, and nothing else changes: weights, scores, losses, draws."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from filmed import film, numbered_frames
from hypothesis import given, settings
from torch import Tensor, nn
from trained import losses, short

import archdsl
from archdsl.blocks import Conv
from archdsl.catalog import zoo
from archdsl.compiler import Plan
from archdsl.errors import SpecError
from archdsl.language import Arch, Classifier, Clip, Pathway, Stage
from archdsl.language.recipes.clips import Augment, Corners, Jitter, Resized
from archdsl.rewrites import causal
from archdsl.testing.arches import plain_arches as arches
from archdsl.training.batches import train_batches, view_batches
from archdsl.training.data import flow
from archdsl.training.data.clips import Batch, Videos
from archdsl.training.data.reader import decoder
from archdsl.training.data.sources.discovery import videos_for
from archdsl.training.state.skipped_videos import SkippedVideos
from archdsl.training.tasks.choice import task_for

CPU = torch.device("cpu")
STEM = Conv(channels=4, kernel=(3, 3, 3), stride=(1, 2, 2))
CHOICES: dict[str, tuple[dict[str, Pathway], list[int]]] = {
    "every": (dict(main=Pathway(every=4, stages={"stem": Stage(STEM)})), [0, 4, 8, 12]),
    "start": (dict(main=Pathway(every=4, start=3, stages={"stem": Stage(STEM)})), [3, 7, 11, 15]),
    "linspace": (dict(main=Pathway(linspace=3, stages={"stem": Stage(STEM)})), [0, 7, 15]),
    "segments": (dict(main=Pathway(segments=2, stages={"stem": Stage(STEM)})), [4, 12]),
    "snippet": (dict(main=Pathway(segments=2, snippet=2, stages={"stem": Stage(STEM)})), [3, 4, 11, 12]),
    "two": (
        dict(
            slow=Pathway(linspace=2, stages={"stem": Stage(STEM)}),
            fast=Pathway(every=8, start=2, stages={"stem": Stage(STEM)}),
        ),
        [0, 2, 10, 15],
    ),
    "after": (
        dict(
            first=Pathway(every=2, stages={"stem": Stage(STEM)}),
            main=Pathway(after="first", every=4, stages={"stem": Stage(STEM)}),
        ),
        [*range(0, 16, 2)],
    ),
    "all": (
        dict(slow=Pathway(every=4, stages={"stem": Stage(STEM)}), fast=Pathway(stages={"stem": Stage(STEM)})),
        [*range(16)],
    ),
}


def of(pathways: dict[str, Pathway], name: str = "small", classes: int = 5, size: int = 8) -> Arch:
    return Arch(name=name, clip=Clip(frames=16, size=size), pathways=pathways, head=Classifier(classes=classes))


def networks(plan: Plan) -> tuple[nn.Module, nn.Module]:
    """The network, and that of the frames read with the same weights."""
    torch.manual_seed(3)
    whole, short = archdsl.build(plan), archdsl.build(plan.of_frames_read)
    with torch.no_grad():
        for x in whole.parameters():  # none stays 0, as last norms and heads begin
            x += 0.02 * torch.randn(x.shape)
    short.load_state_dict(whole.state_dict(), strict=True)
    assert [*short.state_dict()] == [*whole.state_dict()]
    return whole.eval(), short.eval()


def clips_for(plan: Plan) -> tuple[Any, Any]:
    """Random clips, and their frames that are read."""
    rng = torch.Generator().manual_seed(5)
    clips = {name: torch.rand(2, *shape, generator=rng) for name, shape in plan.inputs.items()}
    read = {name: clip[:, :, list(plan.frames_read[name])] for name, clip in clips.items()}
    return (clips, read) if len(clips) > 1 else (*clips.values(), *read.values())


def same_outputs(plan: Plan) -> bool:
    whole, short = networks(plan)
    clips, read = clips_for(plan)
    with torch.no_grad():
        one, other = whole(clips), short(read)
    one, other = (x if isinstance(x, dict) else {"": x} for x in (one, other))
    assert all(x.isfinite().all() for x in one.values())
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("name", CHOICES)
def test_frames_that_are_read_and_a_network_that_takes_them_alone(name: str) -> None:
    pathways, frames = CHOICES[name]
    plan = archdsl.compile(of(pathways))
    assert plan.frames_read == {"clip": tuple(frames)}
    assert plan.of_frames_read.inputs["clip"][1] == len(frames)
    assert (plan.of_frames_read is plan) == (len(frames) == 16)
    assert (plan.of_frames_read.macs, plan.of_frames_read.params) == (plan.macs, plan.params)
    assert same_outputs(plan)


def test_a_choice_of_chosen_frames_leaves_out_more() -> None:
    """The second choice reads every eighth frame of the clip: nothing else reads the first."""

    class Fourth(archdsl.blocks.Block):
        def build(self, g: Any, x: str) -> str:
            return g.add("conv", archdsl.ops.Conv(out_channels=4, kernel=(1, 3, 3)), g.add("take", FOURTH, x))

    plan = archdsl.compile(of(dict(main=Pathway(every=2, stages={"stem": Stage(Fourth())}))))
    assert plan.frames_read == {"clip": (2, 10)}
    assert same_outputs(plan)


FOURTH = archdsl.ops.TakeEvery(step=4, start=1)


def test_causal_networks_streams_and_clips_of_other_modalities() -> None:
    plan = archdsl.compile(causal(of(CHOICES["start"][0])))
    assert same_outputs(plan)
    clips = dict(rgb=Clip(frames=16, size=8), flow=Clip(frames=8, size=8, modality="flow"))
    stages = {"stem": Stage(STEM)}
    pathways = dict(
        a=Pathway(clip="rgb", linspace=3, stages=stages),
        b=Pathway(clip="flow", every=2, stages=stages),
    )
    plan = archdsl.compile(Arch(name="both", clips=clips, pathways=pathways, head=Classifier(classes=5)))
    assert plan.frames_read == {"rgb": (0, 7, 15), "flow": (0, 2, 4, 6)}
    assert same_outputs(plan)


@settings(max_examples=15, deadline=None)
@given(arches())
def test_random_archs_give_the_same_from_the_frames_they_read(made: Arch) -> None:
    assert same_outputs(archdsl.compile(made))


@pytest.mark.slow
@pytest.mark.parametrize("name", [model.name for model in zoo()])
def test_every_network_of_the_zoo_gives_the_same_from_the_frames_it_reads(name: str) -> None:
    plan = archdsl.compile(archdsl.load(name))
    if plan.of_frames_read is plan:
        return
    assert same_outputs(smallest(name))


def smallest(name: str) -> Plan:
    """The plan at the smallest of some sizes that it can have."""
    for size in (64, 112):
        with suppress(SpecError):
            return archdsl.compile(archdsl.load(name, size=size))
    return archdsl.compile(archdsl.load(name))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("videos")
    for i in range(6):
        film(
            root / ("train", "val")[i % 3 == 2] / ("a", "b")[i % 2] / f"{i}.mp4", numbered_frames(20 + i).roll(5 * i, 3)
        )
    return root


def fed(plan: Plan, videos: Videos, recipe: Any, read: bool, **more: int) -> list[Batch]:
    given: Any = dict(device=CPU, skips=SkippedVideos(), task=task_for(plan, recipe))
    given["frames_read"] = plan.frames_read if read else None
    clips = plan.arch.clips
    return [
        *train_batches(videos, recipe, clips, start=0, steps=3, **given, **more),
        *view_batches(videos, recipe, clips, batch=4, **given, **more),
    ]


AUGMENTED = [
    Augment(crop=Jitter(), colour=0.4, erasing=0.5, mixup=0.3),
    Augment(crop=Corners(), rand_augment=2, erasing=0.5),
    Augment(crop=Resized(), cutmix=1.0, flip=1.0),
]


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("augment", AUGMENTED)
def test_batches_have_the_frames_of_whole_clips(folder: Path, augment: Augment, workers: int) -> None:
    """The same draws for the same clips: crops, colours, noise, partners."""
    plan = archdsl.compile(of(CHOICES["two"][0], size=24))
    recipe = short(views__clips=2, views__crops=3).but(batch=4, augment=augment)
    videos = videos_for(str(folder), "train", plan.arch, recipe)
    whole, read = (fed(plan, videos, recipe, one, workers=workers * one) for one in (False, True))
    assert len(whole) == len(read)
    for one, other in zip(whole, read):
        assert isinstance(one.clips, Tensor)
        assert isinstance(other.clips, Tensor)
        assert torch.equal(other.clips, one.clips[:, :, list(plan.frames_read["clip"])])
        assert one._replace(clips=0, targets=0, weights=0, waited=0) == other._replace(
            clips=0, targets=0, weights=0, waited=0
        )
        assert torch.equal(one.targets, other.targets)


def test_flow_and_differences_of_the_frames_that_are_read(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both look at the video's next frame, whether that is read or not."""
    monkeypatch.setenv("ARCHDSL_CACHE", str(tmp_path))
    monkeypatch.setattr(flow, "tvl1_flow", lambda pair, _: pair[:, :2, 1:].float() / 50 - pair[:, :2, :1] / 50)
    clips = dict(
        diff=Clip(frames=8, size=24, modality="rgb_diff", channels=6), flow=Clip(frames=8, size=24, modality="flow")
    )
    pathways = {f"of_{name}": Pathway(clip=name, every=4, start=1, stages={"stem": Stage(STEM)}) for name in clips}
    plan = archdsl.compile(Arch(name="both", clips=clips, pathways=pathways, head=Classifier(classes=2)))
    recipe = short(batch=2)
    videos = videos_for(str(folder), "train", plan.arch, recipe)
    for one, other in zip(*(fed(plan, videos, recipe, read) for read in (False, True))):
        assert isinstance(one.clips, dict)
        assert isinstance(other.clips, dict)
        for name in clips:
            assert torch.equal(other.clips[name], one.clips[name][:, :, [1, 5]])


def test_no_other_frame_is_converted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = archdsl.compile(of(CHOICES["segments"][0], size=24))
    recipe = short(batch=2)
    videos = videos_for(str(folder), "train", plan.arch, recipe)
    made = []
    pixels = decoder.frame_pixels
    monkeypatch.setattr(decoder, "frame_pixels", lambda frame: made.append(frame.pts) or pixels(frame))
    batches = list(
        train_batches(
            videos,
            recipe,
            plan.arch.clips,
            start=0,
            steps=1,
            device=CPU,
            task=task_for(plan, recipe),
            skips=SkippedVideos(),
            frames_read=plan.frames_read,
        )
    )
    assert len(made) == 2 * 2
    assert batches[0].clips.shape == (2, 3, 2, 24, 24)


def test_losses_and_scores_are_those_of_whole_clips(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = of(CHOICES["two"][0], classes=2, size=24)
    recipe = short(steps=4, batch=4, norms__precise=4).but(augment=AUGMENTED[0])
    first = archdsl.train(made, recipe, folder, out=tmp_path / "read", quiet=True)
    scores = archdsl.evaluate(tmp_path / "read", quiet=True, views="2x3")
    monkeypatch.setattr(Plan, "of_frames_read", property(lambda plan: plan))
    monkeypatch.setattr(Plan, "frames_read", property(lambda plan: {}))
    other = archdsl.train(made, recipe, folder, out=tmp_path / "whole", quiet=True)
    assert losses(tmp_path / "read") == losses(tmp_path / "whole")
    assert first.figures == other.figures
    whole = archdsl.evaluate(tmp_path / "read", quiet=True, views="2x3")
    assert torch.equal(scores.scores, whole.scores)
