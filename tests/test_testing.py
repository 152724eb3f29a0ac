"""What archdsl.testing gives to users: strategies that only make what can be, and a check that finds what cannot."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from archdsl import Arch, Clip, Pathway, Stage, compile, ops
from archdsl.blocks import (
    BLOCKS,
    Block,
    BoundaryMatch,
    Conv,
    Embed,
    EndToken,
    FrameClassToken,
    FramePositionConv,
    FrameToken,
    GraphBlock,
    Gray,
    GruScan,
    Hide,
    JointNorm,
    Keep,
    MaskTokens,
    MessageTransformer,
    TakeToken,
)
from archdsl.blocks.step_fields import OPS_BY_KEY
from archdsl.graph import UNKNOWN, Builder
from archdsl.language import HEADS, TRANSFORMS, Classifier
from archdsl.language.pathway import CHOICES
from archdsl.ops import UNIT, Grid, Shape
from archdsl.testing import arches, blocks, check
from archdsl.testing import ops as random_ops
from archdsl.testing.arches import plain_arches


def arch(block: Block, **fields: Any) -> Arch:
    given = {
        "clip": Clip(frames=4, size=8),
        "pathways": {"main": Pathway(stages={"stem": Stage(block)})},
        "head": Classifier(classes=2),
    }
    return Arch(**{"name": "net", **given, **fields})


@settings(max_examples=10)
@given(arches())
def test_a_random_arch_passes_the_check(made: Arch) -> None:
    check(made)


def test_random_archs_are_of_every_kind() -> None:
    """Pathways one to three, edges both ways, several clips, every frame choice and most transforms; key frames."""
    met: Counter[str] = Counter()

    transforms = {"TimeConv", "TimeDeconv", "TimeToChannels", "TimeSample", "TimeRepeat", "ResizeTo", "Warp"}
    others = ("3 pathways", "2 clips", "slow to fast", "fast to slow", "concat", "sum", "interleave")
    parts = ("shortcut", "within a stage")

    def all_met(made: Arch) -> bool:
        met[f"{len(made.pathways)} pathways"] += 1
        met[f"{len(made.clips)} clips"] += 1
        met.update(key for p in made.pathways.values() for key in CHOICES if getattr(p, key))
        met.update(f"{edge.source} to {edge.target}" for edge in made.edges)
        met.update(edge.merge for edge in made.edges)
        met.update("within a stage" for edge in made.edges for place in edge.after if "." in place)
        met.update("shortcut" for *_, block in made.all_blocks() if getattr(block, "shortcut", ()))
        met.update(type(transform).__name__ for edge in made.edges for transform in edge.transform)
        return {*CHOICES, *transforms, *others, *parts} <= set(met)

    find(plain_arches(), all_met, settings=settings(max_examples=2000, database=None, phases=[Phase.generate]))


def test_random_archs_have_many_words_of_the_language() -> None:
    """Blocks, transforms, heads, and ops of drawn blocks: kinds of each turn up."""
    wanted = {kind.__name__ for kind in (*BLOCKS, *TRANSFORMS, *HEADS)} | set(OPS_BY_KEY)
    met: set[str] = set()

    def many_met(made: Arch) -> bool:
        met.update(type(block).__name__ for *_, block in made.all_blocks())
        met.update(type(transform).__name__ for edge in made.edges for transform in edge.transform)
        met.update([type(made.head).__name__, *(s.op for d in made.blocks.values() for s in d.steps.values())])
        return len(met & wanted) > 40

    find(arches(), many_met, settings=settings(max_examples=2000, database=None, phases=[Phase.generate]))


SHAPES: dict[type[Block], Shape] = {
    BoundaryMatch: Shape(8, 4, 1, 1),
    GruScan: Shape(6, 4, 16, 16),
    TakeToken: Shape(8, 4, 4, 4, 1),
    FrameToken: Shape(8, 4, 16, 1),
    MessageTransformer: Shape(8, 4, 16, 1),
    FrameClassToken: Shape(8, 4, 16, 1),
    FramePositionConv: Shape(8, 4, 17, 1),
}
"""Of blocks that do not take every map."""


OF_OTHERS = (Gray, Keep, Hide, MaskTokens, Embed, EndToken, JointNorm, GraphBlock)
ALONE = [kind for kind in BLOCKS if kind not in OF_OTHERS]
"""Blocks that take a map of any channels; others read a mask beside it, a text or a skeleton."""


@pytest.mark.parametrize("kind", ALONE, ids=lambda kind: kind.__name__)
@settings(max_examples=8)
@given(st.data())
def test_a_random_block_of_every_kind_builds(kind: type[Block], data: st.DataObject) -> None:
    shape = SHAPES.get(kind, Shape(8, 4, 16, 16))
    block = data.draw(blocks(shape, kinds=(kind,)))
    g = Builder()
    x = g.source("x", shape, Grid(UNIT, UNIT, UNIT))
    assert block.build(g, x) != UNKNOWN
    g.finish()


@given(blocks(Shape(3, 4, 16, 16), kinds=(Gray, Conv)))
def test_blocks_take_the_shape_asked_for(block: Block) -> None:
    compile(arch(block, clip=Clip(frames=4, size=16)))


@given(random_ops(ops.Conv, ops.MaxPool))
def test_ops_of_chosen_kinds(case: Any) -> None:
    op, shapes = case
    assert isinstance(op, ops.Conv | ops.MaxPool)
    op.out(*shapes)


def test_the_check_tells_of_a_spec_that_does_not_compile() -> None:
    with pytest.raises(AssertionError, match="net does not compile\n\na window larger than the map along h"):
        check(arch(Conv(channels=4), head=Classifier(classes=2, window=9)))


def test_the_check_tells_of_costs_that_torch_does_not_share(monkeypatch: pytest.MonkeyPatch) -> None:
    true = ops.Conv.cost
    monkeypatch.setattr(ops.Conv, "cost", lambda op, *xs: true(op, *xs)._replace(params=1))
    with pytest.raises(AssertionError, match=r"net: torch has 30 parameters, the plan says 19"):
        check(arch(Conv(channels=4, kernel=(1, 1, 1))))


def test_the_check_tells_of_yaml_that_means_another_thing(monkeypatch: pytest.MonkeyPatch) -> None:
    from archdsl.testing import conformance

    text = conformance.to_yaml(arch(Conv(channels=5)))
    monkeypatch.setattr(conformance, "to_yaml", lambda _: text)
    with pytest.raises(AssertionError, match="net changes on its way through YAML: pathways"):
        check(arch(Conv(channels=4)))


def test_a_block_of_python_has_no_yaml_and_passes() -> None:
    class Own(Block):
        def build(self, g: Builder, x: str) -> str:
            return g.add("act", ops.Relu(), x)

    assert check(arch(Own())).params == 3 * 2 + 2


def test_ops_are_values() -> None:
    op = ops.Conv(out_channels=4, kernel=(1, 1, 1))
    assert replace(op) == op
    assert len({op, replace(op)}) == 1
