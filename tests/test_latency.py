"""Latency told from a table: worked out by hand on toy tables, and cases held against what the passes really leave."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import archdsl
from archdsl import ops
from archdsl.backend.passes import lowered_graph
from archdsl.backend.passes.base import text_of
from archdsl.backend.passes.choice import chosen, whence
from archdsl.cli import main
from archdsl.errors import SpecError
from archdsl.measuring import CASES, USUAL, Timed, grid, small, spread
from archdsl.measuring.calibrating import calibrated, in_turn
from archdsl.measuring.cases import NOTHING
from archdsl.ops import Shape
from archdsl.report.cases import Case, Sizes, cases_of
from archdsl.report.latency import Latency
from archdsl.report.machine import FIELDS, Machine, Sample, known_machine, machine_of
from benchmarks.latency import MODELS

TINY = "slowfast_tiny"


def sizes(positions: int, macs: int = 0, bytes: int = 4000) -> Sizes:  # noqa: A002
    return Sizes(positions, 16, 8, 16, 16 * positions, 1, 0, 0, macs, bytes)


TOY = Machine(
    "a toy",
    "cpu",
    {
        "slow": (Sample(sizes(64), 0.004), Sample(sizes(1024), 0.016)),
        "quick": (Sample(sizes(64, 10**9, 10**6), 0.001), Sample(sizes(64, 0, 10**7), 0.001)),
    },
)


@pytest.fixture(autouse=True)
def no_table_of_mine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Each test begins where nobody has calibrated; gives where the table would lie."""
    monkeypatch.setenv("ARCHDSL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "machine.json"


# telling


def test_ceilings_are_the_most_that_any_case_reached() -> None:
    assert TOY.ceilings == (pytest.approx(1e12), pytest.approx(1e10), 0.001)
    assert TOY.roof(sizes(64, 4 * 10**9)) == pytest.approx(0.004)
    assert TOY.roof(sizes(64, 0, 3 * 10**8)) == pytest.approx(0.03)
    assert TOY.roof(sizes(64)) == 0.001


def test_a_case_of_the_table_takes_what_it_took() -> None:
    assert TOY.alone("slow", sizes(64)) == 0.004
    assert TOY.alone("slow", sizes(1024)) == 0.016


def test_between_two_samples_time_grows() -> None:
    told = [TOY.alone("slow", sizes(64 * 2**i)) for i in range(5)]
    assert told == sorted(told)
    assert told[2] == pytest.approx(0.008)  # as far from one as from the other: their geometric mean


def test_no_case_is_quicker_than_the_roof() -> None:
    far = sizes(2**20, 10**13, 10**6)
    assert TOY.alone("quick", far) == pytest.approx(10.0, rel=0.001)
    assert TOY.alone("quick", far) >= TOY.roof(far)
    assert TOY.alone("never measured", far) == TOY.roof(far)


def test_a_case_among_others() -> None:
    among = Machine("a toy", "cpu", TOY.samples, scale=1.5, empty=0.001)
    assert among.seconds("slow", sizes(64)) == pytest.approx(0.0045)
    assert Machine("a toy", "cpu", TOY.samples, empty=1.0).seconds("slow", sizes(64)) == 0.0


def test_whole_networks_tell_how_much_longer_cases_take_there() -> None:
    plan = archdsl.compile(archdsl.load(TINY))
    cases = spread((case for _, case in cases_of(plan)), 100)
    times: dict[Any, Timed] = {case: Timed([(0.003, 0.0)]) for case in [*cases, NOTHING]}
    times[NOTHING] = Timed([(0.001, 0.0)])
    times[TINY] = Timed([(0.003 * len(list(cases_of(plan))), 0.0)])
    machine = calibrated(cases, [plan], times, "cpu", {"cuda": {"infer": {"views": True}}})
    assert (machine.scale, machine.empty) == (pytest.approx(1.5), 0.001)
    assert machine.pays == {"cuda": {"infer": {"views": True}}}
    assert Latency(plan, machine).seconds == pytest.approx(times[TINY].seconds)
    assert calibrated(cases, [], times, "cpu", {}).scale == 1.0


def test_a_network_is_the_sum_of_its_cases() -> None:
    plan = archdsl.compile(archdsl.load(TINY))
    told = Latency(plan, TOY)
    assert told.seconds == pytest.approx(sum(told.kinds.values()))
    assert set(told.unknown) == set(told.kinds) == {case.kind for _, case in cases_of(plan)}
    assert Latency(plan, known_machine(), 8).seconds > Latency(plan, known_machine()).seconds


# cases


def test_a_bottleneck_by_hand() -> None:
    x, more = Shape(64, 4, 56, 56), Shape(256, 4, 56, 56)
    case = Case(
        "1x1x1", (ops.Conv(out_channels=256, kernel=(1, 1, 1)), ops.BatchNorm(), ops.Add(), ops.Relu()), (x, more)
    )
    positions = 4 * 56 * 56
    assert case.sizes(2) == Sizes(
        positions=2 * positions,
        channels=256,
        width=56,
        read_channels=64,
        read=2 * 64 * positions,
        window=64,
        sums=1,
        functions=0,
        macs=2 * 64 * 256 * positions,
        bytes=4 * (64 * 256 + 2 * (64 + 256 + 256) * positions),
    )


@pytest.mark.parametrize(
    "name",
    [
        *("slowfast_4x16_r50", "x3d_m", "s3d_g", "ipcsn_r152", "tdn_r50", "movinet_a0", "densenet121", "mobileone_s0"),
        *("slow_4x16_r50_nl_embedded", "two_stream_fusion_sum", "nasnet_a_mobile", "avslowfast_r50_8x8"),
        "dff_r101_rfcn",
    ],
)
def test_cases_are_what_the_passes_leave(name: str) -> None:
    """The report may not ask the backend: here they are held against each other, call for call."""
    plan = archdsl.compile(archdsl.load(name))
    graph = lowered_graph(plan.graph, ("channels_last", "views", "fusion", "overwriting"))
    called = [
        node.address
        for node in graph.nodes.values()
        if not isinstance(node.op, ops.Source) and text_of(graph, node).call
    ]
    copies = [address for address in called if address.endswith("_channels_last")]
    told = list(cases_of(plan))
    assert sorted(node.address for node, case in told if case.ops) == sorted(set(called) - set(copies))
    assert sum(not case.ops for _, case in told) == len(copies)


def test_networks_that_a_calibration_runs_exist() -> None:
    assert all(plan.macs < 2e10 for plan in small())
    cases = grid()
    kinds = {case.kind for case in cases}
    assert len(cases) == CASES
    assert not {*MODELS} & {*USUAL}
    assert {case.kind for name in MODELS for _, case in cases_of(archdsl.compile(archdsl.load(name)))} <= kinds
    assert {"transposed_conv", "roi_align", "resize", "past", "affinity", "tv_l1_flow"} <= kinds


def test_samples_are_spread() -> None:
    def pool(size: int) -> Case:
        return Case("relu", (ops.Relu(),), (Shape(8, 1, size, size),))

    line = [pool(size) for size in (8, 16, 32, 33, 34, 128)]
    assert [case.reads[0].w for case in spread([*line, *line], 4)] == [8, 128, 32, 16]


def test_rounds_in_which_others_were_busy_do_not_count() -> None:
    assert Timed([(1.0, 0.0), (9.0, 0.5), (1.2, 0.01), (1.1, 0.0), (9.0, 0.5), (9.0, 0.5)]).seconds == 1.1
    assert Timed([(1.0, 0.0), (9.0, 0.5), (8.0, 0.5)]).seconds == 8.0


def test_what_goes_before_a_step_is_run_and_not_counted() -> None:
    ran: list[str] = []
    steps: Any = {
        name: (lambda name=name: ran.append(f"to {name}"), lambda name=name: ran.append(name)) for name in "ab"
    }
    found = in_turn(steps, 2, lambda: None)
    assert ran == ["to a", "a", "to b", "b"] * 2
    assert {name: len(timed.rounds) for name, timed in found.items()} == {"a": 2, "b": 2}


# tables


def test_a_table_reads_back(tmp_path: Path) -> None:
    file = tmp_path / "machine.json"
    machine = Machine("a toy", "cpu", TOY.samples, 1.25, 1e-5, {"cpu": {"infer": {"views": True}}})
    file.write_text(machine.text())
    assert machine_of(file) == machine


def test_the_table_that_comes_along() -> None:
    machine = known_machine()
    assert machine.shipped
    assert machine.device == "cpu"
    assert 200 < sum(map(len, machine.samples.values())) < 1000


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("{", "JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("[]", "TypeError: list indices must be integers or slices, not str"),
        ("{}", "KeyError: 'fields'"),
        ('{"fields": ["a"]}', "ValueError: fields a"),
        (json.dumps({"fields": FIELDS, "samples": {}}), "ValueError: no samples"),
        (json.dumps({"fields": FIELDS, "samples": {"relu": [[0] * 11]}}), f"ValueError: a sample {[0] * 11}"),
    ],
)
def test_a_broken_table(no_table_of_mine: Path, text: str, got: str, capsys: pytest.CaptureFixture[str]) -> None:
    no_table_of_mine.parent.mkdir()
    no_table_of_mine.write_text(text)
    assert main(["count", TINY, "--latency"]) == 2
    assert capsys.readouterr().err == (
        "machine.json is no table of a machine\n"
        f"  at      {no_table_of_mine}\n"
        f"  got     {got}\n"
        "  want    what archdsl bench --calibrate writes\n"
        "  fix     archdsl bench --calibrate\n"
    )


