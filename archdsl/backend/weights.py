"""Weights from files: safetensors, or what torch.save wrote, read without running any code in it."""

from __future__ import annotations

import re
import struct
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from archdsl.errors import Fault, SpecError
from archdsl.spec.files import open_regular

WRAPPERS = ("state_dict", "model_state", "model_state_dict", "model", "network", "ema_state_dict")
"""Keys under which others keep the weights beside an optimiser's state."""
PREFIXES = ("module.", "_orig_mod.")
"""What torch's wrappers put before every name."""
LOAD_ERRORS = (
    *(ArithmeticError, AssertionError, AttributeError, EOFError, ImportError, LookupError, MemoryError, OSError),
    *(RuntimeError, TypeError, ValueError, struct.error),
)
"""What torch raises for a damaged file, besides UnpicklingError."""
FAULTS_SHOWN = 12
"""Differences that are told."""
MAX_TENSORS = 50_000
"""Tensors in a file: the deepest networks have a few thousand, an optimiser's state three times as many."""
MAX_PICKLE_BYTES = 1 << 25
"""Bytes of the pickle that says where a file's tensors are: it is read at about 5 MB per second."""
MAX_NAME_LENGTH = 500
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
"""What weights may be stored as. Eight bits and fewer mean nothing without a scale, which no weight's name tells."""
INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
"""What counters may be stored as."""
COUNTER = "num_batches_tracked"
"""Batch norm counts batches; files older than torch 0.4.1 do not have it, and in tests it is not read."""


def load_weights(network: nn.Module, path: str | Path) -> None:
    """Put the weights of a file into a network. Raises SpecError with every address that differs."""
    put_weights(network, read_weights(path), str(path))


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors file, or of one that torch.save wrote, by name.

    Raises SpecError for a file that cannot be read, and for one that would run code.
    """
    path = Path(path)
    open_regular(path).close()
    found = read_safetensors(path) if path.suffix == ".safetensors" else read_pickled(path)
    return unwrapped(found, path)


def read_safetensors(path: Path) -> Any:
    """The tensors of a safetensors file."""
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise no_weights(path, str(error), "safetensors") from None


def read_pickled(path: Path) -> Any:
    """What torch.save wrote, as long as it is made of tensors and plain data."""
    check_archive(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of protocols that torch.save does not write: they are refused anyway
            return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        if found := re.search(r"(?i)(unsupported (?:global|class) .*?)(?: whose|\. |\n|$)", str(error)):
            raise SpecError(
                f"{path.name} would run code when it is read",
                written=str(path),
                got=found[1][:160],
                want="tensors and plain data alone",
                fix="torch.save(network.state_dict(), path) by whoever made it, or safetensors",
            ) from None
        raise no_weights(path, "a pickle that torch.save did not write", "a file of torch.save") from None
    except LOAD_ERRORS as error:
        said = (str(error) or type(error).__name__).splitlines()[0]
        raise no_weights(path, said, "a file of torch.save, or .safetensors") from None


def check_archive(path: Path) -> None:
    """Raises SpecError for a file of torch.save that unpacks to more than it is, or takes long to read."""
    with path.open("rb") as file:
        if file.read(4) != b"PK\3\4":
            return
        try:
            with zipfile.ZipFile(file) as archive:
                entries = archive.infolist()
        except (zipfile.BadZipFile, *LOAD_ERRORS) as error:
            raise no_weights(path, str(error) or "no zip archive", "a file of torch.save") from None
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise no_weights(path, "compressed entries", "a file as torch.save writes it")
    if sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise no_weights(path, "entries that share their bytes", "a file as torch.save writes it")
    if len(entries) > MAX_TENSORS:
        raise no_weights(path, f"{len(entries)} entries", f"at most {MAX_TENSORS} tensors")
    longest = max((entry.file_size for entry in entries if entry.filename.endswith("data.pkl")), default=0)
    if longest > MAX_PICKLE_BYTES:
        raise no_weights(path, f"a pickle of {longest} bytes", f"at most {MAX_PICKLE_BYTES} beside the tensors")


def no_weights(path: Path, said: str, want: str) -> SpecError:
    """The error of a file that holds no weights."""
    return SpecError(f"no weights in {path.name}", written=str(path), got=said[:160], want=want)


def unwrapped(found: Any, path: Path) -> dict[str, Tensor]:
    """The mapping of names to tensors, out of what it is wrapped in, without wrappers' prefixes."""
    for key in WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping) or not found or not all(isinstance(x, Tensor) for x in found.values()):
        raise no_weights(path, type(found).__name__, "tensors by name")
    if len(found) > MAX_TENSORS:
        raise no_weights(path, f"{len(found)} tensors", f"at most {MAX_TENSORS}")
    for name, tensor in found.items():
        if not isinstance(name, str) or not name.isprintable() or len(name) > MAX_NAME_LENGTH:
            raise no_weights(path, f"a tensor named {name!r}"[:80], "tensors by the names of a network's parameters")
        if not is_dense(tensor):
            raise unusable_tensor(
                name, str(path), storage_kind(tensor), "numbers of 16, 32 or 64 bits, dense and in memory"
            )
    tensors = dict(found)
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors


