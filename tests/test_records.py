"""Files of a run that are not as a run writes them: one error that names the file, whatever is in it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import archdsl
from archdsl.errors import SpecError
from archdsl.spec.files import checksum
from archdsl.training.state.checkpoints import checkpoints_in, digest, read_facts
from archdsl.training.state.records import LogEntry, SkippedVideo, read_records
from archdsl.training.state.run_reader import run_classes
from tests.trained import DATA, short, small

ODD = (None, True, -1, 1.5, 10**400, float("nan"), "x", "\udc80", [], [1], [[]], {}, {"": 1}, {"a": {"a": {}}})
DEEP = b"[" * 200_000
NOT_JSON = (b"", b"\0", b"\xff\xfe", b"{", b"[]", b"null", b"1", b'"x"', b'{"step": NaN}', DEEP, b'{"a": ' * 200_000)


def run(out: Path, **options: Any) -> Any:
    return archdsl.train(small(), options.pop("recipe", short(4)), DATA, out=out, device="cpu", quiet=True, **options)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with all that a checkpoint can hold."""
    out = tmp_path_factory.mktemp("trained") / "run"
    run(out, recipe=recipe())
    return out


def recipe() -> Any:
    return short(4, optimizer__kind="adamw", optimizer__rate=0.01, average=0.5, evaluate_every=2)


@pytest.fixture
def copied(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained, tmp_path / "run")
    return tmp_path / "run"


def refusal(call: Callable[[], Any]) -> str:
    """The error of a call; empty where there is none."""
    try:
        call()
    except SpecError as error:
        return str(error)
    return ""


def write_state(checkpoint: Path, facts: Any) -> None:
    """state.json with the checksum that it should have."""
    (checkpoint / "state.json").write_text(json.dumps(facts | {"checksum": digest(facts)}))


def test_a_state_of_any_shape_is_read_or_refused(copied: Path) -> None:
    """Every key missing, and with every odd value; whole files of another kind."""
    last = checkpoints_in(copied)[-1]
    facts = json.loads((last / "state.json").read_text())
    del facts["checksum"]
    refused = 0
    for key in facts:
        for change in ({}, *({key: value} for value in ODD)):
            write_state(last, {k: v for k, v in facts.items() if k != key} | change)
            refused += refusal(lambda: read_facts(last)).startswith("damaged checkpoint: step_00000004\n")
    assert refused > 100
    for data in NOT_JSON:
        (last / "state.json").write_bytes(data)
        with pytest.raises(SpecError, match="damaged checkpoint: step_00000004"):
            read_facts(last)
    (last / "state.json").unlink()
    os.mkfifo(last / "state.json")
    with pytest.raises(SpecError, match="damaged checkpoint: step_00000004"):
        read_facts(last)


@pytest.mark.parametrize("key", ["arch", "recipe", "scaler", "best", "data", "figures", "weights"])
def test_a_run_goes_on_from_what_it_reads_or_not_at_all(key: str, copied: Path) -> None:
    last = checkpoints_in(copied)[-1]
    facts = json.loads((last / "state.json").read_text())
    del facts["checksum"]
    for value in ({}, {"a": {"b": []}}, {"step": 1}, None):
        write_state(last, facts | {key: value})
        said = refusal(lambda: run(copied, recipe=recipe()))
        assert not said or str(last) in said


HEAD, NOTHING = "head.classifier", "missing"
HARMS: dict[str, tuple[str, torch.Tensor | None, str, str]] = {
    "shape": (f"network.{HEAD}.weight", torch.ones(1), "(1,) float32", "(8, 16) float32"),
    "scalar": (f"optimizer.{HEAD}.bias.exp_avg", torch.ones(()), "() float32", "(8,) float32"),
    "step": (f"optimizer.{HEAD}.bias.step", torch.ones(8), "(8,) float32", "() float32"),
    "type": (f"average.{HEAD}.bias", torch.ones(8).half(), "(8,) float16", "(8,) float32"),
    "counter": ("network.main.stem.0.norm.num_batches_tracked", torch.ones(()), "() float32", "() int64"),
    "missing": (f"optimizer.{HEAD}.bias.exp_avg", None, NOTHING, "(8,) float32"),
    "one too many": ("network.more", torch.ones(2), "(2,) float32", NOTHING),
    "another slot": (f"optimizer.{HEAD}.bias.momentum_buffer", torch.ones(8), "(8,) float32", NOTHING),
    "nobody's": ("optimizer.nobody.exp_avg", torch.ones(8), "(8,) float32", NOTHING),
}
"""Which tensor of a checkpoint becomes what, or goes; what is met and wanted."""


