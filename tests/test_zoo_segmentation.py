"""Segmenters of images: figures, ways back up written out in plain torch, and training with an auxiliary head."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import archdsl
from archdsl import ops
from archdsl.backend.runtime.convolution.unpool import max_unpool, start_bilinear
from archdsl.language import Edge
from archdsl.ops import Shape
from archdsl.rewrites import inflate

FIGURES = {
    # parameters and multiply-adds, counted by hand from the authors' layer lists; torchvision's are its own
    "fcn32s_vgg16": (136_152_917, 181_365_854_976),
    "fcn16s_vgg16": (134_815_994, 181_448_086_272),
    "fcn8s_vgg16": (134_489_759, 181_529_034_048),
    "fcn32s_alexnet": (58_704_590, 21_424_487_968),
    "fcn_r50": (35_322_218, 152_716_512_000),
    "fcn_r101": (54_314_346, 232_737_606_400),
    "segnet": (29_449_355, 106_712_432_640),
    "deconvnet": (251_805_653, 32_745_979_904),
    "deeplab_largefov_vgg16": (20_505_429, 50_928_085_696),
    "deeplab_v2_vgg16_aspp_l": (37_877_652, 80_120_358_592),
    "deeplab_v2_vgg16_aspp_s": (37_877_652, 80_120_358_592),
    "deeplabv3_r50": (42_004_074, 178_721_945_088),
    "deeplabv3_r101": (60_996_202, 258_743_039_488),
    "unet": (31_030_658, 150_428_424_448),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures(name: str) -> None:
    plan = archdsl.compile(archdsl.load(name))
    assert (plan.params, plan.macs) == FIGURES[name]


def test_figures_beside_those() -> None:
    """Parts of ASPP on ResNet-101; SegNet-Basic; and what fvcore counts beside convolutions: 2 for each normed."""
    aspp = archdsl.compile(archdsl.load("deeplab_v2_r101_aspp_l"))
    assert (aspp.params, aspp.cost_of("rgb.aspp").params) == (44_048_532, 1_548_372)
    assert archdsl.compile(archdsl.load("segnet_basic")).params == 1_416_587
    fcn = archdsl.compile(archdsl.load("fcn_r50"))
    assert fcn.count("fvcore") - fcn.macs == 277_971_200
    assert archdsl.compile(archdsl.load("fcn_r50", aux=False)).params == 32_957_013


def test_unpooling_by_hand() -> None:
    """Of 3x3, windows of 2x2 rounded up: the last row and column are windows of their own."""
    like = torch.tensor([[1.0, 5.0, 2.0], [3.0, 4.0, 9.0], [6.0, 7.0, 8.0]])[None, None, None]
    x = torch.tensor([[10.0, 20.0], [30.0, 40.0]])[None, None, None]
    want = torch.tensor([[0.0, 10.0, 0.0], [0.0, 0.0, 20.0], [0.0, 30.0, 40.0]])
    assert max_unpool(x, like, (1, 2, 2), (1, 2, 2))[0, 0, 0].equal(want)
    with pytest.raises(archdsl.SpecError, match="a map that is no pool of the other"):
        ops.MaxUnpool().out(Shape(1, 1, 2, 2), Shape(1, 1, 5, 4))


def test_bilinear_kernels_enlarge_linearly() -> None:
    deconv = nn.ConvTranspose3d(2, 2, (1, 4, 4), (1, 2, 2), (0, 1, 1), bias=False)
    start_bilinear(deconv.weight)
    x = torch.rand(1, 2, 1, 5, 6)
    want = F.interpolate(x[:, :, 0], scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(deconv(x)[:, :, 0, 1:-1, 1:-1], want[:, :, 1:-1, 1:-1])


@pytest.mark.parametrize(("offset", "rows"), [(0, (0, 3)), (2, (2, 5)), ("middle", (1, 4))])
def test_crops_by_hand(offset: Any, rows: tuple[int, int]) -> None:
    crop, x, like = ops.CropTo(offset=offset), Shape(1, 1, 6, 6), Shape(4, 1, 3, 3)
    assert crop.before(x, like)[1:] == (rows[0], rows[0])
    assert crop.torch(x, like).call.format("x", "y").count(f"{rows[0]} :") == (2 if rows[0] else 0)
    with pytest.raises(archdsl.SpecError, match="a crop larger than the map"):
        ops.CropTo(offset=4).out(x, like)


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    return {key: value.squeeze(2) if value.ndim == 5 else value for key, value in network.state_dict().items()}


@pytest.mark.slow
def test_fcn_8s_is_its_definition() -> None:
    """Scores of three maps, cut as the authors' offsets have it."""
    torch.manual_seed(0)
    network: Any = archdsl.build(archdsl.load("fcn8s_vgg16", size=40, classes=3)).double().eval()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.1 if parameter.ndim == 1 else 1.4 / parameter[0].numel() ** 0.5)
    seen: dict[str, Tensor] = {}
    for stage in ("conv3", "conv4", "fc7"):
        getattr(network.main, stage).register_forward_hook(lambda m, i, y, k=stage: seen.update({k: y[:, :, 0]}))
    image = torch.randn(1, 3, 1, 40, 40, dtype=torch.double)
    with torch.no_grad():
        got = network(image)[:, :, 0]
    w = weights_of(network)

    def score(x: Tensor, name: str) -> Tensor:
        return F.conv2d(x, w[f"{name}.0.conv.weight"], w[f"{name}.0.conv.bias"])

    x = F.conv_transpose2d(score(seen["fc7"], "main.score"), w["main.up_conv4.0.conv.weight"], stride=2)
    x = x + score(seen["conv4"], "conv4.score")[..., 5 : 5 + x.shape[-2], 5 : 5 + x.shape[-1]]
    x = F.conv_transpose2d(x, w["main.up_conv3.0.conv.weight"], stride=2)
    x = x + score(seen["conv3"], "conv3.score")[..., 9 : 9 + x.shape[-2], 9 : 9 + x.shape[-1]]
    x = F.conv_transpose2d(x, w["main.up.0.conv.weight"], stride=8)[..., 31:71, 31:71]
    torch.testing.assert_close(got, x)


