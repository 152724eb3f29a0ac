"""Segmenters and detectors of images, compared with torchvision's and transformers' by outputs with equal weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from test_originals import near, scatter
from torch import nn

import archdsl

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


def copied_by_parts(theirs: nn.Module, ours: nn.Module, parts: Sequence[str]) -> None:
    """Their weights into ours, in the order in which theirs are written; `parts` are ours in that order."""
    own = ours.state_dict()
    keys = [key for part in parts for key in own if key.startswith(part)]
    assert sorted(keys) == sorted(own)
    values = zip(keys, theirs.state_dict().values(), strict=True)
    ours.load_state_dict({key: value.reshape(own[key].shape) for key, value in values})


@pytest.mark.parametrize(("name", "original"), [("fcn_r50", "fcn_resnet50"), ("deeplabv3_r50", "deeplabv3_resnet50")])
def test_scores_of_torchvisions_segmenters(torchvision: Any, name: str, original: str) -> None:
    """Of both heads, on a map whose size is no multiple of the stride."""
    torch.manual_seed(0)
    build = getattr(torchvision.models.segmentation, original)
    theirs = build(weights=None, weights_backbone=None, aux_loss=True).eval()
    scatter(theirs)
    ours = archdsl.build(archdsl.load(name, size=97)).eval()
    copied_by_parts(theirs, ours, ("rgb.", "out.", "head.scores.", "aux.", "head.aux."))
    image = torch.randn(2, 3, 1, 97, 97)
    with torch.no_grad():
        got, want = ours(image), theirs(image[:, :, 0])
    near(got["scores"][:, :, 0], want["out"])
    near(got["aux"][:, :, 0], want["aux"])
