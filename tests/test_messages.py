"""What a newcomer writes wrong, and the fix that the error gives; one level too far out or in is told as that."""

from __future__ import annotations

from pathlib import Path

import pytest

from archdsl import SpecError, compile, load
from archdsl.language import change_all

TOP = "name: n\n"
CLIP = "clip: {frames: 8, size: 64}\n"
MAIN = "pathways: {main: {stages: {stem: {conv: {channels: 8}}}}}\n"
HEAD = "head: {classifier: {classes: 10}}\n"


def told(text: str, tmp_path: Path) -> dict[str | None, str | None]:
    """Where the faults lie, and their fixes."""
    (tmp_path / "spec.yaml").write_text(text)
    with pytest.raises(SpecError) as caught:
        compile(load(tmp_path / "spec.yaml"))
    return {fault.at: fault.fix for fault in caught.value.faults}


@pytest.mark.parametrize(
    ("block", "field", "fix"),
    [
        ("conv: {channels: 8, kernel: 3}", "kernel", "kernel: [3, 3, 3]"),
        ("conv: {channels: 8, kernel: [3, 3]}", "kernel", "kernel: [1, 3, 3]"),
        ("conv: {channels: 8, stride: 2}", "stride", "stride: [1, 2, 2]"),
        ('conv: {channels: "8"}', "channels", "channels: 8"),
        ("conv: {channels: 8.0}", "channels", "channels: 8"),
        ("conv: {channels: 8ch}", "channels", "channels: 8"),
        ("conv: {channels: many}", "channels", None),
        ("conv: {channels: 8, repeat: 2}", "repeat", "repeat: 2 beside the block, not among its fields"),
        ("bottleneck: {channels: 64, stride: [1, 2, 2]}", "stride", "stride: 2"),
        ("bottleneck: {channels: 64, stride: [2, 2, 2]}", "stride", "stride: 2, stride_t: 2"),
        ("bottleneck: {channels: 64, stride: [2, 2]}", "stride", "stride: 2"),
        ("bottleneck: {channels: 64, stride: [1, 2, 3]}", "stride", None),
        ("bottleneck: {chanels: 64}", "chanels", "channels"),
        ("max_pool: {kernel: [1, 3]}", "kernel", "kernel: [1, 1, 3]"),
        ("max_pool: {kernel: [1, 3, 3, 3]}", "kernel", None),
        ("conv: {channels: 8, pad: 1}", "pad", "pad: [1, 1, 1]"),
        ("conv: {channels: 8, act: ReLU}", "act", "relu"),
    ],
)
def test_a_fix_says_what_a_field_of_a_block_takes(block: str, field: str, fix: str | None, tmp_path: Path) -> None:
    main = f"pathways: {{main: {{stages: {{stem: {{{block}}}}}}}}}\n"
    assert told(TOP + CLIP + main + HEAD, tmp_path) == {f"pathways.main.stages.stem.{field}": fix}


@pytest.mark.parametrize(
    ("clip", "fixes"),
    [
        ("size: [64, 64]", {"size": "size: 64"}),
        ("size: [48, 64]", {"size": "height: 48, width: 64"}),
        ("size: 64px", {"size": "size: 64"}),
        ("size: 64, fps: 30fps", {"fps": "fps: 30"}),
        ("size: 64, fps: 29.97 Hz", {"fps": "fps: 29.97"}),
    ],
)
def test_a_fix_says_what_a_clip_takes(clip: str, fixes: dict[str, str], tmp_path: Path) -> None:
    found = told(TOP + f"clip: {{frames: 8, {clip}}}\n" + MAIN + HEAD, tmp_path)
    assert found == {f"clips.clip.{field}": fix for field, fix in fixes.items()}


