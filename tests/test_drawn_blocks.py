"""Blocks drawn in YAML and blocks of one's own in Python: repeats, sums over parameters, faults told in one go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import BaseModel

import archdsl
from archdsl import Arch, Clip, Pathway, SpecError, Stage, build, catalog, compile, load, ops
from archdsl.blocks import Block, Conv
from archdsl.blocks.arithmetic import filled
from archdsl.language import Classifier, change_all, repeat
from archdsl.language.writers.python_writer import to_python
from archdsl.language.writers.yaml_writer import to_yaml
from archdsl.rewrites import causal, depthwise, insert_nonlocal, with_modules
from archdsl.spec.scalars import Count, Sizes

HEAD = "head: {classifier: {classes: 10}}\n"


def read(tmp_path: Path, text: str, name: str = "spec.yaml") -> Arch:
    (tmp_path / name).write_text(text, encoding="utf-8")
    return load(tmp_path / name)


def of_blocks(blocks: str, stages: str) -> str:
    """A network of one pathway, `main`, with drawn blocks."""
    top = f"name: net\nclip: {{frames: 8, size: 32}}\nblocks:\n{blocks}"
    return f"{top}pathways: {{main: {{stages: {{{stages}}}}}}}\n{HEAD}"


def convolved(name: str, fields: str, conv: str) -> str:
    """A drawn block of one convolution."""
    return f"  {name}: {{fields: {fields}, steps: {{c: {{conv: {{{conv}}}}}}}}}\n"


def told(text: str, tmp_path: Path) -> list[tuple[str, str | None, str | None]]:
    with pytest.raises(SpecError) as caught:
        compile(read(tmp_path, text))
    return [(fault.what, fault.at, fault.fix) for fault in caught.value.faults]


# Repeats


@pytest.mark.parametrize(
    ("fields", "stride", "given", "h"),
    [
        ("stride: null", "$stride", "stride: [1, 2, 2]", 16),
        ("stride: [1, 1, 1]", "$stride", "stride: [1, 2, 2]", 16),
        ("stride: 2", "[1, $stride, $stride]", "stride: 2", 16),
        ("by: 1", "[1, $by, $by]", "by: 2", 16),
        ("stride: null", "[1, $stride * 2, $stride * 2]", "stride: 2", 2),  # by 4, 2 and 2: what a step says stays
        ("by: 1, stride: 1", "[1, $by, $by]", "stride: 2", 32),
    ],
)
def test_only_the_first_of_repeated_drawn_blocks_strides(
    fields: str, stride: str, given: str, h: int, tmp_path: Path
) -> None:
    block = convolved("down", f"{{{fields}}}", f"out_channels: 4, kernel: [1, 3, 3], stride: {stride}")
    arch = read(tmp_path, of_blocks(block, f"body: {{down: {{{given}}}, repeat: 3}}"))
    assert compile(arch).shapes["main.body"][2] == h
    assert "repeat: 3" in to_yaml(arch)
    assert read(tmp_path, to_yaml(arch), "again.yaml") == arch
    (tmp_path / "again.py").write_text(to_python(arch))
    assert compile(load(tmp_path / "again.py")).graph.shapes == compile(arch).graph.shapes


TWICE = """name: net
clip: {frames: 4, size: 32}
blocks:
  down: {fields: {stride: [1, 1, 1]}, steps: {c: {conv: {out_channels: 4, kernel: [1, 1, 1], stride: $stride}}}}
pathways:
  a:
    stages:
      stem: {branches: {branches: {one: {BLOCK, repeat: 2}}}}
      body: {SAME, repeat: 3}
  b: {stages: {stem: {conv: {channels: 4, stride: [1, 4, 4]}}}}
edges:
  - {source: a, target: b, after: stem, transform: {through: {blocks: {BLOCK, repeat: 2}}}}
"""


def test_a_drawn_block_strides_as_the_built_in_one_of_the_same_ops(tmp_path: Path) -> None:
    """Within branches, in an edge's transform, and after a stride set by path: the outputs are the same."""
    plain = "conv: {channels: 4, norm: none, act: none, bias: false, stride: [1, 2, 2]}"
    networks = []
    for block, same in (("down: {stride: [1, 2, 2]}", "down: {}"), (plain, plain.replace("[1, 2, 2]", "[1, 1, 1]"))):
        arch = read(tmp_path, TWICE.replace("BLOCK", block).replace("SAME", same) + HEAD)
        arch = change_all(arch, [("pathways.a.stages.body.stride", [1, 2, 2])])
        assert compile(arch).shapes["a.body"][2:] == (8, 8)
        networks.append(build(arch).eval())
    drawn, written = networks
    written.load_state_dict(dict(zip(written.state_dict(), drawn.state_dict().values(), strict=True)))
    x = torch.rand(2, 3, 4, 32, 32)
    torch.testing.assert_close(drawn(x), written(x))


