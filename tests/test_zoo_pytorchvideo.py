"""With equal weights, the same numbers as PyTorchVideo's nets. Needs `pip install --no-deps pytorchvideo==0.1.5`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

import archdsl
from benchmarks.pytorchvideo_nets import key_of_slowfast, weighted

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]  # pytorchvideo is older than this torch
STUBS = ("torchvision", "torchvision.ops", "torchvision.transforms")


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Modules of pytorchvideo.models. torchvision, which they import and do not call here, is an empty stand-in."""
    pytest.importorskip("pytorchvideo", reason="pip install --no-deps pytorchvideo==0.1.5")
    for name in STUBS:
        module = ModuleType(name)
        module.__dict__.update(__spec__=ModuleSpec(name, None), __path__=[], RoIAlign=object)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(sys.modules["torchvision"], "ops", sys.modules["torchvision.ops"], raising=False)
    monkeypatch.setattr(sys.modules["torchvision"], "transforms", sys.modules["torchvision.transforms"], raising=False)
    return lambda name: __import__(f"pytorchvideo.models.{name}", fromlist=["models"])


def scatter(network: nn.Module) -> None:
    """Norms that do something, so that a missing one shows."""
    for norm in (m for m in network.modules() if isinstance(m, nn.BatchNorm3d)):
        for value in (norm.weight, norm.running_var):
            nn.init.uniform_(value, 0.5, 1.5)
        for value in (norm.bias, norm.running_mean):
            nn.init.normal_(value, std=0.1)


@pytest.mark.parametrize(
    ("name", "module", "make", "options", "frames", "every", "size"),
    [
        (
            "x3d_xs_ptv",
            "x3d",
            "create_x3d",
            dict(input_clip_length=4, input_crop_size=160, head_activation=None),
            4,
            12,
            182,
        ),
        ("ircsn_r101", "csn", "create_csn", dict(model_depth=101, stem_pool=nn.MaxPool3d), 8, 2, 224),
        (
            "r2plus1d_16x4_r50",
            "r2plus1d",
            "create_r2plus1d",
            dict(head_pool_kernel_size=(2, 7, 7), head_activation=None),
            8,
            4,
            256,
        ),
    ],
)
def test_outputs_equal(
    models: Callable[[str], Any],
    name: str,
    module: str,
    make: str,
    options: dict[str, Any],
    frames: int,
    every: int,
    size: int,
) -> None:
    torch.manual_seed(0)
    theirs = getattr(models(module), make)(**options).eval()
    ours = archdsl.build(archdsl.load(name, frames=frames * every, size=size)).eval()
    scatter(theirs)
    clip = torch.randn(1, 3, frames * every, size, size)
    taken = clip[:, :, ::every].contiguous()
    pairs = list(zip(weighted(theirs, taken), weighted(ours, clip), strict=True))
    for theirs_part, ours_part in pairs:
        values = zip(ours_part.state_dict().items(), theirs_part.state_dict().values(), strict=True)
        ours_part.load_state_dict({key: value.reshape(mine.shape) for (key, mine), value in values})
    with torch.no_grad():
        want, got = theirs(taken), ours(clip)
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5 * float(want.abs().max()))


@pytest.mark.parametrize(
    ("name", "size"), [("slowfast_8x8_r50", 224), ("slowfast_8x8_r50", 256), ("slow_8x8_r50", 256)]
)
def test_slowfast_outputs_equal(models: Callable[[str], Any], name: str, size: int) -> None:
    torch.manual_seed(0)
    alone = not name.startswith("slowfast")
    if alone:
        theirs = models("resnet").create_resnet(
            model_depth=50,
            stem_conv_kernel_size=(1, 7, 7),
            head_pool_kernel_size=(8, 7, 7),
            stage_conv_a_kernel_size=((1, 1, 1), (1, 1, 1), (3, 1, 1), (3, 1, 1)),
        )
    else:
        theirs = models("slowfast").create_slowfast(model_depth=50, slowfast_fusion_conv_kernel_size=(7, 1, 1))
    ours = archdsl.build(archdsl.load(name, size=size)).eval()
    scatter(theirs.eval())
    weights = theirs.state_dict()
    ours.load_state_dict({key: weights[key_of_slowfast(key, alone=alone)] for key in ours.state_dict()})
    clip = torch.randn(1, 3, 64, size, size)
    slow, fast = clip[:, :, ::8], clip[:, :, ::2]
    with torch.no_grad():
        want, got = theirs(slow if alone else [slow, fast]), ours(clip)
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5 * float(want.abs().max()))