STEM = "stem: {conv: {channels: 8}}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"pathways:\n  main:\n  every: 2\n  stages:\n    {STEM}\n", ["pathways.every", "pathways.stages"]),
        (f"pathways:\n  main: {{every: 2}}\n  stages: {{{STEM}}}\n", ["pathways.stages"]),
        (f"pathways:\n  main:\nstages:\n  {STEM}\n", ["stages"]),
        (f"pathways:\n  main:\n    every: 2\n    {STEM}\n    res2: [{{max_pool: {{kernel: [1, 2, 2]}}}}]\n",
         ["pathways.main.stem", "pathways.main.res2"]),
        (f"pathways: {{main: {{stages: {{{STEM}}}}}}}\nframes: 8\nsize: 64\n", ["frames", "size"]),
    ],
)  # fmt: skip
def test_one_level_too_far_out_or_in_is_told_once_with_the_faults_within(
    text: str, found: list[str], tmp_path: Path
) -> None:
    clip = "" if "frames" in text else CLIP
    told_at = told(TOP + clip + text + HEAD, tmp_path)
    assert list(told_at) == found
    assert all((fix or "").startswith("indent ") for fix in told_at.values())
    told_at = told(TOP + clip + text.replace("channels", "chanels") + HEAD, tmp_path)
    assert list(told_at) == [*found, "pathways.main.stages.stem.chanels"]


@pytest.mark.parametrize(
    ("head", "fix"),
    [
        ("{classes: 10}", "{classifier: {classes: 10}}"),
        ("{classifier: null, classes: 10, dropout: 0.5}", "{classifier: {classes: 10, dropout: 0.5}}"),
        ("{clasifier: {classes: 10}}", "classifier"),
        ("{classes: 10, nonsense: 1}", None),
    ],
)
def test_fields_of_a_head_without_its_name_or_beside_it(head: str, fix: str | None, tmp_path: Path) -> None:
    assert told(TOP + CLIP + MAIN + f"head: {head}\n", tmp_path) == {"head": fix}
    if fix and fix.startswith("{"):
        (tmp_path / "good.yaml").write_text(TOP + CLIP + MAIN + f"head: {fix}\n")
        assert load(tmp_path / "good.yaml").classes == 10


@pytest.mark.parametrize(
    ("path", "fix"),
    [
        ("frames", "clips.clip.frames"),
        ("clip.size", "clips.clip.size"),
        ("clips.size", "clips.clip.size"),
        ("classes", "head.classes"),
        ("head.classifier.dropout", "head.dropout"),
        ("slow.every", "pathways.slow.every"),
        ("pathways.slow.res4.kernel_t", "pathways.slow.stages.res4.kernel_t"),
    ],
)
def test_a_path_with_a_part_left_out_has_the_whole_one_as_its_fix(path: str, fix: str) -> None:
    arch = load("slowfast_4x16_r50")
    with pytest.raises(SpecError) as caught:
        change_all(arch, [(path, 32)])
    assert [fault.fix for fault in caught.value.faults] == [fix]
    if not fix.endswith(("dropout", "kernel_t")):
        change_all(arch, [(fix, 32)])


def test_a_block_without_its_name_and_a_share_in_percent(tmp_path: Path) -> None:
    main = "pathways: {main: {stages: {stem: {channels: 8}}}}\n"
    head = "head: {classifier: {classes: 10, dropout: 50%}}\n"
    assert told(TOP + CLIP + main + head, tmp_path) == {
        "pathways.main.stages.stem": "{conv: {channels: 8}}",
        "head.dropout": "dropout: 0.5",
    }


def test_a_window_larger_than_the_map_has_a_fix_that_works() -> None:
    with pytest.raises(SpecError) as caught:
        compile(load("x3d_m", size=128))
    assert caught.value.faults[0].fix == "kernel: [0, 0, 0], where 0 is the whole axis"
    with pytest.raises(SpecError) as caught:
        compile(load("slowfast_4x16_r50", size=64))
    assert caught.value.faults[0].fix == "window: 2, or leave window out: the whole map"


def test_a_lateral_without_norm_has_no_bias_unless_asked_for() -> None:
    """As mmaction2's SlowFast: BatchNorms of 16 + 64 + 128 + 256 channels less."""
    arch = load("slowfast_4x16_r50")
    plain = change_all(arch, [("edges.fast_to_slow.transform.norm", "none")])
    assert compile(plain).params == compile(arch).params - 2 * 464 == 34_479_288
    biased = change_all(plain, [("edges.fast_to_slow.transform.bias", True)])
    assert compile(biased).params == 34_479_288 + 464
