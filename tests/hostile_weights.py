"""Files that pretend to be weights: 200 of them, each refused in bounded memory and time, and none executed.

`python -m tests.hostile_weights write FOLDER` writes them, `read FOLDER` reads each in little memory and prints what
was said, the longest time and the memory.
"""

from __future__ import annotations

import json
import pickle
import resource
import struct
import sys
import time
import zipfile
from collections.abc import Iterator
from io import BytesIO
from itertools import product
from pathlib import Path

import numpy as np
import torch

from archdsl.backend.weights import read_weights
from archdsl.errors import SpecError

MOST_MEMORY = 3 << 30
"""Bytes of address space beyond what torch itself has: a file that asks for 100 GB gets MemoryError."""
CALLS = (
    *("os.system", "posix.system", "subprocess.Popen", "builtins.eval", "builtins.exec", "builtins.__import__"),
    *("importlib.import_module", "runpy.run_path", "pickle.loads", "torch.load", "torch.hub.load", "numpy.load"),
    *(
        "numpy.testing._private.utils.runstring",
        "argparse.Namespace.__init__",
        "operator.attrgetter",
        "webbrowser.open",
    ),
    *("torch.storage._load_from_bytes", "builtins.getattr", "shutil.rmtree", "code.interact"),
)
LARGE = 100 << 30


def calling(name: str, protocol: int, mark: str) -> bytes:
    """A pickle that calls a function with a command."""
    module, _, function = name.rpartition(".")
    if protocol >= 4:
        head = b"\x80\x04" + b"".join(b"\x8c" + bytes([len(x)]) + x.encode() for x in (module, function)) + b"\x93"
    else:
        head = (b"\x80\x02" if protocol else b"") + f"c{module}\n{function}\n".encode()
    text = f"touch {mark}".encode()
    return b"".join([head, b"(", b"X", struct.pack("<I", len(text)), text, b"tR."])


def zipped(data: bytes, **others: bytes) -> bytes:
    """An archive as torch.save writes it, around a pickle."""
    made = BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        file.writestr("archive/data.pkl", data)
        file.writestr("archive/version", "3\n")
        for name, content in others.items():
            file.writestr(f"archive/data/{name}", content)
    return made.getvalue()


def saved(thing: object, legacy: bool = False) -> bytes:
    """What torch.save writes."""
    made = BytesIO()
    torch.save(thing, made, _use_new_zipfile_serialization=not legacy)
    return made.getvalue()


def safetensors(header: bytes, data: bytes = b"", length: int | None = None) -> bytes:
    """A safetensors file, whose first number may lie about its header."""
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def entry(shape: list[int], start: int, end: int, kind: str = "F32") -> bytes:
    """A header of one tensor."""
    return json.dumps({"a.weight": {"dtype": kind, "shape": shape, "data_offsets": [start, end]}}).encode()


def arrays(**changes: object) -> bytes:
    """A pickle of an array whose state is another one."""
    array = np.ones((2, 3), np.float32)
    state = [1, (2, 3), np.dtype("f4"), False, array.tobytes()]
    for place, value in changes.items():
        state[int(place[1:])] = value
    return pickle.dumps({"blobs": {"a_w": Faked(tuple(state))}}, 2)


class Faked:
    """An array with any state."""

    def __init__(self, state: tuple[object, ...]) -> None:
        self.state = state

    def __reduce__(self) -> tuple[object, ...]:
        return (*np.ones(1).__reduce__()[:2], self.state)


def shared_bytes() -> bytes:
    """Ten thousand arrays of one string."""
    data = np.zeros(1 << 20, np.uint8).tobytes()
    state = (1, (1 << 20,), np.dtype("u1"), False, data)
    return pickle.dumps({"blobs": {f"a{i}": Faked(state) for i in range(10_000)}}, 2)


