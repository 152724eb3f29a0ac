"""Packages that only some commands need: what is said where one is missing."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from archdsl.errors import SpecError

EXTRAS = {
    "av": "train",
    "huggingface_hub": "hub",
    "hypothesis": "test",
    "onnx": "export",
    "onnxruntime": "export",
    "onnxscript": "export",
    "lsprotocol": "editor",
    "pygls": "editor",
    "safetensors": "train",
    "sklearn": "visualize",
    "starlette": "editor",
    "tensorboard": "train",
    "torchmetrics": "train",
    "uvicorn": "editor",
}
"""Package -> the extra of archdsl that brings it."""


def import_with_extras(module: str) -> ModuleType:
    """A module of archdsl, imported now. Raises SpecError where a package of an extra is missing."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in EXTRAS:
            raise
        fix = f"pip install 'archdsl[{EXTRAS[missing]}]'"
        raise SpecError(f"{module} needs {missing}", got=f"no package {missing}", want=missing, fix=fix) from None
