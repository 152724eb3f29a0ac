"""Image backbones: integers of the original implementations, and scores of plain torch with equal weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import archdsl
from archdsl.blocks import DenseLayer, InvertedResidual, SqueezeExcite
from archdsl.language import Arch, Classifier, Clip, Pathway, Stage

COUNTS = {
    # parameters and multiply-adds at 224 of torchvision 0.28 (models/*.py, counted on its modules)
    "resnet18": (11_689_512, 1_814_073_344),
    "resnet34": (21_797_672, 3_663_761_408),
    "resnet50": (25_557_032, 4_089_184_256),
    "resnet101": (44_549_160, 7_801_405_440),
    "resnet152": (60_192_808, 11_513_626_624),
    "wide_resnet50_2": (68_883_240, 11_398_021_120),
    "wide_resnet101_2": (126_886_696, 22_753_050_624),
    "resnext50_32x4d": (25_028_904, 4_230_479_872),
    "resnext101_32x8d": (88_791_336, 16_414_015_488),
    "resnext101_64x4d": (83_455_272, 15_460_270_080),
    "vgg11": (132_863_336, 7_609_090_048),
    "vgg13": (133_047_848, 11_308_466_176),
    "vgg16": (138_357_544, 15_470_264_320),
    "vgg19": (143_667_240, 19_632_062_464),
    "vgg11_bn": (132_868_840, 7_609_090_048),
    "vgg13_bn": (133_053_736, 11_308_466_176),
    "vgg16_bn": (138_365_992, 15_470_264_320),
    "vgg19_bn": (143_678_248, 19_632_062_464),
    "alexnet": (61_100_840, 714_188_480),
    "squeezenet1_0": (1_248_424, 818_924_576),
    "squeezenet1_1": (1_235_496, 349_151_936),
    "densenet121": (7_978_856, 2_834_161_664),
    "densenet161": (28_681_000, 7_727_907_072),
    "densenet169": (14_149_480, 3_359_843_328),
    "densenet201": (20_013_928, 4_291_365_888),
    "mobilenet_v2": (3_504_872, 300_774_272),
    "mobilenet_v3_large": (5_483_032, 216_589_760),
    "mobilenet_v3_small": (2_542_856, 56_510_400),
}
PARAMETERS = {
    # timm 1.0 (seresnet*, legacy_seresnet18, mobilenetv1_100, mobilenetv2_140), pytorchcv 0.0.74 (the rest)
    "seresnet18": 11_778_592,
    "seresnet34": 21_958_868,
    "seresnet50": 28_088_024,
    "seresnet101": 49_326_872,
    "seresnet152": 66_821_848,
    "seresnext50_32x4d": 27_559_896,
    "seresnext101_32x4d": 48_955_416,
    "mobilenet_v1": 4_231_976,
    "mobilenet_v2_140": 6_108_776,
    "zfnet": 62_357_608,
    "zfnet_wide": 107_627_624,
    "nin_cifar10": 966_986,
}


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_and_multiply_adds_are_torchvisions(name: str) -> None:
    plan = archdsl.compile(archdsl.load(name))
    assert (plan.params, plan.macs) == COUNTS[name]


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_those_of_the_libraries(name: str) -> None:
    assert archdsl.compile(archdsl.load(name)).params == PARAMETERS[name]


def test_the_first_kernel_strides_in_v1_and_the_second_in_v1_5() -> None:
    old, new = (archdsl.compile(archdsl.load(name)) for name in ("resnet50_v1", "resnet50"))
    assert (old.params, old.macs) == (new.params, 3_857_973_248)
    assert old.shapes["rgb.res3.0.conv_a"] == (128, 1, 28, 28)
    assert new.shapes["rgb.res3.0.conv_a"] == (128, 1, 56, 56)


def test_alexnet_of_2012_by_hand() -> None:
    plan = archdsl.compile(archdsl.load("alexnet_grouped"))
    assert [plan.shapes[f"rgb.conv{i}.0"][2:] for i in (1, 2, 3, 5)] == [(55, 55), (27, 27), (13, 13), (13, 13)]
    convs = 96 * 3 * 121 + 256 * 48 * 25 + 384 * 256 * 9 + 384 * 192 * 9 + 256 * 192 * 9
    linears = 4096 * 9216 + 4096 * 4096 + 1000 * 4096
    assert plan.params == convs + linears + 96 + 256 + 384 + 384 + 256 + 4096 + 4096 + 1000


def test_zfnet_has_the_maps_of_the_papers_figure() -> None:
    plan = archdsl.compile(archdsl.load("zfnet"))
    sides = [plan.shapes[f"rgb.{at}"].h for at in ("conv1.0", "conv1.1", "conv2.0", "conv2.1", "conv5.0", "conv5.1")]
    assert sides == [110, 55, 26, 13, 13, 6]


def test_vgg_m_rounds_its_pools_up() -> None:
    plan = archdsl.compile(archdsl.load("vgg_m_2048", classes=101))
    assert plan.shapes["rgb.conv5"] == (512, 1, 6, 6)
    spatial, temporal = plan.params, plan.params + 96 * 17 * 49
    # arXiv:1604.06573 prints 181.42M for the two towers, a net that is not quite this one
    assert (spatial, spatial + temporal) == (90_627_813, 181_335_594)


def test_lenet_has_the_weights_the_paper_counts() -> None:
    plan = archdsl.compile(archdsl.load("lenet5"))
    layers = {name: plan.cost_of(f"gray.{name}").params for name in ("c1", "s2", "c3", "s4", "c5", "f6")}
    assert layers == {"c1": 156, "s2": 12, "c3": 1516, "s4": 32, "c5": 48_120, "f6": 10_164}
    assert sum(layers.values()) == 60_000


def test_nin_for_imagenet_ends_in_six_by_six() -> None:
    plan = archdsl.compile(archdsl.load("nin"))
    assert plan.shapes["rgb.mlp4"] == (1024, 1, 6, 6)
    assert plan.shapes["head.act"] == (1000, 1, 6, 6)


@pytest.mark.parametrize("name", ["resnet18", "seresnet18", "densenet121", "mobilenet_v3_small", "squeezenet1_1"])
def test_two_frames_are_seen_one_by_one(name: str) -> None:
    """Maps before the classifier of a clip of two frames are those of the two images."""
    torch.manual_seed(0)
    network = archdsl.build(archdsl.load(name, size=64, frames=2)).eval()
    single = archdsl.build(archdsl.load(name, size=64)).eval()
    single.load_state_dict(network.state_dict())
    clip = torch.randn(1, 3, 2, 64, 64)
    seen: list[Tensor] = []
    for one in (network, single):
        one.get_submodule(f"rgb.{list(one.rgb._modules)[-1]}").register_forward_hook(lambda m, a, y: seen.append(y))
    with torch.no_grad():
        network(clip)
        single(clip[:, :, :1])
        single(clip[:, :, 1:])
    both, first, second = seen
    torch.testing.assert_close(both, torch.cat([first, second], dim=2), rtol=1e-4, atol=1e-5)


def same_scores(name: str, plain: nn.Module, size: int, channels: int = 3, **overrides: Any) -> None:
    """The zoo's network gives the scores of plain torch with equal weights, taken in order."""
    torch.manual_seed(0)
    network = archdsl.build(archdsl.load(name, size=size, **overrides)).eval()
    plain = plain.eval()
    weights = zip(network.parameters(), plain.parameters(), strict=True)
    with torch.no_grad():
        for ours, theirs in weights:
            ours.normal_(std=0.5 / max(ours[0].numel(), 1) ** 0.5)
            theirs.copy_(ours.reshape(theirs.shape))
        x = torch.randn(2, channels, size, size)
        torch.testing.assert_close(network(x[:, :, None]), plain(x), rtol=1e-4, atol=1e-5)


