"""One door for spec files: names of the zoo, paths, and what is said when neither fits."""

from __future__ import annotations

import json
import tempfile
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import archdsl
from archdsl import Arch, Clip, Model, Pathway, SpecError, Stage, compile, load
from archdsl.blocks import Conv
from archdsl.catalog import model, models_in, zoo
from archdsl.language import Claim, Classifier, Reference
from archdsl.language.writers.yaml_writer import to_json, to_yaml
from archdsl.spec.budget import MOST_BYTES
from archdsl.spec.parser import read_data

PYTHON = """from archdsl import Arch, Clip, Model, Pathway, Stage
from archdsl.blocks import Conv
from archdsl.language import Classifier


def family(name: str, *, width: int = 8, frames: int = 4) -> Arch:
    stages = dict(stem=Stage(Conv(channels=width)))
    clip, main = Clip(frames=frames, size=8), Pathway(stages=stages)
    return Arch(name=name, clip=clip, pathways=dict(main=main), head=Classifier(classes=2))


models = (Model(name="thin", family=family), Model(name="wide", family=family, parameters=dict(width=16)))
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "family.py"
    path.write_text(PYTHON, encoding="utf-8")
    return path


def small(name: str = "net") -> Arch:
    stages = dict(stem=Stage(Conv(channels=8)))
    return Arch(
        name=name, clip=Clip(frames=4, size=8), pathways=dict(main=Pathway(stages=stages)), head=Classifier(classes=2)
    )


def said(name: object) -> str:
    with pytest.raises(SpecError) as caught:
        load(name)  # type: ignore[arg-type]
    return str(caught.value)


def test_a_zoo_name() -> None:
    arch = load("slowfast_4x16_r50")
    assert arch.name == "slowfast_4x16_r50"
    assert load(arch) == arch


def test_a_misspelt_name_gets_a_neighbour() -> None:
    assert said("slowfast_4x16_r5") == (
        "no model 'slowfast_4x16_r5'\n"
        "  got     slowfast_4x16_r5\n"
        "  want    a name from `archdsl list`, such as slowfast_4x16_r50 or slowfast_4x16_r50_ava, or a path "
        "ending in .py, .yaml or .json\n"
        "  fix     slowfast_4x16_r50"
    )


@pytest.mark.parametrize("suffix", [".yaml", ".yml", ".json"])
def test_a_path_of_data(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"spec{suffix}"
    path.write_text(to_json(small()) if suffix == ".json" else to_yaml(small()), encoding="utf-8")
    assert load(path) == load(str(path)) == small()


WORDS = st.sampled_from(["\\", "u", "d83d", "\U0001f600", "\U0010ffff", "é", '"', " "])


@given(st.lists(WORDS, max_size=12).map("".join))
def test_json_is_read_as_json_is(text: str) -> None:
    """With every character escaped, those beyond 16 bits as pairs."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.json"
        path.write_text(json.dumps({"text": text}), encoding="utf-8")
        assert read_data(path)["text"] == text


def test_one_of_several_in_a_file(file: Path) -> None:
    assert compile(load(f"{file}:wide")).shapes["main.stem"].c == 16
    assert [one.name for one in models_in(file)] == ["thin", "wide"]
    assert f"several models in {file}" in said(file)
    assert f"no model 'wite' in {file}" in said(f"{file}:wite")
    assert said(f"{file}:wite").endswith(f"fix     {file}:wide")


def test_parameters_of_the_family_and_common_ones(file: Path) -> None:
    arch = load(f"{file}:thin", width=32, frames=6, size=16, classes=9)
    assert compile(arch).shapes["main.stem"] == (32, 6, 16, 16)
    assert arch.classes == 9
    with pytest.raises(SpecError) as caught:
        load(f"{file}:thin", widht=32)
    assert str(caught.value) == (
        "thin has no parameter 'widht'\n"
        "  at      widht\n"
        "  got     widht=32\n"
        "  want    frames, size, fps, classes, width\n"
        "  fix     width"
    )


def test_a_wrong_override_is_told_with_its_address() -> None:
    with pytest.raises(SpecError) as caught:
        load(small(), classes=0)
    assert caught.value.faults[0].at == "head.classes"


def test_a_file_is_executed_once(file: Path) -> None:
    assert model(f"{file}:thin").family is model(f"{file}:thin").family


def test_a_broken_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "spec.py"
    path.write_text("arch = missing\n", encoding="utf-8")
    assert "NameError in a spec file" in said(path)
    path.write_text(PYTHON + "models = models[:1]\n", encoding="utf-8")
    assert load(path).name == "thin"


@pytest.mark.parametrize("name", ["nowhere.yaml", "nowhere.py", "nowhere.json", "folder.yaml", "folder.py"])
def test_files_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "folder.py").mkdir()
    assert said(tmp_path / name).startswith("cannot read ")