def put_weights(network: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Put tensors into a network, in its own precision. Raises SpecError where they are another network's."""
    check_names(network.state_dict(), {name: tuple(tensor.shape) for name, tensor in tensors.items()}, source)
    copy_weights(network, tensors, source)


def copy_weights(network: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Put tensors that fit into a network, which may have more.

    Raises SpecError for numbers that it cannot hold: integers for weights, NaN, infinity, fractions for counters.
    """
    own = network.state_dict()
    taken = {name: cast(name, tensor, own[name].dtype, source) for name, tensor in tensors.items()}
    with torch.no_grad():
        for name, tensor in taken.items():
            own[name].copy_(tensor)


def cast(name: str, tensor: Tensor, kind: torch.dtype, source: str) -> Tensor:
    """A tensor's numbers in a network's kind. Raises SpecError where they would become others."""
    if kind.is_floating_point and tensor.dtype not in FLOATS:
        fix = "the weights before they were quantised, or multiplied by their scale"
        raise unusable_tensor(name, source, storage_kind(tensor), "numbers of 16, 32 or 64 bits with a point", fix)
    if not tensor.isfinite().all():
        raise unusable_tensor(
            name, source, "NaN or infinity", "finite numbers", "a file from before the training diverged"
        )
    made = tensor.to(kind)
    if kind.is_floating_point and not made.isfinite().all():
        raise unusable_tensor(
            name, source, f"{tensor.abs().max().item():.3g}", f"numbers that {storage_kind(made)} holds"
        )
    if not kind.is_floating_point and not torch.equal(made.to(tensor.dtype), tensor):
        raise unusable_tensor(
            name, source, f"{storage_kind(tensor)} with fractions", f"whole numbers, as {storage_kind(made)}"
        )
    return made


def is_dense(tensor: Tensor) -> bool:
    """Whether a tensor is dense, in memory, and of real numbers that need no scale."""
    dense = tensor.layout == torch.strided and not tensor.is_nested and not tensor.is_quantized and not tensor.is_meta
    return dense and tensor.dtype in (*FLOATS, *INTEGERS, torch.bool)


def storage_kind(tensor: Tensor) -> str:
    """How a tensor's numbers are stored, in words."""
    name = str(tensor.dtype).removeprefix("torch.")
    others = {"meta": tensor.is_meta, "nested": tensor.is_nested, "sparse": tensor.layout != torch.strided}
    return " ".join([*(word for word, holds in others.items() if holds), name])


def unusable_tensor(name: str, source: str, got: str, want: str, fix: str | None = None) -> SpecError:
    """The error of a tensor whose numbers cannot be a network's."""
    return SpecError("weights of a kind that no network has", at=name, written=source, got=got, want=want, fix=fix)


def check_names(own: Mapping[str, Tensor], found: Mapping[str, tuple[int, ...]], source: str) -> None:
    """Raises SpecError where names or shapes of weights differ from the network's."""
    raise_for(list(weight_faults(own, found, source)), own, found)


def raise_for(faults: list[Fault], own: Mapping[str, Tensor], found: Mapping[str, tuple[int, ...]]) -> None:
    """Raises SpecError with these faults; where there are many, with one that sums them up."""
    if faults:
        raise SpecError(faults if len(faults) <= FAULTS_SHOWN else [weight_mismatch(faults[0], own, found)])


def weight_mismatch(first: Fault, own: Mapping[str, Tensor], found: Mapping[str, tuple[int, ...]]) -> Fault:
    """One fault for weights of quite another network: how many names are shared, and the first that differ."""
    shared = [name for name in own if name in found]
    reshaped = [name for name in shared if found[name] != tuple(own[name].shape)]
    others = [name for name in found if name not in own]
    got = [f"{len(shared)} of {len(own)} names shared"]
    if reshaped:
        got.append(f"{len(reshaped)} of them with other shapes, such as {reshaped[0]} {found[reshaped[0]]}")
    if others:
        got.append(f"{len(others)} other names, such as {others[0]}")
    want = f"{first.at} {first.want}" if first.at in own else "no other names"
    return replace(first, at=None, got="; ".join(got), want=want)


def weight_faults(own: Mapping[str, Tensor], found: Mapping[str, tuple[int, ...]], source: str) -> Iterator[Fault]:
    """What differs, by address, in the network's order."""
    what = "weights of another network"
    shared = {memory_location(own[name]) for name in found if name in own}
    for name, tensor in own.items():
        shape = tuple(tensor.shape)
        if name in found and found[name] != shape:
            yield Fault(what=what, at=name, written=source, got=str(found[name]), want=str(shape))
        elif name not in found and not name.endswith(COUNTER) and memory_location(tensor) not in shared:
            yield Fault(what=what, at=name, written=source, got="nothing of that name", want=str(shape))
    for name, shape in found.items():
        if name not in own:
            yield Fault(what=what, at=name, written=source, got=str(shape), want="nothing here")


def memory_location(tensor: Tensor) -> tuple[int, ...]:
    """Where in memory a tensor lies: parts that share their weights have one place."""
    return (tensor.data_ptr(), *tensor.shape) if tensor.numel() and not tensor.is_meta else (id(tensor),)
