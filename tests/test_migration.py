"""A torch module leaves as a spec: it compiles to the same network, and its weights give the same outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from test_read import TINY, Theirs, TheirTokens, scattered
from torch import Tensor, nn
from torch.nn import functional as F

import archdsl
from archdsl.backend.migration import Migration, migration_of
from archdsl.cli import main
from archdsl.errors import SpecError
from archdsl.language.writers.yaml_writer import arch_to_data
from benchmarks.originals import of_pytorchvideo, of_torchvision


class Residual(nn.Module):
    """Two kernels around a shortcut, as anyone writes it."""

    def __init__(self, read: int, write: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv3d(read, write, 3, stride, 1, bias=False), nn.BatchNorm3d(write)
        self.conv2, self.bn2 = nn.Conv3d(write, write, 3, 1, 1, bias=False), nn.BatchNorm3d(write)
        changes = stride != 1 or read != write
        self.down = nn.Sequential(nn.Conv3d(read, write, 1, stride, bias=False), nn.BatchNorm3d(write))
        self.changes = changes

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (self.down(x) if self.changes else x))


class Odd(nn.Module):
    """A branch of slopes that no block has, gated by tanh and sigmoid."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.a, self.b = (
            nn.Conv3d(c, c // 2, (3, 1, 1), padding=(1, 0, 0)),
            nn.Conv3d(c // 2, c, (1, 5, 3), padding=(0, 2, 1)),
        )
        self.squeeze, self.excite = nn.Linear(c, 4), nn.Linear(4, c)

    def forward(self, x: Tensor) -> Tensor:
        y = self.b(F.leaky_relu(self.a(x), 0.2))
        gate = torch.sigmoid(self.excite(torch.tanh(self.squeeze(y.mean((2, 3, 4))))))
        return x + y * gate[:, :, None, None, None]


class Stranger(nn.Module):
    """A small network with blocks that are known and one that is not."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv3d(3, 8, (3, 7, 5), (1, 2, 2), (1, 3, 2)), nn.BatchNorm3d(8, eps=1e-3)
        self.pool = nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))
        self.layer1 = nn.Sequential(Residual(8, 16, 2), Residual(16, 16), Residual(16, 16))
        self.odd = Odd(16)
        self.head = nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Dropout(0.3), nn.Linear(16, 7))

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.head(self.odd(self.layer1(self.pool(F.relu(self.bn1(self.conv1(x)))))))
        return scores


class Joined(nn.Module):
    """Branches side by side, then a flattened map and two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv3d(3, 4, 1), nn.Conv3d(3, 6, 3, padding=1, groups=3)
        self.norm, self.pool = nn.BatchNorm3d(10), nn.AvgPool3d((1, 3, 3), 2, (0, 1, 1), count_include_pad=False)
        self.fc = nn.Sequential(
            nn.Linear(10 * 2 * 8 * 8, 12), nn.ReLU6(), nn.Dropout(0.5), nn.Linear(12, 5, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([F.silu(self.one(x)), self.two(x)], 1)
        scores: Tensor = self.fc(self.pool(F.gelu(self.norm(x), approximate="tanh")).flatten(1))
        return scores


@pytest.fixture
def other(tmp_path: Path) -> str:
    """A network that none of these is, so that no zoo is searched."""
    (tmp_path / "tiny.yaml").write_text(TINY)
    return str(tmp_path / "tiny.yaml")


def migrated(module: nn.Module, clip: Tensor, base: str, tmp_path: Path) -> tuple[Migration, dict[str, Any]]:
    """The spec of a module, held to what a migration promises when it is read back from its file."""
    torch.manual_seed(0)
    reading = archdsl.read(scattered(module), clip, name="theirs")
    made = migration_of(reading, base)
    made.write(tmp_path / "net.yaml")
    arch = archdsl.load(tmp_path / "net.yaml")
    plan = archdsl.compile(arch)
    assert (plan.params, plan.macs) == (reading.plan.params, reading.plan.macs)
    assert plan.params + reading.unread == sum(x.numel() for x in module.parameters())
    assert (str(made.comparison.matching), made.proven) == ("no difference", True)
    assert made.comparison.difference is not None
    network = archdsl.build(arch).eval()
    network.load_state_dict(made.comparison.carried.tensors, strict=False)
    torch.manual_seed(1)
    ours = torch.rand(1, *next(iter(arch.clips.values())).shape)
    theirs = module.eval()(ours if clip.ndim == 5 else ours[:, :, 0])
    torch.testing.assert_close(network(ours), theirs, rtol=1e-4, atol=1e-5)
    return made, arch_to_data(arch)


def test_a_strangers_network_is_stages_of_known_blocks_and_one_that_is_drawn(other: str, tmp_path: Path) -> None:
    made, spec = migrated(Stranger(), torch.zeros(1, 3, 8, 32, 32), other, tmp_path)
    assert made.blocks == ("conv", "max_pool", "3 x basic", "odd_block")
    assert made.drawn == ("odd_block",)
    stages = spec["pathways"]["main"]["stages"]
    assert stages["layer1"] == {"basic": {"channels": 16, "kernel_t": 3, "stride": 2, "stride_t": 2}, "repeat": 3}
    assert spec["head"] == {"classifier": {"classes": 7, "dropout": 0.3}}


@pytest.mark.slow
def test_branches_flattened_maps_and_functions_are_what_they_are(other: str, tmp_path: Path) -> None:
    made, spec = migrated(Joined(), torch.zeros(1, 3, 4, 16, 16), other, tmp_path)
    assert made.drawn == ()
    assert made.notes == ()
    assert made.blocks == ("branches", "norm_act", "avg_pool", "flatten", "linear")
    assert spec["head"] == {"classifier": {"classes": 5, "pool": "none", "dropout": 0.5, "bias": False}}


@pytest.mark.slow
def test_tokens_are_transformers(other: str, tmp_path: Path) -> None:
    made, spec = migrated(TheirTokens(), torch.zeros(1, 3, 4, 16, 16), other, tmp_path)
    assert made.blocks == ("patches", "positions", "class_token", "2 x transformer")
    assert spec["head"] == {"class_token": {"classes": 5}}


@pytest.mark.slow
def test_a_network_that_is_there_already_is_extended(other: str, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "nets.py").write_text("from tests.test_read import Theirs\n\n\ndef make():\n    return Theirs()\n")
    out = tmp_path / "net.yaml"
    command = ["read", f"{tmp_path / 'nets.py'}:make", "--clip", "3x4x16x16", "--vs", other, "-o", str(out)]
    assert main(command) == 0
    assert "no difference" in capsys.readouterr().out
    assert out.read_text() == f"extends: {other}\nname: make\n"
    assert archdsl.compile(archdsl.load(out)).params == sum(x.numel() for x in Theirs().parameters())
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["spec"]["proven"]


def test_what_no_op_of_ours_is_and_several_inputs_are_refused(other: str) -> None:
    class Sums(Theirs):
        def forward(self, clip: Tensor) -> Tensor:
            return super().forward(torch.cumsum(clip, 2))

    clip = torch.zeros(1, 3, 4, 16, 16)
    with pytest.raises(SpecError, match="cumsum: no op of ours is this step"):
        migration_of(archdsl.read(Sums(), clip), other)

    class Two(Theirs):
        def forward(self, clip: Tensor) -> Tensor:
            return super().forward(clip[0] + clip[1])

    with pytest.raises(SpecError, match="a module of several inputs that is no network of the zoo"):
        migration_of(archdsl.read(Two(), [clip, clip]), other)


ORIGINALS: dict[str, Any] = {
    "r3d_18": (of_torchvision("r3d_18"), (3, 8, 64, 64), "8 x basic"),
    "r2plus1d_18": (of_torchvision("r2plus1d_18"), (3, 8, 64, 64), "8 x factorized_basic"),
    "resnet50": (of_torchvision("resnet50", num_classes=9), (3, 64, 64), "16 x bottleneck"),
    "vgg11": (of_torchvision("vgg11_bn", num_classes=5), (3, 224, 224), "2 x linear"),
    "mobilenet_v2": (of_torchvision("mobilenet_v2"), (3, 64, 64), "17 x inverted_residual"),
    "vit_b_16": (of_torchvision("vit_b_16", image_size=64), (3, 64, 64), "12 x transformer"),
    "slow_r50": (of_pytorchvideo("slow_r50"), (3, 8, 224, 224), "16 x bottleneck"),
    "csn_r101": (of_pytorchvideo("csn_r101"), (3, 32, 224, 224), "33 x bottleneck"),
    "r2plus1d_r50": (of_pytorchvideo("r2plus1d_r50"), (3, 16, 224, 224), "16 x factorized_bottleneck"),
    "x3d_s": (of_pytorchvideo("x3d_s"), (3, 13, 160, 160), "26 x expanded_bottleneck"),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the packages' own imports
@pytest.mark.parametrize("name", ORIGINALS)
def test_originals_are_stages_of_known_blocks(name: str, other: str, tmp_path: Path) -> None:
    make, size, word = ORIGINALS[name]
    try:
        torch.manual_seed(0)
        module = make()
    except ModuleNotFoundError as missing:
        pytest.skip(f"{missing.name} is not installed: see benchmarks/originals.py")
    made, _ = migrated(module, torch.zeros(1, *size), other, tmp_path)
    assert made.drawn == ()
    assert word in made.blocks


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_network_of_two_pathways_is_one_of_the_zoo(tmp_path: Path) -> None:
    try:
        module = of_pytorchvideo("slowfast_r50", model_num_class=11)()
    except ModuleNotFoundError as missing:
        pytest.skip(f"{missing.name} is not installed: see benchmarks/originals.py")
    clips = [torch.zeros(1, 3, frames, 224, 224) for frames in (8, 32)]
    made = migration_of(archdsl.read(module, clips, name="mine"), "slowfast_8x8_r50")
    assert (made.base, made.proven) == ("slowfast_8x8_r50", True)
    made.write(tmp_path / "net.yaml")
    arch = archdsl.load(tmp_path / "net.yaml")
    assert archdsl.compile(arch).params == sum(x.numel() for x in module.parameters())
