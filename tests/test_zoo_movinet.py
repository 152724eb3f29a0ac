"""MoViNet: counts and state of the original implementation, and streams that agree with whole clips."""

from __future__ import annotations

import json

import pytest
import torch

import archdsl
from archdsl.cli import main

COUNTS = {
    # params, macs, fvcore of Atze00/MoViNet-pytorch; reference/oracle.json: movinet_A0_base_50f_172 and so on
    "movinet_a0": (3_111_799, 2_630_733_808, 2_759_809_008),
    "movinet_a1": (4_690_296, 5_865_612_704, 6_098_949_504),
    "movinet_a2": (5_249_562, 11_558_071_168, 12_023_923_968),
    "movinet_a3": (7_397_545, 55_593_197_440, 57_484_320_640),
    "movinet_a4": (11_349_463, 103_338_794_368, 106_440_505_728),
    "movinet_a5": (18_650_523, 276_334_081_024, 283_180_225_024),
    "movinet_a0_stream": (3_748_031, 2_426_445_040, 2_583_232_240),
    "movinet_a1_stream": (6_447_352, 5_540_325_200, 5_827_514_000),
    "movinet_a2_stream": (7_326_962, 10_700_453_120, 11_289_550_720),
    "movinet_a3_stream": (10_986_585, 52_133_563_392, 54_532_180_992),
    "movinet_a4_stream": (18_136_135, 96_741_128_448, 100_782_354_688),
    "movinet_a5_stream": (31_495_875, 261_710_004_736, 270_642_228_736),
}
STATE = {
    # macs and fvcore of one frame (movinet_A0_stream_1f_172 and so on), elements that the original holds
    "movinet_a0_stream": (50_696_504, 53_832_248, 674_192),
    "movinet_a1_stream": (113_214_952, 118_958_728, 1_220_560),
    "movinet_a2_stream": (216_497_792, 228_279_744, 2_707_088),
    "movinet_a3_stream": (437_175_936, 457_164_416, 4_568_880),
    "movinet_a4_stream": (1_212_208_720, 1_262_724_048, 12_350_080),
    "movinet_a5_stream": (2_184_149_952, 2_258_585_152, 18_773_392),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts_are_the_originals(name: str) -> None:
    plan = archdsl.compile(archdsl.load(name))
    assert (plan.params, plan.macs, plan.count("fvcore")) == COUNTS[name]


@pytest.mark.parametrize("name", STATE)
def test_a_frame_of_a_stream(name: str) -> None:
    plan = archdsl.compile(archdsl.load(name))
    frame = plan.one_frame
    assert frame
    assert (frame.macs, frame.count("fvcore"), frame.held) == STATE[name]
    assert frame.held == plan.held


def test_the_table_and_the_count_tell_of_the_stream(capsys: pytest.CaptureFixture[str]) -> None:
    plan = archdsl.compile(archdsl.load("movinet_a0_stream"))
    assert "as a stream 50,696,504 macs a frame, 674,192 numbers held between frames" in archdsl.table(plan)
    assert main(["count", "movinet_a0_stream", "movinet_a0", "--json"]) == 0
    stream, base = json.loads(capsys.readouterr().out)
    assert (stream["stream"]["macs"], stream["stream"]["held"]) == (50_696_504, 674_192)
    assert "stream" not in base


def test_frame_by_frame_is_the_whole_clip() -> None:
    torch.manual_seed(0)
    network = archdsl.build(archdsl.load("movinet_a0_stream", frames=5, size=48)).double().eval()
    for name, value in network.named_parameters():
        if name.endswith("gain.weight"):
            value.data.fill_(1.0)
    clip, state, given = torch.randn(1, 3, 5, 48, 48, dtype=torch.double), None, []
    with torch.no_grad():
        for i in range(5):
            scores, state = network.step(clip[:, :, i : i + 1], state)
            given.append(scores)
            torch.testing.assert_close(scores, network(clip[:, :, : i + 1]))
    assert not torch.allclose(given[0], given[-1], rtol=1e-3)
    held = sum(part[0].numel() for part in state.values())
    assert held == archdsl.compile(archdsl.load("movinet_a0_stream", frames=1, size=48)).held


@pytest.mark.parametrize("name", ["movinet_a0", "movinet_a0_stream"])
def test_training_reaches_every_weight(name: str) -> None:
    network = archdsl.build(archdsl.load(name, frames=3, size=48))
    for key, value in network.named_parameters():
        if key.endswith("gain.weight"):
            value.data.fill_(0.1)
    network(torch.randn(2, 3, 3, 48, 48)).square().sum().backward()
    assert [key for key, value in network.named_parameters() if value.grad is None] == []
