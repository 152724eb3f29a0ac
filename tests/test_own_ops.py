"""Ops of one's own in a spec file: everything works on them, and a wrong one is one error with its line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import archdsl
from archdsl import SpecError, ops
from archdsl.catalog import module_of
from archdsl.cli import main
from archdsl.report.memory.report import Memory, Setup
from archdsl.report.span import span_table
from archdsl.testing import check
from archdsl.testing import ops as random_ops
from archdsl.testing.opinions import opinions

PRIMER = Path(__file__).parent.parent / "specs" / "primer" / "14_own_op.py"


@pytest.fixture(scope="module")
def plan() -> archdsl.Plan:
    return archdsl.compile(archdsl.load(PRIMER))


def test_reports_ask_it(plan: archdsl.Plan) -> None:
    scan = plan.costs["main.mixed.0.scan"]
    assert scan.params == 16 * 4 + 24 * 17
    assert scan.macs == (24 + 3 * 4) * 16 * 4 * 8 * 8
    assert "selective scan 4" in archdsl.table(plan)
    assert "selective scan" in archdsl.draw(plan)
    assert "4 of 4" in str(span_table(plan).rows)
    assert Memory(plan, Setup()).activations > 4 * 2 * 16 * 4 * 8 * 8
    assert plan.held == 4 * 16 * 8 * 8 + 16


def test_torch_agrees_and_is_asked(plan: archdsl.Plan) -> None:
    check(plan.arch)
    own, *rest = opinions(plan)
    assert (own.name, own.macs, own.torch, own.agrees) == ("ops of your own", 147_456, 24 * 16 * 256, True)
    assert all(one.macs == one.torch for one in rest)
    assert sum(one.macs for one in (own, *rest)) == plan.macs


def test_the_emitted_file_runs_alone(plan: archdsl.Plan, tmp_path: Path) -> None:
    code = "\nprint(tuple(OwnOp()(torch.zeros(1, 3, 4, 16, 16)).shape))\n"
    (tmp_path / "net.py").write_text(archdsl.emit(plan) + code)
    run = subprocess.run([sys.executable, "-I", "net.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert run.stdout == "(1, 5)\n"


def test_lowered_frozen_and_frame_by_frame_it_gives_the_same(plan: archdsl.Plan) -> None:
    network, clip = archdsl.build(plan).eval(), torch.randn(2, 3, 4, 16, 16)
    want = network(clip)
    lowered = archdsl.build(plan, lower="auto").eval()
    lowered.load_state_dict(network.state_dict())
    assert torch.allclose(lowered(clip), want, atol=1e-6)
    assert torch.allclose(archdsl.freeze(lowered)(clip), want, atol=1e-6)
    state = None
    for piece in clip.split([1, 2, 1], dim=2):
        given, state = network.step(piece, state)
    assert torch.allclose(given, want, atol=1e-6)


def test_it_learns(plan: archdsl.Plan) -> None:
    network, clip = archdsl.build(plan), torch.randn(4, 3, 4, 16, 16)
    optimizer, losses = torch.optim.SGD(network.parameters(), lr=0.5), []
    for _ in range(3):
        loss = torch.nn.functional.cross_entropy(network(clip), torch.tensor([0, 1, 2, 3]))
        optimizer.zero_grad()
        loss.backward()
        assert all(parameter.grad is not None for parameter in network.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


@settings(max_examples=5, deadline=None)
@given(st.data())
def test_random_ones_are_drawn_from_its_fields(data: st.DataObject) -> None:
    kind = module_of(PRIMER).SelectiveScan
    op, (x,) = data.draw(random_ops(kind))
    assert op.out(x) == x
    assert 1 <= op.states <= 4


WRONG = {
    "no return": ("out = wide = x.c", "SelectiveScan.out returns no Shape", "out"),
    "another shape": ("return x._replace(h=1, w=1) if x.t == 4 else x", "is not what torch gives", "out"),
    "an error": ("return Shape(x.channels, *x[1:])", "AttributeError in SelectiveScan.out", "return Shape(x.channels"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_shape_is_told_with_its_line(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    body, what, at = WRONG[case]
    path = edited(tmp_path, "ops.Add()", "ops.StretchedAdd()")
    path = edited(tmp_path, "    def held(", f"    def out(self, x: Shape) -> Shape:\n        {body}\n\n    def held(")
    assert main(["check", str(path)]) == 2
    said = capsys.readouterr().err
    assert what in said
    line = next(i for i, text in enumerate(path.read_text().splitlines(), 1) if f"def {at}(" in text or at in text)
    assert f"written spec.py:{line}\n" in said
    assert said.count("  at ") == 1


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("    def torch(", "    def other(", "SelectiveScan has no torch"),
        ("x.movedim(1, -1).unbind(1)", "x.movedim(1, -1).unbind(9)", "SelectiveScan fails in torch"),
        ('"a": (x.c, self.states)', '"a": (self.states, x.c)', "SelectiveScan.weights are not what torch has"),
        ("F.softplus(step)", "np.softplus(step)", "uses 'np', which the emitted source does not have"),
    ],
)
def test_a_wrong_torch_is_told_when_it_is_built(old: str, new: str, what: str, tmp_path: Path) -> None:
    arch = archdsl.load(edited(tmp_path, old, new))
    assert archdsl.compile(arch).params == 1021
    with pytest.raises(SpecError) as caught:
        archdsl.build(arch)
    (fault,) = caught.value.faults
    assert what in fault.what
    assert fault.at == "main.mixed.0.scan"
    assert str(fault.written).startswith("spec.py:")
    with pytest.raises(AssertionError, match="does not build"):
        check(arch)


@pytest.mark.parametrize("made", ["SelectiveScan()", "SelectiveScan(states=4)"])
def test_an_op_that_is_no_dataclass(made: str, tmp_path: Path) -> None:
    edited(tmp_path, "SelectiveScan(states=4)", made)
    with pytest.raises(SpecError, match="an op class that is not a dataclass") as caught:
        archdsl.compile(archdsl.load(edited(tmp_path, "@dataclass(frozen=True, kw_only=True)\n", "")))
    (fault,) = caught.value.faults
    assert (fault.at, fault.got) == ("main.mixed.0.scan" if made[-2] == "(" else "main.mixed.0", "a field 'states'")
    assert "spec.py:" in str(fault.written)


def test_frames_that_it_does_not_give(tmp_path: Path) -> None:
    sees = "    def sees(self, xs, seen, y):\n        return seen[0][1:]\n\n    def held("
    with pytest.raises(SpecError, match="disagree on the number of frames") as caught:
        archdsl.compile(archdsl.load(edited(tmp_path, "    def held(", sees)))
    assert caught.value.faults[0].got == "sees for 3, out (16, 4, 8, 8)"


def test_a_count_that_its_weights_deny(tmp_path: Path) -> None:
    arch = archdsl.load(edited(tmp_path, "params=params,", "params=params + 1,"))
    with pytest.raises(SpecError, match=r"(?s)does not match `weights`.*got +473.*want +472"):
        archdsl.compile(arch)


def edited(folder: Path, old: str, new: str) -> Path:
    """The primer's file with one text replaced."""
    path = folder / "spec.py"
    text = (path if path.exists() else PRIMER).read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    return path


