"""A person's own blocks and ops in Python: every mistake in their code is one fault, at the line that makes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from archdsl import Arch, SpecError, compile, load
from archdsl.cli import main

FILE = """from dataclasses import dataclass
from archdsl import Arch, Clip, Edge, Pathway, Stage, ops
from archdsl.blocks import Block, Conv
from archdsl.language import Classifier, Head, Transform

@dataclass(frozen=True, kw_only=True)
class Square(ops.Op):
    pass

class Mine(Block):
    middle: int = 4
    def build(self, g, x):
        BODY

def built(stages, **fields):
    pathways = dict(main=Pathway(stages=stages))
    fields = dict(name="mine", clip=Clip(frames=4, size=8), pathways=pathways, head=Classifier(classes=2)) | fields
    return Arch(**fields)

arch = built(dict(stem=Stage(Conv(channels=8), Mine()), end=Stage(Conv(channels=4))))
"""


def mine(tmp_path: Path, body: str, tail: str = "", name: str = "mine") -> Arch:
    (tmp_path / f"{name}.py").write_text(FILE.replace("BODY", body.replace("\n", "\n        ")) + tail)
    return load(tmp_path / f"{name}.py")


@pytest.mark.parametrize(
    ("body", "what", "line", "fix"),
    [
        ('g.add("a", ops.Relu(), x)', "Mine.build returns no value", 12, "return g.add(...)"),
        ("return ops.Relu()", "Mine.build returns no value", 12, "return g.add(...)"),
        ('g.add("y", ops.Relu(), x)\nreturn g.add("b", ops.Add(), "y", x)', "no value 'y'", 14, None),
        ('return g.add("b", ops.Add(), [x, x])', "no value ['main.stem.0.act', 'main.stem.0.act']", 13, None),
        ("y = None\nreturn g.add('b', ops.Relu(), y)", "no value None", 14, None),
        ("return g.add('b', ops.Linear(out_features=g.shape('y').c), x)", "no value 'y'", 13, None),
        (
            'return g.add("a", ops.Linear(out_feature=3), x)',
            "unknown field 'out_feature' of Linear",
            13,
            "out_features",
        ),
        ('return g.add("a", ops.Linear(), x)', "missing field 'out_features' of Linear", 13, None),
        ('return g.add("a", ops.Linear(3), x)', "positional arguments for Linear", 13, None),
        ('return g.add("a", ops.Relux(), x)', "archdsl.ops has no 'Relux'", 13, "Relu"),
        ('return g.add("a", Relu(), x)', "no name 'Relu'", 13, "ops.Relu"),
        ('return g.add("a", ops.Relu, x)', "not an op", 13, "ops.Relu()"),
        ("return g.add(ops.Relu(), x)", "not a name for an op", 13, None),
        ('return g.add("a b", ops.Relu(), x)', "not a name for an op", 13, None),
        ('return g.add("class", ops.Relu(), x)', "not a name for an op", 13, None),
        ("return g.add('a', ops.Linear(out_features=self.midle), x)", "Mine has no 'midle'", 13, "middle"),
        ("return g.add('a', ops.Linear(out_features=g.shape(x).channels), x)", "Shape has no 'channels'", 13, None),
        (
            "return g.add('a', ops.Linear(out_features=3 / 2), x)",
            "wrong value for out_features of Linear",
            0,
            None,
        ),
        ("return g.add('a', ops.Conv(out_channels=2, kernel=3), x)", "wrong value for kernel", 13, "kernel=(3, 3, 3)"),
        ("return 1 / 0", "ZeroDivisionError in build of Mine", 13, None),
    ],
)
def test_a_mistake_in_a_block_is_one_fault_at_its_line(
    body: str, what: str, line: int, fix: str | None, tmp_path: Path
) -> None:
    with pytest.raises(SpecError) as caught:
        compile(mine(tmp_path, body))
    (fault,) = caught.value.faults
    assert fault.what == what
    assert line == 0 or fault.written == f"mine.py:{line}"
    assert fix is None or fault.fix == fix
    assert (fault.at or "").startswith("main.stem.1")


def test_mistakes_of_several_blocks_transforms_and_heads_come_together(tmp_path: Path) -> None:
    tail = """
class Half(Transform):
    def build(self, g, x, target):
        g.add("half", ops.Relu(), x)

class Mean(Head):
    def build(self, g, ends):
        return {"scores": g.add("mean", ops.Men(), *ends.values())}

edge = Edge(source="main", target="main", after="stem", into="end", transform=Half(), merge="sum")
stages = dict(stem=Stage(Mine()), end=Stage(Conv(channels=3), Mine()))
arch = built(stages, edges=(edge,), head=Mean())
"""
    with pytest.raises(SpecError) as caught:
        compile(mine(tmp_path, "return g.add('a', ops.Relux(), x)", tail))
    whats = [fault.what for fault in caught.value.faults]
    relu, half, mean = "archdsl.ops has no 'Relux'", "Half.build returns no value", "archdsl.ops has no 'Men'"
    assert whats == [relu, relu, half, mean]
    arch = mine(tmp_path, "return g.add('a', ops.Relu(), x)", tail.replace("Men()", "Mean(over='thw')"), "other")
    with pytest.raises(SpecError) as caught:
        compile(arch)
    assert [fault.what for fault in caught.value.faults] == ["Half.build returns no value"]


def test_an_op_of_ones_own_without_torch_is_refused_only_by_emit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine(tmp_path, 'return g.add("square", Square(), x)')
    path = str(tmp_path / "mine.py")
    for known in (["check"], ["table"], ["count"], ["draw"], ["admits"], ["show", "--span"], ["count", "--memory"]):
        assert main([known[0], path, *known[1:]]) == 0, known
    capsys.readouterr()
    assert main(["emit", path]) == 2
    assert "Square has no torch" in capsys.readouterr().err
