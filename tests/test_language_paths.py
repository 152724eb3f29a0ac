"""Changing one field by its path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from archdsl import Arch, SpecError, load
from archdsl.cli import main
from archdsl.language import Classifier, change, change_all
from archdsl.language.paths import full_path
from archdsl.recipes import recipe


@pytest.fixture(scope="module")
def arch() -> Arch:
    return load("slowfast_4x16_r50")


def values(arch: Arch, pathway: str, stage: str, field: str) -> list[Any]:
    return [getattr(block, field) for block in arch.pathways[pathway].stages[stage].blocks]


def test_a_field_of_every_block_of_a_stage(arch: Arch) -> None:
    made = change(arch, "pathways.slow.stages.res4.kernel_t", 1)
    assert values(made, "slow", "res4", "kernel_t") == [1] * 6
    assert values(arch, "slow", "res4", "kernel_t") == [3] * 6, "the arch itself stays as it was"
    assert made.pathways["fast"] == arch.pathways["fast"]


def test_one_block_by_its_number(arch: Arch) -> None:
    made = change(arch, "pathways.slow.stages.res4.2.kernel_t", 1)
    assert values(made, "slow", "res4", "kernel_t") == [3, 3, 1, 3, 3, 3]


def test_a_stride_goes_to_the_first(arch: Arch) -> None:
    made = change(arch, "pathways.slow.stages.res5.stride", 1)
    assert values(made, "slow", "res5", "stride") == [1, 1, 1]
    made = change(made, "pathways.slow.stages.res5.stride", 2)
    assert values(made, "slow", "res5", "stride") == [2, 1, 1]


def test_stars_name_several(arch: Arch) -> None:
    made = change(arch, "pathways.*.stages.res*.kernel_t", 5)
    assert all(
        values(made, p, s, "kernel_t") == [5] * len(arch.pathways[p].stages[s].blocks)
        for p in ("slow", "fast")
        for s in ("res2", "res5")
    )
    assert made.pathways["slow"].stages["stem"] == arch.pathways["slow"].stages["stem"]


def test_edges_go_by_their_names(arch: Arch) -> None:
    made = change(arch, "edges.fast_to_slow.transform.kernel", 7)
    assert made.edges[0].transform[0].kernel == 7  # type: ignore[attr-defined]
    assert made.edges[0].after == arch.edges[0].after
    assert change(arch, "edges.0.transform.kernel", 7) == made


def test_top_level_fields(arch: Arch) -> None:
    assert change(arch, "name", "other").name == "other"
    assert change(arch, "head.classes", 174).classes == 174
    assert change(arch, "edges", ()).edges == ()


def test_the_same_value_changes_nothing(arch: Arch) -> None:
    assert change(arch, "head.classes", arch.classes) == arch


@pytest.mark.parametrize(
    ("path", "value", "what", "fix"),
    [
        ("haed.classes", 3, "Arch has no field 'haed'", "head"),
        ("head.clases", 3, "Classifier has no field 'clases'", "classes"),
        ("pathways.slwo.every", 3, "nothing here is named 'slwo'", "slow"),
        ("pathways.x*.every", 3, "nothing here is named 'x*'", None),
        ("pathways.slow.stages.res4.kernel_z", 3, "nothing here has a field 'kernel_z'", "kernel_t"),
        ("pathways.slow.stages.res4.99.kernel_t", 3, "no element 99 in a list", None),
        ("edges.slow_to_fast.merge", "sum", "no edge 'slow_to_fast'", None),
        ("head.classes.more", 3, "nothing below a int is named 'more'", None),
        ("", 3, "Arch has no field ''", None),
    ],
)
def test_paths_that_lead_nowhere(arch: Arch, path: str, value: Any, what: str, fix: str | None) -> None:
    with pytest.raises(SpecError) as caught:
        change(arch, path, value)
    (fault,) = caught.value.faults
    assert fault.what == what
    assert fix is None or fault.fix == fix


def test_a_wrong_value_is_told_at_the_whole_path(arch: Arch) -> None:
    with pytest.raises(SpecError) as caught:
        change(arch, "pathways.slow.stages.res4.kernel_t", 0)
    assert {fault.at for fault in caught.value.faults} == {"pathways.slow.stages.res4.kernel_t"}
    with pytest.raises(SpecError) as caught:
        change(arch, "pathways", {})
    assert caught.value.faults[0].at == "pathways"


@pytest.mark.parametrize(
    ("path", "at", "want"),
    [
        ("head.classes", "classes", "head.classes"),
        ("head.classes", "head.classes", "head.classes"),
        ("clips.rgb", "clips.rgb.frames", "clips.rgb.frames"),
        ("a.b", "edges.x", "edges.x"),
    ],
)
def test_where_a_path_and_an_address_meet(path: str, at: str, want: str) -> None:
    assert full_path(path, at) == want


# Several settings are one change


def test_fields_that_only_go_together(arch: Arch) -> None:
    """A height and a width in place of a size; another choice of frames: no order of single changes is allowed."""
    sizes = [("clips.clip.size", None), ("clips.clip.height", 256), ("clips.clip.width", 448)]
    frames = [("pathways.slow.every", None), ("pathways.slow.linspace", 4)]
    for settings in ([*sizes, *frames], [*frames, *sizes], [*reversed(sizes), *reversed(frames)]):
        made = change_all(arch, settings)
        clip, slow = made.clips["clip"], made.pathways["slow"]
        assert (clip.size, clip.height, clip.width, slow.every, slow.linspace) == (None, 256, 448, None, 4)
    for path, value in (*sizes, frames[1]):
        with pytest.raises(SpecError):
            change(arch, path, value)


def test_the_last_setting_counts_and_one_below_another_is_made_in_it(arch: Arch) -> None:
    assert change_all(arch, [("head.classes", 5), ("head.classes", 7)]).classes == 7
    made = change_all(arch, [("head", {"classifier": {"classes": 5}}), ("head.dropout", 0.25)])
    assert made.head == Classifier(classes=5, dropout=0.25)
    made = change_all(
        arch, [("pathways.*.stages.res4.kernel_t", 5), ("pathways.slow.stages.res*.kernel_t", 1), ("name", "other")]
    )
    assert (values(made, "slow", "res4", "kernel_t")[0], values(made, "fast", "res4", "kernel_t")[0]) == (1, 5)
    assert made.name == "other"


def test_a_file_its_like_pathways_the_command_line_and_recipes_change_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wide.yaml").write_text(
        "extends: slowfast_tiny\nset: {clips.clip.size: null, clips.clip.height: 32, clips.clip.width: 64}"
    )
    assert load(tmp_path / "wide.yaml").clips["clip"].shape[2:] == (32, 64)
    (tmp_path / "like.yaml").write_text(
        "name: two\nclip: {frames: 8, size: 16}\nhead: {classifier: {classes: 2}}\npathways:\n"
        "  one: {every: 4, stages: {stem: {conv: {channels: 8}}}}\n"
        "  two: {like: one, linspace: 2, set: {every: null}}\n"
    )
    assert load(tmp_path / "like.yaml").pathways["two"].linspace == 2
    sizes = [f"--set=clips.clip.{name}={n}" for name, n in (("size", "null"), ("height", 32), ("width", 64))]
    assert main(["check", "slowfast_tiny", *sizes]) == 0
    (tmp_path / "mine.yaml").write_text(
        "extends: smoke\nset: {steps: 9, epochs: null, schedule.kind: step, schedule.at: [4]}"
    )
    assert recipe(tmp_path / "mine.yaml").schedule.at == (4.0,)
    capsys.readouterr()
    settings = [
        "--set=recipe.optimizer.accumulate=3",
        "--set=recipe.schedule.at=[1]",
        "--set=recipe.schedule.kind=step",
    ]
    assert main(["recipes", "smoke", "--set=recipe.batch=6", *settings]) == 0
    assert "accumulate: 3" in capsys.readouterr().out


def test_every_wrong_setting_is_told_once_at_its_own_line_and_path(arch: Arch) -> None:
    settings = {
        "pathways.*.stages.*.ceil": True,
        "pathways.slow.stages.res*.kernel_t": 0,
        "clip.size": 180,
        "head": {"classes": 174},
        "clips.size": 128,
    }
    lines = {path: f"mine.yaml:{i}" for i, path in enumerate(settings)}
    with pytest.raises(SpecError) as caught:
        change_all(arch, settings.items(), lines)
    at = [f"pathways.*.stages.res{i}.ceil" for i in (2, 3, 4, 5)]
    assert {(fault.at, fault.written, fault.fix) for fault in caught.value.faults} == {
        (", ".join(at), "mine.yaml:0", None),
        ("pathways.slow.stages.res*.kernel_t", "mine.yaml:1", None),
        ("clip.size", "mine.yaml:2", "clips.clip.size"),
        ("head", "mine.yaml:3", "head.classes: 174"),
        ("clips.size", "mine.yaml:4", "clips.clip.size"),
    }
