"""200 files that pretend to be weights: one error each, nothing executed, bounded memory and time."""

from __future__ import annotations

import argparse
import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from archdsl.backend.weights import read_weights
from archdsl.errors import SpecError
from tests.hostile_weights import calling, hostile_archives, hostile_files, outcome, shared_bytes


@pytest.mark.slow
def test_two_hundred_files_are_refused_in_bounded_memory_and_time(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.hostile_weights"]
    subprocess.run([*command, "write", tmp_path], check=True, capture_output=True)
    done = subprocess.run([*command, "read", tmp_path], check=True, capture_output=True, timeout=300)
    found = json.loads(done.stdout)
    assert len(found["said"]) >= 200
    assert {said for said in found["said"].values() if said.startswith("!")} == set()
    calls = [said for name, said in found["said"].items() if name.startswith("call_") and name.endswith(".pkl")]
    assert all("would run code" in said for said in calls)
    assert not found["marked"]
    assert found["slowest"] < 20
    assert found["grown_kb"] < 400_000  # twice the largest file, and what Python keeps


def test_a_few_of_them(tmp_path: Path) -> None:
    few = {
        "call.pkl": (calling("os.system", 2, str(tmp_path / "mark")), "call.pkl would run code when it is read"),
        "shared.pkl": (shared_bytes(), "no weights in shared.pkl"),
        "packed.pth": (next(hostile_archives()), "no weights in packed.pth"),
    }
    for name, (data, said) in few.items():
        (tmp_path / name).write_bytes(data)
        assert outcome(tmp_path / name) == said
    assert not (tmp_path / "mark").exists()
    assert len({name for name, _ in hostile_files("mark")}) >= 200


def test_a_tensor_larger_than_what_is_stored(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1).expand(1 << 40)}, tmp_path / "w.pt")
    with pytest.raises(SpecError, match="a number stored for each element"):
        read_weights(tmp_path / "w.pt")


@pytest.mark.parametrize("protocol", range(5))
def test_arrays_of_caffe2_are_read(protocol: int, tmp_path: Path) -> None:
    blobs = {
        "conv1_w": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
        "turned_w": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "big_w": np.arange(3, dtype=">f4"),
        "lr": 0.1,
    }
    (tmp_path / "w.pkl").write_bytes(pickle.dumps({"blobs": blobs}, protocol))
    found = read_weights(tmp_path / "w.pkl")
    assert set(found) == {"conv1_w", "turned_w", "big_w"}
    for name, tensor in found.items():
        assert np.array_equal(tensor.numpy(), blobs[name])


def test_arrays_as_python_2_wrote_them(tmp_path: Path) -> None:
    """cPickle's protocol 2: bytes are strings of one byte a character."""
    data = np.float32([1.5, -2.0]).tobytes()
    head = b"\x80\x02}U\x01acnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    kind = b"cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    state = b"(K\x01K\x02\x85" + kind + b"\x89U\x08" + data + b"tb"
    (tmp_path / "w.pkl").write_bytes(head + state + b"s.")
    assert read_weights(tmp_path / "w.pkl")["a"].tolist() == [1.5, -2.0]


@pytest.mark.parametrize("legacy", [False, True])
def test_settings_beside_weights_are_not_made(legacy: bool, tmp_path: Path) -> None:
    beside = {
        "args": argparse.Namespace(lr=0.1, names=["a"]),
        "best": np.float64(71.2),
        "list": np.arange(3),
        "path": Path("runs/1"),
        "epoch": 3,
    }
    weights = {"module.a.weight": torch.arange(3.0)}
    torch.save({"model": weights, **beside}, tmp_path / "w.pth", _use_new_zipfile_serialization=not legacy)
    found = read_weights(tmp_path / "w.pth")
    assert found["a.weight"].tolist() == [0, 1, 2]
    assert list(found) == ["a.weight"]
