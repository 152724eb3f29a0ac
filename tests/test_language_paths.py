"""Changing one field by its path."""

from __future__ import annotations

from typing import Any

import pytest

from archdsl import Arch, SpecError, load
from archdsl.language import change
from archdsl.language.paths import whole


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
    assert whole(path, at) == want
