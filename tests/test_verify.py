"""Second opinions: fvcore and torch count what we count, class by class, and it is said where they do not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import archdsl
from archdsl.cli import main
from archdsl.testing import opinions as second
from archdsl.testing.opinions import OP_CLASSES, opinions, opinions_table


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("slowfast_tiny", {}),
        ("slow_8x8_r50_nl", {"frames": 16}),
        ("x3d_xs", {}),
        ("mobilenet_v3_small", {}),
        ("two_stream_vgg_m", {}),
        ("squeezenet1_1", {}),
    ],
)
def test_every_class_agrees(name: str, overrides: dict[str, int]) -> None:
    plan = archdsl.compile(archdsl.load(name, **overrides))
    found = opinions(plan)
    assert all(one.agrees for one in found), [one for one in found if not one.agrees]
    assert sum(one.macs for one in found) == plan.macs
    assert sum(one.ours_as_fvcore for one in found) == plan.count("fvcore")
    for one in found:
        assert one.reason or one.macs == one.torch == one.fvcore, one


def test_classes_are_apart() -> None:
    for names in ([n for one in OP_CLASSES for n in one.fvcore], [n for one in OP_CLASSES for n in one.torch]):
        assert len(names) == len(set(names))


def test_a_difference_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = archdsl.compile(archdsl.load("slowfast_tiny"))
    monkeypatch.setattr(second, "torch_counts", lambda network, clips: {"convolution": 5, "addmm": 2560, "cumsum": 7})
    found = {one.name: one for one in opinions(plan)}
    assert not found["convolutions"].agrees
    assert found["linear layers"].agrees
    assert found["other ops"].torch == 7
    table = opinions_table(plan)
    assert [row.kind for row in table.rows].count("differs") == 2
    assert table.rows[-1].cells[-1] == "they differ"


DEAD = """
name: dead
clip: {frames: 4, size: 16}
pathways:
  a: {stages: {s: {conv: {channels: 8}}}}
  b: {stages: {s: [{conv: {channels: 8}}, {conv: {channels: 4, norm: {kind: group, groups: 2}}}]}}
head: {classifier: {classes: 3, reads: [a]}}
"""


def test_what_no_output_is_made_from_is_left_out_and_named(tmp_path: Path) -> None:
    (tmp_path / "dead.yaml").write_text(DEAD, encoding="utf-8")
    plan = archdsl.compile(archdsl.load(tmp_path / "dead.yaml"))
    found = opinions(plan)
    assert all(one.agrees for one in found)
    assert {one.name for one in found} == {"convolutions", "batch norms", "linear layers"}
    left = plan.macs - sum(one.macs for one in found)
    assert left == 4 * 16 * 16 * (3 * 8 + 8 * 4)
    table = opinions_table(plan)
    assert table.note.endswith(f"`count` has {left:,} macs more for them.")
    assert "6 ops of b.s" in table.note
    assert table.rows[-1].cells[-1] == "all agree"


def test_without_fvcore(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(second, "find_spec", lambda name: None)
    table = opinions_table(archdsl.compile(archdsl.load("slowfast_tiny")))
    assert "pip install fvcore" in table.note
    assert {record["fvcore"] for record in table.records} == {None}
    assert all(record["agrees"] for record in table.records)


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["count", "slowfast_tiny", "--verify"]) == 0
    text = capsys.readouterr().out
    assert "all agree" in text
    assert "fvcore counts 2 (1 without scale) per element in eval mode" in text
    assert main(["count", "slowfast_tiny", "--verify", "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)
    assert one["name"] == "slowfast_tiny"
    assert [(c["name"], c["agrees"]) for c in one["classes"]][:2] == [("convolutions", True), ("linear layers", True)]
    for other in ("--claims", "--memory"):
        assert main(["count", "slowfast_tiny", "--verify", other]) == 2
        assert "together" in capsys.readouterr().err


def test_a_difference_in_any_network_is_an_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    counted = second.torch_counts

    def one_more(network: object, clips: object) -> dict[str, int]:
        wrong = type(network).__name__ == "Wrong"
        return {name: macs + wrong for name, macs in counted(network, clips).items()}

    monkeypatch.setattr(second, "torch_counts", one_more)
    for name in ("right", "wrong"):
        (tmp_path / f"{name}.yaml").write_text(DEAD.replace("dead", name), encoding="utf-8")
    right, wrong = (str(tmp_path / f"{name}.yaml") for name in ("right", "wrong"))
    for arguments, code in (([right], 0), ([wrong, "--json"], 1), ([wrong, right], 1)):
        assert main(["count", "--verify", *arguments]) == code
    assert "they differ" in capsys.readouterr().out
