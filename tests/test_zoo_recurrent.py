"""LRCN and GRU-RCN: figures worked out apart, equations of the stacked form step by step, streams."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import archdsl
from archdsl.report.parts import stage_names
from archdsl.zoo import gru_rcn

LEVELS = {
    # C_in, hidden, kernel, side of the map at 224; 3 k^2 (C h + h^2)
    "level1": (128, 64, 3, 56, 331_776),
    "level2": (256, 128, 3, 28, 1_327_104),
    "level3": (512, 256, 3, 14, 5_308_416),
    "level4": (512, 256, 3, 7, 5_308_416),
    "level5": (4096, 512, 1, 1, 7_077_888),
}
HEADS = (64 + 128 + 256 + 256 + 512) * 101 + 5 * 101
TRUNK = 138_357_544 - (4096 * 1000 + 1000)
"""VGG-16 without its classifier."""


def test_lrcn_by_hand() -> None:
    convs = 96 * 3 * 49 + 384 * 48 * 25 + 512 * 384 * 9 + 512 * 256 * 9 + 384 * 256 * 9
    biases = 96 + 384 + 512 + 512 + 384
    rest = 384 * 36 * 4096 + 4096
    for name, hidden in (("lrcn_caffenet", 256), ("lrcn_caffenet_flow", 1024)):
        plan = archdsl.compile(archdsl.load(name))
        lstm = 4 * (4096 * hidden + hidden**2) + 4 * hidden
        assert plan.params == convs + biases + rest + lstm + hidden * 101 + 101
        assert plan.cost_of("main.lstm").params == lstm
    plan = archdsl.compile(archdsl.load("lrcn_caffenet"))
    assert (plan.params, plan.macs) == (65_421_285, 16 * 1_194_401_824)
    shapes = [plan.shapes[f"main.{stage}"] for stage in ("conv1", "conv2", "conv4", "conv5", "fc6", "lstm")]
    assert shapes == [
        (96, 16, 55, 55),
        (384, 16, 13, 13),
        (512, 16, 13, 13),
        (384, 16, 6, 6),
        (4096, 16, 1, 1),
        (256, 16, 1, 1),
    ]


def test_lrcn_holds_its_state_and_its_mean_between_frames() -> None:
    plan = archdsl.compile(archdsl.load("lrcn_caffenet"))
    assert plan.held == 2 * 256 + 101
    assert plan.one_frame is not None
    assert plan.one_frame.macs * 16 == plan.macs
    assert archdsl.compile(archdsl.load("lrcn_caffenet", each=True)).outputs == {"scores": (101, 16)}


def test_gru_rcn_by_hand() -> None:
    plan = archdsl.compile(archdsl.load("gru_rcn_vgg16"))
    for level, (c, h, k, side, params) in LEVELS.items():
        assert 3 * k * k * (c * h + h * h) == params
        cost = plan.cost_of(level)
        assert (cost.params, cost.macs) == (params, params * 10 * side * side)
    assert plan.params == TRUNK + sum(level[-1] for level in LEVELS.values()) + HEADS == 153_737_465
    assert sum(plan.cost_of(level).macs for level in LEVELS) // 10 == 3_388_538_880
    assert plan.held == 64 * 56**2 + 128 * 28**2 + 256 * 14**2 + 256 * 7**2 + 512


def test_a_table_has_the_stages_of_a_tap_behind_what_they_read() -> None:
    names = stage_names(archdsl.compile(archdsl.load("gru_rcn_vgg16")))
    assert names == ["conv1", "conv2", "gru", "conv3", "conv4", "conv5", "fc6", "fc7"]


def test_the_stacked_form_adds_terms_of_the_level_below() -> None:
    plain, stacked = (archdsl.compile(archdsl.load(f"gru_rcn_vgg16{end}")) for end in ("", "_stacked"))
    widths = [(h, k) for _, h, k, *_ in LEVELS.values()]
    extra = [2 * k * k * below * h for (below, _), (h, k) in pairwise(widths)]
    assert extra == [147_456, 589_824, 1_179_648, 262_144]
    assert stacked.params == plain.params + sum(extra)
    assert stacked.held == plain.held
    assert stacked.one_frame is not None


def test_two_directions_have_states_of_their_own() -> None:
    plain, both = (archdsl.compile(archdsl.load(f"gru_rcn_vgg16{end}")) for end in ("", "_bidirectional"))
    assert both.params == plain.params + sum(level[-1] for level in LEVELS.values()) + HEADS - 5 * 101
    assert both.one_frame is None
    assert not both.warnings


def small(stacked: bool) -> Any:
    """The net at 64 pixels and 4 frames, in double."""
    torch.manual_seed(0)
    name = "gru_rcn_vgg16_stacked" if stacked else "gru_rcn_vgg16"
    return archdsl.build(archdsl.load(name, frames=4, size=64)).double().eval()


@pytest.mark.slow
def test_levels_within_a_loop_over_steps_give_the_same() -> None:
    """The paper's order: at each step all levels from below to above, each reading the one below at that step."""
    network = small(stacked=True)
    met: dict[str, Tensor] = {}
    modules = dict(network.named_modules())
    for level, (after, *_) in gru_rcn.LEVELS.items():
        for name in (f"rgb.{after}", f"{level}.gru"):
            modules[name].register_forward_hook(lambda m, args, y, name=name: met.update({name: y}))
    with torch.no_grad():
        network(torch.randn(2, 3, 4, 64, 64, dtype=torch.double))
    weights = network.state_dict()
    states: dict[str, Tensor] = {}
    for t in range(4):
        below = None
        for level, (after, hidden, kernel) in gru_rcn.LEVELS.items():
            x, h, pad = met[f"rgb.{after}"][:, :, t], states.get(level), kernel // 2
            w, u = weights[f"{level}.terms.0.conv.weight"][:, :, 0], weights[f"{level}.gru.0.scan.weight"]
            h = x.new_zeros(2, hidden, *x.shape[2:]) if h is None else h
            gates = F.conv2d(x, w[: 2 * hidden], padding=pad) + F.conv2d(h, u[: 2 * hidden], padding=pad)
            if below:
                lateral = weights[f"edges.terms.{below}_to_{level}.through.1.conv.weight"][:, :, 0]
                side = states[below].shape[-1] if level == "level5" else 2
                gates = gates + F.conv2d(F.max_pool2d(states[below], side, side), lateral, padding=pad)
            r, z = torch.sigmoid(gates).chunk(2, dim=1)
            n = F.conv2d(x, w[2 * hidden :], padding=pad) + F.conv2d(r * h, u[2 * hidden :], padding=pad)
            states[level] = z * h + (1 - z) * torch.tanh(n)
            torch.testing.assert_close(met[f"{level}.gru"][:, :, t], states[level], rtol=0, atol=1e-12)
            below = level


