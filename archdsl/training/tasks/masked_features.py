"""Prediction of a moving average's features in hidden parts (V-JEPA 2, arXiv:2506.09985)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.func import functional_call
from torch.nn.functional import l1_loss, layer_norm, smooth_l1_loss

from archdsl.backend import build
from archdsl.compiler import Plan, compile
from archdsl.errors import SpecError, excerpt
from archdsl.language import Arch
from archdsl.report.memory.report import Memory, Setup
from archdsl.rewrites.masks import without_masks
from archdsl.training.data.clips import Batch, Videos
from archdsl.training.data.masks import MaskKind
from archdsl.training.tasks.base import Outputs, Task
from archdsl.training.tasks.masks import MaskedOptions, MaskedTask, only_output


class MaskedFeaturesOptions(MaskedOptions):
    """Masks of blocks, and the loss."""

    masks: MaskKind | None = Field("blocks", description="parts at random, cells or blocks")
    loss: Literal["l1", "smooth_l1"] = Field("l1", description="l1 (V-JEPA 2), or smooth_l1: square up to 1")


class MaskedFeaturesTask(MaskedTask):
    """Targets are what the moving average of the encoder says of whole clips, each position to mean 0, variance 1.

    No gradient reaches it. The recipe's `average` is its decay. In tests the tested weights say the targets.
    """

    name = "masked_features"
    options_kind = MaskedFeaturesOptions

    @classmethod
    def fitting(cls, plan: Plan) -> type[Task]:
        return GivenFeatures if any(clip.modality == "features" for clip in plan.arch.clips.values()) else cls

    @classmethod
    def default_recipe(cls, arch: Arch, *, built_in: bool) -> str:
        return "smoke_features" if built_in else "vjepa2_pretrain"

    @cached_property
    def target_plan(self) -> Plan:
        """The encoder that sees whole clips."""
        return compile(without_masks(self.plan.arch))

    @property
    def target_channels(self) -> int:
        """Channels of the features that are predicted."""
        return next(iter(self.target_plan.outputs.values()))[0]

    def check_clip(self) -> None:
        super().check_clip()
        self.check_channels()

    def check_channels(self) -> None:
        """Raises SpecError where other features are said than those that are predicted."""
        got, want = next(iter(self.plan.outputs.values()))[0], self.target_channels
        if got != want:
            raise SpecError(
                "a head of other features than the encoder's",
                at="head",
                written=self.plan.arch.head.written,
                got=f"{got} channels",
                want=f"{want}",
                fix=f"channels: {want}",
            )

    def prepare(self, videos: Videos, device: torch.device) -> None:
        if not self.recipe.average:
            raise SpecError(
                "features of a moving average that the recipe does not keep",
                at="recipe.average",
                written=self.recipe.written,
                got="0",
                want="the decay of the encoder whose features are predicted",
                fix="--set recipe.average=0.99925",
            )

    def attach(self, weights: Callable[[], Mapping[str, Tensor]]) -> None:
        self.weights = weights()

    def target_bytes(self) -> int:
        """Features of the whole clip, and what stands beside them while the other encoder runs."""
        memory = Memory(self.target_plan, Setup(batch=1, training=False))
        return memory.peak - memory.standing

    def features(self, batch: Batch) -> Tensor:
        """Of whole clips.  (n, c, t, h, w)"""
        assert not isinstance(batch.clips, Tensor)
        clips = batch.clips[self.pictured]
        network = self.target_network(clips.device)
        own = {name: unsharded(self.weights[name]) for name, _ in network.named_parameters()}
        with torch.no_grad():
            found: Tensor = functional_call(network, own, (clips,)).float()
            return normed_channels(found)

    def target_network(self, device: torch.device) -> nn.Module:
        """The encoder; its parameters are never used: each call gives it others."""
        if not hasattr(self, "network"):
            self.network = build(self.target_plan).to(device).eval().requires_grad_(False)
            for parameter in self.network.parameters():
                parameter.data = parameter.new_empty(0)
        return self.network

    def errors(self, outputs: Outputs, batch: Batch) -> Tensor:
        found, targets = only_output(outputs), self.filled(self.features(batch), batch)
        kind = l1_loss if self.options.loss == "l1" else smooth_l1_loss
        return self.by_part(kind(found, targets, reduction="none"))

    def shown(self, outputs: Outputs, batch: Batch) -> Tensor:
        """How far each position is off, 1 the farthest of the clip: white.  (n, 1, t', count h', w')"""
        off = (only_output(outputs) - self.filled(self.features(batch), batch)).abs().mean(1, keepdim=True)
        return off / off.amax(dim=(1, 2, 3, 4), keepdim=True).clamp(min=1e-12)


class GivenFeatures(MaskedFeaturesTask):
    """Of a predictor alone, which reads a map of features: its targets are those that it cannot see."""

    name = MaskedFeaturesTask.name

    @property
    def target_channels(self) -> int:
        return self.plan.inputs[self.pictured][0]

    def check_clip(self) -> None:
        self.check_channels()

    def files(self, data: str, split: str) -> Videos:
        raise self.no_encoder(data)

    def check_inputs(self) -> None:
        raise self.no_encoder("a video")

    def no_encoder(self, got: str) -> SpecError:
        """What is said of data that are no features."""
        return SpecError(
            f"{self.plan.name} reads features that an encoder gives",
            at="clips",
            written=self.plan.arch.written,
            got=excerpt(got),
            want="motion, or the network with its encoder, such as vjepa2_vitl_pretrain",
        )

    def prepare(self, videos: Videos, device: torch.device) -> None:
        """Features are given: no average is needed."""

    def target_bytes(self) -> int:
        return 0

    def features(self, batch: Batch) -> Tensor:
        assert not isinstance(batch.clips, Tensor)
        return normed_channels(batch.clips[self.pictured].float())


def normed_channels(x: Tensor) -> Tensor:
    """Each position to mean 0, variance 1.  (n, c, t, h, w)"""
    return layer_norm(x.movedim(1, -1), x.shape[1:2]).movedim(-1, 1)


def unsharded(weights: Tensor) -> Tensor:
    """All of a tensor whose parts lie with several processes."""
    return weights.full_tensor() if isinstance(weights, DTensor) else weights
