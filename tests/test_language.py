"""What a person writes, in Python and in YAML, and that the two mean the same."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings

from archdsl import Arch, Clip, Edge, Pathway, SpecError, Stage, compile, load
from archdsl.blocks import BLOCKS, Basic, Bottleneck, Conv, MaxPool, Norm
from archdsl.blocks.base import widened
from archdsl.blocks.names import OF_MODULES
from archdsl.language import HEADS, TRANSFORMS, Classifier, TimeConv, TimeSample, repeat
from archdsl.language.writers.yaml_writer import to_json, to_yaml
from archdsl.ops import key_of
from archdsl.testing import arches


def read(tmp_path: Path, text: str, suffix: str = ".yaml") -> Arch:
    path = tmp_path / f"spec{suffix}"
    path.write_text(text, encoding="utf-8")
    return load(path)


def one(*blocks: Any, **fields: Any) -> Arch:
    given: dict[str, Any] = {
        "clip": Clip(frames=8, size=16),
        "pathways": {"main": Pathway(stages={"stem": Stage(*blocks)})},
        "head": Classifier(classes=2),
    }
    if "clips" in fields:
        del given["clip"]
    return Arch(**{"name": "net", **given, **fields})


# The two forms


@settings(max_examples=60)
@given(arches())
def test_an_arch_comes_back_equal(tmp_path_factory: pytest.TempPathFactory, arch: Arch) -> None:
    folder = tmp_path_factory.mktemp("round")
    assert read(folder, to_yaml(arch)) == arch
    assert read(folder, to_json(arch), ".json") == arch
    assert to_yaml(read(folder, to_yaml(arch))) == to_yaml(arch)


def test_yaml_stays_at_stages_and_blocks() -> None:
    text = to_yaml(load("slowfast_4x16_r50"))
    assert len(text.splitlines()) < 60
    assert "repeat: 4" in text
    assert "conv_a" not in text


def test_equal_wherever_it_was_written(tmp_path: Path) -> None:
    text = to_yaml(one(Conv(channels=8)))
    spread = "\n\n" + text
    assert read(tmp_path, text) == read(tmp_path, spread)
    assert hash(read(tmp_path, text)) == hash(read(tmp_path, spread))
    assert read(tmp_path, text).pathways["main"].written != read(tmp_path, spread).pathways["main"].written


def test_lines_are_those_of_the_file(tmp_path: Path) -> None:
    text = """name: net
clip: {frames: 8, size: 16}
pathways:
  main:
    stages:
      stem: {conv: {channels: 8}}
      res2:
        - basic: {channels: 8}
        - max_pool: {kernel: [1, 2, 2]}
head: {classifier: {classes: 2}}
"""
    main = read(tmp_path, text).pathways["main"]
    assert main.written == "spec.yaml:5"
    basic, pool = main.stages["res2"].blocks
    assert (basic.written, pool.written) == ("spec.yaml:8", "spec.yaml:9")


def test_a_pathway_like_another_has_a_line_of_its_own(tmp_path: Path) -> None:
    text = """name: net
clip: {frames: 8, size: 16}
pathways:
  main:
    stages:
      stem: {conv: {channels: 8}}
  other:
    like: main
    every: 2
