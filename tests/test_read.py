"""Any torch module is read: counted, laid out, compared with a network of ours by its steps, its weights followed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import archdsl
from archdsl.backend.reader import ModuleComparison
from archdsl.backend.reader.steps import TracedStep
from archdsl.backend.reader.transfer import tables_beside
from archdsl.cli import main
from archdsl.errors import SpecError
from archdsl.report import span_table
from benchmarks.originals import (
    mvit_of_pytorchvideo,
    of_pytorchvideo,
    of_torchvision,
    small_mvit,
)

TINY = """
name: tiny
clip: {frames: 4, size: 16}
pathways:
  rgb:
    stages:
      stem: {conv: {channels: 8, kernel: [3, 3, 3], stride: [1, 2, 2]}}
      res: {basic: {channels: 8}}
head: {classifier: {classes: 5}}
"""
TOKENS = """
name: tokens
clip: {frames: 4, size: 16}
pathways:
  main:
    stages:
      tokens: [{patches: {kernel: [2, 8, 8], channels: 12}}, {positions: {over: [hw, t]}}, class_token]
      body: {transformer: {heads: 3, attend: [thw]}, repeat: 2}
head: {class_token: {classes: 5}}
"""


class Theirs(nn.Module):
    """The tiny network as somebody else writes it: other names, modules, pools."""

    def __init__(self, eps: float = 1e-5, channels: int = 8, extra: bool = False) -> None:
        super().__init__()
        n = channels
        self.features = nn.Sequential(
            nn.Conv3d(3, n, 3, (1, 2, 2), 1, bias=False), nn.BatchNorm3d(n, eps=eps), nn.ReLU(inplace=True)
        )
        self.a, self.norm_a = nn.Conv3d(n, n, (1, 3, 3), 1, (0, 1, 1), bias=False), nn.BatchNorm3d(n)
        self.b, self.norm_b = nn.Conv3d(n, n, (1, 3, 3), 1, (0, 1, 1), bias=False), nn.BatchNorm3d(n)
        self.fc = nn.Linear(n, 5)
        self.extra = extra

    def forward(self, clip: Tensor) -> Tensor:
        x = self.features(clip)
        y = self.norm_b(self.b(torch.relu(self.norm_a(self.a(x)))))
        y = torch.relu(x + y).mean((2, 3)).mean(2)
        scores: Tensor = self.fc(y)
        return scores.softmax(-1) if self.extra else scores


class TheirTokens(nn.Module):
    """The tokens as somebody else writes them: one matrix for queries, keys and values, torch's own attention."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv3d(3, 12, (2, 8, 8), (2, 8, 8))
        self.cls = nn.Parameter(torch.randn(1, 1, 12))
        self.space, self.time = nn.Parameter(torch.randn(1, 4, 12)), nn.Parameter(torch.randn(1, 2, 12))
        self.blocks = nn.ModuleList(TheirBlock() for _ in range(2))
        self.norm, self.fc = nn.LayerNorm(12, eps=1e-6), nn.Linear(12, 5)

    def forward(self, clip: Tensor) -> Tensor:
        x = self.embed(clip).flatten(2).transpose(1, 2)
        x = x + self.space.repeat(1, 2, 1) + self.time.repeat_interleave(4, 1)
        x = torch.cat([self.cls.expand(len(x), -1, -1), x], 1)
        for block in self.blocks:
            x = block(x)
        scores: Tensor = self.fc(self.norm(x)[:, 0])
        return scores