class Down(Block):
    """A convolution that must be told its stride."""

    stride: Count
    steps: Sizes

    first_only = ("stride", "steps")

    def build(self, g: Any, x: str) -> str:
        t, h, w = self.steps
        kernel, stride = (1, 3, 3), (t, h * self.stride, w * self.stride)
        return g.add("conv", ops.Conv(out_channels=4, kernel=kernel, stride=stride), x)


def test_a_stride_without_a_default_is_1_in_a_repeat() -> None:
    blocks = repeat(Down(stride=2, steps=(2, 1, 1)), 3)
    assert [(block.stride, block.steps) for block in blocks] == [(2, (2, 1, 1)), (1, (1, 1, 1)), (1, (1, 1, 1))]
    stages = {"stem": Stage(*blocks)}
    arch = Arch(
        name="n", clip=Clip(frames=8, size=32), pathways={"a": Pathway(stages=stages)}, head=Classifier(classes=2)
    )
    assert compile(arch).shapes["a.stem"] == (4, 4, 16, 16)


# Sums


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$channels * 3 / 4", 18),
        ("$in / 4 + $channels", 26),
        ("($channels + $in) / 4", 8),
        ("2 * ($channels - 4) // 3", 13),
        ("$channels*0.5", 12),
        ("7 + $in // 3", 9),
        ("$name", "wide"),
        ("$half", 2.5),
        (["$in", [1, "$channels / 2"]], (8, (1, 12))),
        ("none", "none"),
    ],
)
def test_sums_over_parameters_are_exact(text: Any, value: Any) -> None:
    assert filled(text, {"channels": 24, "in": 8, "name": "wide", "half": 2.5, "flag": True}) == value


@pytest.mark.parametrize(
    ("text", "what", "fix"),
    [
        ("$half * 2", "an operand is not a whole number", None),
        ("$flag * 2", "an operand is not a whole number", None),
        ("$name * 2", "an operand is not a whole number", None),
        ("$in / 3", "the expression is not a whole number", "$in // 3"),
        ("$in * 0.3", "the expression is not a whole number", None),
        ("$in / ($in - 8)", "a division by 0", None),
        ("$hal // 1", "no parameter $hal", "$half"),
        ("$in ** 2", "invalid value", None),
        ("$in $in", "invalid value", None),
        ("($in", "invalid value", None),
        ("$in +", "invalid value", None),
        ("$", "invalid value", None),
        ("$in" + " * 2" * 99, "invalid value", None),
    ],
)
def test_sums_that_are_none(text: str, what: str, fix: str | None) -> None:
    scope = {"half": 2.5, "flag": True, "name": "wide", "in": 8}
    with pytest.raises(SpecError) as caught:
        filled(text, scope)
    (fault,) = caught.value.faults
    assert (fault.what, fault.fix) == (what, fix)
    if fix:
        assert filled(fix, scope) in (2, 2.5)


# One cause is told once, and all at once


def test_a_misspelt_block_of_a_repeat_is_told_once(tmp_path: Path) -> None:
    found = told(of_blocks("  mix: {steps: {a: {relu: {}}}}\n", "s: {botleneck: {channels: 8}, repeat: 36}"), tmp_path)
    assert found == [("no block 'botleneck'", "pathways.main.stages.s.0", "bottleneck")]


BROKEN = """  one:
    fields: {stride: [1, 1], odd: 1}
    steps:
      a: {conv: {kernl: [1, 1, 1], out_channels: $od}}
      b: {relu: {}, reads: [imput]}
      c: {conv: {kernel: [0, 1], out_channels: $odd **}}
"""


def test_every_fault_of_a_drawn_block_and_of_its_uses_comes_in_one_go(tmp_path: Path) -> None:
    blocks = convolved("mix", "{a: null, b: 1}", "out_channels: $a, kernel: [1, 1, 1]") + BROKEN
    text = of_blocks(blocks, "s: {mix: {b: 2, c: 3}, repeat: 9}, t: [{mx: {}}, {one: {}}, {mix: {a: 1}}]")
    assert told(text.replace("size", "sise"), tmp_path) == [
        ("unknown field 'sise'", "clips.clip.sise", "size"),
        ("no parameter $od", "blocks.one.steps.a.out_channels", "$odd"),
        ("unknown field 'kernl'", "blocks.one.steps.a.kernl", "kernel"),
        ("step b reads 'imput', which is not an earlier step", "blocks.one.steps.b.reads", "input"),
        ("invalid value", "blocks.one.steps.c.out_channels", None),
        ("wrong value for kernel", "blocks.one.steps.c.kernel", None),
        ("mix has no field 'c'", "pathways.main.stages.s.0", None),
        ("missing field 'a'", "pathways.main.stages.s.0", None),
        ("no block 'mx'", "pathways.main.stages.t.0", "mix"),
    ]


