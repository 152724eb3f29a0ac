"""Parameters of families: each makes what its value says, or is refused with the values that exist."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

import archdsl
from archdsl import SpecError, load
from archdsl.catalog import zoo
from archdsl.cli import main
from archdsl.language import Arch, Model, parameter_names
from archdsl.language.parameters import parameters_of
from archdsl.language.writers.yaml_writer import to_yaml

FAMILIES: dict[Any, list[Model]] = defaultdict(list)
for one in zoo():
    FAMILIES[one.family].append(one)
NO_VALUES: tuple[Any, ...] = (-1, 0, 2.5, "banana", "1/0", True, None, [], {}, [1, 2], float("nan"), 7, 10**9)
"""Values that most parameters do not have."""
SAMPLE = 250
"""Settings tried by default; the slow test tries all."""


def value_of(model: Model, name: str) -> Any:
    """A parameter of a model as it stands."""
    return model.parameters.get(name, parameters_of(model.family)[name].default)


def settings() -> Iterator[tuple[Model, str, Any]]:
    """Every model, each parameter of its family, and each value that a model of the family has or that none has."""
    for models in FAMILIES.values():
        for model in models:
            for name in parameters_of(model.family):
                known = [value_of(other, name) for other in models]
                tried: list[Any] = []
                for value in (*known, *NO_VALUES):
                    if not any(type(value) is type(other) and value == other for other in tried):
                        tried.append(value)
                        yield model, name, value


def made(model: Model, **given: Any) -> Arch | SpecError:
    """What comes of parameters; any other error than SpecError is a failure of the test."""
    try:
        return model.arch(**given)
    except SpecError as error:
        refused = error
    assert "Error in the family" not in str(refused), refused
    assert all(fault.want for fault in refused.faults), refused
    return refused


def says_what_it_is(model: Model, name: str, value: Any) -> None:
    """A value that is taken changes the arch, unless it is the one that stands there."""
    arch, before = made(model, **{name: value}), model.arch()
    if isinstance(arch, SpecError) or value_of(model, name) == value:
        return
    read = archdsl.language.parameters.split_overrides(model.name, model.family, {name: value})[0][name]
    stands = archdsl.language.parameters.split_overrides(model.name, model.family, {name: value_of(model, name)})[0][
        name
    ]
    assert (arch == before) == (read == stands), f"{model.name} {name}={value!r}"


def test_a_sample_of_all_settings() -> None:
    for setting in random.Random(0).sample(list(settings()), SAMPLE):
        says_what_it_is(*setting)


@pytest.mark.slow
def test_all_settings() -> None:
    for setting in settings():
        says_what_it_is(*setting)


@pytest.mark.slow
def test_what_is_taken_compiles_or_is_refused_in_words() -> None:
    for model, name, value in random.Random(2).sample(list(settings()), 2000):
        arch = made(model, **{name: value})
        if isinstance(arch, Arch) and value != 10**9:
            with suppress(SpecError):
                archdsl.compile(arch)


def same_family(differing: int) -> Iterator[tuple[Model, Model, dict[str, Any]]]:
    """Pairs of one family that differ in so many parameters, with the second's values of those."""
    for models in FAMILIES.values():
        for model in models:
            for other in models:
                names = parameters_of(model.family)
                other_values = {n: value_of(other, n) for n in names if value_of(other, n) != value_of(model, n)}
                if len(other_values) == differing:
                    yield model, other, other_values


@pytest.mark.parametrize("differing", [1, 2])
def test_a_model_with_the_parameters_of_another_is_the_other(differing: int) -> None:
    pairs = list(same_family(differing))
    for model, other, values in random.Random(1).sample(pairs, min(len(pairs), 60)):
        arch = load(model.name, **values)
        assert arch.but(name=other.name) == other.arch(), (model.name, values)


@pytest.mark.parametrize("common", [{"frames": 3}, {"size": 40}, {"fps": 7}, {"classes": 17}], ids=str)
def test_what_any_arch_takes_is_read_or_refused(common: dict[str, int]) -> None:
    for model, *_ in FAMILIES.values():
        arch = made(model, **common)
        assert isinstance(arch, SpecError) or arch != model.arch(), model.name


COUNTED = {
    ("resnet50", "depth", 34): 21_797_672,
    ("resnet18", "depth", 50): 25_557_032,
    ("tsn_r50", "depth", 18): 11_381_712,
    ("densenet121", "depth", 161): 28_681_000,
    ("mobilenet_v3_large", "variant", "small"): 2_542_856,
}
"""torchvision's counts; TSN's is resnet18's 11,176,512 without its classifier and 400 classes."""


@pytest.mark.parametrize(("name", "parameter", "value"), COUNTED)
def test_a_parameter_makes_the_network_of_that_name(name: str, parameter: str, value: Any) -> None:
    assert archdsl.compile(load(name, **{parameter: value})).params == COUNTED[name, parameter, value]


REFUSED = {
    ("slow_8x8_r50", "depth", 34): "50, 101",
    ("tanet_r50", "depth", 18): "50, 101, 152",
    ("ircsn_r50", "depth", 34): "50, 101, 152",
    ("r3d_18", "depth", 50): "18, 34",
    ("resnet50_v1", "depth", 34): "groups=1, width=64, stride_on=b, or depth 50, 101, 152",
    ("ircsn_r50", "interaction", "foo"): "'reduced' or 'preserved'",
    ("gru_rcn_vgg16", "direction", "back"): "'ahead' or 'both'",
    ("slowfast_4x16_r50", "alpha", 3): "1, 2, 4, 8, 16",
    ("resnet50", "depth", True): "a whole number",
}