FRAMES = """
from dataclasses import dataclass

from torch import nn

from archdsl import Arch, Clip, Pathway, Stage, ops
from archdsl.blocks import Block, Conv
from archdsl.language import Classifier


@dataclass(frozen=True, kw_only=True)
class Twice(ops.Conv):
    def torch(self, *xs):
        layer = super().torch(*xs)
        return ops.Layer("2 * {m}({0})", layer.module, layer.args, layer.inits)


@dataclass(frozen=True, kw_only=True)
class Mirror(ops.Op):
    causality = "past"
    call = "{0}.flip(2)"


class Scaled(nn.Module):
    def __init__(self, by, mode):
        super().__init__()
        self.by, self.mode = by, mode

    def forward(self, x):
        def scaled(y):
            try:
                return [part * self.by for part in (y,)][0] if y.ndim == 5 else wrong(y)
            except ValueError as error:
                raise TypeError("no map") from error

        return x if self.mode == "as it is" else scaled(x)


def wrong(y):
    raise ValueError(f"{y.ndim} axes, not {AXES}")


AXES = 5


@dataclass(frozen=True, kw_only=True)
class Scale(ops.Op):
    by: float
    causality = "frame"

    def torch(self, x):
        return ops.Layer.of_module(Scaled, by=self.by, mode="scaled" if self.by else "as it is")


class Scaling(Block):
    by: float

    def build(self, g, x):
        return g.add("scale", Scale(by=self.by), x)


class Both(Block):
    def build(self, g, x):
        x = g.add("twice", Twice(out_channels=8, kernel=(1, 1, 1)), x)
        return g.add("relu", ops.Relu(), OPS)


scaled = Stage(Scaling(by=0.0), Scaling(by=2.0), Scaling(by=-1.5))
stages = dict(stem=Stage(Conv(channels=8)), both=Stage(Both()), scaled=scaled)
arch = Arch(name="own", clip=Clip(frames=4, size=8), pathways=dict(main=Pathway(stages=stages)),
            head=Classifier(classes=5))
"""


