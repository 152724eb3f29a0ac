"""Weights from files: what is read, what differs, what is refused."""

from __future__ import annotations

import os
import pickle
import zipfile
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from archdsl.backend import build
from archdsl.backend.weights import files, load_weights, read_weights
from archdsl.errors import SpecError
from tests.trained import small


def network() -> nn.Module:
    return build(small())


def filled(seed: int = 1) -> dict[str, torch.Tensor]:
    dice = torch.Generator().manual_seed(seed)
    return {
        name: torch.rand(x.shape, generator=dice) if x.is_floating_point() else torch.full_like(x, 7)
        for name, x in network().state_dict().items()
    }


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_what_was_saved_is_what_is_loaded(suffix: str, tmp_path: Path) -> None:
    path, weights = tmp_path / f"weights{suffix}", filled()
    save_file(weights, path) if suffix == ".safetensors" else torch.save(weights, path)
    made = network()
    load_weights(made, path)
    assert all(torch.equal(x, weights[name]) for name, x in made.state_dict().items())


@pytest.mark.parametrize(
    "wrap",
    [
        lambda w: {"state_dict": w, "epoch": 3, "optimizer": {"lr": 0.1}},
        lambda w: {"model_state": {f"module.{name}": x for name, x in w.items()}},
        lambda w: {f"module.{name}": x for name, x in w.items()},
        lambda w: {name: x for name, x in w.items() if not name.endswith("num_batches_tracked")},
        lambda w: {name: x.half() if x.is_floating_point() else x for name, x in w.items()},
    ],
)
def test_what_others_wrap_weights_in_is_taken_off(wrap: object, tmp_path: Path) -> None:
    torch.save(wrap(filled()), tmp_path / "weights.pt")
    made = network()
    load_weights(made, tmp_path / "weights.pt")
    for name, x in made.named_parameters():
        torch.testing.assert_close(x.detach(), filled()[name], rtol=0, atol=1e-3)


def test_every_difference_is_listed_by_address(tmp_path: Path) -> None:
    weights = filled()
    name = next(n for n, x in weights.items() if x.ndim == 5)
    del weights[name]
    weights["head.classifier.weight"] = torch.zeros(4, 5)
    weights["extra.weight"] = torch.zeros(2)
    save_file(weights, tmp_path / "w.safetensors")
    with pytest.raises(SpecError) as error:
        load_weights(network(), tmp_path / "w.safetensors")
    own = network().state_dict()
    found = {fault.at: (fault.got, fault.want) for fault in error.value.faults}
    assert found == {
        name: ("nothing of that name", str(tuple(own[name].shape))),
        "head.classifier.weight": ("(4, 5)", str(tuple(own["head.classifier.weight"].shape))),
        "extra.weight": ("(2,)", "nothing here"),
    }


def test_another_network_is_one_fault(tmp_path: Path) -> None:
    """Wider, and with names of others: how many names are shared, the first that differ, nothing loaded."""
    made = network()
    before = {name: x.clone() for name, x in made.state_dict().items()}
    torch.save(build(small(channels=16)).state_dict(), tmp_path / "wide.pt")
    torch.save({f"layer{i}.weight": torch.zeros(2) for i in range(99)}, tmp_path / "foreign.pt")
    first, count = next(iter(before)), len(before)
    for name, got in {
        "wide": f"{count} of {count} names shared; {reshaped(made, 16)} of them with other shapes, such as {first} ",
        "foreign": f"0 of {count} names shared; 99 other names, such as layer0.weight",
    }.items():
        with pytest.raises(SpecError) as error:
            load_weights(made, tmp_path / f"{name}.pt")
        (fault,) = error.value.faults
        assert fault.got is not None
        assert fault.got.startswith(got)
        assert fault.want == f"{first} {tuple(before[first].shape)}"
    assert all(torch.equal(x, before[name]) for name, x in made.state_dict().items())


def reshaped(network: nn.Module, channels: int) -> int:
    """How many tensors have another shape with so many channels."""
    wide = build(small(channels=channels)).state_dict()
    return sum(x.shape != wide[name].shape for name, x in network.state_dict().items())


