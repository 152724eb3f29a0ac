"""Admitted inputs: exact sets, found by trying; each refusal with its reason."""

from __future__ import annotations

import pytest

import archdsl
from archdsl.blocks import Conv, MaxPool
from archdsl.errors import SpecError
from archdsl.language import Arch, Classifier, Clip, Edge, Pathway, Stage, overridden, repeat
from archdsl.report.admission import ShortenedArch, admits, set_text


def small(*blocks: object, frames: int = 8, size: int = 12, **choice: int) -> Arch:
    pathway = Pathway(stages={"one": Stage(*blocks)}, **choice)
    return Arch(
        name="small", clip=Clip(frames=frames, size=size), pathways={"main": pathway}, head=Classifier(classes=2)
    )


def accepted_by_brute_force(arch: Arch, axis: str, tried: int) -> tuple[int, ...]:
    def compiles(n: int) -> bool:
        try:
            archdsl.compile(overridden(arch, **{axis: n}))
        except SpecError:
            return False
        return True

    return tuple(n for n in range(1, tried + 1) if compiles(n))


def test_slowfast_in_words() -> None:
    text = str(archdsl.admits(archdsl.load("slowfast_4x16_r50"))).splitlines()
    assert text[0] == "frames: multiples of 16 from 16 (tried 1 to 128)"
    assert text[1].startswith("  refused 1-15, 17-31, ")
    assert "pathway slow: frames not divisible by the frame step" in text[1]
    assert "want a multiple of 16" in text[1]
    assert text[2] == "size: every size from 193 (tried 1 to 448)"
    assert "  refused 1-192: a window larger than the map along h" in text[3]


@pytest.mark.parametrize(
    "arch",
    [
        small(Conv(channels=4, kernel=(3, 3, 3), stride=(1, 2, 2), pad="valid"), frames=6, size=9),
        small(*repeat(Conv(channels=4, kernel=(3, 3, 3), pad="valid"), 4), frames=9, size=9),
        small(
            *repeat(Conv(channels=4, kernel=(1, 3, 3)), 4),
            MaxPool(kernel=(1, 4, 4), pad="valid"),
            every=3,
            frames=9,
            size=6,
        ),
        small(Conv(channels=4), linspace=5, frames=7, size=4),
        small(*[Conv(channels=4, kernel=(1, 2, 2), stride=(1, 2, 2), pad="valid")] * 3, frames=2, size=20),
    ],
)
def test_the_short_way_finds_what_brute_force_finds(arch: Arch) -> None:
    for axis in admits(arch).axes:
        assert axis.values == accepted_by_brute_force(arch, axis.axis, axis.tried), axis.axis
        refused = [n for refusal in axis.refusals for n in refusal.values]
        assert sorted([*axis.values, *refused]) == list(range(1, axis.tried + 1))


def test_repeats_that_an_edge_leaves_from_are_not_left_out() -> None:
    deep = small(*repeat(Conv(channels=4, kernel=(1, 3, 3)), 5), frames=2, size=4)
    reader = Pathway(after="main.one", stages={"two": Stage(Conv(channels=4))})
    edge = Edge(source="main", target="reader", after="one.3", into="two", merge="sum")
    arch = deep.but(pathways={**deep.pathways, "reader": reader}, edges=(edge,))
    assert [axis.values for axis in admits(arch).axes] == [(1, 2, 3, 4), tuple(range(1, 9))]


def test_repeats_are_left_out_only_where_they_change_nothing() -> None:
    arch = small(*repeat(Conv(channels=4, kernel=(1, 3, 3)), 5))
    assert len(ShortenedArch.of(arch).short.pathways["main"].stages["one"].blocks) == 2
    assert ShortenedArch.of(arch).kept == ("main.one.1",)


def test_a_refusal_tells_the_address_in_the_whole_arch() -> None:
    """Four valid 3x3 kernels need 9 pixels: at 8 the fourth block has none left, and it is called by its own index."""
    (size,) = (
        axis
        for axis in admits(small(*repeat(Conv(channels=4, kernel=(1, 3, 3), pad="valid"), 4), size=9)).axes
        if axis.axis == "size"
    )
    faults = {n: refusal.fault for refusal in size.refusals for n in refusal.values}
    assert faults[8].at == "main.one.3.conv"
    assert size.text == "every size from 9"


def test_clips_of_equal_frames_are_tried_together() -> None:
    axes = admits(archdsl.load("slowfast_4x16_r50_flow", frames=32, size=200)).axes
    assert {(axis.axis, axis.clips) for axis in axes} == {("frames", ("rgb", "flow")), ("size", ("rgb", "flow"))}


def test_height_and_width_are_tried_apart() -> None:
    arch = small(Conv(channels=2)).but(clips={"clip": Clip(frames=2, height=3, width=4)})
    assert [(axis.axis, axis.tried) for axis in admits(arch).axes] == [("frames", 4), ("height", 6), ("width", 8)]


@pytest.mark.parametrize(
    ("values", "tried", "text"),
    [
        ((), 8, "none"),
        ((4,), 8, "only 4"),
        ((3, 4, 5, 6, 7, 8), 8, "every size from 3"),
        ((4, 8, 12), 15, "multiples of 4 from 4"),
        ((3, 7, 11), 12, "3 and every 4 from there"),
        ((3, 7, 11), 15, "3, 7, 11"),
        ((2, 3, 7), 9, "2-3, 7"),
    ],
)
def test_sets_in_words(values: tuple[int, ...], tried: int, text: str) -> None:
    assert set_text(values, tried, "size") == text


def test_as_data() -> None:
    record = admits(archdsl.load("slowfast_tiny")).record()
    frames = record["axes"][0]
    assert (frames["accepted"], frames["tried"], frames["values"][:3]) == ("multiples of 4 from 4", [1, 32], [4, 8, 12])
    assert frames["refused"][0]["what"] == "pathway slow: frames not divisible by the frame step"


def test_sound_and_boxes_are_not_tried() -> None:
    """Spectrograms have the length that their sound has, features no size."""
    clips = {
        "rgb": Clip(frames=4, size=8),
        "sound": Clip(frames=4, height=1, width=8, modality="audio"),
        "features": Clip(frames=6, size=1, channels=5, modality="features"),
    }
    pathways = {f"of_{name}": Pathway(clip=name, stages={"one": Stage(Conv(channels=4))}) for name in clips}
    arch = Arch(name="both", clips=clips, pathways=pathways, head=Classifier(classes=2))
    assert [(axis.axis, axis.clips) for axis in admits(arch).axes] == [
        ("frames", ("rgb",)),
        ("frames", ("features",)),
        ("size", ("rgb",)),
    ]
