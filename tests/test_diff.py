"""Differences: what is said of two networks, address by address, and that nothing is missed."""

from __future__ import annotations

from math import prod

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import archdsl
from archdsl.backend import build_graph
from archdsl.language import change
from archdsl.ops import OPS, Op, Source
from archdsl.report.differences import diff
from archdsl.report.parameters import weights_of
from archdsl.testing import graph_of
from archdsl.testing import ops as random_ops


@pytest.fixture(scope="module")
def arch() -> archdsl.Arch:
    return archdsl.load("slowfast_4x16_r50")


def test_nothing_differs_from_itself(arch: archdsl.Arch) -> None:
    found = archdsl.diff(arch, arch)
    assert not found
    assert str(found) == "slowfast_4x16_r50 -> slowfast_4x16_r50\n  no difference"


def test_one_changed_field(arch: archdsl.Arch) -> None:
    """Six 3x1x1 kernels of res4 lose two thirds of their weights: 6 blocks, 256 of 1280 or 1024 channels read."""
    found = diff(arch, change(arch, "pathways.slow.stages.res4.kernel_t", 1))
    assert (found.added, found.removed, found.resized) == ((), (), ())
    assert [c.address for c in found.changed] == [f"slow.res4.{i}.conv_a" for i in range(6)]
    assert found.params[1] - found.params[0] == -2 * 256 * (640 + 5 * 1024)
    assert "  ~ slow.res4.0-5.conv_a: 3×1², 256 -> 1×1², 256" in str(found).splitlines()
    assert [s.address for s in found.stages if s.params[0] != s.params[1]] == ["slow.res4"]


def test_removed_laterals_stand_as_one_address(arch: archdsl.Arch) -> None:
    found = diff(arch, archdsl.load("slowfast_4x16_r50_no_lateral"))
    assert found.removed == tuple(f"edges.{stage}.fast_to_slow" for stage in ("stem", "res2", "res3", "res4"))
    assert found.added == ()
    reads = {c.address: (c.before, c.after) for c in found.changed}
    assert reads["slow.res2.0.conv_a"] == ("reads edges.stem.fast_to_slow.merge", "reads slow.stem.1.pool")
    assert "  - edges.res3.fast_to_slow" in str(found).splitlines()


def test_added_blocks_stand_as_one_address(arch: archdsl.Arch) -> None:
    stage = arch.pathways["slow"].stages["res4"]
    longer = change(arch, "pathways.slow.stages.res4", archdsl.Stage(*stage.blocks, stage.blocks[-1]))
    found = diff(arch, longer)
    assert found.added == ("slow.res4.6",)
    assert [c.address for c in found.changed] == ["edges.res4.fast_to_slow.merge"]
    assert diff(longer, arch).removed == ("slow.res4.6",)


def test_another_input(arch: archdsl.Arch) -> None:
    found = diff(arch, archdsl.load("slowfast_4x16_r50", size=256))
    assert found.params[0] == found.params[1]
    assert found.macs == (27_638_665_216, 36_101_963_776)
    assert found.added == ("head.mean",)
    assert "  input    3×64×224² -> 3×64×256²" in str(found).splitlines()


def test_span_of_stages(arch: archdsl.Arch) -> None:
    """Slow res5: three kernels of 3 at step 16 see 3 x 32 frames more than one of 1 does."""
    found = diff(arch, change(arch, "pathways.slow.stages.res5.kernel_t", 1))
    (res5,) = (stage for stage in found.stages if stage.address == "slow.res5")
    assert res5.span[0] - res5.span[1] == 3 * 2 * 16


def test_the_span_of_a_lateral_is_that_of_what_it_brings(arch: archdsl.Arch) -> None:
    """A kernel of 5 on fast frames 2 apart sees 8 frames more than one of 1; slow res4, which it joins, sees 237."""
    (edge,) = arch.edges
    found = diff(arch, arch.but(edges=[edge.but(transform=[edge.transform[0].but(kernel=1)])]))
    spans = {stage.address: stage.span for stage in found.stages}
    assert spans["edges.res2.fast_to_slow"] == (29, 21)
    assert spans["edges.res4.fast_to_slow"] == (69, 61)


@given(
    st.sampled_from(["kernel_t", "channels"]),
    st.sampled_from(["slow", "fast"]),
    st.sampled_from(["res2", "res3", "res4"]),
    st.integers(1, 3),
)
def test_stage_changes_sum_to_the_whole(field: str, pathway: str, stage: str, factor: int) -> None:
    arch = archdsl.load("slowfast_tiny")
    path = f"pathways.{pathway}.stages.{stage}.{field}"
    found = diff(arch, change(arch, path, 32 * factor if field == "channels" else 2 * factor - 1))
    for which in ("params", "macs"):
        before, after = getattr(found, which)
        assert sum(getattr(s, which)[1] - getattr(s, which)[0] for s in found.stages) == after - before
    assert bool(found) == (found.record()["changed"] != [])


def test_plans_and_arches_are_taken_alike(arch: archdsl.Arch) -> None:
    other = archdsl.load("slow_4x16_r50")
    assert diff(arch, other) == diff(archdsl.compile(arch), archdsl.compile(other))


@pytest.mark.parametrize(
    "name",
    ["slowfast_4x16_r50", "slowfast_4x16_r50_bidirectional", "late_fusion", "googlenet_aux", "x3d_s", "inception_v3"],
)
def test_weights_have_torchs_names_and_shapes(name: str) -> None:
    plan = archdsl.compile(archdsl.load(name))
    with torch.device("meta"):
        network = archdsl.build(plan)
    assert weights_of(plan) == {name: tuple(p.shape) for name, p in network.named_parameters()}


@given(st.data(), st.sampled_from(sorted(OPS, key=lambda kind: kind.__name__)))
def test_weights_of_ops_are_torchs(data: st.DataObject, kind: type[Op]) -> None:
    op, xs = data.draw(random_ops(kind))
    if kind is Source:
        return
    with torch.device("meta"):
        network = build_graph(graph_of(op, xs))
    got = {name.removeprefix("op."): tuple(p.shape) for name, p in network.named_parameters()}
    assert op.weights(*xs) == got
    assert sum(prod(shape) for shape in got.values()) == op.cost(*xs).params


def test_weights_that_carry_over(arch: archdsl.Arch) -> None:
    """With another number of classes all but the classifier carries over; with deeper kernels those do not."""
    found = diff(arch, change(arch, "head.classes", 174))
    assert found.params[1] - found.carried == 174 * 2304 + 174
    assert "  weights  33.56M of 33.96M carry over by name and shape (98.8%)" in str(found).splitlines()
    deeper = diff(arch, change(arch, "pathways.slow.stages.res2.kernel_t", 3))
    assert deeper.params[1] - deeper.carried == 3 * 64 * (80 + 256 + 256)
    assert diff(arch, arch).record()["params_carried"] == 34_480_216
