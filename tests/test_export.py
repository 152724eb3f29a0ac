"""Networks leave through torch.onnx.export and torch.export: onnxruntime's scores are torch's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from test_zoo import MODELS, reduced
from torch import Tensor

import archdsl
from archdsl.backend import freeze
from archdsl.language import Model
from archdsl.ops import Proposals
from archdsl.testing.agreement import random_clips

ONNX_LACKS = {
    "googlenet_aux": "adaptive_avg_pool3d from 14 to 4 elements: windows that overlap unevenly",
}
"""Models of the zoo with the op that stands in the way."""


def differs(arch: archdsl.Arch, folder: Path) -> float:
    """The largest difference between onnxruntime and torch, over the largest score."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: make test-all installs it")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed: make test-all installs it")
    torch.manual_seed(0)
    plan = archdsl.compile(arch)
    network, clips = archdsl.build(plan).eval(), random_clips(plan, device="cpu")
    file = folder / "network.onnx"
    # a dict that comes last would be taken for keyword arguments
    args = (clips,) if isinstance(clips, Tensor) else (clips, {})
    small = not any(isinstance(node.op, Proposals) for node in plan.nodes)
    # the loop over proposals is unrolled, and onnxscript's optimiser takes an hour for it
    torch.onnx.export(network, args, file, dynamo=True, verbose=False, optimize=small)
    onnxruntime.set_default_logger_severity(3)
    session = onnxruntime.InferenceSession(file)
    given = [clips] if isinstance(clips, Tensor) else list(clips.values())
    got = session.run(None, {node.name: clip.numpy() for node, clip in zip(session.get_inputs(), given, strict=True)})
    with torch.no_grad():
        scores: Any = network(clips)
    wanted = [scores] if isinstance(scores, Tensor) else list(scores.values())
    assert [x.shape for x in got] == [tuple(x.shape) for x in wanted]
    errors = ((torch.from_numpy(x) - y).abs().max() / y.abs().max().clamp_min(1e-6) for x, y in zip(got, wanted))
    return max(float(error) for error in errors)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch's exporter warns of its own parts
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_onnxruntime_gives_what_torch_gives(model: Model, tmp_path: Path) -> None:
    arch = reduced(model)
    if "F.adaptive_" in archdsl.emit(archdsl.compile(arch)):
        arch = model.arch()  # VGG's pool to 7x7 parts its own size evenly
    if model.name in ONNX_LACKS:
        with pytest.raises(Exception, match="_adaptive_avg_pool3d"):
            differs(arch, tmp_path)
    else:
        assert differs(arch, tmp_path) < 1e-5


TINY = """
name: tiny
clip: {frames: 4, size: 16}
pathways: {rgb: {stages: {res: {bottleneck: {channels: 8, stride: 2}}}}}
head: {classifier: {classes: 3}}
"""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch.jit.trace is to go, and warns of each branch on a shape
def test_a_frozen_network_is_exported_and_traced_before_its_first_clip(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY)
    arch = archdsl.load(tmp_path / "tiny.yaml")
    torch.manual_seed(0)
    literal, clip = archdsl.build(arch).eval(), torch.rand(2, 3, 4, 16, 16)
    scores = literal(clip)
    for leave in (lambda net: torch.export.export(net, (clip,)).module(), lambda net: torch.jit.trace(net, (clip,))):
        lowered = archdsl.build(arch, lower="auto")
        lowered.load_state_dict(literal.state_dict())
        frozen = freeze(lowered)
        torch.testing.assert_close(leave(frozen)(clip), scores, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(frozen(clip), scores, rtol=1e-5, atol=1e-6)
    with pytest.raises(RuntimeError, match="trace a frozen network before its first clip"):
        torch.jit.trace(frozen, (clip,))