def test_passes_leave_an_op_that_is_made_from_another(tmp_path: Path) -> None:
    (tmp_path / "spec.py").write_text(FRAMES.replace("OPS", "x"))
    plan, clip = archdsl.compile(archdsl.load(tmp_path / "spec.py")), torch.randn(2, 3, 4, 8, 8)
    network, lowered = archdsl.build(plan).eval(), archdsl.build(plan, lower="auto").eval()
    lowered.load_state_dict(network.state_dict())
    assert torch.allclose(lowered(clip), network(clip), atol=1e-6)
    assert "2 * self.twice(" in archdsl.emit(plan, "auto")
    assert archdsl.emit(plan).count("class Scaling(") == archdsl.emit(plan).count("AXES = 5\n") == 1
    assert {part.mode for part in network.modules() if hasattr(part, "mode")} == {"scaled", "as it is"}
    check(plan.arch)


def test_what_its_layer_is_made_with_has_a_text() -> None:
    layer = ops.Layer.of_module(torch.nn.Upsample, scale_factor=(1.0, 2.0, 2.0), mode="nearest", size=None)
    assert {argument.name: argument.value for argument in layer.args}["mode"] == "nearest"
    with pytest.raises(SpecError, match=r"cannot be emitted\n  got +inf"):
        ops.Layer.of_function(torch.clamp, float("inf"))


def test_a_later_frame_that_is_denied_is_found(tmp_path: Path) -> None:
    (tmp_path / "spec.py").write_text(FRAMES.replace("OPS", 'g.add("mirror", Mirror(), x)'))
    arch = archdsl.load(tmp_path / "spec.py")
    archdsl.build(arch)
    with pytest.raises(AssertionError, match="Mirror says that it sees no later frame, and torch's does"):
        check(arch)


MAPS = """
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from archdsl import Arch, Clip, Pathway, Stage, ops
from archdsl.blocks import Block, Conv
from archdsl.language import Classifier


def agreement(x: Tensor, y: Tensor, power: int) -> Tensor:
    return F.cosine_similarity(x, y, dim=1)[:, None].clamp(min=0) ** power


@dataclass(frozen=True, kw_only=True)
class Agreement(ops.Op):
    reads = 2
    merges = True
    causality = "frame"
    power: int = 2

    def out(self, x, y):
        return x._replace(c=1)

    def torch(self, x, y):
        return ops.Layer.of_function(agreement, self.power, maps=2)


class Gate(Block):
    def build(self, g, x):
        y = g.add("conv", ops.Conv(out_channels=g.shape(x).c, kernel=(3, 1, 1)), x)
        return g.add("gate", ops.Mul(), x, g.add("agree", Agreement(), x, y))


stages = dict(stem=Stage(Conv(channels=8)), gates=Stage(Gate(), Gate()))
arch = Arch(name="own", clip=Clip(frames=4, size=8), pathways=dict(main=Pathway(stages=stages)),
            head=Classifier(classes=5), causal=True)
"""