def hostile_pickles() -> Iterator[bytes]:
    """Pickles that lie about lengths, keep things far away, nest, or multiply."""
    for number in (1 << 28, 1 << 30, (1 << 32) - 1):
        yield b"\x80\x02}r" + struct.pack("<I", number) + b"."
        yield b"}p%d\n." % number
    for step in (b"\x8d", b"\x8e", b"\x96", b"\x95"):
        yield b"\x80\x05" + step + struct.pack("<Q", LARGE) + b"a."
    for step in (b"X", b"T", b"B", b"\x8b"):
        yield b"\x80\x03" + step + struct.pack("<I", (1 << 31) - 1) + b"a."
    yield b"\x80\x02" + b"(" * 100_000 + b"."
    yield b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b"."
    yield b"\x80\x02" + b"}" * 3_000_000 + b"."
    yield b"\x80\x02]q\x00" + b"".join(b"(h%ch%cl0]" % (i, i) for i in range(60)) + b"."
    yield b"L" + b"9" * 200_000 + b"L\n."
    yield b"F1e999999\n."
    yield b"\x80\x02(iposix\nsystem\n."
    yield b"\x80\x02\x82\x01."
    yield b"P1\n."
    for change in ({"_1": (1 << 40, 1 << 40)}, {"_1": (-2, -3)}, {"_1": (6, 1.5)}, {"_4": b""}, {"_4": "\u1234"}):
        yield arrays(**change)
    for kind in ("O", "V8", "S4", "U1", "M8[s]", "c8"):
        yield arrays(_2=np.dtype(kind))
    yield arrays(_2="f4")
    yield arrays(_1=[[[2]], 3])
    yield shared_bytes()
    whole = pickle.dumps({"blobs": {"a_w": np.ones(999, np.float32)}}, 2)
    for share in range(10, 100, 10):
        yield whole[: len(whole) * share // 100]


def hostile_safetensors() -> Iterator[bytes]:
    """Headers that lie."""
    for length in (LARGE, 1 << 63, (1 << 64) - 1, 1 << 27, 9):
        yield safetensors(b"{}", length=length)
    for shape, start, end in (([1 << 40], 0, 1 << 42), ([2], 0, 1 << 40), ([2], 8, 0), ([2], -8, 0), ([-1], 0, 4)):
        yield safetensors(entry(shape, start, end), b"\0" * 8)
    yield safetensors(entry([1 << 32, 1 << 32, 1 << 32], 0, 8), b"\0" * 8)
    for kind in ("F4", "C64", "nothing"):
        yield safetensors(entry([2], 0, 8, kind), b"\0" * 8)
    two = json.dumps({name: {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} for name in "ab"})
    yield safetensors(two.encode(), b"\0" * 8)
    yield safetensors(b"[" * 100_000)
    yield safetensors(b'{"a":' * 50_000)
    yield safetensors(b"\xff" * 64)
    yield safetensors(b"{}")


def hostile_archives() -> Iterator[bytes]:
    """Archives that unpack to more than they are, and tensors that are more than what is stored."""
    whole = saved({"a": torch.zeros(1 << 20)})
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        made = BytesIO()
        with zipfile.ZipFile(BytesIO(whole)) as old, zipfile.ZipFile(made, "w", method) as new:
            for item in old.infolist():
                new.writestr(item.filename, old.read(item))
        yield made.getvalue()
    for share in (3, 10, 50, 90, 99):
        yield whole[: len(whole) * share // 100]
    for shape in ((1 << 20, 1 << 20), (1 << 40,), (3, 1 << 30)):
        yield saved({"a": torch.zeros(1).expand(shape)})
        yield saved({"a": torch.zeros(1).expand(shape)}, legacy=True)
    for size in (b"\x8a\x06" + (LARGE).to_bytes(6, "little"), b"J\xff\xff\xff\x7f"):
        small = saved({"a": torch.zeros(5)})
        yield small.replace(b"K\x05", size)
        yield saved({"a": torch.zeros(5)}, legacy=True).replace(b"K\x05", size)
    yield zipped(b"\x80\x02}q\x00.")
    yield zipped(b"")
    yield zipped(b"\x80\x02" + b"}" * 100_000 + b".")
    yield b"PK\3\4" + b"\0" * 64
    yield saved({"a": torch.zeros(4).to_sparse()})


def hostile_files(mark: str) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of each."""
    for name, protocol in product(CALLS, (0, 2, 4)):
        yield f"call_{name}_{protocol}.pkl", calling(name, protocol, mark)
        if protocol:
            yield f"call_{name}_{protocol}.pth", zipped(calling(name, protocol, mark))
    for kind, suffix, files in (
        ("pickle", ".pkl", hostile_pickles()),
        ("header", ".safetensors", hostile_safetensors()),
        ("archive", ".pth", hostile_archives()),
    ):
        for i, data in enumerate(files):
            yield f"{kind}_{i}{suffix}", data
    for suffix in (".pkl", ".pth", ".safetensors", ".pyth", ".tar"):
        for i, data in enumerate((b"", b"\0" * 4096, b"not weights at all", b"\x89PNG\r\n\x1a\n" + b"\0" * 99)):
            yield f"other_{i}{suffix}", data


def outcome(path: Path) -> str:
    """What is said of a file."""
    try:
        read_weights(path)
    except SpecError as error:
        short = len(error.faults) == 1 and len(str(error)) < 2000
        return error.faults[0].what if short else f"!{error}"
    except BaseException as error:  # noqa: BLE001  whatever else it is, it is reported
        return f"!{type(error).__name__}: {error}"
    return "!read"


def write(folder: Path) -> None:
    """Write all files."""
    for name, data in hostile_files(str(folder / "mark")):
        (folder / name).write_bytes(data)


def read(folder: Path) -> None:
    """Read each file and print what was said."""
    torch.save({"a": torch.zeros(1)}, folder / "plain.pt")
    read_weights(folder / "plain.pt")  # what torch loads on first use is not counted
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MOST_MEMORY, used + MOST_MEMORY))
    said, slowest = {}, 0.0
    for path in sorted(folder.iterdir()):
        start = time.perf_counter()
        said[path.name] = outcome(path)
        slowest = max(slowest, time.perf_counter() - start)
    del said["plain.pt"]
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    marked = (folder / "mark").exists()
    print(json.dumps({"said": said, "slowest": slowest, "grown_kb": grown, "marked": marked}))


if __name__ == "__main__":
    {"write": write, "read": read}[sys.argv[1]](Path(sys.argv[2]))
