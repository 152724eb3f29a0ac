"""`archdsl test`, and what archdsl.testing gives to test a network of one's own."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_faults import FAULTS, MOST_LINES, Planted, finding

import archdsl
from archdsl.blocks import Bottleneck, Conv
from archdsl.cli import main
from archdsl.errors import SpecError
from archdsl.language import Arch
from archdsl.language.writers.yaml_writer import to_yaml
from archdsl.ops.seeded_draw import SeededDraw
from archdsl.testing import families, inputs, network, network_test, variants
from archdsl.testing import properties as p
from archdsl.testing.network import PropertyFailure, asked, chosen_properties, property_failure
from archdsl.testing.reduction import is_small, simpler, small_form
from archdsl.testing.shrinker import simplest
from archdsl.testing.variants import neighbour

ROOT = Path(__file__).parents[1]
TINY = """\
name: tiny
clip: {frames: 8, size: 16}
pathways:
  slow:
    every: 2
    stages:
      stem: {conv: {channels: 8, kernel: [1, 3, 3], stride: [1, 2, 2]}}
      res2: {basic: {channels: 8}, repeat: 2}
  fast: {like: slow, every: 1, width_ratio: 1/2}
edges:
  - {source: fast, target: slow, after: stem, transform: time_conv}
head: {classifier: {classes: 3}}
"""


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return str(path)


def test_one_line_tests_a_network(tiny: str) -> None:
    network_test(tiny, examples=1, only=("plan", "gradients", "lowered", "memory"))()


@pytest.mark.slow
def test_every_property_of_many_neighbours(tiny: str) -> None:
    network_test(tiny, examples=30)()


def test_the_command(tiny: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", tiny, "--examples", "2", "--only", "written", "batch"]) == 0
    assert capsys.readouterr().out == f"ok  {tiny}  written, batch: hold in 2 examples\n"


def test_a_property_that_is_none(tiny: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", tiny, "--only", "gradient"]) == 2
    assert "fix     gradients\n" in capsys.readouterr().err
    assert chosen_properties(()) == list(p.PROPERTIES)


def wide_middle(one: p.Specimen) -> None:
    """No bottleneck is wider than 8 in the middle."""
    for *_, block in one.arch.all_blocks():
        if isinstance(block, Bottleneck) and (block.inner or block.channels // 4) > 8:
            raise AssertionError("too wide")


def test_a_failure_is_the_smallest_spec(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("archdsl.testing.network.PROPERTIES", {"written": wide_middle})
    assert main(["test", "slow_4x16_r50", "--examples", "5"]) == 1
    text = capsys.readouterr().out
    assert "written does not hold: No bottleneck is wider than 8 in the middle.\n\ntoo wide\n\nname: failure\n" in text
    assert text.endswith("repeat  archdsl test slow_4x16_r50 --examples 5 --seed 0\n")
    spec = text[text.index("name: failure") : text.index("repeat")]
    assert len(spec.splitlines()) <= 10


def test_in_pytest_and_as_json_it_is_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("archdsl.testing.network.PROPERTIES", {"written": wide_middle})
    with pytest.raises(AssertionError, match="repeat  archdsl test slow_4x16_r50 --examples 1 --seed 3"):
        network_test("slow_4x16_r50", examples=1, seed=3)()
    assert main(["test", "slow_4x16_r50", "--examples", "1", "--json"]) == 1
    (record,) = json.loads(capsys.readouterr().out)
    assert (record["ok"], record["property"], record["what"]) == (False, "written", "too wide")


def test_the_simplest_keeps_what_fails() -> None:
    def has_a_wide_kernel(arch: Arch) -> bool:
        return any(isinstance(block, Conv) and block.kernel[1] == 7 for *_, block in arch.all_blocks())

    least = simplest(archdsl.load("slowfast_4x16_r50"), has_a_wide_kernel)
    assert to_yaml(least).splitlines() == [
        f"name: {least.name}",
        "clip: {frames: 1, size: 1}",
        "pathways:",
        "  fast:",
        "    stages:",
        "      stem: {conv: {channels: 1, kernel: [1, 7, 1]}}",
        "head: {classifier: {classes: 1}}",
    ]


def test_what_is_simpler_is_legal_or_refused() -> None:
    arch = archdsl.load("slowfast_tiny")
    made = 0
    for make in simpler(arch):
        try:
            archdsl.compile(make())
        except SpecError:
            continue
        made += 1
    assert made > 30


@pytest.mark.parametrize("name", ["slowfast_16x8_r101", "mvit_v2_s_16x4", "avslowfast_r50_8x8"])
def test_a_small_form_runs_in_a_moment(name: str) -> None:
    arch = archdsl.load(name)
    plan = archdsl.compile(small_form(arch))
    assert is_small(plan)
    assert set(plan.arch.pathways) == set(arch.pathways)
    assert len(plan.arch.edges) == len(arch.edges)


def test_neighbours_differ_in_everything() -> None:
    """Frames, sizes, classes, choices, depths, blocks, edges, stages, causal ones."""
    small, met = small_form(archdsl.load("slowfast_4x16_r50")), set()
    for seed in range(140):
        made = neighbour(small, SeededDraw(Random(seed)))
        archdsl.compile(made)
        met |= {
            name
            for name, differs in {
                "frames": made.clips["clip"].frames != small.clips["clip"].frames,
                "size": made.clips["clip"].shape[2:] != small.clips["clip"].shape[2:],
                "classes": made.classes != small.classes,
                "edge more": len(made.edges) > len(small.edges),
                "edge less": len(made.edges) < len(small.edges),
                "stage less": any_stage_less(made, small),
                "causal": made.causal,
                "block": block_kinds(made) != block_kinds(small),
                "transform": bool(transform_kinds(made) - transform_kinds(small)),
                "choice": [q.every for q in made.pathways.values()] != [q.every for q in small.pathways.values()],
            }.items()
            if differs
        }
    assert len(met) == 10


def transform_kinds(arch: Arch) -> set[type]:
    return {type(transform) for edge in arch.edges for transform in edge.transform}


def any_stage_less(made: Arch, small: Arch) -> bool:
    return any(len(made.pathways[name].stages) < len(pathway.stages) for name, pathway in small.pathways.items())


def block_kinds(arch: Arch) -> list[str]:
    return [type(block).__name__ for *_, block in arch.all_blocks()]


def test_a_seed_repeats() -> None:
    small = small_form(archdsl.load("tsm_r50"))
    made = [neighbour(small, SeededDraw(Random("7-3"))) for _ in range(2)]
    assert made[0] == made[1]


@settings(max_examples=3, deadline=None)
@given(st.data())
def test_strategies(data: st.DataObject) -> None:
    arch = data.draw(variants(archdsl.load("slowfast_tiny")))
    archdsl.compile(arch)
    other, clips = data.draw(inputs(archdsl.load(ROOT / "specs" / "primer" / "01_one_stage.yaml")))
    assert tuple(clips.shape[1:]) == archdsl.compile(other).inputs["clip"]
    made = data.draw(families(ROOT / "specs" / "primer" / "10_family.py"))
    assert archdsl.compile(made).params > 0


def test_each_property_can_fail() -> None:
    """Each against a network that breaks it by hand."""
    one = p.Specimen(small_form(archdsl.load("slowfast_tiny")))
    next(iter(one.answer.values()))[0] += 1
    for check in (p.clips_are_apart, p.lowered_is_literal):
        with pytest.raises(AssertionError):
            check(one)


def test_ids_of_tokens_stay_whole(tmp_path: Path) -> None:
    path = tmp_path / "words.yaml"
    path.write_text(
        "name: words\nclips: {words: {modality: text, frames: 2, size: 1, vocabulary: 9}}\n"
        "pathways: {text: {clip: words, stages: {tokens: {embed: {channels: 4}}}}}\nhead: {classifier: {classes: 2}}\n"
    )
    network_test(path, examples=1, only=("gradients", "batch", "memory"))()


def test_whatever_torch_raises_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def raises(one: p.Specimen) -> None:
        """Never."""
        raise RuntimeError("a shape is wrong")

    monkeypatch.setattr("archdsl.testing.network.PROPERTIES", {"written": raises})
    failure = property_failure(archdsl.load("slowfast_tiny"), examples=1, command="again")
    assert isinstance(failure, PropertyFailure)
    assert failure.what == "RuntimeError: a shape is wrong"


def test_a_large_network_is_asked_what_runs_nothing() -> None:
    assert asked(archdsl.load("fcn32s_vgg16"), ())[1] == ["written", "admits"]
    assert asked(archdsl.load("slowfast_tiny"), ("plan",))[1] == ["plan"]


def test_planted_faults_change_lines_that_there_are() -> None:
    package = Path(archdsl.__file__).parent
    assert [fault.name for fault in FAULTS if (package / fault.file).read_text().count(fault.right) != 1] == []


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_a_planted_fault_is_found_and_shrunk(fault: Planted) -> None:
    found = finding(fault)
    assert found.code == 1, found.output
    assert 0 < found.spec_lines <= MOST_LINES, found.output


def test_what_takes_long_is_asked_of_every_tenth_network(monkeypatch: pytest.MonkeyPatch) -> None:
    met: list[str] = []
    monkeypatch.setattr(network, "property_fault", lambda name, one: met.append(name))
    assert property_failure(archdsl.load("slowfast_tiny"), examples=12, only=("written", "export")) is None
    asked_at = [i for i, name in enumerate(met) if name == "export"]
    assert (met.count("written"), asked_at) == (12, [1, 12])  # of the first network and of the eleventh
