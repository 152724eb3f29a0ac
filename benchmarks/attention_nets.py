"""Attention networks of other packages: their own builders, the zoo's names for them, and our weights in them.

Needs `pip install --no-deps torchvision==0.29.1 hiera-transformer==0.1.4 timm==1.0.31 transformers==5.24.0` and what
these import (tokenizers, huggingface_hub, safetensors, httpx, truststore, regex).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from archdsl.backend.weights import exported
from archdsl.catalog.dialects import naming_named


@dataclass(frozen=True)
class AttentionPeer:
    """A builder, the model of our zoo that is the same network, and the names of its weights."""

    ours: str
    package: str
    naming: str
    """The dialect of its weights (`archdsl export --to`)."""
    build: Callable[[], nn.Module]
    frames_first: bool = False
    """Whether its clips are (n, t, c, h, w)."""

    def make(self) -> nn.Module:
        """The network as its package builds it, but for what `build` says."""
        return self.build()

    def feed(self, clip: Tensor) -> Tensor:
        """The clip as the network takes it."""
        return clip.transpose(1, 2).contiguous() if self.frames_first else clip

    def copy(self, ours: nn.Module, theirs: nn.Module) -> None:
        """Every weight of ours under their name; they keep tables of indices alone."""
        state, naming = theirs.state_dict(), naming_named(self.naming)
        values = exported(ours.state_dict(), naming)
        kept = {name: value for name, value in state.items() if naming.ignores(name)}
        theirs.load_state_dict({name: value.reshape(state[name].shape) for name, value in values.items()} | kept)


def torchvision_videos() -> Any:
    """torchvision.models.video; operators are declared first, so that its wheel for CUDA imports beside any torch."""
    if "torchvision" not in sys.modules:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        torchvision_videos.__dict__["library"] = library  # declared as long as it lives
    return import_module("torchvision.models.video")


def pytorchvideo_mvit() -> nn.Module:
    """PyTorchVideo's MViT-B 16x4; to variances it adds 1e-6, as the authors and we do, where theirs adds 1e-5."""
    torchvision_videos()
    hub = import_module("pytorchvideo.models.hub.vision_transformers")
    network: nn.Module = hub.create_multiscale_vision_transformers(**hub.mvit_video_base_config)
    for part in network.modules():
        if isinstance(part, nn.LayerNorm):
            part.eps = 1e-6
    return network


def transformers_net(model: str, **config: Any) -> nn.Module:
    """A network for classification of transformers, of 400 classes."""
    torchvision_videos()
    package = import_module("transformers")
    network: nn.Module = getattr(package, f"{model}ForVideoClassification")(
        getattr(package, f"{model}Config")(num_labels=400, **config)
    )
    return network


def hiera_base() -> nn.Module:
    """Hiera-B of 16 frames without the softmax that it ends in outside training."""
    torchvision_videos()
    network: Any = import_module("hiera").hiera_base_16x224(pretrained=False)
    network.head.act_func = nn.Identity()
    return network


ATTENTION_PEERS = (
    AttentionPeer("mvit_v1_b_16x4", "PyTorchVideo", "pytorchvideo/mvit", pytorchvideo_mvit),
    AttentionPeer("mvit_v2_s_16x4", "torchvision", "torchvision/mvit", lambda: torchvision_videos().mvit_v2_s()),
    AttentionPeer("video_swin_t", "torchvision", "torchvision/swin3d", lambda: torchvision_videos().swin3d_t()),
    AttentionPeer(
        "videomae_vit_b",
        "transformers",
        "huggingface/videomae",
        lambda: transformers_net("VideoMAE", layer_norm_eps=1e-6),
        frames_first=True,
    ),
    AttentionPeer(
        "timesformer_divided_8x32",
        "transformers",
        "huggingface/timesformer",
        lambda: transformers_net("Timesformer"),
        frames_first=True,
    ),
    AttentionPeer("hiera_b_16x224", "hiera-transformer", "authors/hiera", hiera_base),
)
"""What is compared, at the published clips."""
