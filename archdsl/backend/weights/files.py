"""Weights from files: safetensors, or what torch.save wrote, read without running any code in it."""

from __future__ import annotations

import json
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor
from torch.serialization import safe_globals

from archdsl.backend.weights.array_pickles import read_array_pickle
from archdsl.backend.weights.containers import Contents, contents_of
from archdsl.backend.weights.file_faults import LOAD_ERRORS, code_in_file, no_weights, one_line
from archdsl.errors import SpecError
from archdsl.errors.extras import import_with_extras
from archdsl.spec.files import open_regular

HUB = "hf://"
"""How the place of a file of huggingface.co begins: hf://OWNER/NAME/FILE."""
WEIGHTS_FILE = "model.safetensors"
"""The weights in a folder that `archdsl export` wrote, or that is Hugging Face's."""
METADATA = "archdsl"
"""Key of our metadata in a safetensors file."""
MAX_TENSORS = 50_000
"""Tensors in a file: the deepest networks have a few thousand, an optimiser's state three times as many."""
MAX_PICKLE_BYTES = 1 << 25
"""Bytes of the pickle that says where a file's tensors are: it is read at about 5 MB per second."""
MAX_NAME_LENGTH = 500
UNNEEDED = ("addict", "argparse", "easydict", "fvcore", "mmcv", "mmengine", "numpy", "omegaconf", "pathlib", "yacs")
"""Packages whose objects trainers keep beside weights: settings, paths, figures. None is imported for them."""
MAX_INERT = 30
"""Names of these in one file."""
LEGACY_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""How torch.save began before 1.6."""
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
"""What weights may be stored as. Eight bits and fewer mean nothing without a scale, which no weight's name tells."""
INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
"""What counters may be stored as."""


def local_weights(place: str | Path) -> Path:
    """The path of a file of weights; one of huggingface.co is fetched. Raises SpecError where that cannot be."""
    if str(place).startswith(HUB):
        found: Path = import_with_extras("archdsl.backend.weights.hub").fetched(str(place))
        return found
    inside = Path(place) / WEIGHTS_FILE
    return inside if inside.is_file() else Path(place)


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors file, or of one that torch.save wrote, by name.

    Raises SpecError for a file that cannot be read, and for one that would run code.
    """
    return read_contents(path).tensors


def read_contents(path: str | Path) -> Contents:
    """The same, and where in the file they lie, beside what. Raises SpecError as `read_weights`."""
    path = local_weights(path)
    open_regular(path).close()
    found = contents_of(read_safetensors(path) if path.suffix == ".safetensors" else read_pickled(path))
    check_tensors(found.tensors, path)
    return found


def read_safetensors(path: Path) -> Any:
    """The tensors of a safetensors file."""
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise no_weights(path, str(error), "safetensors") from None


def metadata_of(path: Path) -> dict[str, Any]:
    """What `archdsl weights convert` wrote beside the tensors; empty for any other file."""
    if path.suffix != ".safetensors":
        return {}
    try:
        with safe_open(path, "pt") as file:
            found = json.loads((file.metadata() or {}).get(METADATA, "{}"))
    except (SafetensorError, OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def read_pickled(path: Path) -> Any:
    """What torch.save wrote, or a pickle of numpy arrays, as long as it is made of these and plain data."""
    check_archive(path)
    if not is_of_torch(path):
        return read_array_pickle(path)
    inert: dict[str, type] = {}
    while True:
        try:
            with warnings.catch_warnings(), safe_globals([(made, name) for name, made in inert.items()]):
                warnings.simplefilter("ignore")  # of protocols that torch.save does not write: they are refused anyway
                return torch.load(path, map_location="cpu", weights_only=True)
        except UnpicklingError as error:
            name = unneeded_name(str(error))
            if name is None or name in inert or len(inert) >= MAX_INERT:
                raise unreadable_pickle(path, str(error)) from None
            inert[name] = type("Inert", (Inert,), {})
        except LOAD_ERRORS as error:
            raise no_weights(path, one_line(error), "a file of torch.save, or .safetensors") from None


class Inert:
    """What stands for an object beside the weights, such as a trainer's settings: it keeps nothing and does nothing."""

    def __new__(cls, *given: Any) -> Inert:
        """The same for whatever it is made of."""
        return super().__new__(cls)

    def __init__(self, *given: Any) -> None:
        """Nothing is kept."""

    def __setstate__(self, state: Any) -> None:
        """Nothing is kept."""


def unneeded_name(error: str) -> str | None:
    """The name that torch refuses, if it is of a package whose objects lie beside weights and are not needed."""
    found = re.search(r"(?i)unsupported (?:global|class):? (?:GLOBAL )?([\w.]+)", error)
    return found[1] if found and found[1].partition(".")[0] in UNNEEDED else None


def is_of_torch(path: Path) -> bool:
    """Whether a file begins as torch.save's do, now or before torch 1.6."""
    with path.open("rb") as file:
        start = file.read(len(LEGACY_START))
    return start.startswith(b"PK\3\4") or start == LEGACY_START


def unreadable_pickle(path: Path, error: str) -> SpecError:
    """The error of a pickle that torch does not read: it would run code, or torch.save did not write it."""
    if found := re.search(r"(?i)(unsupported (?:global|class) .*?)(?: whose|\. |\n|$)", error):
        return code_in_file(path, found[1])
    return no_weights(path, "a pickle that torch.save did not write", "a file of torch.save")


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


def check_tensors(tensors: Mapping[Any, Tensor], path: Path) -> None:
    """Raises SpecError for none, for too many, and for one that no network has."""
    if not tensors:
        raise no_weights(path, "no tensor", "tensors by name")
    if len(tensors) > MAX_TENSORS:
        raise no_weights(path, f"{len(tensors)} tensors", f"at most {MAX_TENSORS}")
    for name, tensor in tensors.items():
        check_tensor(name, tensor, path)


def check_tensor(name: Any, tensor: Tensor, path: Path) -> None:
    """Raises SpecError for a tensor that no network has: of an odd name or kind, or larger than what is stored."""
    if not isinstance(name, str) or not name.isprintable() or len(name) > MAX_NAME_LENGTH:
        raise no_weights(path, f"a tensor named {name!r}"[:80], "tensors by the names of a network's parameters")
    if not is_dense(tensor):
        raise unusable_tensor(
            name, str(path), storage_kind(tensor), "numbers of 16, 32 or 64 bits, dense and in memory"
        )
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        got = f"{tuple(tensor.shape)} of {tensor.untyped_storage().nbytes()} bytes"
        raise unusable_tensor(name, str(path), got, "a number stored for each element")


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
