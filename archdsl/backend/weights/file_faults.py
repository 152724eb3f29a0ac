"""The errors of files that hold no weights, or more than weights."""

from __future__ import annotations

import struct
from pathlib import Path

from archdsl.errors import SpecError

LOAD_ERRORS = (
    *(ArithmeticError, AssertionError, AttributeError, EOFError, ImportError, LookupError, MemoryError, OSError),
    *(RuntimeError, TypeError, ValueError, struct.error),
)
"""What torch and pickle raise for a damaged file, besides UnpicklingError."""


def no_weights(path: Path, said: str, want: str) -> SpecError:
    """The error of a file that holds no weights."""
    return SpecError(f"no weights in {path.name}", written=str(path), got=said[:160], want=want)


def code_in_file(path: Path, got: str) -> SpecError:
    """The error of a file that would run code."""
    return SpecError(
        f"{path.name} would run code when it is read",
        written=str(path),
        got=got[:160],
        want="tensors and plain data alone",
        fix="torch.save(network.state_dict(), path) by whoever made it, or safetensors",
    )


def one_line(error: BaseException) -> str:
    """What an error says, in its first line."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__
