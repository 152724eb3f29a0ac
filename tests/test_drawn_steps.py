"""Steps of drawn blocks that are blocks, conditions and fields: the same outputs as blocks written out."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from archdsl import Arch, SpecError, build, compile, load
from archdsl.language import change_all
from archdsl.language.writers.python_writer import to_python
from archdsl.language.writers.yaml_writer import to_yaml
from archdsl.rewrites import inflate

TOP = "name: net\nclip: {frames: 4, size: 16}\n"
HEAD = "head: {classifier: {classes: 3}}\n"


def read(tmp_path: Path, text: str, name: str = "spec.yaml") -> Arch:
    (tmp_path / name).write_text(text, encoding="utf-8")
    return load(tmp_path / name)


def net(stages: str, blocks: str = "", more: str = "") -> str:
    """A network of one pathway, maybe with drawn blocks."""
    drawn = f"blocks:\n{blocks}" if blocks else ""
    return f"{TOP}{drawn}pathways:\n  main: {{{more}stages: {{stem: {{conv: {{channels: 8}}}}, {stages}}}}}\n{HEAD}"


def assert_equal_outputs(a: Arch, b: Arch) -> None:
    """The same parameters in the same order, and the same scores of a clip."""
    assert compile(a).params == compile(b).params
    assert compile(a).macs == compile(b).macs
    first, second = build(a).eval(), build(b).eval()
    second.load_state_dict(dict(zip(second.state_dict(), first.state_dict().values(), strict=True)))
    x = torch.rand(1, *compile(a).inputs["clip"])
    torch.testing.assert_close(first(x), second(x))


OF_OPS = """  unit:
    fields: {channels: null, kernel_t: 1, stride: 1, act: relu}
    steps:
      conv_a: {conv: {out_channels: $channels / 4, kernel: [$kernel_t, 1, 1]}}
      norm_a: batch_norm
      act_a: $act
      conv_b: {conv: {out_channels: $channels / 4, kernel: [1, 3, 3], stride: [1, $stride, $stride]}}
      norm_b: batch_norm
      act_b: $act
      conv_c: {conv: {out_channels: $channels, kernel: [1, 1, 1]}}
      norm_c: batch_norm
      short: {project: {channels: $channels, stride: $stride}, reads: input, when: changed}
      sum: {add: , reads: [norm_c, short]}
      act: $act
  project:
    fields: {channels: null, stride: 1}
    steps:
      conv: {conv: {out_channels: $channels, kernel: [1, 1, 1], stride: [1, $stride, $stride]}}
      norm: batch_norm
"""
OF_BLOCKS = """  unit:
    fields: {channels: null, kernel_t: 1, stride: 1, act: relu}
    steps:
      a: {conv: {channels: $channels / 4, kernel: [$kernel_t, 1, 1], act: $act}}
      b: {conv: {channels: $channels / 4, kernel: [1, 3, 3], stride: [1, $stride, $stride], act: $act}}
      c: {conv: {channels: $channels, kernel: [1, 1, 1], act: none}}
      short: {conv: {channels: $channels, stride: [1, $stride, $stride], act: none}, reads: input, when: changed}
      sum: {add: , reads: [c, short]}
      act: $act
"""


@pytest.mark.parametrize(
    ("blocks", "more"), [(OF_OPS, "width_ratio: 1/2, "), (OF_BLOCKS, "every: 2, width_ratio: 3/2, ")]
)
def test_a_bottleneck_drawn_is_the_one_built_in(blocks: str, more: str, tmp_path: Path) -> None:
    """A shortcut projected where the shape changes, strides of the first, widths, no frame seen early."""
    stages = (
        "a: {UNIT: {channels: 16}, repeat: 2}, b: {UNIT: {channels: 32, kernel_t: 3, stride: 2, act: silu}, repeat: 3}"
    )
    drawn = read(tmp_path, net(stages.replace("UNIT", "unit"), blocks, more) + "causal: true\n")
    plain = read(tmp_path, net(stages.replace("UNIT", "bottleneck"), "", more) + "causal: true\n", "plain.yaml")
    assert_equal_outputs(drawn, plain)
    strided = (change_all(arch, [("pathways.main.stages.b.stride", 1)]) for arch in (drawn, plain))
    assert len({compile(arch).macs for arch in strided}) == 1
    assert read(tmp_path, to_yaml(drawn), "again.yaml") == drawn
    (tmp_path / "again.py").write_text(to_python(drawn))
    assert load(tmp_path / "again.py") == drawn


DEEP = """  row:
    fields: {channels: 16, depth: 2, kernels: [1, 3, 3], act: none, stride: [1, 1, 1], gate: false}
    steps:
      first: {conv: {channels: $channels, kernel: $kernels, stride: $stride}}
      units: {basic: {channels: $channels, stride: 2}, repeat: $depth}
      sides: {branches: {branches: {one: {pair: {channels: $channels / 2, act: $act}}, two: {conv: {channels: 4}}}}}
      gate: {feature_gate: , when: $gate}
  pair:
    fields: {channels: null, act: relu}
    steps:
      a: {conv: {channels: $channels, act: none}}
      act: $act