@pytest.mark.slow
@pytest.mark.parametrize("stacked", [False, True])
def test_frame_by_frame_is_the_whole_clip(stacked: bool) -> None:
    network, state = small(stacked), None
    clip = torch.randn(1, 3, 4, 64, 64, dtype=torch.double)
    with torch.no_grad():
        for i in range(4):
            scores, state = network.step(clip[:, :, i : i + 1], state)
            torch.testing.assert_close(scores, network(clip[:, :, : i + 1]))


def test_googlenets_markers_begin_anew() -> None:
    torch.manual_seed(0)
    network: Any = archdsl.build(archdsl.load("lrcn_googlenet", frames=4, size=64, each=True)).double().eval()
    rgb, markers = torch.randn(1, 3, 4, 64, 64, dtype=torch.double), torch.ones(1, 1, 4, 1, 1, dtype=torch.double)
    markers[:, :, 2] = 0
    with torch.no_grad():
        parted = network(dict(rgb=rgb, markers=markers))
        halves = [network(dict(rgb=half, markers=torch.ones_like(markers[:, :, :2]))) for half in rgb.split(2, dim=2)]
        torch.testing.assert_close(parted, torch.cat(halves, dim=2))
        assert not torch.allclose(parted, network(dict(rgb=rgb, markers=torch.ones_like(markers))))
