"""Audiovisual SlowFast: PyTorchVideo's integers, and two clips that keep their own time."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch

import archdsl
from archdsl.backend import build_graph
from archdsl.blocks import AcousticBottleneck, Bottleneck, CrossConv
from archdsl.graph import Builder
from archdsl.language import change
from archdsl.ops import UNIT, Grid, Shape


def test_integers_equal_pytorchvideo() -> None:
    plan = archdsl.compile(archdsl.load("avslowfast_r50_8x8"))  # ptv_avslowfast_r50_8x8_224
    assert (plan.params, plan.macs, plan.count("fvcore")) == (42_321_800, 53_236_102_144, 53_545_778_432)
    plan = archdsl.compile(archdsl.load("acoustic_r50"))  # ptv_acoustic_resnet50
    assert (plan.params, plan.macs, plan.count("fvcore")) == (32_746_256, 5_989_220_352, 6_014_468_096)


def test_strides_of_the_lateral_convolutions_are_worked_out_from_seconds() -> None:
    plan = archdsl.compile(archdsl.load("avslowfast_r50_8x8"))
    stages = ("stem", "res2", "res3", "res4")
    strides = [plan.graph.nodes[f"edges.{stage}.sound_to_slow.conv"].op.stride for stage in stages]
    assert strides == [(16, 1, 1), (16, 1, 1), (8, 1, 1), (4, 1, 1)]
    for stage in stages:
        heard = plan.grids[f"edges.{stage}.sound_to_slow.act"]
        seen = plan.grids[f"edges.{stage}.fast_to_slow.merge"]
        assert heard.t.step * heard.tick == seen.t.step * seen.tick == Fraction(8, 30)
    assert not plan.warnings


def test_sound_at_another_rate_is_refused() -> None:
    arch = change(archdsl.load("avslowfast_r50_8x8"), "clips.audio.fps", 50)
    with pytest.raises(archdsl.SpecError, match="time steps of the pathways are not a whole ratio"):
        archdsl.compile(arch)


def test_sound_is_added_to_all_of_slow_after_fast_has_joined() -> None:
    plan = archdsl.compile(archdsl.load("avslowfast_r50_8x8"))
    assert plan.graph.nodes["edges.res2.sound_to_slow.merge"].reads[0] == "edges.res2.fast_to_slow.merge"
    assert plan.shapes["edges.res2.sound_to_slow.act"] == Shape(320, 8, 1, 1)
    assert plan.shapes["edges.res2.sound_to_slow.merge"] == Shape(320, 8, 56, 56)


def test_more_frames_bring_more_sound() -> None:
    plan = archdsl.compile(archdsl.load("avslowfast_r50_8x8", frames=32, size=64))
    assert plan.inputs == {"clip": (3, 32, 64, 64), "audio": (1, 64, 1, 80)}


def built(block: CrossConv | AcousticBottleneck | Bottleneck, shape: Shape) -> torch.nn.Module:
    g = Builder()
    x = g.source("x", shape, Grid(UNIT, UNIT, UNIT))
    with g.inside("block", "Block"):
        g.outputs["y"] = block.build(g, x)
    return build_graph(g.finish()).eval()


def test_a_plain_acoustic_bottleneck_without_strides_is_a_bottleneck() -> None:
    torch.manual_seed(0)
    shape = Shape(16, 6, 1, 10)
    ours, plain = (
        built(block, shape) for block in (AcousticBottleneck(channels=16), Bottleneck(channels=16, kernel=(3, 1, 3)))
    )
    plain.load_state_dict(ours.state_dict())
    x = torch.randn(2, *shape)
    torch.testing.assert_close(ours(x), plain(x), atol=0, rtol=0)


def test_a_cross_is_a_full_kernel_with_zeros_off_the_axes() -> None:
    torch.manual_seed(0)
    cross = built(CrossConv(channels=4, kernel=(5, 1, 3), norm="none", act="none"), Shape(2, 7, 1, 6))
    weights = cross.state_dict()
    full = torch.zeros(4, 2, 5, 1, 3)
    full[..., 1] += weights["block.time.weight"][..., 0]
    full[:, :, 2] += weights["block.space.weight"][:, :, 0]
    bias = weights["block.time.bias"] + weights["block.space.bias"]
    x = torch.randn(2, 2, 7, 1, 6)
    torch.testing.assert_close(
        cross(x), torch.nn.functional.conv3d(x, full, bias, padding=(2, 0, 1)), atol=1e-5, rtol=1e-5
    )


def test_strides_lie_where_the_original_has_them() -> None:
    plan = archdsl.compile(archdsl.load("acoustic_r50"))
    first = {
        name: plan.graph.nodes[f"sound.res3.0.{name}"].op.stride
        for name in ("conv_a", "conv_b_time", "conv_b_space", "shortcut")
    }
    assert first == dict(conv_a=(2, 1, 1), conv_b_time=(1, 2, 2), conv_b_space=(1, 2, 2), shortcut=(2, 2, 2))
