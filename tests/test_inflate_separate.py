"""Inflation and separation: the rewritten spec is the literal one, and inflated kernels do what they promise."""

from __future__ import annotations

import pytest
import torch

import archdsl
from archdsl.blocks import AvgPool, Basic, Bottleneck, Branches, Conv, MaxPool, Norm
from archdsl.language import Arch, Classifier, Clip, Pathway, Stage
from archdsl.rewrites import inflate, separate
from archdsl.zoo import inception, s3d

STYLE = dict(norm=Norm(eps=1e-3, momentum=1e-3, scale=False), init="normal", pad="tf_same")


def cube(channels: int, k: int = 1, s: int = 1) -> Conv:
    return Conv(channels=channels, kernel=(k, k, k), stride=(s, s, s), **STYLE)


def pool(kernel: tuple[int, int, int], stride: tuple[int, int, int] = (1, 1, 1)) -> MaxPool:
    return MaxPool(kernel=kernel, stride=stride, pad="tf_same")


def mixed(b0: int, b1a: int, b1b: int, b2a: int, b2b: int, b3: int) -> Stage:
    branches = dict(
        b0=cube(b0),
        b1=(cube(b1a), cube(b1b, 3)),
        b2=(cube(b2a), cube(b2b, 3)),
        b3=(pool((3, 3, 3)), cube(b3)),
    )
    return Stage(Branches(branches=branches))


LITERAL_I3D = Arch(
    name="i3d_inception_rgb",
    clip=Clip(frames=64, size=224, fps=25),
    pathways=dict(
        main=Pathway(
            stages=dict(
                conv_1a=Stage(cube(64, 7, 2)),
                pool_2a=Stage(pool((1, 3, 3), (1, 2, 2))),
                conv_2b=Stage(cube(64)),
                conv_2c=Stage(cube(192, 3)),
                pool_3a=Stage(pool((1, 3, 3), (1, 2, 2))),
                mixed_3b=mixed(64, 96, 128, 16, 32, 32),
                mixed_3c=mixed(128, 128, 192, 32, 96, 64),
                pool_4a=Stage(pool((3, 3, 3), (2, 2, 2))),
                mixed_4b=mixed(192, 96, 208, 16, 48, 64),
                mixed_4c=mixed(160, 112, 224, 24, 64, 64),
                mixed_4d=mixed(128, 128, 256, 24, 64, 64),
                mixed_4e=mixed(112, 144, 288, 32, 64, 64),
                mixed_4f=mixed(256, 160, 320, 32, 128, 128),
                pool_5a=Stage(pool((2, 2, 2), (2, 2, 2))),
                mixed_5b=mixed(256, 160, 320, 32, 128, 128),
                mixed_5c=mixed(384, 192, 384, 48, 128, 128),
            )
        )
    ),
    head=Classifier(classes=400, window_t=2, dropout=0.5),
)
"""deepmind/kinetics-i3d, written out."""


def test_i3d_as_a_rewrite_equals_the_literal_spec() -> None:
    assert archdsl.load("i3d_inception_rgb") == LITERAL_I3D


def test_s3d_separates_every_kernel_over_space_and_time() -> None:
    arch = archdsl.load("s3d")
    norm = Norm(eps=1e-3, momentum=1e-3)

    def apart(channels: int, k: int, s: int = 1) -> tuple[Conv, Conv]:
        space = Conv(channels=channels, kernel=(1, k, k), stride=(1, s, s), norm=norm, init="normal", pad="same")
        return space, space.but(kernel=(k, 1, 1), stride=(s, 1, 1))

    stages = arch.pathways["main"].stages
    assert stages["conv_1a"].blocks == apart(64, 7, 2)
    assert stages["conv_2c"].blocks == apart(192, 3)
    assert stages["mixed_3b"].blocks[0].branches["b1"][1:] == apart(128, 3)
    assert stages["mixed_3b"].blocks[0].branches["b3"][0] == MaxPool(kernel=(3, 3, 3), pad="same")


def test_slims_temporal_kernels_have_a_bias_and_start_as_the_identity() -> None:
    network = archdsl.build(s3d.s3d_slim("net", frames=16).but(clips=dict(clip=Clip(frames=16, size=32))))
    space, time = network.main.mixed_3b[0].b1[1], network.main.mixed_3b[0].b1[2]
    assert space.conv.bias is None
    assert torch.equal(time.conv.bias, torch.zeros(128))
    x = torch.rand(1, 128, 4, 3, 3)
    assert torch.equal(time(x), x)


def valid(kernel: tuple[int, int, int], channels: int) -> Conv:
    return Conv(channels=channels, kernel=kernel, pad="valid", norm=Norm(kind="none"))