SEVERAL = """name: n
clip: {frames: none, size: 32}
pathways:
  a: {stages: {s: {conv: {channels: 8}}}}
  b: {clip: clp, stages: {s: {conv: {chanels: 8}}}}
  c: {like: b}
  d: {after: aa, stages: {s: {con: {}}}}
edges: [{source: a, target: b, after: r}, {source: x, target: c, after: s}, {sorce: a}]
head: {classifier: {classes: 2, reads: [a, b, e]}}
"""


def test_names_are_looked_up_beside_other_faults(tmp_path: Path) -> None:
    assert {what for what, _, _ in told(SEVERAL, tmp_path)} == {
        "wrong value for frames",
        "unknown field 'chanels'",
        "unknown field 'sorce'",
        "missing field 'target'",
        "missing field 'after'",
        "no block 'con'",
        "no pathway 'aa'",
        "no stage 'r' in pathway a",
        "no pathway 'x'",
        "no pathway 'e'",
    }


# Frozen is frozen


def everything(thing: Any) -> Any:
    """A model with all that lies below it and the lines that wrote it, as plain data to compare."""
    if isinstance(thing, BaseModel):
        fields = {name: everything(getattr(thing, name)) for name in type(thing).model_fields}
        return type(thing).__name__, fields, str(thing.__pydantic_private__)
    if isinstance(thing, dict):
        return {name: everything(value) for name, value in thing.items()}
    return [everything(part) for part in thing] if isinstance(thing, tuple | list) else thing


CONV = "out_channels: $channels, kernel: [1, 3, 3], stride: [1, $stride, $stride]"
DRAWN = of_blocks(
    convolved("mine", "{channels: 8, stride: 1}", CONV),
    "stem: {conv: {channels: 8}}, body: [{mine: {channels: 16, stride: 2}, repeat: 3}, "
    "{branches: {branches: {a: {mine: {}}, b: []}}}]",
)
OTHER = of_blocks(
    convolved("mine", "{channels: 8, stride: 1}", CONV.replace("1, 3, 3", "3, 5, 5")), "stem: {conv: {channels: 8}}"
)


def test_what_is_changed_leaves_its_input_as_it_was(tmp_path: Path) -> None:
    a = read(tmp_path, DRAWN)
    other = read(tmp_path, OTHER, "other.yaml").blocks["mine"]
    before, macs = everything(a), compile(a).macs
    b = a.but(blocks={"mine": other})
    assert compile(b).macs > macs
    uses = [
        lambda: change_all(a, [("blocks.mine.fields.channels", 4), ("pathways.main.stages.body.stride", 1)]),
        lambda: change_all(a, [("pathways.main.stages.body.0.channels", 4), ("clips.clip.frames", 4)]),
        lambda: Arch(name="b", clip=Clip(frames=4, size=32), blocks={"mine": other}, pathways=a.pathways, head=a.head),
        lambda: load(a, size=64, classes=7),
        lambda: compile(a.pathways["main"] and a.but(pathways={"x": {"like": "y"}, "y": a.pathways["main"]})),
        lambda: causal(a),
        lambda: depthwise(a),
        lambda: insert_nonlocal(a, {"body": (0,)}),
        lambda: with_modules(a, {"main.body": Conv(channels=4)}),
    ]
    done = 0
    for use in uses:
        try:
            use()
            done += 1
        except SpecError:
            pass  # refused: the input must be as it was all the same
        assert everything(a) == before
    assert done >= 6
    assert compile(a).macs == macs


def test_models_of_a_file_are_not_written_to(tmp_path: Path) -> None:
    """A file that hands on the zoo's models leaves the zoo's own as they were, with their cards."""
    (tmp_path / "mine.py").write_text("from archdsl.zoo import slowfast\nmodels = slowfast.models\n")
    model = catalog.model("slowfast_4x16_r50")
    before = everything(model)
    catalog.models_in(tmp_path / "mine.py")
    assert everything(model) == before
    assert catalog.reference_of(model) is not None


def test_no_line_writes_around_a_frozen_model() -> None:
    for folder in ("language", "blocks", "rewrites", "spec", "compiler", "report"):
        for path in (Path(archdsl.__file__).parent / folder).rglob("*.py"):
            text = path.read_text()
            assert "__dict__[" not in text, path
            assert "object.__setattr__" not in text, path


def test_a_use_of_a_drawn_block_does_not_change_what_it_equals(tmp_path: Path) -> None:
    text = """
    name: tiny
    clip: {frames: 4, size: 16}
    blocks: {down: {fields: {stride: null}, steps: {c: {conv: {out_channels: 4, kernel: [1, 1, 1], stride: $stride}}}}}
    pathways: {rgb: {stages: {res: {down: {stride: [1, 2, 2]}, repeat: 2}}}}
    head: {classifier: {classes: 3}}
    """
    (tmp_path / "tiny.yaml").write_text(text)
    used, fresh = load(tmp_path / "tiny.yaml"), load(tmp_path / "tiny.yaml")
    assert compile(used).shapes["rgb.res"][2:] == (8, 8)
    assert used == fresh
    assert hash(used) == hash(fresh)
