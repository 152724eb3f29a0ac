"""Deep Feature Flow and FlowNet-S: figures, and streams of the published nets at a small size."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import archdsl

HOST, HEAD, FLOW = 164_008_276_992, 2_408_555_520, 12_897_584_336


def test_what_frames_of_deep_feature_flow_cost() -> None:
    """At 600x1000: features on a 38x63 map; the ratio of host to flow net is the paper's 12.71."""
    plan = archdsl.compile(archdsl.load("dff_r101_rfcn"))
    assert plan.shapes["features.reduce"] == (1024, 1, 38, 63)
    assert plan.frame_costs() == (HOST + HEAD, FLOW + HEAD, 10)
    assert plan.macs == HOST + 9 * FLOW + 10 * HEAD
    assert round(HOST / FLOW, 2) == 12.72
    assert plan.held == 3 * 600 * 1000 + 1024 * 38 * 63


def test_its_parameters() -> None:
    """Flow net and scale map: 38,676,514 and 1024 x 194 + 1024. The head: 54 + 49 x 39 maps of 512 channels."""
    host, keys = (archdsl.compile(archdsl.load(name)) for name in ("rfcn_r101", "dff_r101_rfcn"))
    assert host.cost_of("features").params == 61_375_552
    assert host.cost_of("head").params == (54 + 49 * 39) * 513 == 1_008_045
    assert keys.params - host.params == 38_676_514 + 199_680


def test_flow_net_by_the_reference() -> None:
    plan = archdsl.compile(archdsl.load("flownet_s"))
    assert (plan.params, plan.macs) == (38_676_514, 15_787_782_912)
    assert plan.outputs == {"scores": (2, 1, 96, 128)}


def test_levels_that_halve_unevenly_are_cut() -> None:
    plan = archdsl.compile(archdsl.load("dff_r101_rfcn"))
    assert [plan.shapes[f"flow.net.0.conv{i}"][2:] for i in range(1, 7)] == [
        *((150, 250), (75, 125), (38, 63), (19, 32), (10, 16), (5, 8)),
    ]
    cut = [address.rpartition(".")[2] for address in plan.shapes if address.endswith("_cut")]
    assert cut == ["deconv4_cut", "up4_cut", "deconv2_cut", "up2_cut"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dff_r101_rfcn", "dff_r101_deeplab"])
def test_a_stream_gives_what_the_clip_gives(name: str) -> None:
    torch.manual_seed(0)
    plan = archdsl.compile(archdsl.load(name, height=90, width=128, depth=50, every=3, frames=6))
    network: Any = archdsl.build(plan).double().eval()
    clip = 255 * torch.rand(1, *plan.inputs["clip"], dtype=torch.double) - 110
    with torch.no_grad():
        whole, (first, state) = network(clip), network.step(clip[:, :, :2])
        rest, _ = network.step(clip[:, :, 2:], state)
    if isinstance(whole, Tensor):
        whole, first, rest = ({"scores": one} for one in (whole, first, rest))
    for key, value in whole.items():
        torch.testing.assert_close(torch.cat([first[key], rest[key]], dim=2), value)
