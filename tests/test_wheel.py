"""What the wheel carries, and that it works far from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow

WORK = """
import archdsl, torch
plan = archdsl.compile(archdsl.load("slowfast_tiny"))
assert archdsl.draw(plan).startswith("<svg")
assert "class SlowfastTiny" in archdsl.emit(plan)
assert archdsl.draw(plan, level="op").count("<svg") == 1
assert archdsl.build(plan)(torch.zeros(1, 3, 16, 64, 64)).shape == (1, 8)
print(archdsl.__file__)
"""


def run(*command: object, **options: object) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    (made,) = folder.glob("*.whl")
    return made


def test_one_package_and_its_shelf(wheel):
    with ZipFile(wheel) as file:
        names = file.namelist()
    tops = {name.partition("/")[0] for name in names}
    assert len(tops) == 2
    assert "archdsl" in tops
    assert all(top == "archdsl" or top.endswith(".dist-info") for top in tops)
    assert "archdsl/py.typed" in names
    for folder in ("zoo", "specs"):
        here = {path.relative_to(ROOT / folder).as_posix() for path in (ROOT / folder).rglob("*") if path.is_file()}
        here = {name for name in here if "__pycache__" not in name}
        there = {name.removeprefix(f"archdsl/_shelf/{folder}/") for name in names if f"/_shelf/{folder}/" in name}
        assert here == there
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_installed_it_draws_emits_and_builds_without_programs_of_the_system(wheel, tmp_path):
    run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", tmp_path / "site", wheel)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "PATH": ""}
    where = run(sys.executable, "-c", WORK, cwd=elsewhere, env=environment).strip()
    assert Path(where).is_relative_to(tmp_path / "site")
    said = run(sys.executable, "-m", "archdsl", "check", "slowfast_4x16_r50", cwd=elsewhere, env=environment)
    assert said.startswith("ok  slowfast_4x16_r50")
