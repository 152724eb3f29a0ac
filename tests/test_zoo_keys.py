"""Deep Feature Flow and FlowNet-S: figures, and streams of the published nets at a small size."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import archdsl

HOST, HEAD, FLOW = 164_008_276_992, 2_408_555_520, 12_897_584_336


def test_what_frames_of_deep_feature_flow_cost() -> None:
    """At 600x1000: features on a 38x63 map; the ratio of host to flow net is the paper's 12.71."""
    plan = archdsl.compile(archdsl.load("dff_r101_rfcn"))
    assert plan.shapes["features.reduce"] == (1024, 1, 38, 63)
    assert plan.frame_costs() == (HOST + HEAD, FLOW + HEAD, 10)
    assert plan.macs == HOST + 9 * FLOW + 10 * HEAD
    assert round(HOST / FLOW, 3) == 12.716
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
    assert cut == [f"{name}{level}_cut" for level in (4, 3, 2) for name in ("deconv", "up")]


def written_out(weights: dict[str, Tensor], x: Tensor) -> Tensor:
    """FlowNet-S in plain torch, (n, 6, h, w): what widens pads nothing and is cut from (1, 1) on, as in MXNet."""

    def layer(name: str, x: Tensor, stride: int = 1) -> Tensor:
        kernel = weights[f"{name}.weight"].squeeze(2)
        return F.conv2d(x, kernel, weights[f"{name}.bias"], stride, kernel.shape[-1] // 2)

    def wider(name: str, x: Tensor, like: Tensor) -> Tensor:
        y = F.conv_transpose2d(x, weights[f"{name}.weight"].squeeze(2), weights[f"{name}.bias"], 2)
        return y[..., 1 : 1 + like.shape[2], 1 : 1 + like.shape[3]]

    down = []
    for level in range(1, 7):
        x = F.leaky_relu(layer(f"conv{level}", x, 2), 0.1)
        x = F.leaky_relu(layer(f"conv{level}_1", x), 0.1) if level > 2 else x
        down.append(x)
    for level in (5, 4, 3, 2):
        beside = down[level - 1]
        flow = wider(f"up{level}", layer(f"flow{level + 1}", x), beside)
        x = torch.cat([beside, F.leaky_relu(wider(f"deconv{level}", x, beside), 0.1), flow], 1)
    return x


@pytest.mark.parametrize("size", [(96, 128), (90, 109)])
def test_a_frame_between_is_its_definition(size: tuple[int, int]) -> None:
    """The flow net, times 2.5, in MXNet's normalisation; the scale map; both on halved maps, rounded up."""
    torch.manual_seed(0)
    network: Any = archdsl.build(archdsl.load("dff_r101_deeplab", height=size[0], width=size[1], depth=50, every=2))
    network = network.double().eval()
    torch.nn.init.normal_(network.edges.reduce.flow_to_features.scale.weight, std=0.1)
    moved: list[Tensor] = []
    network.edges.reduce.flow_to_features.register_forward_hook(lambda *seen: moved.append(seen[-1]))
    clip = 255 * torch.rand(1, 3, 2, *size, dtype=torch.double) - 110
    with torch.no_grad():
        _, (key, features) = network.key_frame(clip[:, :, :1])
        network.current_frame(clip[:, :, 1:], key, features)
        weights = {name.removeprefix("flow.net.0."): value for name, value in network.state_dict().items()}
        pair = F.avg_pool2d(torch.cat([clip[:, :, 1], clip[:, :, 0]], 1) / 255, 2, ceil_mode=True)
        end = F.avg_pool2d(written_out(weights, pair), 2, ceil_mode=True)
        lateral = {name: value.squeeze(2) if value.ndim == 5 else value for name, value in weights.items()}
        flow, scale = (
            F.conv2d(end, lateral[f"{at}.weight"], lateral[f"{at}.bias"], padding=pad)
            for at, pad in (("edges.reduce.flow_to_features.flow", 1), ("edges.reduce.flow_to_features.scale", 0))
        )
        h, w = features.shape[3:]
        across = (2.5 * flow[:, 0] + torch.arange(w)) / ((w - 1) / 2) - 1
        down = (2.5 * flow[:, 1] + torch.arange(h)[:, None]) / ((h - 1) / 2) - 1
        want = scale * F.grid_sample(features[:, :, 0], torch.stack([across, down], -1), align_corners=True)
    assert float((moved[0][:, :, 1] - features[:, :, 0]).abs().max()) > 1e-3
    torch.testing.assert_close(moved[0][:, :, 1], want, atol=1e-9, rtol=1e-9)


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
