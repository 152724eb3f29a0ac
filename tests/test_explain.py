"""`archdsl explain` knows every word, from the classes themselves, and its examples run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

import archdsl
from archdsl.blocks import BLOCKS
from archdsl.catalog import zoo
from archdsl.cli import main
from archdsl.language import Card
from archdsl.language.writers.yaml_writer import arch_to_data, data_to_yaml
from archdsl.ops import OPS, key_of
from archdsl.recipes import recipe
from archdsl.report.explanation.examples import example_of
from archdsl.report.explanation.shown import example, measured
from archdsl.report.explanation.words import Word, all_words, words_named
from archdsl.spec.base import read_model
from archdsl.training.tasks.choice import TASKS

ROOT = Path(__file__).parents[1]
WORDS = {word.name for word in all_words()}
OF_KINDS = ("block", "op", "transform", "head")
NAMED = ("clips", "pathways", "stages", "branches", "steps", "heads", "auxiliary", "fields", "input")
"""Keys whose own keys are names that a person chooses."""
TEXTS = (
    "name",
    "source",
    "target",
    "after",
    "into",
    "reads",
    "tied_to",
    "clip",
    "like",
    "extends",
    "boxes",
    "maps",
    "marks",
    "pairs",
    "leave",
)
"""Keys whose texts are names that a person chooses."""


def spoken(data: Any, key: str = "", drawn: frozenset[str] = frozenset()) -> Iterator[str]:
    """The words of the language in the data of a spec: keys, and texts that choose."""
    if isinstance(data, Mapping):
        own = drawn | frozenset(data["blocks"] if isinstance(data.get("blocks"), Mapping) else ())
        for name, value in data.items():
            if key == "set":
                yield from (part for part in name.split(".")[-1:] if part.isalpha())
            elif key not in NAMED and not (key == "blocks" and isinstance(value, Mapping)) and name not in own:
                yield name
            yield from () if name in ("reference", "fields") else spoken(value, name, own)
    elif isinstance(data, list):
        for value in data:
            yield from spoken(value, key, drawn)
    elif isinstance(data, str) and key not in TEXTS and key not in NAMED and data not in drawn:
        yield from (data,) if data.replace("_", "").isalpha() and data.islower() else ()


def test_every_word_of_the_primer_is_found() -> None:
    for path in sorted((ROOT / "specs" / "primer").glob("*.yaml")):
        assert not (missing := set(spoken(yaml.safe_load(path.read_text()))) - WORDS - step_names(path)), (
            path,
            missing,
        )


def step_names(path: Path) -> set[str]:
    """What the drawn blocks of a file name their own steps and parameters."""
    blocks = yaml.safe_load(path.read_text()).get("blocks") or {}
    return {name for drawing in blocks.values() for part in ("fields", "steps") for name in drawing.get(part, ())}


def test_every_word_of_the_zoo_is_found() -> None:
    missing: dict[str, str] = {}
    for model in zoo():
        missing |= dict.fromkeys(set(spoken(arch_to_data(model.arch()))) - WORDS, model.name)
    assert not missing


@pytest.mark.parametrize(
    "name", ["pyramid", "tied_to", "branches", "time_shift", "non_local", "extends", "set", "like", "after"]
)
def test_words_that_stood_nowhere_else(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", name]) == 0
    assert capsys.readouterr().out.startswith(f"{name}  (")


def test_everything_there_is_has_a_page() -> None:
    by_kind: dict[str, set[str]] = {}
    for word in all_words():
        by_kind.setdefault(word.kind, set()).add(word.name)
        assert word.about, word
    assert by_kind["op"] == {key_of(op) for op in OPS} - {"source"}
    assert by_kind["block"] == {key_of(block) for block in BLOCKS}
    assert by_kind["task"] == {task.name for task in TASKS}
    assert by_kind["rewrite"] == set(archdsl.rewrites.__all__)  # type: ignore[attr-defined]


def test_every_field_has_a_type_and_says_what_it_is() -> None:
    silent = [
        f"{word.name}.{field.name}"
        for word in all_words()
        for field in word.fields
        if not field.about or field.type in ("", "anything")
    ]
    assert silent == []


def test_examples_compile_and_are_measured() -> None:
    for word in all_words():
        if word.kind in OF_KINDS:
            shown = example(word)
            assert shown, word.name
            assert yaml.safe_load(shown.text)["name"] == "example"
            found = measured(shown)
            assert found, word.name
            assert found.gives.elements > 0


def test_what_an_example_measures_by_hand() -> None:
    (word,) = [word for word in words_named("conv") if word.kind == "block"]
    shown = example(word)
    assert shown
    found = measured(shown)
    assert found
    assert (found.reads, found.gives) == (((3, 8, 32, 32),), (24, 8, 32, 32))
    assert found.cost.params == 24 * 3 + 2 * 24  # a 1x1x1 kernel, scale and shift
    assert found.cost.macs == 24 * 3 * 8 * 32 * 32


def test_what_a_transform_of_several_ops_measures_by_hand() -> None:
    (word,) = [word for word in words_named("time_conv") if word.kind == "transform"]
    shown = example(word)
    assert shown
    found = measured(shown)
    assert found
    assert found.reads == ((24, 8, 32, 32),)
    assert found.gives == (48, 2, 32, 32)
    assert found.cost.params == 24 * 48 * 5 + 2 * 48  # a kernel of 5 frames; scale and shift behind it


def run_example(word: Word, folder: Path) -> None:
    """Load, compile or execute the example of a word."""
    shown = example(word)
    if shown is None or shown.form == "primer":
        return
    if shown.form == "console":
        assert main(shown.text.split()[1:]) == 0
    elif shown.form == "python":
        space: dict[str, Any] = {}
        exec(shown.text, space)
        assert archdsl.compile(space["arch"])
    elif shown.form == "card":
        assert read_model(Card, yaml.safe_load(shown.text)).reference("my_net_8x8_r50")
    elif shown.form == "yaml":
        path = folder / "example.yaml"
        path.write_text(shown.text)
        archdsl.compile(archdsl.load(path))
    else:
        path = folder / "recipe.yaml"
        path.write_text(shown.text)
        task, options = recipe(path).task_and_options("classification")
        (kind,) = (kind for kind in TASKS if kind.name == task)
        assert read_model(kind.options_kind, options)


def test_every_word_but_values_has_an_example() -> None:
    """A value stands in that of its field."""
    assert [f"{word.kind} {word.name}" for word in all_words() if word.kind != "value" and not example(word)] == []


@pytest.mark.parametrize(
    "kind", ["merge", "frame choice", "convention", "rewrite", "task", "head", "transform", "part", "recipe"]
)
def test_examples_run(kind: str, tmp_path: Path) -> None:
    words = [word for word in all_words() if word.kind == kind]
    assert words
    for word in words:
        run_example(word, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["block", "op", "field", "key"])
def test_all_examples_run(kind: str, tmp_path: Path) -> None:
    for word in all_words():
        if word.kind == kind:
            run_example(word, tmp_path)


def test_a_field_of_one_owner(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "conv.groups", "--json"]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert record["owners"] == ["conv"]
    assert record["fields"][0]["default"] == "1"
    assert "s3d" in record["models"]


def test_who_uses_it(capsys: pytest.CaptureFixture[str]) -> None:
    main(["explain", "interleave", "--json"])
    records = {record["kind"]: record for record in json.loads(capsys.readouterr().out)}
    assert [*records["merge"]["models"]] == ["dff"]
    main(["explain", "local_correlation", "--json"])
    (record,) = json.loads(capsys.readouterr().out)
    assert record["kind"] == "op"
    main(["explain", "batch_norm", "--json"])
    (record,) = json.loads(capsys.readouterr().out)
    assert {"conv", "bottleneck"} <= set(record["blocks"])


def test_a_misspelt_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "botleneck"]) == 2
    assert capsys.readouterr().err == (
        "no word 'botleneck'\n"
        "  got     botleneck\n"
        "  want    a word from `archdsl explain`\n"
        "  fix     archdsl explain bottleneck\n"
    )
    assert main(["explain", "conv.strides"]) == 2
    assert "fix     archdsl explain conv.stride\n" in capsys.readouterr().err


def test_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain"]) == 0
    text = capsys.readouterr().out
    for word in all_words():
        assert word.name in text
    assert max(map(len, text.splitlines())) <= 110


def test_no_torch() -> None:
    code = "import sys; from archdsl.cli import main; main(['explain', 'like']); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_examples_are_small() -> None:
    for kind in BLOCKS:
        found = example_of(kind)
        assert not found or len(data_to_yaml(found[0]).splitlines()) <= 12
