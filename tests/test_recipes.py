"""Recipes: those that come along load, are dumped and read back, and fit their schema; the command's words for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from test_schema import refs

from archdsl.cli import main
from archdsl.errors import SpecError
from archdsl.language.recipes.recipe import Recipe
from archdsl.language.writers.yaml_writer import recipe_data, recipe_yaml
from archdsl.recipes import FOLDER, recipe, recipe_names
from archdsl.report.explanation.json_schema import recipe_schema

SCHEMA = recipe_schema()
VALID = jsonschema.Draft202012Validator(SCHEMA)
NAMES = recipe_names()


def test_the_recipes_that_come_along() -> None:
    papers = {"slowfast_k400", "x3d_k400", "tsn_k400", "tsm_k400", "tsm_ssv2", "i3d_k400", "charades", "repflow_k400"}
    papers |= {"dff_cityscapes", "flownet_chairs"}
    assert {"smoke", "smoke_flow", *papers} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_loads_and_is_written_back_equal(name: str, tmp_path: Path) -> None:
    made = recipe(name)
    assert made.name == name
    assert made.source
    (tmp_path / "back.yaml").write_text(recipe_yaml(made))
    assert recipe(tmp_path / "back.yaml") == made
    (tmp_path / "back.json").write_text(json.dumps(recipe_data(made)))
    assert recipe(tmp_path / "back.json") == made


@pytest.mark.parametrize("name", NAMES)
def test_files_fit_the_schema(name: str) -> None:
    VALID.validate(yaml.safe_load((FOLDER / f"{name}.yaml").read_text()))
    VALID.validate(json.loads(json.dumps(recipe_data(recipe(name)))))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["batch"], 0),
        (["optimizer", "rate"], -1),
        (["optimizer", "momentun"], 0.9),
        (["optimizer", "kind"], "adamm"),
        (["schedule", "kind"], "cosin"),
        (["augment", "crop"], {"jiter": {}}),
        (["precision"], "fp8"),
        (["nonsense"], 1),
    ],
)
def test_what_the_language_refuses_is_refused(path: list[str], value: Any, tmp_path: Path) -> None:
    data = yaml.safe_load((FOLDER / "smoke.yaml").read_text())
    place = data
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    assert not VALID.is_valid(data)
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(data))
    with pytest.raises(SpecError):
        recipe(tmp_path / "wrong.yaml")


def test_a_schema_is_a_schema_and_leads_somewhere() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    for ref in refs(SCHEMA):
        place: Any = SCHEMA
        for part in ref.removeprefix("#/").split("/"):
            place = place[part]


def test_a_recipe_of_python(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("from archdsl import recipes\n\nrecipe = recipes.recipe('smoke', batch=32)\n")
    assert recipe(tmp_path / "mine.py") == recipe("smoke", batch=32)


def test_a_file_extends_a_file_that_extends_a_name(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("extends: tsm_ssv2\nname: a\nset: {optimizer.rate: 0.5, views.crops: 1}\n")
    (tmp_path / "b.yaml").write_text("extends: a.yaml\nset: {optimizer.rate: 0.25}\n")
    made = recipe(tmp_path / "b.yaml")
    assert (made.name, made.optimizer.rate, made.views.crops, made.batch) == ("a", 0.25, 1, 64)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*argv: str) -> tuple[int, str, str]:
        code = main(argv)
        return code, *capsys.readouterr()

    return call


def test_the_command_lists_and_shows(run: Any) -> None:
    code, out, _ = run("recipes")
    assert code == 0
    assert all(name in out for name in NAMES)
    assert [made["name"] for made in json.loads(run("recipes", "--json")[1])] == NAMES
    code, out, _ = run("recipes", "smoke", "--set", "recipe.batch=4")
    assert yaml.safe_load(out)["batch"] == 4
    code, out, _ = run("recipes", "smoke", "--json")
    assert (code, json.loads(out)["name"]) == (0, "smoke")
    assert json.loads(run("schema", "--recipe")[1]) == SCHEMA


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--recipe", "smok"], ("no recipe 'smok'", "fix     smoke")),
        (["--recipe", "smoke", "--set", "recipe.optimizer.rat=1"], ("at      recipe.optimizer.rat", "fix     rate")),
        (["--recipe", "smoke", "--batch", "0"], ("not a whole number",)),
        (["--recipe", "smoke", "--set", "pathways.slow.evry=2"], ("no field 'evry'",)),
    ],
)
def test_the_command_tells_what_is_wrong(argv: list[str], words: tuple[str, ...], run: Any) -> None:
    code, _, err = run("train", "slowfast_tiny", *argv)
    assert code == 2
    assert all(word in err for word in words), err


def test_the_command_trains_and_goes_on(run: Any, tmp_path: Path) -> None:
    out = str(tmp_path / "run")
    argv = ("train", "slowfast_tiny", "--size", "16", "--recipe", "smoke", "--steps", "2", "--batch", "2", "--out", out)
    given = (*argv, "--set", "recipe.log_every=1", "--device", "cpu", "--quiet")
    code, said, _ = run(*given)
    assert code == 0
    assert said.startswith("top1 ")
    assert said.rstrip().endswith(out)
    log = (tmp_path / "run" / "metrics.jsonl").read_text()
    assert run(*given)[:2] == (0, said)
    assert (tmp_path / "run" / "metrics.jsonl").read_text() == log
    code, _, err = run(*given, "--seed", "3")
    assert code == 2
    assert "at      recipe.seed" in err


def test_every_field_says_what_it_is() -> None:
    for name, field in Recipe.model_fields.items():
        assert field.description or name == "optimizer", name


@pytest.mark.parametrize(
    "argv", [["smoke", "--set=epochs=2"], ["smoke", "--set=recipe=null"], ["--set=recipe.batch=2"]], ids=str
)
def test_a_setting_of_no_recipe_is_refused(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes", *argv]) == 2
    assert "not a setting of a recipe" in capsys.readouterr().err


def test_null_in_set_gives_a_field_its_default_back(tmp_path: Path) -> None:
    """Then the kind that does not read it can take its place; in a file of its own it is no value."""
    (tmp_path / "adamw.yaml").write_text(
        "extends: i3d_k400\nset: {optimizer.kind: adamw, optimizer.momentum: null, optimizer.nesterov: null}\n"
    )
    made = recipe(tmp_path / "adamw.yaml")
    assert (made.optimizer.kind, made.optimizer.weight_decay) == ("adamw", 1e-7)
    assert not {"momentum", "nesterov"} & made.optimizer.model_fields_set
    assert made.optimizer.but(kind="sgd", betas=None).momentum == 0.9
    (tmp_path / "null.yaml").write_text("steps: 1\nbatch: 1\noptimizer: {rate: 1, momentum: null}\n")
    with pytest.raises(SpecError, match="wrong value for momentum"):
        recipe(tmp_path / "null.yaml")
