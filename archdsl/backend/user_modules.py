"""Networks that functions in a person's files make."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from archdsl import catalog
from archdsl.errors import SpecError, did_you_mean


def function_in_file(text: str, noun: str) -> tuple[ModuleType, str]:
    """(module, function) written FILE.py:make_model; the file is executed. Raises SpecError where there is none."""
    path, found, name = text.rpartition(":")
    if not found or not path.endswith(".py"):
        raise SpecError(
            f"{noun} that cannot be read", got=text, want="FILE.py:make_model, a function without arguments"
        )
    module = catalog.module_of(Path(path))
    functions = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
    if name not in functions:
        near = did_you_mean(name, functions)
        raise SpecError(
            f"no function {name!r} in {Path(path).name}", got=name, want="a function without arguments", fix=near
        )
    return module, name


def network_made_by(make: Callable[[], Any], name: str) -> nn.Module:
    """What a peer's function gives. Raises SpecError for anything but a network."""
    try:
        network = make()
    except Exception as error:  # noqa: BLE001  whatever a person's function raises is theirs to read
        raise SpecError(f"{type(error).__name__} in {name}()", got=str(error)) from None
    if not isinstance(network, nn.Module):
        raise SpecError(f"{name}() gives no network", got=type(network).__name__, want="a torch.nn.Module")
    return network