class TheirBlock(nn.Module):
    """Attention of three heads and two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(12, eps=1e-6), nn.LayerNorm(12, eps=1e-6)
        self.qkv, self.out, self.up, self.down = (
            nn.Linear(12, 36),
            nn.Linear(12, 12),
            nn.Linear(12, 48),
            nn.Linear(48, 12),
        )

    def forward(self, x: Tensor) -> Tensor:
        n, length, _ = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(n, length, 3, 3, 4).permute(2, 0, 3, 1, 4)
        y = nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, length, 12)
        x = x + self.out(y)
        return x + self.down(nn.functional.gelu(self.up(self.norm2(x))))


def scattered(module: nn.Module) -> nn.Module:
    """The module with running statistics of its own."""
    for name, buffer in module.named_buffers():
        if "running" in name:
            buffer.uniform_(0.5, 1.5)
    return module


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    (tmp_path / "tiny.yaml").write_text(TINY)
    (tmp_path / "tokens.yaml").write_text(TOKENS)
    return tmp_path


def beside(module: nn.Module, spec: Path, clip: Tensor | None = None) -> ModuleComparison:
    """A module beside a spec."""
    torch.manual_seed(0)
    given = torch.zeros(1, 3, 4, 16, 16) if clip is None else clip
    return archdsl.read(scattered(module), given).compare(spec)


def test_a_module_is_a_plan(specs: Path) -> None:
    module = Theirs()
    reading = archdsl.read(module, torch.zeros(1, 3, 4, 16, 16), name="theirs")
    ours = archdsl.compile(archdsl.load(specs / "tiny.yaml"))
    plan = reading.plan
    assert (
        (plan.params, plan.macs) == (ours.params, ours.macs) == (sum(x.numel() for x in module.parameters()), ours.macs)
    )
    assert (plan.count("fvcore"), plan.outputs, plan.inputs) == (ours.count("fvcore"), ours.outputs, ours.inputs)
    assert plan.grids[plan.graph.outputs["scores"]].t.span == ours.grids[ours.graph.outputs["scores"]].t.span
    table = archdsl.table(plan)
    assert [name for name in ("features", "norm_a", "3², 8", "fc, 5") if name not in table] == []
    assert archdsl.draw(plan).startswith("<svg")
    assert span_table(plan).rows
    assert module.training  # reading leaves a module as it was
    assert (reading.opaque, reading.unread) == ({}, 0)


@pytest.mark.parametrize(
    ("module", "spec"), [pytest.param(Theirs, "tiny", marks=pytest.mark.slow), (TheirTokens, "tokens")]
)
def test_networks_that_are_the_same_show_no_difference_and_their_weights_follow(
    module: Any, spec: str, specs: Path
) -> None:
    found = beside(module(), specs / f"{spec}.yaml")
    assert str(found.matching) == "no difference"
    assert found.carried.missing == ()
    assert found.difference is not None
    assert found.difference < 1e-5
    assert found.params[0] == found.params[1]
    assert found.macs[0] == found.macs[1]


@pytest.mark.slow
def test_what_differs_is_told_and_no_more(specs: Path) -> None:
    spec = specs / "tiny.yaml"
    assert beside(Theirs(extra=True), spec).matching.lines == ["- softmax"]
    norm = beside(Theirs(eps=1e-3), spec)
    assert norm.matching.lines == ["~ batch_norm 8 eps 0.001 (features.1) -> batch_norm 8 eps 1e-05 (rgb.stem.0.norm)"]
    assert norm.carried.missing == ()  # weights of a norm with another epsilon follow all the same
    assert norm.difference is not None
    assert norm.difference > 1e-5
    assert len(beside(Theirs(channels=16), spec).matching.lines) > 3
    module = Theirs()
    module.fc = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 5))
    assert beside(module, spec).matching.lines == ["- linear 8 8 (fc.0)"]


@pytest.mark.slow
def test_ops_that_are_not_known_keep_their_shapes_and_are_named(specs: Path) -> None:
    class Odd(Theirs):
        def forward(self, clip: Tensor) -> Tensor:
            return super().forward(torch.cumsum(clip, 2))

    reading = archdsl.read(Odd(), torch.zeros(1, 3, 4, 16, 16))
    assert reading.opaque == {"cumsum": ["Odd (1, 3, 4, 16, 16)"]}
    assert "opaque   cumsum: at Odd (1, 3, 4, 16, 16)" in str(reading)
    assert reading.compare(specs / "tiny.yaml").matching.lines == ["- cumsum"]


def test_a_module_that_cannot_be_traced_and_what_is_none_are_refused() -> None:
    class Branches(nn.Module):
        def forward(self, clip: Tensor) -> Tensor:
            return clip if clip.sum() > 0 else -clip

    with pytest.raises(SpecError, match=r"torch.export cannot trace this module"):
        archdsl.read(Branches(), torch.zeros(1, 3))
    with pytest.raises(SpecError, match="not a torch module"):
        archdsl.read("slow_r50", torch.zeros(1, 3))
    with pytest.raises(SpecError, match="not a clip"):
        archdsl.read(Theirs(), (1, 3, 4, 16, 16))


@pytest.mark.slow
def test_the_command_reads_a_file_and_writes_its_weights(specs: Path, capsys: Any) -> None:
    (specs / "nets.py").write_text("from tests.test_read import Theirs\n\n\ndef make():\n    return Theirs()\n")
    module, clip, out = f"{specs / 'nets.py'}:make", ["--clip", "3x4x16x16"], specs / "w.safetensors"
    assert main(["read", module, *clip, "--vs", str(specs / "tiny.yaml"), "-o", str(out), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["beside"]["differences"], record["opaque"]) == ([], {})
    network = archdsl.build(archdsl.load(specs / "tiny.yaml"), weights=out)
    assert set(network.state_dict()) - {"rgb"}
    assert main(["read", module, *clip, "--table", "block", "--span", "--memory", "--latency"]) == 0
    assert "features" in capsys.readouterr().out
    assert main(["read", module, *clip, "-o", str(specs / "net.svg")]) == 0
    assert (specs / "net.svg").read_text().startswith("<svg")
    capsys.readouterr()
    assert main(["read", module, *clip, "-o", str(out)]) == 2
    assert "--vs NAME" in capsys.readouterr().err
    assert main(["read", module, "--clip", "3x4x32x32", "--vs", str(specs / "tokens.yaml"), "-o", str(out)]) == 2
    assert "not all weights of tokens follow from make" in capsys.readouterr().err


def videomae() -> nn.Module:
    """transformers' VideoMAE, its norms as its authors' code has them."""
    of_torchvision("r3d_18")  # declares torchvision's operators, which transformers imports
    from transformers import VideoMAEConfig, VideoMAEForVideoClassification

    sizes = dict(hidden_size=384, num_attention_heads=6, intermediate_size=1536, num_labels=400, layer_norm_eps=1e-6)
    network: nn.Module = VideoMAEForVideoClassification(VideoMAEConfig(**sizes))
    network.fc_norm.eps = 1e-6  # type: ignore[union-attr, assignment]
    return network


ORIGINALS = {
    "slowfast_8x8_r50": (of_pytorchvideo("slowfast_r50"), [(3, 8, 224, 224), (3, 32, 224, 224)]),
    "x3d_s_ptv": (of_pytorchvideo("x3d_s"), [(3, 13, 160, 160)]),
    "ircsn_r101": (of_pytorchvideo("csn_r101"), [(3, 32, 224, 224)]),
    "mvit_v1_b_16x4": (mvit_of_pytorchvideo, [(3, 8, 96, 96)]),
    "mvit_v2_s_16x4": (small_mvit("mvit_v2_s"), [(3, 8, 88, 88)]),
    "r2plus1d_18": (of_torchvision("r2plus1d_18"), [(3, 8, 64, 64)]),
    "video_swin_t": (of_torchvision("swin3d_t"), [(3, 16, 112, 112)]),
    "videomae_vit_s": (videomae, [(16, 3, 224, 224)]),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the packages' own imports
@pytest.mark.parametrize("name", ORIGINALS)
def test_originals_are_the_networks_of_the_zoo(name: str) -> None:
    make, sizes = ORIGINALS[name]
    try:
        torch.manual_seed(0)
        module = scattered(make())
    except ModuleNotFoundError as missing:
        pytest.skip(f"{missing.name} is not installed: see benchmarks/originals.py")
    clips = [torch.zeros(1, *size) for size in sizes]
    reading = archdsl.read(module, clips if len(clips) > 1 else clips[0])
    found = reading.compare(name)
    assert str(found.matching) == "no difference"
    assert reading.plan.params == found.params[0] == found.params[1] == sum(x.numel() for x in module.parameters())
    assert found.macs[0] == found.macs[1]
    assert found.carried.missing == ()
    assert found.difference is not None
    assert found.difference < 1e-5


def test_a_table_that_has_found_its_like_is_not_joined_of_others() -> None:
    def step(*names: str) -> TracedStep:
        return TracedStep("add", weights={f"beside{i}": (name, 0, 1) for i, name in enumerate(names)})

    theirs = {"pos": torch.ones(5, 4), "cls": torch.zeros(1, 4), "rest": torch.full((4, 4), 2.0)}
    found = tables_beside(step(*theirs), step("table"), theirs, {"table": torch.empty(5, 4)})
    torch.testing.assert_close(found["table"], theirs["pos"])
    del theirs["pos"]
    found = tables_beside(step(*theirs), step("table"), theirs, {"table": torch.empty(5, 4)})
    torch.testing.assert_close(found["table"], torch.cat([theirs["cls"], theirs["rest"]]))