head: {classifier: {classes: 2}}
"""
    made = read(tmp_path, text).pathways
    assert [pathway.written for pathway in made.values()] == ["spec.yaml:5", "spec.yaml:8"]
    with pytest.raises(SpecError) as caught:
        compile(read(tmp_path, text.replace("every: 2", "every: 3")))
    (fault,) = caught.value.faults
    assert (fault.at, fault.written) == ("pathways.other.every", "spec.yaml:8")


def test_python_remembers_its_lines() -> None:
    clip = Clip(frames=8, size=16)
    assert clip.written is not None
    assert clip.written.startswith("test_language.py:")
    assert clip.but(frames=4).written == clip.written


def test_every_kind_has_a_key_of_its_own() -> None:
    for kinds in (BLOCKS, TRANSFORMS, HEADS):
        keys = [key_of(kind) for kind in kinds]  # type: ignore[attr-defined]
        assert len(set(keys)) == len(keys)


def test_every_field_is_described() -> None:
    for kind in (Arch, Clip, Pathway, Stage, Edge, *BLOCKS, *TRANSFORMS, *HEADS):
        assert [name for name, field in kind.model_fields.items() if not field.description] == [], kind


def test_kinds_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Clip(frames=8, size=16).frames = 4  # type: ignore[misc]


# Clips


def test_channels_follow_the_modality() -> None:
    assert Clip(modality="flow", frames=8, size=16).shape == (2, 8, 16, 16)
    assert Clip(frames=8, height=12, width=16, channels=5).shape == (5, 8, 12, 16)
    assert Clip(frames=8, size=16, fps=Fraction(30000, 1001)).grid.tick == Fraction(1001, 30000)


@pytest.mark.parametrize("fields", [{}, {"size": 8, "height": 8}, {"width": 8}, {"size": 8, "height": 8, "width": 8}])
def test_one_size_or_two(fields: dict[str, int]) -> None:
    with pytest.raises(SpecError, match="clip size missing, incomplete or given twice"):
        Clip(frames=8, **fields)


@pytest.mark.parametrize("value", [True, 1.5, "8", None, -1, 10**400])
def test_numbers_are_whole(value: Any) -> None:
    with pytest.raises(SpecError):
        Clip(frames=value, size=16)


@pytest.mark.parametrize(
    ("value", "fraction"), [("1/8", (1, 8)), (0.125, (1, 8)), (2, (2, 1)), (0.1, (1, 10)), (Fraction(2, 3), (2, 3))]
)
def test_ratios_are_the_fractions_meant(value: Any, fraction: tuple[int, int]) -> None:
    ratio = Pathway(stages={"stem": Stage(Conv(channels=8))}, width_ratio=value).width_ratio
    assert (ratio.numerator, ratio.denominator) == fraction


@pytest.mark.parametrize("value", ["1/0", "x", 0, -1, float("nan"), float("inf"), True, [1, 2]])
def test_ratios_that_are_none(value: Any) -> None:
    with pytest.raises(SpecError):
        Pathway(stages={"stem": Stage(Conv(channels=8))}, width_ratio=value)


# Stages


def test_strides_stay_with_the_first() -> None:
    first, second, third = repeat(Bottleneck(channels=32, stride=2, stride_t=2, kernel_t=3), 3)
    assert (first.stride, first.stride_t) == (2, 2)  # type: ignore[attr-defined]
    assert second == third == Bottleneck(channels=32, kernel_t=3)


def test_a_convs_stride_stays_with_the_first_too() -> None:
    first, second = repeat(Conv(channels=8, stride=(1, 2, 2)), 2)
    assert (first.stride, second.stride) == ((1, 2, 2), (1, 1, 1))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("n", "ratio", "rounding", "want"),
    [
        (64, "1/8", "floor", 8),
        (20, "1/8", "floor", 2),
        (20, "1/8", "nearest", 3),
        (20, "1/8", "ceil", 3),
        (4, "1/8", "floor", 1),
    ],
)
def test_widths_round_as_stated(n: int, ratio: str, rounding: Any, want: int) -> None:
    assert widened(n, Fraction(ratio), rounding) == want


def test_a_width_ratio_scales_all_widths_and_nothing_else() -> None:
    block = Bottleneck(channels=256, inner=64, kernel_t=3, groups=2)
    assert block.scaled(Fraction(1, 8), "floor") == Bottleneck(channels=32, inner=8, kernel_t=3, groups=2)


def test_a_block_of_its_own_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text(
        "from archdsl import Arch, Clip, Pathway, Stage, ops\n"
        "from archdsl.blocks import Block\n"
        "from archdsl.language import Classifier\n"
        "class Twice(Block):\n"
        "    def build(self, g, x):\n"
        "        return g.add('sum', ops.Add(), x, x)\n"
        "main = Pathway(stages={'stem': Stage(Twice())})\n"
        "clip, head = Clip(frames=2, size=4), Classifier(classes=2)\n"
        "arch = Arch(name='own', clip=clip, pathways={'main': main}, head=head)\n",
        encoding="utf-8",
    )
    assert compile(load(path)).shapes["main.stem.0.sum"] == (3, 2, 4, 4)
    with pytest.raises(SpecError, match="Twice is a block of Python and has no YAML form"):
        to_yaml(load(path))


# Names


def test_taken_names_are_those_of_torchs_module() -> None:
    public = {name for name in dir(torch.nn.Module()) if not name.startswith("_")}
    assert public - OF_MODULES == set()


@pytest.mark.parametrize("name", ["forward", "training", "apply"])
def test_names_that_parts_cannot_have_and_clips_can(name: str) -> None:
    with pytest.raises(SpecError, match="another name"):
        Pathway(stages={name: Stage(Conv(channels=8))})
    assert one(Conv(channels=8), clips={name: Clip(frames=8, size=16)}).clips


@pytest.mark.parametrize("name", ["head", "edges"])
def test_names_of_parts_of_every_network(name: str) -> None:
    stage = {"stem": Stage(Conv(channels=8))}
    with pytest.raises(SpecError, match=f"every network has a part '{name}'"):
        one(Conv(channels=8), pathways={name: Pathway(stages=stage)})
    with pytest.raises(SpecError, match=f"every network has a part '{name}'"):
        one(Conv(channels=8), clips={name: Clip(frames=8, size=16)})
    assert Pathway(stages={name: Stage(Conv(channels=8))})


@pytest.mark.parametrize(
    "name",
    [
        "Slow",
        "a-b",
        "a b",
        "1st",
        "_a",
        "é",
        "",
        "a\n",
        "x" * 65,
        "a.b",
        '"',
        "<b>",
    ],
)
def test_names_that_cannot_be(name: str) -> None:
    with pytest.raises(SpecError):
        Pathway(stages={name: Stage(Conv(channels=8))})
    with pytest.raises(SpecError):
        one(Conv(channels=8), clips={name: Clip(frames=8, size=16)})


@pytest.mark.parametrize("name", ["a); import os", "", "1net", "net\n", "a" * 101, "网络"])
def test_networks_whose_names_cannot_be(name: str) -> None:
    with pytest.raises(SpecError):
        one(Conv(channels=8), name=name)


# Edges


def test_an_edge_is_named_after_its_ends() -> None:
    edge = Edge(source="fast", target="slow", after=("stem", "res2"), into=("res2", "res3"), transform=TimeConv())
    assert edge.label == "fast_to_slow"
    assert edge.places == (("stem", "res2"), ("res2", "res3"))
    assert edge.but(name="lateral").label == "lateral"


def test_transforms_are_one_or_a_list() -> None:
    alone, listed = (Edge(source="a", target="b", after="stem", transform=t) for t in (TimeSample(), [TimeSample()]))
    assert alone == listed


# Overrides


def test_inputs_and_classes_are_overridden_in_any_arch() -> None:
    arch = load(one(Conv(channels=8)), frames=4, size=32, fps=15, classes=7)
    assert arch.clips["clip"] == Clip(frames=4, size=32, fps=15)
    assert arch.classes == 7


def test_sound_keeps_its_size() -> None:
    clips = {"look": Clip(frames=8, size=16), "hear": Clip(modality="audio", frames=32, height=1, width=8)}
    arch = one(
        Conv(channels=8), clips=clips, pathways={"main": Pathway(clip="look", stages={"stem": Stage(Conv(channels=8))})}
    )
    assert load(arch, size=32).clips == {**clips, "look": Clip(frames=8, size=32)}


def test_but_checks_again() -> None:
    with pytest.raises(SpecError, match="Clip has no field 'sise'"):
        Clip(frames=8, size=16).but(sise=8)
    with pytest.raises(SpecError, match="wrong value for frames"):
        Clip(frames=8, size=16).but(frames=0)


def test_a_norm_may_be_its_kind() -> None:
    assert Conv(channels=8, norm="none").norm == Norm(kind="none")  # type: ignore[arg-type]


def test_stages_of_several_kinds() -> None:
    stage = Stage(Conv(channels=8), MaxPool(kernel=(1, 3, 3)), *repeat(Basic(channels=8), 2))
    assert len(stage.blocks) == 4
