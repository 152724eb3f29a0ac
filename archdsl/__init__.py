"""A language for video architectures and a compiler for it. What needs torch is imported when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from archdsl.catalog import load
from archdsl.compiler import Plan, compile
from archdsl.errors import SpecError
from archdsl.extras import opened
from archdsl.language import Arch, Clip, Edge, Head, Model, Pathway, Stage

if TYPE_CHECKING:
    from archdsl.backend import build, emit, freeze
    from archdsl.report import admits, diff, draw, table

LAZY = {
    "table": "archdsl.report",
    "draw": "archdsl.report",
    "diff": "archdsl.report",
    "admits": "archdsl.report",
    "emit": "archdsl.backend",
    "build": "archdsl.backend",
    "freeze": "archdsl.backend",
    "train": "archdsl.training",
    "evaluate": "archdsl.training",
    "predict": "archdsl.training",
}
"""Names of the public door that cost an import."""

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
    "table",
]


def __getattr__(name: str) -> Any:
    if name in ("testing", "zoo"):
        return import_module(f"archdsl.{name}")
    if name not in LAZY:
        raise AttributeError(f"module 'archdsl' has no attribute {name!r}")
    return getattr(opened(LAZY[name]), name)


def _in_notebook(thing: Arch | Plan) -> str:
    """What a notebook shows of an arch or a plan: its drawing and its table."""
    shown: str = import_module("archdsl.report.notebook").shown(thing)
    return shown


# Set at the door, where floors meet: language and compiler lie below the reports and do not know of them.
Arch._repr_html_ = Plan._repr_html_ = _in_notebook  # type: ignore[attr-defined]