def test_an_inflated_net_sees_a_still_clip_as_the_image() -> None:
    torch.manual_seed(0)
    stages = dict(
        one=Stage(valid((1, 3, 3), 4), AvgPool(kernel=(1, 2, 2), stride=(1, 2, 2), pad="valid")),
        two=Stage(valid((1, 3, 3), 5)),
    )
    image = Arch(
        name="net", clip=Clip(frames=1, size=12), pathways=dict(main=Pathway(stages=stages)), head=Classifier(classes=3)
    )
    flat, deep = archdsl.build(image).eval(), archdsl.build(inflate(image, frames=9)).eval()
    weights = deep.state_dict()
    for name, weight in flat.state_dict().items():
        t = weights[name].shape[2] if weight.ndim == 5 else 1
        weights[name].copy_(weight.expand_as(weights[name]) / t)
    x = torch.randn(2, 3, 1, 12, 12)
    torch.testing.assert_close(deep(x.expand(-1, -1, 9, -1, -1)), flat(x), rtol=1e-4, atol=1e-6)


def test_flat_stages_and_rows_keep_their_windows() -> None:
    image = inception.inception_v3("net")
    stages = inflate(image, frames=8, flat=("stem",)).pathways["main"].stages
    assert stages["stem"] == image.pathways["main"].stages["stem"]
    assert stages["mixed_6b"].blocks[0].branches["b1"][1].kernel == (1, 1, 7)
    assert stages["mixed_6a"].blocks[0].branches["b2"][0].stride == (2, 2, 2)


@pytest.mark.parametrize("strides", [True, False])
def test_residual_blocks_inflate(strides: bool) -> None:
    stages = dict(
        a=Stage(Bottleneck(channels=8, stride=2)), b=Stage(Basic(channels=8, stride=2)), c=Stage(Basic(channels=8))
    )
    image = Arch(
        name="net", clip=Clip(frames=1, size=8), pathways=dict(main=Pathway(stages=stages)), head=Classifier(classes=3)
    )
    made = inflate(image, frames=8, strides=strides).pathways["main"].stages
    t = 2 if strides else 1
    assert made["a"].blocks == (Bottleneck(channels=8, stride=2, kernel=(3, 3, 3), stride_t=t),)
    assert made["b"].blocks == (Basic(channels=8, stride=2, kernel_t=3, stride_t=t),)
    assert made["c"].blocks == (Basic(channels=8, kernel_t=3),)


def test_padding_in_numbers_is_shared_out() -> None:
    conv = Conv(channels=4, kernel=(3, 5, 5), pad=((2, 0), (2, 2), (2, 2)))
    arch = Arch(
        name="net",
        clip=Clip(frames=4, size=8),
        pathways=dict(main=Pathway(stages=dict(a=Stage(conv)))),
        head=Classifier(classes=3),
    )
    space, time = separate(arch).pathways["main"].stages["a"].blocks
    assert (space.kernel, space.pad) == ((1, 5, 5), ((0, 0), (2, 2), (2, 2)))
    assert (time.kernel, time.pad) == ((3, 1, 1), ((2, 0), (0, 0), (0, 0)))
    assert archdsl.compile(separate(arch)).shapes["main.a"] == archdsl.compile(arch).shapes["main.a"]


def test_padding_and_dilation_in_numbers_are_inflated() -> None:
    """Time is padded and dilated as height is, on either side its own; a flat window keeps its own."""
    pad = ((0, 0), (2, 1), (1, 2))
    conv = Conv(channels=4, kernel=(1, 3, 3), pad=pad, dilation=(1, 2, 1))
    pool = MaxPool(kernel=(1, 3, 3), stride=(1, 2, 2), pad=pad)
    flat = Conv(channels=4, pad=((0, 0), (1, 1), (1, 1)))
    image = Arch(
        name="net",
        clip=Clip(frames=1, size=8),
        pathways=dict(main=Pathway(stages=dict(a=Stage(conv, pool, flat)))),
        head=Classifier(classes=3),
    )
    deep_conv, deep_pool, same = inflate(image, frames=8).pathways["main"].stages["a"].blocks
    assert (deep_conv.kernel, deep_conv.pad) == ((3, 3, 3), ((2, 1), (2, 1), (1, 2)))
    assert deep_conv.dilation == (2, 2, 1)
    assert (deep_pool.kernel, deep_pool.stride, deep_pool.pad) == ((3, 3, 3), (2, 2, 2), ((2, 1), (2, 1), (1, 2)))
    assert same == flat


def test_a_stage_to_keep_must_exist() -> None:
    with pytest.raises(archdsl.SpecError) as error:
        inflate(inception.inception_v1("net"), frames=8, flat=("pool2a",))
    assert "no stage 'pool2a' to keep" in str(error.value)
    assert "fix     pool_2a" in str(error.value)
