"""Few weights beside frozen ones: adapters and low-rank terms, by counts, by outputs, and as what trains."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import archdsl
from archdsl.backend.weights.lora import merged_lora
from archdsl.blocks import Adapter, Transformer
from archdsl.errors import SpecError
from archdsl.language import Arch, Stage
from archdsl.language.recipes.optimizer import Optimizer, ParameterGroup
from archdsl.language.writers.yaml_writer import to_yaml
from archdsl.rewrites import with_adapters, with_lora
from archdsl.testing import check
from archdsl.training.optimizer import freeze_groups, make_optimizer

TRAINED = ("head.*", "*.between.*", "*.before.*")
AIM_TRAINED = ("head.*", "*after.*", "*.beside.*", "*_before.*", "main.tokens.4.*", "main.end.1.*")
COUNTS = {
    # params, those that train, macs; linziyi96/st-adapter@bded03c0
    "st_adapter_b16": (93_217_168, 7_417_744, 151_624_593_408, TRAINED),
    "st_adapter_b16_32f": (93_217_168, 7_417_744, 606_497_452_032, TRAINED),
    "st_adapter_b16_ssv2": (100_153_518, 14_354_094, 162_744_224_256, TRAINED),
    "st_adapter_l14": (322_534_800, 19_355_024, 686_807_597_056, TRAINED),
    # taoyang1122/adapt-image-models@b3580d2
    "aim_b16": (96_764_560, 10_966_672, 202_088_312_832, AIM_TRAINED),
    "aim_b16_32f": (96_782_992, 10_985_104, 811_141_017_600, AIM_TRAINED),
    "aim_b16_ssv2": (100_141_230, 14_343_342, 207_665_515_008, AIM_TRAINED),
    "aim_l14": (341_438_864, 38_261_136, 933_479_858_176, AIM_TRAINED),
    "aim_l14_16f": (341_447_056, 38_269_328, 1_868_576_210_944, AIM_TRAINED),
    "aim_l14_32f": (341_463_440, 38_285_712, 3_743_619_629_056, AIM_TRAINED),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts_of_the_originals_and_what_trains(name: str) -> None:
    """Groups of a recipe freeze all but adapters and what their authors train."""
    params, trained, macs, patterns = COUNTS[name]
    plan = archdsl.compile(archdsl.load(name))
    with torch.device("meta"):
        network = archdsl.build(plan)
    names = [name for name, _ in network.named_parameters()]
    free = [pattern for pattern in patterns if any(fnmatchcase(name, pattern) for name in names)]
    groups = (*(ParameterGroup(match=pattern) for pattern in free), ParameterGroup(match="*", rate=0))
    freeze_groups(network, groups)
    assert (plan.params, plan.macs) == (params, macs)
    assert sum(p.numel() for p in network.parameters() if p.requires_grad) == trained


def test_a_kernel_over_space_by_hand() -> None:
    plan = archdsl.compile(archdsl.load("st_adapter_b16", kernel=(3, 3, 3)))
    assert (plan.params, plan.macs) == (93_327_760, 151_798_001_664)


def small(name: str, **parameters: Any) -> Arch:
    """Two blocks at 2 frames of 32 pixels in 4 x 4 patches."""
    arch = archdsl.load(name, size=32, frames=2, classes=5, patch=8, **parameters)
    pathway = arch.pathways["main"]
    body = Stage(*pathway.stages["body"].blocks[:2])
    return arch.but(pathways={"main": pathway.but(stages={**pathway.stages, "body": body})})


def scattered(arch: Arch) -> Any:
    """The network with weights that all do something."""
    torch.manual_seed(0)
    network = archdsl.build(arch).eval()
    for weights in network.parameters():
        weights.data.add_(0.03 * torch.randn_like(weights))
    return network


def rows_of(x: Tensor) -> Tensor:
    """(1, c, t, r, 1) -> (t, r, c)"""
    return x[0, ..., 0].permute(1, 2, 0)


def attended(part: Any, x: Tensor) -> Tensor:
    """Attention along the middle axis by torch's own, with a part's weights.  (n, length, c)"""
    q, k, v = (layer(x).unflatten(2, (12, -1)).transpose(1, 2) for layer in (part.query, part.key, part.value))
    return part.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


def bottleneck(part: Any, x: Tensor) -> Tensor:
    return part.up(F.gelu(part.down(x)))


def perceptron(part: Any, x: Tensor) -> Tensor:
    y = part.up(x)
    return part.down(y * torch.sigmoid(1.702 * y))


def test_a_block_of_aim_by_its_definition() -> None:
    """taoyang1122/adapt-image-models, mmaction/models/backbones/vit_clip.py, with one and two adapters in time."""
    for name in ("aim_b16", "aim_b16_ssv2"):
        network = scattered(small(name))
        block, x = network.main.body[0], torch.randn(1, 768, 2, 17, 1)
        rows, share = rows_of(x), 0.5 if name == "aim_b16" else 1.0
        with torch.no_grad():
            y = block.attend.norm(rows)
            if name == "aim_b16_ssv2":
                y = y + bottleneck(block.attend_t_before[0], y)
            over_time = attended(block.attend, y.transpose(0, 1)).transpose(0, 1)
            rows = rows + bottleneck(block.attend_t_after[0], over_time)
            over_space = attended(block.attend, block.attend.norm(rows))
            rows = rows + over_space + bottleneck(block.attend.after[0], over_space)
            y = block.mlp.norm(rows)
            rows = rows + perceptron(block.mlp, y) + share * bottleneck(block.mlp.beside[0], y)
            torch.testing.assert_close(rows_of(block(x)), rows, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("kernel", [(3, 1, 1), (3, 3, 3)])
def test_a_block_of_st_adapter_by_its_definition(kernel: tuple[int, int, int]) -> None:
    """linziyi96/st-adapter, models_adapter.py: class tokens pass by, patches are convolved between two layers."""
    network = scattered(small("st_adapter_b16", kernel=kernel, where="both"))
    block, x = network.main.body[0], torch.randn(1, 768, 2, 17, 1)

    def adapted(part: Any, rows: Tensor) -> Tensor:
        y = part.down(rows[:, 1:]).view(1, 2, 4, 4, -1).permute(0, 4, 1, 2, 3)
        pad = tuple(k // 2 for k in kernel)
        y = F.conv3d(y, part.conv.weight, part.conv.bias, padding=pad, groups=y.shape[1])
        y = part.up(y.permute(0, 2, 3, 4, 1).reshape(2, 16, -1))
        return torch.cat([rows[:, :1], rows[:, 1:] + y], dim=1)

    with torch.no_grad():
        rows = adapted(block.before[0], rows_of(x))
        rows = rows + attended(block.attend, block.attend.norm(rows))
        rows = adapted(block.between[0], rows)
        rows = rows + perceptron(block.mlp, block.mlp.norm(rows))
        torch.testing.assert_close(rows_of(block(x)), rows, rtol=1e-5, atol=2e-5)


def test_adapters_start_as_the_net_without_them() -> None:
    """The weights of the net carry over by address, and scores are equal."""
    adapted_net = archdsl.build(small("st_adapter_b16")).eval()
    plain = small("st_adapter_b16")
    body = Stage(*(block.but(between=()) for block in plain.pathways["main"].stages["body"].blocks))
    stages = {**plain.pathways["main"].stages, "body": body}
    plain = plain.but(pathways={"main": plain.pathways["main"].but(stages=stages)})
    base = archdsl.build(plain).eval()
    found = adapted_net.load_state_dict(base.state_dict(), strict=False)
    assert not found.unexpected_keys
    assert all(".between." in key for key in found.missing_keys)
    clip = torch.randn(2, 3, 2, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(adapted_net(clip), base(clip))


def test_adapted_nets_agree_with_torch_and_run_lowered() -> None:
    arch = with_lora(small("aim_b16_ssv2"), ["*.query", "*.out"], rank=2, alpha=4)
    check(arch)
    network = scattered(arch)
    lowered = archdsl.build(arch, lower="auto").eval()
    lowered.load_state_dict(network.state_dict())
    clip = torch.randn(2, 3, 2, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(lowered(clip), network(clip), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("at", "rank", "extra"),
    [
        (("*.query", "*.value"), 8, 294_912),
        (("*.query", "*.key", "*.value", "*.out"), 4, 294_912),
        (("main.body.*.attend.*", "*.mlp.*"), 16, 2_654_208),
    ],
)
def test_parameters_and_products_of_low_rank_terms(at: tuple[str, ...], rank: int, extra: int) -> None:
    """rank (in + out) for each layer, and as many products for each of its positions."""
    base = archdsl.load("vit_b16")
    before, after = archdsl.compile(base), archdsl.compile(with_lora(base, at, rank=rank))
    assert after.params - before.params == extra
    assert after.macs - before.macs == extra * 197


def test_a_low_rank_term_starts_at_0_and_merges_into_its_layer() -> None:
    arch = with_lora(small("st_adapter_b16"), ["*.query", "head.classifier"], rank=2, alpha=6)
    base = archdsl.build(small("st_adapter_b16")).eval()
    network = archdsl.build(arch).eval()
    network.load_state_dict(base.state_dict(), strict=False)
    clip = torch.randn(2, 3, 2, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(network(clip), base(clip))
        for name, weights in network.named_parameters():
            if "_lora." in name:
                weights.normal_(std=0.1)
        assert not torch.allclose(network(clip), base(clip), atol=1e-3)
        base.load_state_dict(merged_lora(arch, network.state_dict()))
        torch.testing.assert_close(network(clip), base(clip), rtol=1e-5, atol=1e-5)


def test_an_arch_with_low_rank_terms_is_written_and_read_back(tmp_path: Any) -> None:
    arch = with_lora(small("aim_b16"), "*.query", rank=2)
    path = tmp_path / "net.yaml"
    path.write_text(to_yaml(arch), encoding="utf-8")
    back = archdsl.load(path)
    assert back == arch
    assert "lora: {at: ['*.query'], rank: 2}" in path.read_text(encoding="utf-8")


BASE = archdsl.load("vit_b16")
ADAPTER = Adapter(channels=8)


@pytest.mark.parametrize(
    ("made", "what"),
    [
        (lambda: with_lora(BASE, "main.body.0.attend.quer"), "fix     main.body.0.attend.query"),
        (lambda: with_lora(BASE, "main.body.0.attend.quer"), "lora at no linear layer: 'main.body.0.attend.quer'"),
        (lambda: with_adapters(BASE, {"behind": ADAPTER}), "no place 'behind' for an adapter"),  # type: ignore[dict-item]
        (
            lambda: with_adapters(BASE, {"between": ADAPTER}, stages=["tokens"]),
            "no transformer block in stage tokens",
        ),
        (lambda: with_adapters(archdsl.load("slow_4x16_r50"), {"between": ADAPTER}), "adapters of no transformer"),
        (lambda: with_adapters(BASE, {"before_time": ADAPTER}), "an adapter before an attention that is not there"),
        (lambda: with_adapters(BASE, {"in_time": ADAPTER}), "shared weights of an attention beside tokens"),
        (lambda: with_blocks(({"over": "t", "shared": True}, "t", "hw")), "not one attention whose weights are shared"),
    ],
)
def test_faults_of_adapters(made: Any, what: str) -> None:
    with pytest.raises(SpecError) as caught:
        archdsl.compile(made())
    assert what in str(caught.value)


def with_blocks(attend: Any) -> Transformer:
    """A block with these attentions."""
    return Transformer(heads=2, attend=attend)


def test_rows_that_fill_no_square_need_a_height() -> None:
    arch = archdsl.load("st_adapter_b16", kernel=(3, 3, 3), size=32, patch=8)
    clip = arch.clips["clip"].but(size=None, height=32, width=48)
    with pytest.raises(SpecError, match="rows of tokens that fill no map"):
        archdsl.compile(arch.but(clips={"clip": clip}))


def test_only_what_the_groups_leave_learns() -> None:
    """Two steps of AdamW by a recipe's groups: low-rank terms and head move, all else stays."""
    network = archdsl.build(with_lora(small("st_adapter_b16"), rank=2))
    groups = tuple(ParameterGroup(match=m, rate=r) for m, r in (("*_lora.*", 1), ("head.*", 1), ("*", 0)))
    wanted = Optimizer(kind="adamw", rate=0.01, groups=groups)
    freeze_groups(network, wanted.groups)
    before = {name: weights.detach().clone() for name, weights in network.named_parameters()}
    optimizer = make_optimizer(network, wanted)
    for _ in range(2):
        optimizer.zero_grad()
        network(torch.randn(2, 3, 2, 32, 32)).square().sum().backward()
        optimizer.step()
    moved = {name for name, weights in network.named_parameters() if not torch.equal(weights, before[name])}
    assert moved == {name for name in before if "_lora." in name or name.startswith("head.")}
