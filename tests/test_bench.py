"""Measuring: figures worked out by hand, peers that are wrong, and a bench of a small net. No time is asserted."""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import archdsl
from archdsl.backend.devices import device_of
from archdsl.backend.precision import autocast_to
from archdsl.cli import bench as benching
from archdsl.cli import main
from archdsl.errors import SpecError
from archdsl.measuring import (
    BenchSetup,
    Comparison,
    Contestant,
    ContestantTimes,
    bench_table,
    compare,
    geometric_mean,
    peer_contestant,
)
from archdsl.measuring.cases import Arena
from archdsl.measuring.contestants import (
    copy_in_order,
    error_of,
    loss_of,
    own_contestant,
    randomize_norms,
    without_dropout,
)
from archdsl.measuring.machine import machine_name
from archdsl.measuring.timer import Times, timed_interleaved

TINY = "slowfast_tiny"
PEERS = str(Path(__file__).parent / "data" / "peers.py")


@pytest.fixture(scope="module")
def plan() -> archdsl.Plan:
    return archdsl.compile(archdsl.load(TINY))


def fault(error: pytest.ExceptionInfo[SpecError]) -> str:
    return str(error.value.faults[0])


# figures


def test_times_by_hand() -> None:
    times = Times((4.0, 1.0, 2.0, 3.0, 5.0))
    assert (times.median, times.least, times.quartiles) == (3.0, 1.0, (2.0, 4.0))
    assert Times((7.0,)).quartiles == (7.0, 7.0)


def test_a_ratio_compares_neighbours_in_time() -> None:
    """A machine that slows down threefold in the third round slows both: the ratio stays 2."""
    base, own = Times((2.0, 2.0, 6.0)), Times((1.0, 1.0, 3.0))
    assert own.ratio_of(base) == 2.0


def test_every_step_runs_once_in_each_round_and_opens_one_in_turn() -> None:
    ran: list[str] = []
    found = timed_interleaved({name: lambda name=name: ran.append(name) for name in "abc"}, 3)  # type: ignore[misc]
    assert "".join(ran) == "abcbcacab"
    assert {name: len(times.rounds) for name, times in found.items()} == {"a": 3, "b": 3, "c": 3}


def test_shares_by_hand(plan: archdsl.Plan) -> None:
    sides = (
        ContestantTimes("peer", Times((2.0,)), 0.0, 0.0, 0.0),
        ContestantTimes("ours", Times((1.0,)), 0.0, 0.0, 1e-7),
    )
    second = 2 * 2048**3 / 1e9  # GFLOP/s of a product that takes a second
    one = Comparison(plan, BenchSetup(batch=4), sides, "a machine", Times((1.0,)), 0.25, {"ours": 2**20})
    assert one.gigaflops(sides[1]) == pytest.approx(8 * plan.macs / 1e9)
    assert one.share(sides[1]) == pytest.approx(8 * plan.macs / 1e9 / second)
    record = one.record()["sides"][1]
    assert (record["ratio"], record["clips_per_second"], record["peak_bytes"]) == (2.0, 4.0, 2**20)
    table = bench_table([one, one])
    assert table.rows[-1].cells[:2] == ("geometric mean of 2", "ours")
    assert table.rows[-1].cells[5] == "2.00"


def test_geometric_mean_by_hand() -> None:
    assert geometric_mean([1.0, 4.0, 2.0]) == pytest.approx(2.0)


def test_an_error_is_relative_to_the_largest_value() -> None:
    base = torch.tensor([1.0, -4.0])
    assert error_of(base + torch.tensor([0.0, 2.0]), base) == 0.5
    assert error_of({"a": base, "b": base}, {"a": base, "b": base}) == 0.0
    with pytest.raises(SpecError, match="outputs differ in shape"):
        error_of(torch.ones(3), base)


def test_a_loss_of_equal_scores_is_the_logarithm_of_their_number() -> None:
    assert float(loss_of(torch.zeros(2, 8))) == pytest.approx(2.0794415)
    assert float(loss_of({"a": torch.zeros(2, 8), "b": torch.zeros(1, 8, 2, 2)})) == pytest.approx(2 * 2.0794415)


