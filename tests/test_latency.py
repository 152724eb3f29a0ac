"""Latency told from a table: worked out by hand on toy tables, and cases held against what the passes really leave."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import archdsl
from archdsl.backend.passes import PASSES
from archdsl.backend.passes.policy import passes_that_pay, policy_origin
from archdsl.cli import main
from archdsl.errors import SpecError
from archdsl.measuring import TimedRounds, spread_cases
from archdsl.measuring.bounds import CASES_BY_SIZE
from archdsl.measuring.calibration import machine_table
from archdsl.measuring.cases import EMPTY_CASE
from archdsl.report.latency.cases import CaseSizes, cases_of
from archdsl.report.latency.machine import (
    SAMPLE_FIELDS,
    Machine,
    TimedCase,
    known_machine,
    read_machine,
    sample_from_row,
)
from archdsl.report.latency.prediction import Latency
from archdsl.report.lowering_policy import PassChoice

TINY = "slowfast_tiny"


def sizes(positions: int, macs: int = 0, bytes: int = 4000) -> CaseSizes:  # noqa: A002
    return CaseSizes(positions, 16, 8, 16, 16 * positions, 1, 0, 0, macs, bytes)


TOY = Machine(
    "a toy",
    "cpu",
    {
        "slow": (TimedCase(sizes(64), 0.004), TimedCase(sizes(1024), 0.016)),
        "quick": (TimedCase(sizes(64, 10**9, 10**6), 0.001), TimedCase(sizes(64, 0, 10**7), 0.001)),
    },
)


def with_pays(pays: Any) -> str:
    """A table as text, with these choices."""
    return json.dumps(json.loads(TOY.text()) | {"pays": pays})


@pytest.fixture(autouse=True)
def no_table_of_mine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Each test begins where nobody has calibrated; gives where the table would lie."""
    monkeypatch.setenv("ARCHDSL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "machine-cpu.json"


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
    cases = spread_cases((case for _, case in cases_of(plan, {})), 100)
    times: dict[Any, TimedRounds] = {case: TimedRounds([(0.003, 0.0)]) for case in [*cases, EMPTY_CASE]}
    times[EMPTY_CASE] = TimedRounds([(0.001, 0.0)])
    times[TINY] = TimedRounds([(0.003 * len(list(cases_of(plan, {}))), 0.0)])
    machine = machine_table(cases, [plan], times, "cpu", {"infer": {"views": True}})
    assert (machine.scale, machine.empty) == (pytest.approx(1.5), 0.001)
    assert machine.pays == {"infer": {"views": True}}
    assert Latency(plan, machine).seconds == pytest.approx(times[TINY].seconds)
    assert machine_table(cases, [], times, "cpu", {}).scale == 1.0


def test_a_network_is_the_sum_of_its_cases() -> None:
    plan = archdsl.compile(archdsl.load(TINY))
    told = Latency(plan, TOY)
    assert told.seconds == pytest.approx(sum(told.kinds.values()))
    assert set(told.unknown) == set(told.kinds) == {case.kind for _, case in cases_of(plan, {})}
    assert Latency(plan, known_machine("cpu"), 8).seconds > Latency(plan, known_machine("cpu")).seconds


def test_a_network_is_told_by_the_passes_of_the_table() -> None:
    plan = archdsl.compile(archdsl.load("slow_4x16_r50_nl_embedded"))
    known = known_machine("cpu")
    assert "attention" in Latency(plan, known).kinds
    literal = Latency(plan, replace(known, pays={"infer": {"attention": False}}))
    assert "attention" not in literal.kinds
    assert {"affinity", "softmax", "gather"} <= {*literal.kinds}


# tables


def test_a_table_reads_back(tmp_path: Path) -> None:
    file = tmp_path / "machine.json"
    pays = {"infer": {"views": True, "attention": {"pairs": 512}}, "train": {}}
    machine = Machine("a toy", "cpu", TOY.samples, 1.25, 1e-5, pays)
    file.write_text(machine.text())
    assert read_machine(file) == machine


def test_the_table_that_comes_along() -> None:
    machine = known_machine("cpu")
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
        (json.dumps({"fields": SAMPLE_FIELDS, "samples": {}}), "ValueError: no samples"),
        (json.dumps({"fields": SAMPLE_FIELDS, "samples": {"relu": [[0] * 11]}}), f"ValueError: a sample {[0] * 11}"),
        (
            with_pays({"cpu": {"infer": {}}}),
            "ValueError: pays of cpu",
        ),  # as it was before there was one for each device
        (with_pays({"infer": {"views": 32}}), "ValueError: views pays 32"),
        (with_pays({"infer": {"views": {"channels": True}}}), "ValueError: views pays {'channels': True}"),
    ],
)
def test_a_broken_table(no_table_of_mine: Path, text: str, got: str, capsys: pytest.CaptureFixture[str]) -> None:
    no_table_of_mine.parent.mkdir()
    no_table_of_mine.write_text(text)
    assert main(["count", TINY, "--latency"]) == 2
    assert capsys.readouterr().err == (
        "machine-cpu.json is no table of a machine\n"
        f"  at      {no_table_of_mine}\n"
        f"  got     {got}\n"
        "  want    what archdsl bench --calibrate writes\n"
        "  fix     archdsl bench --calibrate\n"
    )