@pytest.mark.parametrize(("name", "parameter", "value"), REFUSED)
def test_a_value_that_does_not_exist_is_refused_with_those_that_do(name: str, parameter: str, value: Any) -> None:
    with pytest.raises(SpecError) as caught:
        load(name, **{parameter: value})
    (fault,) = caught.value.faults
    assert (fault.at, fault.want) == (parameter, REFUSED[name, parameter, value])


def test_two_parameters_of_one_table_are_refused_together() -> None:
    with pytest.raises(SpecError, match=r"want    groups=3, size_factor=0\.5x or groups=3, size_factor=1\.0x or"):
        load("shufflenet_v1_x1_0_g3", groups=2)
    assert load("shufflenet_v1_x1_0_g3", groups=8, size_factor="2.0x").but(name="it") == load(
        "shufflenet_v1_x2_0_g8"
    ).but(name="it")


def test_blocks_and_transforms_are_given_as_in_yaml() -> None:
    lateral = load("slowfast_4x16_r50", lateral={"time_conv": {"kernel": 7}})
    assert lateral.edges[0].transform[0].kernel == 7
    assert load("vgg11", norm="batch").but(name="vgg11_bn") == load("vgg11_bn")
    dot = load("c2d_8x8_r50", nonlocal_block={"pairwise": "dot_product"})
    assert "dot_product" in to_yaml(dot)


def test_every_name_of_a_family_is_known_by_the_models_own_words() -> None:
    with pytest.raises(SpecError) as caught:
        load("slowfast_4x16_r50_ava", dpth=101)
    (fault,) = caught.value.faults
    assert fault.want == ", ".join(parameter_names(archdsl.catalog.model("slowfast_4x16_r50_ava").family))
    assert fault.fix == "depth"
    assert load("slowfast_4x16_r50_ava", depth=101).pathways["slow"].stages["res4"].blocks[22]


def test_a_family_of_ones_own_is_checked_by_its_annotations(tmp_path: Any) -> None:
    (tmp_path / "own.py").write_text(
        "from typing import Literal\n"
        "from archdsl.language import Model\n"
        "from archdsl.zoo import resnet\n"
        "def net(name, depth: int = 18, kind: Literal['a', 'b'] = 'a', **rest: object):\n"
        "    return resnet.resnet(name, depth)\n"
        "models = (Model(name='net', family=net),)\n"
    )
    path = f"{tmp_path / 'own.py'}"
    assert load(path, depth=34, more=1).pathways["rgb"].stages["res4"].blocks[5]
    for given, want in (({"depth": True}, "a whole number"), ({"kind": "c"}, "'a' or 'b'"), ({"depth": 7}, "18, 34")):
        with pytest.raises(SpecError) as caught:
            load(path, **given)
        assert want in (caught.value.faults[0].want or "")


def test_parameters_in_yaml_are_those_of_python_and_of_the_command_line(tmp_path: Any) -> None:
    base, further = tmp_path / "base.yaml", tmp_path / "further.yaml"
    base.write_text("extends: slow_8x8_r50\nparameters: {depth: 101}\n")
    further.write_text("extends: base.yaml\nname: further\nparameters: {every: 16}\nset: {head.classes: 7}\n")
    assert load(base) == load("slow_8x8_r50", depth=101)
    assert load(base, depth=50) == load("slow_8x8_r50")
    want = load("slow_8x8_r50", depth=101, every=16, classes=7, frames=128).but(name="further")
    assert load(further, frames=128) == want
    with pytest.raises(SpecError) as caught:
        load(further, depth=34)
    assert caught.value.faults[0].want == "50, 101"


@pytest.mark.parametrize("name", ["self", "name", "overrides"])
def test_words_of_python_are_no_parameters(name: str, tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "base.yaml").write_text("extends: slow_8x8_r50\n")
    (tmp_path / "own.yaml").write_text(f"extends: slow_8x8_r50\nparameters: {{{name}: 3}}\n")
    for path, given in (("slow_8x8_r50", {name: 3}), (tmp_path / "base.yaml", {name: 3}), (tmp_path / "own.yaml", {})):
        with pytest.raises(SpecError, match=f"slow_8x8_r50 has no parameter '{name}'"):
            load(path, **given)
    assert main(["count", "slow_8x8_r50", "--param", f"{name}=3"]) == 2
    assert f"no parameter '{name}'" in capsys.readouterr().err


def test_what_is_given_twice_or_is_no_mapping_is_refused(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["count", "slow_8x8_r50", "--frames", "64", "--param", "frames=32"]) == 2
    assert "--frames and --param frames together" in capsys.readouterr().err
    for field in ("parameters", "set"):
        for value in ("0", "false", "[]", "''"):
            (tmp_path / "own.yaml").write_text(f"extends: slow_8x8_r50\n{field}: {value}\n")
            with pytest.raises(SpecError) as caught:
                load(tmp_path / "own.yaml")
            assert caught.value.faults[0].at == field
        (tmp_path / "own.yaml").write_text(f"extends: slow_8x8_r50\n{field}:\n")
        assert load(tmp_path / "own.yaml") == load("slow_8x8_r50")


@pytest.mark.parametrize(
    ("name", "given"), [("r3d_18", {"kernel_t": [3, 1]}), ("zfnet", {"widths": [3]}), ("c3d_ucf", {"depths": [1, 1]})]
)
def test_a_list_that_is_too_short_is_told_as_such(name: str, given: dict[str, list[int]]) -> None:
    with pytest.raises(SpecError) as caught:
        load(name, **given)
    (fault,) = caught.value.faults
    assert fault.want == "a longer list"