def test_a_table_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cannot read") as error:
        machine_of(tmp_path / "nowhere.json")
    assert str(error.value.faults[0]).splitlines()[1:] == [
        "  got     No such file or directory",
        "  fix     archdsl bench --calibrate",
    ]


# the command line


def test_count_tells_latency(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["count", TINY, "--latency", "--batch", "2", "--views", "10x3", "--json"]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert (record["name"], record["batch"], record["views"], record["shipped"]) == (TINY, 2, 30, True)
    assert record["seconds"] == pytest.approx(sum(record["kinds"].values()))
    assert 0.01 < record["seconds"] < 100
    assert record["unknown"] == []
    assert main(["count", TINY, "--latency"]) == 0
    said = capsys.readouterr().out
    assert f"measured on {record['machine']}, which may not be this machine (`archdsl bench --calibrate`)" in said


def test_latency_is_told_without_torch() -> None:
    code = "import sys; from archdsl.cli import main; main(['count', 'x3d_s', '--latency']); "
    code += "assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0


@pytest.mark.parametrize(
    ("argv", "what"),
    [
        (["count", TINY, "--latency", "--memory"], "--memory and --latency together"),
        (["count", TINY, "--latency", "--claims"], "--latency and --claims together"),
        (["count", TINY, "--latency", "--verify"], "--latency and --verify together"),
        (["count", TINY, "--latency", "--convention", "macs"], "--latency and --convention together"),
        (["count", TINY, "--latency", "--train"], "--train without --memory"),
        (["bench", "--calibrate", "--train"], "--calibrate and --train together"),
        (["bench", "--calibrate", "--all"], "--calibrate and --all together"),
        (["bench", "--calibrate", "--batch", "2"], "a batch in a calibration"),
    ],
)
def test_options_that_exclude_each_other(argv: list[str], what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 2
    assert capsys.readouterr().err.startswith(f"{what}\n")


def test_a_calibration_of_a_small_grid(no_table_of_mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From cases to the table where the others look for it; no time is asserted."""
    assert "measured on another machine; `archdsl bench --calibrate` measures this one" in whence()
    assert main(["bench", TINY, "--frames", "8", "--size", "32", "--calibrate", "--runs", "1"]) == 0
    assert capsys.readouterr().err == f"wrote {no_table_of_mine}\n"
    machine = known_machine()
    assert not machine.shipped
    assert {"1x1x1", "frame", "time", "3d", "channels_last", "max_pool", "linear"} <= set(machine.samples)
    assert set(machine.pays["cpu"]) == {"infer", "train"}
    assert "steady_norms" not in machine.pays["cpu"]["train"]
    own = json.loads(no_table_of_mine.read_text())
    no_table_of_mine.write_text(json.dumps(own | {"pays": {"cuda": {"infer": {"views": True}}}}))
    assert main(["bench", TINY, "--frames", "8", "--size", "32", "--calibrate", "--runs", "1"]) == 0
    assert set(known_machine().pays) == {"cuda", "cpu"}
    capsys.readouterr()
    assert main(["count", TINY, "--latency", "--json"]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert (record["shipped"], record["machine"], record["unknown"]) == (False, machine.name, [])


def test_auto_goes_by_the_table_of_this_machine(no_table_of_mine: Path) -> None:
    before = chosen(train=False, device="cpu")
    assert "views" in before
    no_table_of_mine.parent.mkdir()
    no_table_of_mine.write_text(Machine("a toy", "cpu", TOY.samples, pays={"cpu": {"infer": {"views": False}}}).text())
    assert chosen(train=False, device="cpu") == tuple(name for name in before if name != "views")
    assert "steady_norms" in chosen(train=True, device="cpu")
    assert whence() == f"what pays on cpu was measured on this machine: {no_table_of_mine}"


def test_a_device_that_nobody_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archdsl.backend.passes.choice.device_of", lambda name: torch.device("cuda"))
    assert whence() == (
        "nothing was measured on cuda, so auto takes no pass; `archdsl bench --calibrate --device cuda` measures it"
    )