def test_one_of_two_maps_in_a_stream(tmp_path: Path) -> None:
    (tmp_path / "spec.py").write_text(MAPS)
    plan = check(archdsl.load(tmp_path / "spec.py"))
    assert plan.grids["main.gates.1.agree"].t.span == 5
    own, *_ = opinions(plan)
    assert (own.nodes, own.macs, own.torch) == (2, 0, 0)
    network, clip, state = archdsl.build(plan).eval(), torch.randn(2, 3, 4, 8, 8), None
    for piece in clip.split([3, 1], dim=2):
        given, state = network.step(piece, state)
    assert torch.allclose(given, network(clip), atol=1e-6)


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("    by: float\n    causality", "    by: list\n    causality", "a field of Scale that can change"),
        ('return x if self.mode == "as it is" else scaled(x)', "return x, x", "Scale gives no tensor in torch"),
        ("wrong", "expect", "a function 'expect', which emitted code has of its own"),
        ("wrong", "attended", "a function 'attended', which emitted code has of its own"),
        ("Scaled", "MapConv", "a function 'MapConv', which emitted code has of its own"),
    ],
)
def test_check_refuses_what_cannot_be_held_or_is_no_map(
    old: str, new: str, what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = FRAMES.replace("OPS", "x").replace(
        "ops.Layer.of_module(Scaled, by=self.by,", "ops.Layer.of_module(Scaled, by=2.0,"
    )
    if "list" in new:
        text = text.replace("Scale(by=self.by)", "Scale(by=[self.by])")
    assert old in text
    (tmp_path / "spec.py").write_text(text.replace(old, new))
    assert main(["check", str(tmp_path / "spec.py")]) == 2
    assert what in capsys.readouterr().err


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (torch.nn.functional.silu, "F.silu({0})"),
        (torch.nn.functional.gelu, "F.gelu({0})"),
        (torch.relu, "torch.relu({0})"),
    ],
)
def test_a_function_of_torch_is_called_by_its_name(function: Any, text: str, tmp_path: Path) -> None:
    layer, x = ops.Layer.of_function(function), torch.randn(3)
    assert (layer.call, layer.needs) == (text, ())
    assert torch.equal(eval(text.format("x"), {"F": torch.nn.functional, "torch": torch, "x": x}), function(x))


@pytest.mark.parametrize(
    "layer", ["ops.Layer.of_function(F.silu)", "ops.Layer.of_module(nn.SiLU)", "ops.Layer.of_module(nn.ELU, alpha=0.5)"]
)
def test_an_op_of_what_torch_has(layer: str, tmp_path: Path) -> None:
    text = (
        FRAMES.replace("OPS", 'g.add("mirror", Mirror(), x)')
        .replace(
            '    call = "{0}.flip(2)"',
            f"""
    def torch(self, x):
        return {layer}
""",
        )
        .replace("from torch import nn", "import torch.nn.functional as F\nfrom torch import nn")
    )
    (tmp_path / "spec.py").write_text(text)
    plan = archdsl.compile(archdsl.load(tmp_path / "spec.py"))
    (tmp_path / "net.py").write_text(archdsl.emit(plan) + "\nprint(tuple(Own()(torch.zeros(1, 3, 4, 8, 8)).shape))\n")
    run = subprocess.run([sys.executable, "-I", "net.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert run.stdout == "(1, 5)\n"