class Norm(nn.Module):
    """The response norm of the AlexNet paper, by its formula."""

    def forward(self, x: Tensor) -> Tensor:
        squares = F.pad(x * x, (0, 0, 0, 0, 2, 2))
        total = sum(squares[:, i : i + x.shape[1]] for i in range(5))
        return x / (2 + 1e-4 * total) ** 0.75


def test_alexnet_of_2012_gives_the_scores_of_plain_torch() -> None:
    def conv(*args: int, **fields: int) -> list[nn.Module]:
        return [nn.Conv2d(*args, **fields), nn.ReLU()]

    pool = nn.MaxPool2d(3, 2)
    layers = [*conv(3, 96, 11, stride=4), Norm(), pool, *conv(96, 256, 5, padding=2, groups=2), Norm(), pool]
    layers += [*conv(256, 384, 3, padding=1), *conv(384, 384, 3, padding=1, groups=2)]
    layers += [*conv(384, 256, 3, padding=1, groups=2), pool, nn.Flatten()]
    layers += [nn.Linear(256, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 7)]
    same_scores("alexnet_grouped", nn.Sequential(*layers), size=67, classes=7)


def test_nin_gives_the_scores_of_plain_torch() -> None:
    layers: list[nn.Module] = []
    kinds: list[Callable[..., nn.Module]] = [nn.MaxPool2d, nn.AvgPool2d]
    before = 3
    for i, (kernel, *widths) in enumerate([(5, 192, 160, 96), (5, 192, 192, 192), (3, 192, 192, 10)]):
        for channels, size in zip(widths, (kernel, 1, 1)):
            layers += [nn.Conv2d(before, channels, size, padding=size // 2), nn.ReLU()]
            before = channels
        layers += [kinds[i](3, 2, ceil_mode=True)] if i < 2 else [nn.AvgPool2d(8), nn.Flatten()]
    same_scores("nin_cifar10", nn.Sequential(*layers), size=32)


class Squash(nn.Module):
    """LeNet's scaled tanh."""

    def forward(self, x: Tensor) -> Tensor:
        return 1.7159 * torch.tanh(2 / 3 * x)


class Third(nn.Module):
    """LeNet's third layer by its Table I: sixteen maps, each reading some of six."""

    TABLE = "012 123 234 345 450 501 0123 1234 2345 3450 4501 5012 0134 1245 0235 012345"

    def __init__(self) -> None:
        super().__init__()
        self.rows = [[int(digit) for digit in row] for row in self.TABLE.split()]
        self.maps = nn.ModuleList(nn.Conv2d(len(row), 1, 5) for row in self.rows)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([conv(x[:, row]) for conv, row in zip(self.maps, self.rows)], dim=1)


def test_lenet_gives_the_scores_of_plain_torch() -> None:
    def weighed(channels: int) -> list[nn.Module]:
        return [nn.AvgPool2d(2), nn.Conv2d(channels, channels, 1, groups=channels), Squash()]

    layers = [nn.Conv2d(1, 6, 5), Squash(), *weighed(6), Third(), Squash(), *weighed(16)]
    layers += [nn.Conv2d(16, 120, 5), Squash(), nn.Flatten(), nn.Linear(120, 84), Squash(), nn.Linear(84, 10)]
    same_scores("lenet5", nn.Sequential(*layers), size=32, channels=1)


def block_scores(block: Any) -> tuple[nn.Module, Tensor, Tensor]:
    """A network of one block: its module, a clip, and the map the block gives."""
    torch.manual_seed(0)
    pathway = Pathway(stages=dict(only=Stage(block)))
    clip = Clip(frames=2, size=9, channels=8)
    arch = Arch(name="one", clip=clip, pathways=dict(rgb=pathway), head=Classifier(classes=2))
    network = archdsl.build(arch).eval()
    x = torch.randn(2, 8, 2, 9, 9)
    module = network.rgb.only[0]
    with torch.no_grad():
        return module, x, module(x)


def test_a_dense_layer_adds_channels_beside_what_it_reads() -> None:
    m, x, y = block_scores(DenseLayer(growth=4))
    new = m.conv_b(F.relu(m.norm_b(m.conv_a(F.relu(m.norm_a(x))))))
    assert new.shape[1] == 4
    torch.testing.assert_close(y, torch.cat([x, new], dim=1))


def test_an_inverted_residual_gates_each_frame_by_its_own_mean() -> None:
    se = SqueezeExcite(ratio="1/4", multiple=8, gate="hardsigmoid")
    m, x, y = block_scores(InvertedResidual(channels=8, expand=3, se=se, act="hardswish"))
    wide = F.hardswish(m.norm(m.depthwise(F.hardswish(m.expand_norm(m.expand(x))))))
    weights = F.hardsigmoid(m.se.excite(F.relu(m.se.squeeze(wide.mean(dim=(3, 4), keepdim=True)))))
    assert weights.shape == (2, 24, 2, 1, 1)
    assert m.se.squeeze.out_channels == 8  # 6 rounds to 8
    torch.testing.assert_close(y, x + m.project_norm(m.project(weights * wide)))


@pytest.mark.parametrize(
    ("channels", "multiple", "inner"), [(64, 1, 4), (256, 16, 16), (72, 8, 24), (16, 8, 8), (960, 8, 240)]
)
def test_squeezed_channels_by_hand(channels: int, multiple: int, inner: int) -> None:
    """A quarter for multiples of 8 (as MobileNet v3 rounds), a sixteenth else (as SE-ResNet)."""
    se = SqueezeExcite(ratio="1/4" if multiple == 8 else "1/16", multiple=multiple)
    clip = Clip(frames=1, size=4, channels=channels)
    stage = Stage(InvertedResidual(channels=channels, expand=1, se=se))
    arch = Arch(name="one", clip=clip, pathways=dict(rgb=Pathway(stages=dict(only=stage))), head=Classifier(classes=2))
    assert archdsl.compile(arch).shapes["rgb.only.0.se.squeeze"].c == inner