@pytest.mark.parametrize("harm", HARMS)
def test_tensors_are_those_of_the_run(harm: str, copied: Path) -> None:
    """Names, shapes and types: torch would stretch one number over a whole tensor."""
    last = checkpoints_in(copied)[-1]
    tensors = load_file(last / "tensors.safetensors")
    name, tensor, got, want = HARMS[harm]
    tensors.pop(name, None)
    save_file(tensors | ({} if tensor is None else {name: tensor}), last / "tensors.safetensors")
    facts = json.loads((last / "state.json").read_text())
    del facts["checksum"]
    write_state(last, facts | {"files": {"tensors.safetensors": checksum(last / "tensors.safetensors")}})
    with pytest.raises(SpecError, match="checkpoint tensors do not match the network") as caught:
        run(copied, recipe=recipe())
    (fault,) = caught.value.faults
    assert (fault.at, fault.got, fault.want) == (name, got, want)


def test_files_that_a_checkpoint_does_not_know_are_not_read(copied: Path) -> None:
    last = checkpoints_in(copied)[-1]
    os.mkfifo(last / "more.safetensors")
    with pytest.raises(SpecError, match=r"more.safetensors, which state.json does not list"):
        run(copied, recipe=recipe())


def test_another_optimizer_is_told(copied: Path) -> None:
    last = checkpoints_in(copied)[-1]
    with pytest.raises(SpecError, match="checkpoint tensors do not match the network"):
        run(copied, recipe=recipe().but(optimizer=short().optimizer), resume=last)


@pytest.mark.slow
def test_another_precision_goes_on(copied: Path) -> None:
    """The scaler of half precision begins anew; and is left behind."""
    done = run(copied, recipe=recipe().but(steps=5, precision="fp16"), resume=checkpoints_in(copied)[-1])
    assert read_facts(checkpoints_in(copied)[-1]).step == done.step == 5
    assert run(copied, recipe=recipe().but(steps=6), resume=checkpoints_in(copied)[-1]).step == 6


def test_run_json_of_any_shape(copied: Path) -> None:
    path = copied / "run.json"
    for data in (*NOT_JSON, *(json.dumps({"classes": value}).encode() for value in ODD if value not in (["x"], []))):
        path.write_bytes(data)
        with pytest.raises(SpecError, match=r"cannot read run.json|more than") as caught:
            run_classes(copied)
        assert str(path) in str(caught.value)
    assert run(copied, recipe=recipe()).step == 4
    assert len(run_classes(copied)) == 8


def test_logs_of_any_shape(copied: Path) -> None:
    """The line is named; what a killed process cut is passed over, a name that is no text goes through."""
    path = copied / "metrics.jsonl"
    good = path.read_bytes()
    for data in (*NOT_JSON[1:], b'{"step": -1}', b'{"step": 1, "loss": []}', b'{"step": true}', b'{"loss": 1.0}'):
        path.write_bytes(good + data + b"\n")
        with pytest.raises(SpecError, match=r"cannot read metrics.jsonl") as caught:
            list(read_records(LogEntry, path))
        assert caught.value.faults[0].written == f"{path}:7"
        path.write_bytes(good + data)
        assert len(list(read_records(LogEntry, path))) == 6
    assert run(copied, recipe=recipe()).step == 4
    assert path.read_bytes() == good
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(SpecError, match="a pipe"):
        run(copied, recipe=recipe())
    skipped = copied / "skipped.jsonl"
    skipped.write_text('{"name": "\\udc80", "reason": "x"}\n')
    assert list(read_records(SkippedVideo, skipped)) == [SkippedVideo(name="\udc80", reason="x")]