def test_segnet_is_its_definition() -> None:
    """torch's own pools with indices and their way back, on a map that halves unevenly."""
    torch.manual_seed(0)
    network: Any = archdsl.build(archdsl.load("segnet", height=36, width=52)).double().eval()
    w = weights_of(network)

    def convolved(x: Tensor, stage: str) -> Tensor:
        for i in sorted({int(key.split(".")[2]) for key in w if key.startswith(f"main.{stage}.")}):
            at = f"main.{stage}.{i}"
            x = F.conv2d(x, w[f"{at}.conv.weight"], w[f"{at}.conv.bias"], padding=1)
            x = F.batch_norm(x, *(w[f"{at}.norm.{k}"] for k in ("running_mean", "running_var", "weight", "bias")))
            x = F.relu(x)
        return x

    image = torch.randn(1, 3, 36, 52, dtype=torch.double)
    x, switches = image, []
    for level in range(1, 6):
        x = convolved(x, f"conv{level}")
        size = x.shape
        x, where = F.max_pool2d(x, 2, ceil_mode=True, return_indices=True)
        switches.append((where, size))
    for level in range(5, 0, -1):
        where, size = switches.pop()
        x = convolved(F.max_unpool2d(x, where, 2, output_size=size[2:]), f"up{level}")
    x = F.conv2d(x, w["head.classifier.weight"], w["head.classifier.bias"], padding=1)
    with torch.no_grad():
        torch.testing.assert_close(network(image[:, :, None])[:, :, 0], x)


def test_unet_joins_the_middle_of_what_it_left_behind() -> None:
    plan = archdsl.compile(archdsl.load("unet"))
    assert [plan.shapes[f"main.down{i}"][2] for i in (1, 2, 3, 4, 5)] == [568, 280, 136, 64, 28]
    assert [plan.shapes[f"edges.widen{i}.across.merge"][:3:2] for i in (4, 3, 2, 1)] == [
        *((1024, 56), (512, 104), (256, 200), (128, 392)),
    ]
    first, second = plan.graph.nodes["edges.widen4.across.merge"].reads
    assert (first, second) == ("edges.widen4.across.crop", "main.widen4.0.conv")
    with pytest.raises(archdsl.SpecError):
        archdsl.compile(archdsl.load("unet", size=20))


def test_a_padded_unet_keeps_its_size_also_when_inflated() -> None:
    flat = archdsl.load("unet", modality="rgb", size=32, base=4, padded=True)
    assert archdsl.compile(flat).outputs == {"scores": (2, 1, 32, 32)}
    for strides in (True, False):
        solid = archdsl.compile(inflate(flat, frames=16, strides=strides))
        assert solid.shapes["main.down5"][1] == (1 if strides else 12)
        assert solid.outputs == {"scores": (2, 16, 32, 32)}
    assert archdsl.build(solid)(torch.rand(1, 3, 16, 32, 32)).shape == (1, 2, 16, 32, 32)
    assert archdsl.compile(archdsl.load("unet_3d", frames=16, size=32, base=4, padded=True)).outputs == {
        "scores": (3, 16, 32, 32)
    }


def test_an_edge_reads_what_is_merged_into_a_stage() -> None:
    """A second edge hands the sum on; without `merged` it hands on the stage alone."""
    text = dict(
        name="net",
        clip=dict(frames=1, size=4),
        pathways={name: {"stages": {"a": {"conv": {"channels": 2}}}} for name in ("x", "y", "z")},
        edges=[
            dict(source="x", target="y", after="a", merge="sum"),
            dict(source="y", target="z", after="a", merge="sum", merged=True),
        ],
        head={"classifier": {"classes": 2, "reads": ["z"]}},
    )
    read = {
        merged: archdsl.compile(
            archdsl.Arch.model_validate(text | {"edges": [text["edges"][0], text["edges"][1] | {"merged": merged}]})
        )
        .graph.nodes["edges.a.y_to_z.merge"]
        .reads[1]
        for merged in (True, False)
    }
    assert read == {True: "edges.a.x_to_y.merge", False: "y.a.0.act"}
    with pytest.raises(archdsl.SpecError, match="`merged` of a block within a stage"):
        Edge(source="x", target="y", after="a.0", merged=True)
