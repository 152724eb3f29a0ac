"""Masked autoencoding: the pixels of hidden patches (VideoMAE, arXiv:2203.12602; Hiera, arXiv:2306.00989)."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from archdsl.errors import SpecError
from archdsl.language import Arch, MaskedPixels
from archdsl.training.data.clips import Batch
from archdsl.training.data.transforms.normalisation import raw_pixels
from archdsl.training.tasks.base import Outputs
from archdsl.training.tasks.masks import MaskedOptions, MaskedTask, only_output


class MaskedPixelsOptions(MaskedOptions):
    """How pixels are scaled before they are learnt."""

    norm: Literal["channel", "patch", "none"] = Field(
        "channel",
        description="pixels of a patch to mean 0, variance 1: each channel (VideoMAE), all together (Hiera), or none",
    )


class MaskedPixelsTask(MaskedTask):
    """Targets are the pixels of each hidden patch, from 0 to 1 and then scaled by their own mean and deviation.

    The loss is the mean square error.
    """

    name = "masked_pixels"
    options_kind = MaskedPixelsOptions

    @classmethod
    def default_recipe(cls, arch: Arch, *, built_in: bool) -> str:
        return "smoke_masked" if built_in else "videomae_pretrain"

    def check_clip(self) -> None:
        super().check_clip()
        head, shape = self.plan.arch.head, [*self.plan.outputs.values()]
        clip, (_, t, h, w) = self.plan.inputs[self.pictured], self.grid
        sizes = f"{t} x {h} x {w} patches of {'frames x '.join(map(str, getattr(head, 'patch', ())))}"
        if (
            not isinstance(head, MaskedPixels)
            or len(shape) != 1
            or (h * head.patch[1], w * head.patch[2]) != (clip[2], clip[3])
            or clip[1] % t
            or clip[1] // t < head.patch[0]
        ):
            raise SpecError(
                "patches that are not those of the clip",
                at="head",
                written=head.written,
                got=f"{sizes} for a clip of {clip[1]} x {clip[2]} x {clip[3]}",
                want="masked_pixels with the patch that one element of the decoder's map stands for",
            )

    @property
    def grid(self) -> tuple[int, int, int, int]:
        """Channels of a prediction, and patches along (t, h, w)."""
        c, t, h, w = next(iter(self.plan.outputs.values()))[:4]
        units = self.masks.size
        return c, t * units[0], h // self.masks.filled * units[1], w * units[2]

    def patches(self, batch: Batch) -> Tensor:
        """Pixels from 0 to 1 of each patch, frames, rows, columns in turn.  (n, t, h, w, pixels, 3)"""
        assert not isinstance(batch.clips, Tensor)
        head, (_, t, h, w) = self.plan.arch.head, self.grid
        assert isinstance(head, MaskedPixels)
        clip = torch.stack([raw_pixels(one.float(), self.recipe.values) / 255 for one in batch.clips[self.pictured]])
        x = clip.unflatten(4, (w, -1)).unflatten(3, (h, -1)).unflatten(2, (t, -1))[:, :, :, : head.patch[0]]
        return x.permute(0, 2, 4, 6, 3, 5, 7, 1).flatten(4, 6)

    def spread(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and deviation that pixels of a patch are scaled by."""
        if self.options.norm == "none":
            return patches.new_zeros(()), patches.new_ones(())
        axes = (4,) if self.options.norm == "channel" else (4, 5)
        means, variances = patches.mean(axes, keepdim=True), patches.var(axes, keepdim=True)
        return means, variances.sqrt() + 1e-6 if self.options.norm == "channel" else (variances + 1e-6).sqrt()

    def errors(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Mean square errors."""
        patches = self.patches(batch)
        means, deviations = self.spread(patches)
        targets = ((patches - means) / deviations).flatten(4).permute(0, 4, 1, 2, 3)
        return self.by_part((only_output(outputs) - self.filled(targets, batch)).square())

    def shown(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Predicted pixels, by the true patch's mean and deviation."""
        patches = self.patches(batch)
        means, deviations = (
            self.filled(one.expand_as(patches).flatten(4).permute(0, 4, 1, 2, 3), batch) for one in self.spread(patches)
        )
        found = only_output(outputs) * deviations + means
        return self.as_pixels(found)

    def as_pixels(self, x: Tensor) -> Tensor:
        """Patches as pixels, at the clip's size.  (n, pixels 3, t', count h', w') -> (n, 3, T', count H', W')"""
        head, (_, t, _, _) = self.plan.arch.head, self.grid
        assert isinstance(head, MaskedPixels)
        x = x.unflatten(1, (*head.patch, -1)).permute(0, 4, 5, 1, 6, 2, 7, 3)  # n, 3, t', kt, h', kh, w', kw
        times = self.plan.inputs[self.pictured][1] // t // head.patch[0]
        return x.flatten(6, 7).flatten(4, 5).flatten(2, 3).repeat_interleave(times, dim=2)