def test_a_table_of_before_there_was_one_for_each_device(
    no_table_of_mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = no_table_of_mine.with_name("machine.json")
    old.parent.mkdir()
    old.write_text("{}")
    for argv in (["count", TINY, "--latency"], ["emit", TINY, "--lower", "auto"]):
        assert main(argv) == 2
        assert capsys.readouterr().err == (
            "machine.json of an older archdsl\n"
            f"  at      {old}\n"
            "  want    a table for each device, here machine-cpu.json\n"
            "  fix     delete it, then archdsl bench --calibrate\n"
        )
    no_table_of_mine.write_text(TOY.text())
    assert main(["count", TINY, "--latency"]) == 0


def test_a_device_whose_cases_nobody_measured(no_table_of_mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["count", TINY, "--latency", "--device", "cuda"]) == 2
    file = no_table_of_mine.with_name("machine-cuda.json")
    assert capsys.readouterr().err == (
        f"no table of cuda\n  got     no {file}\n  fix     archdsl bench --calibrate --device cuda\n"
    )
    file.parent.mkdir()
    file.write_text(replace(TOY, name="a GPU", device="cuda").text())
    no_table_of_mine.write_text(TOY.text())
    for argv, machine in (([], "a toy"), (["--device", "cuda"], "a GPU")):
        assert main(["count", TINY, "--latency", *argv, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)[0]["machine"] == machine


def test_a_table_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cannot read") as error:
        read_machine(tmp_path / "nowhere.json")
    assert str(error.value.faults[0]).splitlines()[1:] == [
        "  got     no such file",
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
        (["count", TINY, "--memory", "--device", "cpu"], "--memory and --device together"),
        (["count", TINY, "--device", "cpu"], "--device without --latency"),
        (["bench", "--calibrate", "--train"], "--calibrate and --train together"),
        (["bench", "--calibrate", "--all"], "--calibrate and --all together"),
        (["bench", "--calibrate", "--batch", "2"], "a batch in a calibration"),
    ],
)
def test_options_that_exclude_each_other(argv: list[str], what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 2
    assert capsys.readouterr().err.startswith(f"{what}\n")


@pytest.mark.slow
def test_a_calibration_of_a_small_grid(
    no_table_of_mine: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From cases to the table where the others look for it; no time is asserted."""
    smallest = {name: (cases, sizes[:1]) for name, (cases, sizes) in CASES_BY_SIZE.items()}
    monkeypatch.setattr("archdsl.measuring.bounds.CASES_BY_SIZE", smallest)
    assert "measured on another machine; `archdsl bench --calibrate` measures this one" in policy_origin()
    assert main(["bench", TINY, "--frames", "8", "--size", "32", "--calibrate", "--runs", "1"]) == 0
    assert capsys.readouterr().err == f"wrote {no_table_of_mine}\n"
    machine = read_machine(no_table_of_mine)
    assert {"1x1x1", "frame", "time", "3d", "channels_last", "max_pool", "linear"} <= set(machine.samples)
    passes = {one.name for one in PASSES} - {"steady_norms"}  # whose worth no clock tells
    assert {mode: {*choices} for mode, choices in machine.pays.items()} == {"infer": passes, "train": passes}
    assert known_machine("cpu").pays["train"]["steady_norms"] is True
    capsys.readouterr()
    assert main(["count", TINY, "--latency", "--json"]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert (record["shipped"], record["machine"], record["unknown"]) == (False, machine.name, [])


def test_auto_goes_by_the_table_of_this_machine(no_table_of_mine: Path) -> None:
    before = passes_that_pay(train=False, device="cpu")
    assert before["views"] is True
    no_table_of_mine.parent.mkdir()
    row: dict[str, PassChoice] = {"views": False, "attention": {"pairs": 64}}
    no_table_of_mine.write_text(Machine("a toy", "cpu", TOY.samples, pays={"infer": row}).text())
    rest = {name: choice for name, choice in before.items() if name != "views"}
    assert passes_that_pay(train=False, device="cpu") == {**rest, "attention": {"pairs": 64}}
    assert "steady_norms" in passes_that_pay(train=True, device="cpu")
    assert policy_origin() == f"what pays on cpu was measured on this machine: {no_table_of_mine}"


def test_a_device_that_nobody_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archdsl.backend.passes.policy.device_of", lambda name: torch.device("cuda"))
    assert policy_origin() == (
        "nothing was measured on cuda, so auto takes no pass; `archdsl bench --calibrate --device cuda` measures it"
    )


@pytest.mark.parametrize("i", [0, 1, 5, -1])
@pytest.mark.parametrize("wrong", [0.0, -1.0, float("nan"), float("inf")])
def test_every_number_of_a_sample_is_looked_at(i: int, wrong: float) -> None:
    row = [2.0] * len(SAMPLE_FIELDS)
    assert sample_from_row(row).seconds == pytest.approx(2e-6)
    row[i] = wrong
    with pytest.raises(ValueError, match="a sample"):
        sample_from_row(row)
