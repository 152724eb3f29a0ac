"""A language for video architectures and a compiler for it. Each name is imported when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from archdsl.backend import build, emit, freeze
    from archdsl.backend.reader import read
    from archdsl.catalog import load
    from archdsl.compiler import Plan, compile
    from archdsl.errors import SpecError
    from archdsl.language import Arch, Clip, Edge, Head, Model, Pathway, Stage
    from archdsl.report import admits, diff, draw
    from archdsl.report.table.stages import table

DOOR = {
    "catalog": ("load",),
    "compiler": ("Plan", "compile"),
    "errors": ("SpecError",),
    "language": ("Arch", "Clip", "Edge", "Head", "Model", "Pathway", "Stage"),
    "report": ("admits", "diff", "draw"),
    "report.table.stages": ("table",),
    "backend": ("build", "emit", "freeze"),
    "backend.reader": ("read",),
    "training": ("evaluate", "export", "predict", "train"),
    "visualization.visualize": ("visualize",),
}
"""Which room has which names."""
MODULE_OF = {name: f"archdsl.{room}" for room, names in DOOR.items() for name in names}

__version__ = "0.1.0"
__all__ = [
    "Arch",
    "Clip",
    "Edge",
    "Head",
    "Model",
    "Pathway",
    "Plan",
    "SpecError",
    "Stage",
    "admits",
    "build",
    "compile",
    "diff",
    "draw",
    "emit",
    "freeze",
    "load",
    "read",
    "table",
]


def __getattr__(name: str) -> Any:
    if name in ("testing", "zoo"):
        return import_module(f"archdsl.{name}")
    if name not in MODULE_OF:
        raise AttributeError(f"module 'archdsl' has no attribute {name!r}")
    from archdsl.errors.extras import import_with_extras

    return getattr(import_with_extras(MODULE_OF[name]), name)