class Hostile:
    """Runs a command when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("protocol", [None, 0, 2, 4])
def test_a_file_that_would_run_code_is_refused_and_does_not(protocol: int | None, tmp_path: Path) -> None:
    path, mark = tmp_path / "w.pt", tmp_path / "mark"
    data = {"weight": torch.zeros(1), "evil": Hostile(mark)} if protocol is None else {"evil": Hostile(mark)}
    torch.save(data, path) if protocol is None else path.write_bytes(pickle.dumps(data, protocol))
    with pytest.raises(SpecError) as error:
        read_weights(path)
    fault = error.value.faults[0]
    assert (fault.what, fault.got) == ("w.pt would run code when it is read", "unsupported GLOBAL posix.system")
    assert not mark.exists()


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_damaged_files_are_told_as_such(suffix: str, tmp_path: Path) -> None:
    path, weights = tmp_path / f"w{suffix}", {"a": torch.arange(6.0).view(2, 3)}
    save_file(weights, path) if suffix == ".safetensors" else torch.save(weights, path)
    data, dice = path.read_bytes(), Random(0)
    for _ in range(150):
        broken = bytearray(data)
        for _ in range(dice.randint(1, 4)):
            broken[dice.randrange(len(broken))] = dice.randrange(256)
        path.write_bytes(broken[: dice.choice([len(broken), dice.randrange(len(broken))])])
        with suppress(SpecError):  # and nothing else; values that changed cannot be told
            read_weights(path)


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("w.pt", b"", "no weights in w.pt"),
        ("w.safetensors", b"", "no weights in w.safetensors"),
        ("w.pt", b"not a pickle at all", "no weights in w.pt"),
        ("w.safetensors", b"\xff" * 64, "no weights in w.safetensors"),
    ],
)
def test_what_holds_no_weights(name: str, data: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(SpecError, match=said):
        read_weights(tmp_path / name)


@pytest.mark.parametrize("data", [[1, 2], {}, {"a": 3}, torch.zeros(3), {"state_dict": {}}])
def test_other_data_than_weights(data: object, tmp_path: Path) -> None:
    torch.save(data, tmp_path / "w.pt")
    with pytest.raises(SpecError, match=r"no weights in w\.pt"):
        read_weights(tmp_path / "w.pt")


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no such file"):
        read_weights(tmp_path / "none.pt")
    with pytest.raises(SpecError, match="a folder"):
        read_weights(tmp_path)


ODD = {
    **{kind: lambda x, kind=kind: x.to(getattr(torch, kind)) for kind in ("int8", "uint8", "bool", "int64", "uint16")},
    **{kind: lambda x, kind=kind: x.to(getattr(torch, kind)) for kind in ("float8_e4m3fn", "float8_e5m2", "complex64")},
    "bits8": lambda x: torch.empty(x.shape, dtype=torch.bits8),
    "float4": lambda x: torch.empty(x.shape, dtype=torch.float4_e2m1fn_x2),
    "meta": lambda x: x.to("meta"),
    "nested": lambda x: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged),
    "sparse": lambda x: x.to_sparse(),
    "NaN": lambda x: x * float("nan"),
    "infinity": lambda x: x / 0,
    "beyond float32": lambda x: torch.full(x.shape, 1e300, dtype=torch.float64),
}
"""What is stored -> a weight stored as that."""


@pytest.mark.parametrize("kind", ODD)
def test_weights_of_odd_kinds_are_refused_before_any_is_taken(kind: str, tmp_path: Path) -> None:
    weights, made = filled(), network()
    name = list(dict(made.named_parameters()))[-1]
    before = {key: x.clone() for key, x in made.state_dict().items()}
    torch.save(weights | {name: ODD[kind](weights[name])}, tmp_path / "w.pt")
    with pytest.raises(SpecError, match="weights of a kind that no network has") as error:
        load_weights(made, tmp_path / "w.pt")
    assert [fault.at for fault in error.value.faults] == [name]
    assert all(torch.equal(x, before[key]) for key, x in made.state_dict().items())


def test_a_counter_takes_whole_numbers_of_any_kind(tmp_path: Path) -> None:
    made, weights = network(), filled()
    name = next(name for name, x in weights.items() if not x.is_floating_point())
    for value in (torch.tensor(12.0).half(), torch.tensor(12, dtype=torch.int32)):
        torch.save(weights | {name: value}, tmp_path / "w.pt")
        load_weights(made, tmp_path / "w.pt")
        assert made.state_dict()[name] == 12
    torch.save(weights | {name: torch.tensor(2.5)}, tmp_path / "w.pt")
    with pytest.raises(SpecError, match="float32 with fractions"):
        load_weights(made, tmp_path / "w.pt")


@pytest.mark.parametrize("name", [3, "\udce9", "a\x1b[2J", "a" * 501])
def test_names_that_no_weight_has(name: object, tmp_path: Path) -> None:
    torch.save({name: torch.zeros(1)}, tmp_path / "w.pt")
    with pytest.raises(SpecError, match=r"no weights in w\.pt"):
        read_weights(tmp_path / "w.pt")


def test_a_file_that_unpacks_to_more_than_it_is(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1 << 20)}, tmp_path / "whole.pt")
    with zipfile.ZipFile(tmp_path / "whole.pt") as whole, zipfile.ZipFile(tmp_path / "w.pt", "w", 8) as packed:
        for entry in whole.infolist():
            packed.writestr(entry.filename, whole.read(entry))
    with pytest.raises(SpecError, match="compressed entries"):
        read_weights(tmp_path / "w.pt")


def test_a_file_of_very_many_tensors_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w.pt", "w") as file:
        for i in range(files.MAX_TENSORS + 1):
            file.writestr(f"w/data/{i}", b"")
    with pytest.raises(SpecError, match=f"got +{files.MAX_TENSORS + 1} entries"):
        read_weights(tmp_path / "w.pt")
