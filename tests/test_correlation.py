"""Local correlation: shape, products and values by hand, and a network that has it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import archdsl
from archdsl import SpecError, ops
from archdsl.backend.runtime.flows.correlation import local_correlation
from archdsl.ops import Shape
from archdsl.report.memory.report import Memory, Setup
from archdsl.testing import check
from archdsl.testing.opinions import opinions

SPEC = """
name: correlated
clip: {frames: 6, size: 16}
blocks:
  motion:
    steps:
      now: {drop_frames: {back: 1}}
      next: {drop_frames: {front: 1}, reads: input}
      meet: {local_correlation: {reach: 2}, reads: [now, next]}
pathways:
  main:
    stages:
      stem: {conv: {channels: 8}}
      motion: {motion: {}}
      last: {conv: {channels: 8}}
head: {classifier: {classes: 5}}
"""


def test_flownetc_by_hand() -> None:
    """21 x 21 displacements of every second element up to 20 away, 256 channels (arXiv:1504.06852, section 3)."""
    op, x = ops.LocalCorrelation(reach=20, step=2), Shape(256, 1, 48, 64)
    assert op.out(x, x) == (441, 1, 48, 64)
    assert op.cost(x, x).macs == 441 * 256 * 48 * 64


def test_values_by_hand() -> None:
    """Channel 2 (row 0 of 3 columns, the last) is one row up and one column to the right."""
    x, y = torch.randn(1, 3, 2, 4, 5), torch.randn(1, 3, 2, 4, 5)
    found = local_correlation(x, y, 1, 1)
    assert found.shape == (1, 9, 2, 4, 5)
    assert torch.allclose(found[0, 4], (x * y).mean(1)[0])
    assert torch.allclose(found[0, 2, :, 2, 1], (x[0, :, :, 2, 1] * y[0, :, :, 1, 2]).mean(0))
    assert not found[0, 2, :, 0].any()


def test_a_shift_is_where_the_correlation_is_largest() -> None:
    x = torch.nn.functional.normalize(torch.randn(1, 64, 1, 9, 9), dim=1)
    found = local_correlation(x, x.roll((1, -2), dims=(3, 4)), 2, 1)
    assert found[0, :, 0, 4, 4].argmax() == (1 + 2) * 5 + (-2 + 2)


@pytest.mark.parametrize("fields", [{"reach": -1}, {"step": 0}, {"reach": 3, "step": 2}])
def test_fields_that_cannot_be(fields: dict[str, int]) -> None:
    with pytest.raises(SpecError):
        ops.LocalCorrelation(**fields).out(Shape(2, 2, 4, 4), Shape(2, 2, 4, 4))


def test_a_network_between_frames(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text(SPEC)
    plan = check(archdsl.load(tmp_path / "net.yaml"))
    assert plan.shapes["main.motion"] == (25, 5, 16, 16)
    assert plan.costs["main.motion.0.meet"].matmul_macs == 25 * 8 * 5 * 16 * 16
    assert all(one.agrees for one in opinions(plan))
    assert "correlation 5×5" in archdsl.draw(plan)
    assert Memory(plan, Setup()).activations > 0
    network, lowered = archdsl.build(plan).eval(), archdsl.build(plan, lower="auto").eval()
    lowered.load_state_dict(network.state_dict())
    clip = torch.randn(2, 3, 6, 16, 16)
    assert torch.allclose(lowered(clip), network(clip), atol=1e-6)