def test_files_that_are_no_text_or_too_large(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_bytes(b"\xff\xfe\x00name")
    assert said(path).startswith("a file that is not text")
    path.write_text("name: " + "x" * MOST_BYTES, encoding="utf-8")
    assert said(path).startswith(f"cannot read {path}\n  got     more than {MOST_BYTES} bytes")
    path.write_text("", encoding="utf-8")
    assert said(path).startswith("not a spec")


@pytest.mark.parametrize(
    "name", ["", "a); import os", "../zoo/slowfast", "slowfast_4x16_r50; rm", "\x00", "\x00/a", "a/" * 3000]
)
def test_names_of_no_model(name: str) -> None:
    assert said(name).startswith("neither a spec file " if "/" in name else "no model ")


def test_nothing_in_yaml_is_executed(tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    path = tmp_path / "spec.yaml"
    for tag in (
        "!!python/object/apply:os.system",
        "!!python/object/new:os.system",
        "!!python/name:os.system",
        "!custom",
    ):
        path.write_text(f'name: {tag} ["touch {mark}"]\n', encoding="utf-8")
        assert said(path).startswith("a value with a tag")
    assert not mark.exists()


# extends


def test_extends_a_zoo_name_and_a_file(tmp_path: Path) -> None:
    base = tmp_path / "base.yaml"
    base.write_text("extends: slowfast_4x16_r50\nset: {head.classes: 174}\n", encoding="utf-8")
    top = tmp_path / "top.yaml"
    top.write_text("extends: base.yaml\nname: mine\nset: {edges.fast_to_slow.transform.kernel: 7}\n", encoding="utf-8")
    arch = load(top)
    assert (arch.name, arch.classes) == ("mine", 174)
    assert arch.edges[0].transform[0].kernel == 7  # type: ignore[attr-defined]
    assert arch.pathways == load("slowfast_4x16_r50").pathways


def test_what_extends_is_dumped_whole(tmp_path: Path) -> None:
    top = tmp_path / "top.yaml"
    top.write_text("extends: slowfast_4x16_r50\nname: mine\n", encoding="utf-8")
    again = tmp_path / "again.yaml"
    again.write_text(to_yaml(load(top)), encoding="utf-8")
    assert load(again) == load(top)


def test_a_longer_ring(tmp_path: Path) -> None:
    for one, other in (("a", "b"), ("b", "c"), ("c", "a")):
        (tmp_path / f"{one}.yaml").write_text(f"extends: {other}.yaml\n", encoding="utf-8")
    assert "got     a.yaml -> b.yaml -> c.yaml -> a.yaml" in said(tmp_path / "a.yaml")


# Models


def test_names_of_the_zoo_are_unique() -> None:
    names = [one.name for one in zoo()]
    assert len(names) == len(set(names))
    assert "slowfast_8x8_r101" in names


def test_families_by_attribute() -> None:
    assert archdsl.zoo.slowfast.models[0].name in {one.name for one in zoo()}
    assert "slowfast" in dir(archdsl.zoo)
    with pytest.raises(AttributeError, match="no family 'slowfats' in the zoo"):
        _ = archdsl.zoo.slowfats


@pytest.mark.parametrize(
    ("value", "number", "half"),
    [
        ("36.1G", "36100000000", "50000000"),
        ("34.48M", "34480000", "5000"),
        ("34480216", "34480216", "0.5"),
        ("75.6", "75.6", "0.05"),
        ("1.97T", "1970000000000", "5000000000"),
    ],
)
def test_a_claim_knows_its_rounding(value: str, number: str, half: str) -> None:
    claim = Claim(figure="macs", value=value, source="Table 1")
    assert (claim.number, claim.half_unit) == (Decimal(number), Decimal(half))


@pytest.mark.parametrize("value", ["many", "1.2B", "36.1 G", "G", "", "-3", "1,000", "36.1G\n"])
def test_claims_that_cannot_be_read(value: str) -> None:
    with pytest.raises(SpecError):
        Claim(figure="macs", value=value, source="Table 1")


def test_a_reference_travels_with_the_model(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    claims = "[{figure: params, value: 34.5M, source: Table 1}]"
    text = f"reference:\n  paper: arXiv:1812.03982\n  title: SlowFast\n  claims: {claims}\n"
    path.write_text(to_yaml(small()) + text, encoding="utf-8")
    reference = model(path).reference
    assert reference == Reference(
        paper="arXiv:1812.03982", title="SlowFast", claims=(Claim(figure="params", value="34.5M", source="Table 1"),)
    )
    assert load(path) == small()


def test_a_model_makes_its_arch_anew() -> None:
    one = Model(name="net", family=small)
    assert one.arch() == small()
    assert one.arch(frames=2).clips["clip"].frames == 2


def test_what_a_family_raises_is_told_as_a_fault(file: Path) -> None:
    """A value that a person's family did not expect: never a traceback."""
    file.write_text(PYTHON.replace("Stage(Conv(channels=width))", "Stage(Conv(channels=8 // width))"))
    with pytest.raises(SpecError) as caught:
        load(f"{file}:thin", width=0)
    (told,) = caught.value.faults
    assert (told.what, told.written) == ("ZeroDivisionError in the family of thin", "family.py:7")
    assert told.got == "integer division or modulo by zero with width=0"


def test_a_name_behind_a_file_of_data_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(to_yaml(small()), encoding="utf-8")
    assert load(f"{path}:net") == small()
    assert said(f"{path}:nett").startswith(f"no model 'nett' in {path}")
