"""Pickles of numpy arrays, as Caffe2's tools wrote them: read by an interpreter that knows arrays and plain data alone.

Nothing that a pickle names is imported or called: what stands for numpy's functions are records of ours, and arrays are
made of their bytes afterwards.
"""

from __future__ import annotations

import pickle
import pickletools
import re
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from archdsl.backend.weights.file_faults import LOAD_ERRORS, code_in_file, no_weights, one_line

LARGEST_PICKLE = 4 << 30
"""Bytes of a pickle of arrays: the largest published one has 0.4 GB."""
MOST_OPCODES = 2_000_000
"""Steps of a pickle: an array takes about forty."""
MOST_AXIS = 1 << 40
"""Elements along an axis: larger numbers are not even multiplied."""
KIND = re.compile(r"f[248]|[iu][1248]")
"""Codes of numpy's numbers that are read: floats, integers."""
REFUSED_STEPS = ("PERSID", "BINPERSID", "EXT1", "EXT2", "EXT4", "INST", "OBJ")
"""Steps of a pickle that reach beyond it, or that nobody has written since Python 2.2."""
LATIN1 = ("latin1", "latin-1")


class PickledValue:
    """What a pickle makes by a name of numpy's: the name, what it is called with, its state. It does nothing."""

    __slots__ = ("given", "name", "state")

    def __init__(self, name: str, given: tuple[Any, ...]) -> None:
        self.name = name
        self.given = given
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class PickledName:
    """One of numpy's names in a pickle."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *given: Any) -> Any:
        """A record of the call; an empty dict for an ordered one, which is filled later."""
        return {} if self.name == "OrderedDict" and not given else PickledValue(self.name, given)


NAMES = {
    **{f"numpy.{core}.multiarray.{name}": name for core in ("core", "_core") for name in ("_reconstruct", "scalar")},
    "numpy.ndarray": "ndarray",
    "numpy.dtype": "dtype",
    "_codecs.encode": "encode",
    "collections.OrderedDict": "OrderedDict",
}
"""What a pickle of arrays may name."""


class UnknownName(pickle.UnpicklingError):
    """A pickle names something else than arrays."""


class ArrayUnpickler(pickle.Unpickler):
    """An unpickler that knows arrays and nothing else."""

    def find_class(self, module: str, name: str, /) -> Any:
        """What stands for a name. Raises UnknownName for any but numpy's."""
        if f"{module}.{name}" not in NAMES:
            raise UnknownName(f"{module}.{name}")
        return PickledName(NAMES[f"{module}.{name}"])


def read_array_pickle(path: Path) -> dict[str, Tensor]:
    """The arrays of a pickle by name. Raises SpecError for any other pickle."""
    size = path.stat().st_size
    if size > LARGEST_PICKLE:
        raise no_weights(path, f"{size} bytes", f"at most {LARGEST_PICKLE}")
    data = path.read_bytes()
    try:
        check_steps(data)
        found = ArrayUnpickler(BytesIO(data), encoding="latin1").load()
        return tensors_in(found, size)
    except UnknownName as error:
        raise code_in_file(path, f"unsupported GLOBAL {error}") from None
    except (pickle.UnpicklingError, *LOAD_ERRORS, RecursionError) as error:
        raise no_weights(path, one_line(error), "a file of torch.save, .safetensors, or a pickle of arrays") from None


def check_steps(data: bytes) -> None:
    """Raises ValueError for a pickle of very many steps, or one that keeps things at numbers beyond them.

    Python makes room for the highest number that a pickle keeps a thing at, whatever its size.
    """
    for count, (step, argument, _) in enumerate(pickletools.genops(data)):
        if count > MOST_OPCODES:
            raise ValueError(f"a pickle of more than {MOST_OPCODES} steps")
        if step.name in ("PUT", "BINPUT", "LONG_BINPUT") and not 0 <= int(argument or 0) <= MOST_OPCODES:
            raise ValueError(f"a pickle that keeps a thing at number {argument}")
        if step.name in REFUSED_STEPS:
            raise ValueError(f"a pickle with a step {step.name}")


def tensors_in(found: Any, size: int) -> dict[str, Tensor]:
    """The arrays of a mapping, or of the one under `blobs`. Raises ValueError where they are more than the file."""
    if isinstance(found, dict) and isinstance(found.get("blobs"), dict):
        found = found["blobs"]
    arrays = found.items() if isinstance(found, dict) else ()
    made, total = {}, 0
    for name, value in arrays:
        if isinstance(value, PickledValue) and value.name == "_reconstruct" and isinstance(name, str):
            made[name] = tensor_of(value)
            total += made[name].nbytes
            if total > size:
                raise ValueError("arrays that share their bytes")
    return made


def tensor_of(array: PickledValue) -> Tensor:
    """The tensor of a pickled array. Raises ValueError where its bytes are no such array."""
    _, shape, kind, fortran, data = array.state
    dtype = dtype_of(kind)
    raw = pickled_bytes(data)
    if not all(isinstance(n, int) and 0 <= n < MOST_AXIS for n in shape) or prod(shape) * dtype.itemsize != len(raw):
        raise ValueError(f"an array of another size than its {len(raw)} bytes")
    values = np.frombuffer(raw, dtype).reshape(shape, order="F" if fortran is True or fortran == 1 else "C")
    return torch.from_numpy(values.astype(dtype.newbyteorder("="), order="C"))


def dtype_of(kind: Any) -> np.dtype[Any]:
    """The numpy dtype of a pickled one. Raises ValueError for anything but numbers."""
    code = kind.given[0] if isinstance(kind, PickledValue) and kind.name == "dtype" and kind.given else None
    if not isinstance(code, str) or not KIND.fullmatch(code):
        raise ValueError("an array of other things than numbers")
    order = kind.state[1] if isinstance(kind.state, tuple) and len(kind.state) > 1 else "="
    return np.dtype(f"{order if order in ('<', '>') else '='}{code}")


def pickled_bytes(data: Any) -> bytes:
    """The bytes of a pickled array: Python 2 wrote a string, Python 3 in old protocols a call that encodes one."""
    if isinstance(data, PickledValue) and data.name == "encode" and data.given[1:] in ((), *((x,) for x in LATIN1)):
        data = data.given[0]
    if isinstance(data, str):
        return data.encode("latin1")
    if not isinstance(data, bytes):
        raise ValueError("an array without bytes")
    return data
