"""An arch as Python source: run, it gives an equal arch."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given

import archdsl
from archdsl import catalog
from archdsl.blocks import Block, Conv
from archdsl.cli import main
from archdsl.errors import SpecError
from archdsl.language import Model
from archdsl.language.writers.python_writer import quoted, to_python
from archdsl.testing import arches


def again(arch: archdsl.Arch) -> archdsl.Arch:
    found: dict[str, archdsl.Arch] = {}
    exec(to_python(arch), found)
    return found["arch"]


@pytest.mark.parametrize("model", list(catalog.zoo()), ids=lambda model: model.name)
def test_the_zoo_reads_back_equal(model: Model) -> None:
    arch = model.arch()
    assert again(arch) == arch
    assert max(map(len, to_python(arch).splitlines())) <= 120


@given(arches())
def test_any_arch_reads_back_equal(arch: archdsl.Arch) -> None:
    assert again(arch) == arch


@pytest.mark.parametrize("name", ["my_slowfast", "drawn", "extended"])
def test_files_of_data_read_back_equal(name: str) -> None:
    arch = archdsl.load(Path(__file__).parent / "data" / f"{name}.yaml")
    assert again(arch) == arch


def test_the_command_writes_a_file_that_loads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "slowfast_4x16_r50", "--python", "--classes", "174"]) == 0
    text = capsys.readouterr().out
    (tmp_path / "mine.py").write_text(text, encoding="utf-8")
    assert text.startswith("# SlowFast")
    assert "*repeat(Bottleneck(channels=256), 3)" in text
    assert archdsl.load(tmp_path / "mine.py") == archdsl.load("slowfast_4x16_r50", classes=174)


def test_one_form_at_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "slowfast_tiny", "--python", "--span"]) == 2
    assert "not allowed with" in capsys.readouterr().err


class Mine(Block):
    """A block of this file."""

    def build(self, g: object, x: str) -> str:
        return x


def test_a_block_of_ones_own_has_no_name_in_the_language() -> None:
    arch = archdsl.load("slowfast_tiny")
    stage = archdsl.Stage(Conv(channels=8, kernel=(1, 3, 3)), Mine())
    pathways = {"slow": archdsl.Pathway(stages={"stem": stage})}
    with pytest.raises(SpecError, match="Mine is not built in"):
        to_python(arch.but(pathways=pathways, edges=(), head=archdsl.load("slow_4x16_r50").head))


def test_texts_stay_texts() -> None:
    for text in ('a"; import os; "', "\\", "a\nb", "it's", "\u202e"):
        assert eval(quoted(text)) == text