# peers


def test_weights_go_over_in_order() -> None:
    ours, peer = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1)), nn.ModuleList([nn.Linear(2, 3), nn.Linear(3, 1)])
    copy_in_order(ours, peer)
    assert all(torch.equal(a, b) for a, b in zip(ours.state_dict().values(), peer.state_dict().values(), strict=True))
    with pytest.raises(SpecError, match="not ours in the same order") as error:
        copy_in_order(ours, nn.ModuleList([nn.Linear(2, 3), nn.Linear(3, 2)]))
    assert "got     1.weight (2, 3)" in fault(error)
    assert "want    1.weight (1, 3)" in fault(error)


@pytest.mark.parametrize(
    ("peer", "what", "row"),
    [
        ("peers", "a peer that cannot be read", "want    FILE.py:make_model"),
        ("nowhere.py:make", "cannot read nowhere.py", "got     no such file"),
        (f"{PEERS}:make_sane", "no function 'make_sane' in peers.py", "fix     make_same"),
    ],
)
def test_a_peer_that_is_not_there(peer: str, what: str, row: str) -> None:
    with pytest.raises(SpecError, match=what) as error:
        peer_contestant(peer)
    assert row in fault(error)


@pytest.mark.parametrize(
    ("name", "what", "row"),
    [
        ("make_nothing", "gives no network", "got     str"),
        ("make_trouble", "RuntimeError in make_trouble", "got     no weights today"),
        ("make_other", "not ours in the same order", "fix     a function copy"),
        ("make_picky", "make_picky does not take our clips", "fix     a function feed"),
    ],
)
def test_a_peer_that_is_wrong(plan: archdsl.Plan, name: str, what: str, row: str) -> None:
    with pytest.raises(SpecError, match=what) as error:
        compare(plan, [peer_contestant(f"{PEERS}:{name}")], BenchSetup(runs=1))
    assert row in fault(error)


def test_a_device_that_is_not_there() -> None:
    for name in ("tpu9", "meta", "mps", "xla"):
        with pytest.raises(SpecError, match="device") as error:
            device_of(name)
        assert "want    cpu, or cuda where there is a GPU" in fault(error)
        assert all(len(line) < 140 for line in fault(error).splitlines())


def test_norms_are_scattered_and_dropout_is_off() -> None:
    network = nn.Sequential(nn.Conv3d(3, 4, 1), nn.BatchNorm3d(4), nn.Dropout(0.5))
    randomize_norms(network)
    without_dropout(network)
    assert network[1].running_var.std() > 0
    assert network[1].bias.std() > 0
    assert network[2].p == 0.0


# benches


