"""The families of the zoo by attribute: `from archdsl.zoo import slowfast` is the module zoo/slowfast.py."""

from __future__ import annotations

from types import ModuleType

from archdsl.catalog import SHELF, module_of


def __getattr__(name: str) -> ModuleType:
    path = SHELF / "zoo" / f"{name}.py"
    if name.startswith("_") or not path.is_file():
        raise AttributeError(f"no family {name!r} in the zoo")
    return module_of(path.resolve())


def __dir__() -> list[str]:
    return sorted(path.stem for path in (SHELF / "zoo").glob("*.py"))