"""
WRITTEN = """a: [{conv: {channels: 8, kernel: [1, 3, 3], stride: [1, 2, 2]}},
  {basic: {channels: 8, stride: 2}, repeat: 3},
  {branches: {branches: {one: [{conv: {channels: 4, act: none}}ACT], two: {conv: {channels: 2}}}}}, feature_gate,
  {conv: {channels: 8, kernel: [1, 3, 3]}}, {basic: {channels: 8, stride: 2}, repeat: 3},
  {branches: {branches: {one: [{conv: {channels: 4, act: none}}ACT], two: {conv: {channels: 2}}}}}, feature_gate]"""


@pytest.mark.parametrize(
    ("act", "written"),
    [
        ("none", ""),
        ("{norm_act: {act: silu}}", ", {norm_act: {act: silu}}"),
        ("{basic: {channels: 4}}", ", {basic: {channels: 4}}"),
    ],
)
def test_blocks_within_branches_repeats_and_fields(act: str, written: str, tmp_path: Path) -> None:
    """Lists as defaults, a stride of every axis, numbers of channels in steps and in fields under a width_ratio."""
    use = f"a: {{row: {{depth: 3, stride: [1, 2, 2], gate: true, act: {act}}}, repeat: 2}}"
    drawn = read(tmp_path, net(use, DEEP, "width_ratio: 1/2, "))
    text = net("WRITTEN").replace("channels: 8}", "channels: 4}", 1).replace("WRITTEN", WRITTEN.replace("ACT", written))
    assert_equal_outputs(drawn, read(tmp_path, text, "plain.yaml"))


SHORTCUT = """a: {basic: {channels: 16, kernel_t: 3, stride: 2, zero_init: false, shortcut: [
  {two_plus_one: {channels: 16, kernel: [3, 3, 3], stride: [1, 2, 2], act: none}}]}, repeat: 2},
  b: {bottleneck: {channels: 32, kernel_t: 3, stride: 2, zero_init: false,
  shortcut: {conv: {channels: 32, kernel: [3, 3, 3], stride: [1, 2, 2], act: none}}}, repeat: 2}"""
BY_HAND = """  basic_unit:
    steps:
      a: {conv: {channels: 16, kernel: [3, 3, 3], stride: [1, 2, 2]}}
      b: {conv: {channels: 16, kernel: [3, 3, 3], act: none}}
      short: {two_plus_one: {channels: 16, kernel: [3, 3, 3], stride: [1, 2, 2], act: none}, reads: input}
      sum: {add: , reads: [b, short]}
      act: relu
  wide_unit:
    steps:
      a: {conv: {channels: 8, kernel: [3, 1, 1]}}
      b: {conv: {channels: 8, kernel: [1, 3, 3], stride: [1, 2, 2]}}
      c: {conv: {channels: 32, act: none}}
      short: {conv: {channels: 32, kernel: [3, 3, 3], stride: [1, 2, 2], act: none}, reads: input}
      sum: {add: , reads: [c, short]}
      act: relu
"""


def test_shortcuts_of_any_block_only_where_the_shape_changes(tmp_path: Path) -> None:
    short = read(tmp_path, net(SHORTCUT, "", "width_ratio: 1/2, "))
    stages = "a: [{basic_unit: {}}, {basic: {channels: 16, kernel_t: 3}}], "
    stages += "b: [{wide_unit: {}}, {bottleneck: {channels: 32, kernel_t: 3}}]"
    assert_equal_outputs(short, read(tmp_path, net(stages, BY_HAND, "width_ratio: 1/2, "), "plain.yaml"))
    assert read(tmp_path, to_yaml(short), "again.yaml") == short
    (tmp_path / "again.py").write_text(to_python(short))
    assert load(tmp_path / "again.py") == short
    flat = net(
        SHORTCUT.replace("two_plus_one", "conv").replace("[3, 3, 3]", "[1, 3, 3]").replace("kernel_t: 3", "kernel_t: 1")
    )
    cubes = inflate(read(tmp_path, flat, "flat.yaml"), frames=8)
    assert compile(cubes).shapes["main.b"] == (32, 2, 4, 4)


def test_a_condition_that_is_not_met_leaves_nothing_behind(tmp_path: Path) -> None:
    block = """  mix:
    fields: {channels: 8}
    steps: {a: {branches: {branches: {x: {conv: {channels: $channels}}}}, when: changed}, b: relu}
"""
    plan = compile(read(tmp_path, net("a: [{mix: {}}, {mix: {channels: 16}}]", block)))
    assert [at for at in plan.graph.nodes if at.startswith("main.a.0")] == ["main.a.0.b"]
    assert plan.shapes["main.a.1"].c == 16
    assert not [at for at in plan.graph.scopes if at.startswith("main.a.0.")]


def test_drawings_that_double_each_other_end_with_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixty drawings of two steps each, the next one twice, would be 2^60 steps; none of them adds an op."""
    blocks = "".join(
        f"  b{i}: {{steps: {{x: {{b{i + 1}: {{}}}}, y: {{b{i + 1}: {{}}, when: changed}}}}}}\n" for i in range(60)
    )
    last = "  b60: {fields: {on: false}, steps: {x: {relu: , when: $on}}}\n"
    monkeypatch.setattr("archdsl.graph.builder.MOST_OPS", 2000)
    with pytest.raises(SpecError, match="too many ops"):
        compile(read(tmp_path, net("a: {b0: {}}", blocks + last)))