@pytest.mark.parametrize("train", [False, True])
def test_equal_networks_agree(plan: archdsl.Plan, train: bool) -> None:
    told: list[str] = []
    sides = [own_contestant(plan, "none", train=train, device="cpu"), Contestant("again", lambda: archdsl.build(plan))]
    one = compare(plan, sides, BenchSetup(batch=2, train=train, runs=2), told.append)
    assert [side.side for side in one.sides] == ["none", "again"]
    assert one.sides[1].error == 0.0
    assert all(len(side.times.rounds) == 2 and side.times.least > 0 for side in one.sides)
    assert told[0] == "making none"
    assert told[-1] == "round 2 of 2"
    assert one.record()["train"] is train


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a command in this process, processes of its own left out; give (exit code, stdout, stderr)."""
    monkeypatch.setattr("archdsl.measuring.peak_of_command", lambda command: 2**20)

    def run_it(*argv: str) -> tuple[int, str, str]:
        code = main(argv)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run_it


def test_bench_against_a_peer(run: Any, tmp_path: Path) -> None:
    code, out, err = run("bench", TINY, "--vs", f"{PEERS}:make_same", "--runs", "1", "--lower", "none", "--json")
    assert (code, err) == (0, "")
    (record,) = json.loads(out)
    assert [side["side"] for side in record["sides"]] == ["make_same", "none"]
    assert all(side["error"] == 0 and side["peak_bytes"] == 2**20 and side["share"] > 0 for side in record["sides"])
    out = tmp_path / "tiny.md"
    assert run("bench", TINY, "--runs", "1", "-o", str(out))[0] == 0
    assert out.read_text().startswith("| name | side | median |")


@pytest.mark.parametrize(
    ("argv", "want"),
    [
        ((TINY, "--vs", "peer"), "a peer that cannot be read"),
        ((TINY, "--device", "tpu9"), "no device 'tpu9'"),
        ((TINY, "--only", "literal"), "no side 'literal'"),
        ((), "no model named"),
        (("slowfast_tinny",), "slowfast_tiny"),
    ],
)
def test_what_a_person_wrote_wrongly(run: Any, argv: tuple[str, ...], want: str) -> None:
    code, out, err = run("bench", *argv)
    assert (code, out) == (2, "")
    assert want in err
    assert "Traceback" not in err


@pytest.mark.parametrize("argv", [(TINY, "-o", "{}/table.md"), ("--calibrate",), ("--calibrate", "-o", "{}/own.json")])
def test_what_cannot_be_written_is_told_before_anything_is_measured(
    argv: tuple[str, ...], run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ARCHDSL_CACHE", str(tmp_path / "file"))
    for name in ("compare", "measure_passes"):
        monkeypatch.setattr(f"archdsl.measuring.{name}", None)
    code, out, err = run("bench", *(text.format(tmp_path / "file") for text in argv))
    assert (code, out) == (2, "")
    assert err.startswith(f"cannot write {tmp_path}/file")


def test_a_side_alone_is_told_as_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    from archdsl.cli.arguments.parser import parser

    argv = ["bench", TINY, "--frames=32", "--set=head.classes=5", "--lower=none", "--train", "--batch=2"]
    given = parser().parse_args(argv)
    again = benching.side_command(given, TINY, "none")
    twice = parser().parse_args(again[2:])
    assert again[:5] == ["-m", "archdsl", "bench", TINY, "--only=none"]
    for name in ("frames", "set", "lower", "train", "batch", "device", "vs"):
        assert getattr(twice, name) == getattr(given, name)


@pytest.mark.slow
def test_memory_of_a_side_in_a_process_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", TINY, "--runs", "1", "--json"]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert all(2**26 < side["peak_bytes"] < 2**31 for side in record["sides"])


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # torch's compiler reads it (2.13)
def test_halves_and_compiled_stages_are_sides(plan: archdsl.Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """Autocast is on in every side's forward; what is compiled says the same, and bf16 is not called a difference."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    ours = [own_contestant(plan, "none", train=True, device="cpu", compiled=compiled) for compiled in (False, True)]
    assert [side.name for side in ours] == ["none", "none compiled"]
    seen: list[torch.dtype] = []
    watched = dataclasses.replace(ours[0], prepare=lambda network: seeing(network, seen))
    one = compare(plan, [watched, ours[1]], BenchSetup(train=True, runs=1, precision="bf16"))
    assert set(seen) == {torch.bfloat16}
    assert one.sides[1].error < 1e-2
    assert "in bf16" in str(bench_table([one]).note)
    assert one.record()["precision"] == "bf16"
    torch._dynamo.reset()


def seeing(network: nn.Module, seen: list[torch.dtype]) -> nn.Module:
    """The network, which notes the type of its scores."""
    network.register_forward_hook(lambda module, clips, scores: seen.append(scores.dtype))
    return network


def test_a_calibration_says_its_precision() -> None:
    cpu = torch.device("cpu")
    with autocast_to("bf16", cpu):
        assert machine_name(cpu).endswith(", bfloat16")
        assert Arena(8, cpu).memory.dtype == torch.bfloat16
    assert not machine_name(cpu).endswith("16")
