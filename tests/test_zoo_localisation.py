"""Temporal localisation: mmaction2's integers, and the sampling matrix of BMN against its definition."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, modf

import pytest
import torch

import archdsl
from archdsl import ops
from archdsl.backend.runtime.regions.proposals import BoundaryMatch, valid_proposals
from archdsl.errors import SpecError
from archdsl.language import Clip
from archdsl.ops import UNIT, Grid, Shape
from archdsl.report.memory.report import buffers_of

MATRIX = 100 * 32 * 100 * 100  # BMN's sampling matrix, which mmaction2 counts among its parameters

CARDS = {
    # mmaction2 at 4d6c9347: parameters that are learnt, multiply-adds (fvcore counts the same)
    "bsn_tem": (1_403_395, 140_236_800),  # mm_bsn_tem 400
    "bsn_tem_2048": (3_934_723, 393_369_600),  # mm_bsn_tem 2048
    "bsn_pem": (8_705, 8_448_000),  # mm_bsn_pem, 1000 candidates
    "bmn": (36_978_564 - MATRIX, 53_784_217_600),  # mm_bmn_400x100
    "bmn_2048": (37_294_980 - MATRIX, 53_815_859_200),  # mm_bmn_2048x100
}


@pytest.mark.parametrize("name", CARDS)
def test_integers_equal_mmaction2(name: str) -> None:
    plan = archdsl.compile(archdsl.load(name))
    assert (plan.params, plan.macs, plan.count("fvcore")) == (*CARDS[name], CARDS[name][1])


def test_what_leaves_the_networks() -> None:
    assert archdsl.compile(archdsl.load("bsn_tem")).outputs == {"scores": (3, 100)}
    assert archdsl.compile(archdsl.load("bsn_pem")).outputs == {"scores": (1, 1000)}
    bmn = archdsl.compile(archdsl.load("bmn"))
    assert bmn.outputs == {"start": (1, 100), "end": (1, 100), "proposals": (2, 1, 100, 100)}
    assert buffers_of(bmn) == 4 * MATRIX


def defined(positions: int, durations: int, samples: int, per_bin: int, margin: float) -> torch.Tensor:
    """The matrix place by place, as the first implementation defines it."""
    matrix = torch.zeros(positions, samples, durations, positions, dtype=torch.float64)
    for start in range(positions):
        for reach in range(min(durations, positions - start)):
            around = margin * (reach + 1)
            step = (reach + 2 * around) / (samples * per_bin - 1)
            for i in range(samples * per_bin):
                place = start - around + step * i
                share, below = modf(place)
                for index, weight in ((int(below), 1 - share), (ceil(place), share)):
                    if 0 <= index < positions:
                        matrix[index, i // per_bin, reach, start] += weight / per_bin
    return matrix


@pytest.mark.parametrize("sizes", [(7, 7, 4, 3, 0.5), (9, 4, 3, 1, 0.25), (1, 1, 2, 2, 0.5), (6, 6, 5, 2, 0.0)])
def test_the_matrix_is_the_one_defined(sizes: tuple[int, int, int, int, float]) -> None:
    torch.testing.assert_close(BoundaryMatch(*sizes).matrix.double(), defined(*sizes), rtol=0, atol=2e-7)


def test_a_proposal_well_inside_reads_the_sequence_in_a_line() -> None:
    layer = BoundaryMatch(20, 20, 4, 3, 0.5)
    ramp = torch.arange(20.0)[None, None, :, None, None]
    samples = layer(ramp)[0, 0, :, 3, 8]  # four steps from position 8: places 6 to 13, eleven intervals
    torch.testing.assert_close(samples, 6 + 7 / 11 * torch.tensor([1.0, 4.0, 7.0, 10.0]))


def test_proposals_beyond_the_end_are_nought() -> None:
    kept = valid_proposals(torch.ones(1, 2, 1, 3, 4))[0, 1, 0]
    assert kept.tolist() == [[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 0, 0]]
    assert not BoundaryMatch(4, 3, 2, 2, 0.5).matrix[:, :, 2, 2:].any()


def test_the_matrix_is_neither_learnt_nor_saved() -> None:
    network = archdsl.build(archdsl.load("bmn", frames=8))
    assert [name for name in network.state_dict() if "matrix" in name] == []
    assert sum(p.numel() for p in network.parameters()) == CARDS["bmn"][0]


def test_the_network_is_zero_and_flat_where_nothing_can_be() -> None:
    torch.manual_seed(0)
    network = archdsl.build(archdsl.load("bmn", frames=6)).eval()
    features = torch.randn(2, 400, 6, 1, 1)
    outputs = network(features)
    proposals = outputs["proposals"]
    valid = torch.arange(6)[:, None] + torch.arange(6) < 6
    assert (proposals[:, :, 0, valid] > 0).all()
    assert not proposals[:, :, 0, ~valid].any()
    proposals.sum().backward()
    assert network.base.near[0].conv.weight.grad.abs().sum() > 0


def test_axes_of_proposals_are_in_steps_of_time() -> None:
    grid = ops.BoundaryMatch(samples=4).place((Shape(1, 8, 1, 1),), (Grid(UNIT, UNIT, UNIT, Fraction(1)),))
    assert (grid.t.step, grid.h.step, grid.w.step) == (2, 1, 1)
    assert (grid.h.start, grid.w.start) == (1, 0)  # the shortest proposal is one step long; the first starts at 0
    assert grid.w.span == 8


@pytest.mark.parametrize(
    ("op", "x", "what"),
    [
        (ops.BoundaryMatch(), Shape(4, 8, 2, 2), "proposals of a map with height and width"),
        (ops.BoundaryMatch(durations=9), Shape(4, 8, 1, 1), "proposals longer than the sequence"),
        (ops.BoundaryMatch(samples=1, per_bin=1), Shape(4, 8, 1, 1), "proposals with fewer than two sampled places"),
        (ops.BoundaryMatch(margin=Fraction(-1, 2)), Shape(4, 8, 1, 1), "`margin` below 0"),
    ],
)
def test_what_cannot_be_matched(op: ops.BoundaryMatch, x: Shape, what: str) -> None:
    with pytest.raises(SpecError, match=what):
        op.out(x)


def test_features_say_how_many_channels_they_have() -> None:
    with pytest.raises(SpecError, match="features without channels"):
        Clip(modality="features", frames=100, size=1)


def test_features_take_other_frames_and_no_size() -> None:
    assert archdsl.load("bsn_tem", frames=50).clips["clip"].shape == Shape(400, 50, 1, 1)
    with pytest.raises(archdsl.SpecError, match="no clip of bsn_tem takes a size"):
        archdsl.load("bsn_tem", size=64)
