"""Masked pre-training, with copied random weights and the same masks, against the code that a model is taken from.

What to install stands in `test_originals_transformers`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import archdsl
from archdsl.language import Arch
from archdsl.ops import Shape
from archdsl.recipes import recipe
from archdsl.training.data.clips import Batch
from archdsl.training.tasks.choice import task_for
from tests.test_originals_transformers import scattered, transformers

__all__ = ["transformers"]


def imported(theirs: nn.Module, arch: Arch, folder: Path) -> nn.Module:
    """Ours with their weights, from a file as transformers saves it."""
    save_file(theirs.state_dict(), folder / "model.safetensors")
    return archdsl.build(arch, weights=folder).eval()


def close(got: Tensor, want: Tensor) -> None:
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5 * float(want.abs().max()))


def loss_of(task: Any, said: Tensor, clip: Tensor, mask: Tensor) -> Tensor:
    """What a step of these clips loses."""
    batch = Batch({"clip": clip, "mask": mask}, torch.zeros(2), torch.ones(2), (0, 1), (), (), (), 0.0)
    return task.loss(said, batch, task.amounts(batch).sum()).sum()


def drawn_masks(count: int, units: Shape, kept: int) -> Tensor:
    """Random masks of two channels: some kept, the rest hidden.  (n, 2, t, h, w)"""
    order = torch.rand(count, 1, units.t * units.h * units.w).argsort(dim=2)
    kept_ones = (order < kept).float().view(count, 1, *units[1:4])
    return torch.cat([kept_ones, 1 - kept_ones], dim=1)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("norm", [True, False])
def test_pixels_of_videomae(transformers: Any, norm: bool, tmp_path: Path) -> None:
    """Of hidden tubes, and with masks of single elements too; the epsilon is the authors'."""
    config = transformers.VideoMAEConfig(
        hidden_size=384,
        num_attention_heads=6,
        intermediate_size=1536,
        num_frames=4,
        image_size=64,
        layer_norm_eps=1e-6,
        decoder_hidden_size=192,
        decoder_num_attention_heads=3,
        decoder_intermediate_size=768,
        use_mean_pooling=not norm,
    )
    original = scattered(transformers.VideoMAEForPreTraining(config))
    original.decoder.norm.eps = 1e-6
    arch = archdsl.load("videomae_vit_s_pretrain", frames=4, size=64, norm=norm)
    ours = imported(original, arch, tmp_path)
    clip, mask = torch.randn(2, 3, 4, 64, 64), drawn_masks(2, Shape(2, 1, 4, 4), 2)
    hidden = mask[:, 1].expand(-1, 2, -1, -1).flatten(1).bool()
    with torch.no_grad():
        got = ours({"clip": clip, "mask": mask})
        theirs = original(clip.transpose(1, 2), bool_masked_pos=hidden)
    close(got.flatten(2).mT, theirs.logits)
    task = task_for(archdsl.compile(arch), recipe("videomae_pretrain"))
    assert float(loss_of(task, got, clip, mask)) == pytest.approx(float(theirs.loss), rel=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_pixels_of_hiera(torchvision: Any, tmp_path: Path) -> None:
    """Of hidden units; the predicted patches come in the order of the mask, theirs in that of the clip."""
    hiera = pytest.importorskip("hiera", reason="pip install --no-deps hiera-transformer==0.1.4 timm==1.0.31")
    from hiera.hiera_mae import MaskedAutoencoderHiera

    assert hiera
    original = scattered(
        MaskedAutoencoderHiera(
            q_stride=(1, 2, 2),
            mask_unit_size=(1, 8, 8),
            patch_kernel=(3, 7, 7),
            patch_stride=(2, 4, 4),
            patch_padding=(1, 3, 3),
            stages=(1, 2, 7, 2),
            input_size=(8, 64, 64),
            sep_pos_embed=True,
            q_pool=2,
        )
    )
    arch = archdsl.load("hiera_t_16x224_mae", frames=8, size=64)
    torch.save({"model_state": original.state_dict()}, tmp_path / "mae_hiera.pth")
    ours = archdsl.build(arch, weights=tmp_path / "mae_hiera.pth").eval()
    kept = arch.pathways["main"].stages["keep"].blocks[0].count
    clip, mask = torch.randn(2, 3, 8, 64, 64), drawn_masks(2, Shape(2, 4, 2, 2), kept)
    with torch.no_grad():
        got = ours({"clip": clip, "mask": mask})
        latent, given = original.forward_encoder(clip, 0.9, mask=mask[:, 0].flatten(1).bool())
        want, seen = original.forward_decoder(latent, given)
    task = task_for(archdsl.compile(arch), recipe("smoke_masked").but(task={"masked_pixels": {"norm": "patch"}}))
    theirs, _, _ = original.forward_loss(clip * 0.5 + 0.5, want, ~seen)
    assert float(loss_of(task, got, clip, mask)) == pytest.approx(float(theirs), rel=1e-5)
    hidden = (~seen).view(2, 4, 4, 4)
    for one, theirs, which in zip(got, want.view(2, 4, 4, 4, -1), hidden):
        units = [
            theirs[t, 2 * h : 2 * h + 2, 2 * w : 2 * w + 2]
            for t in range(4)
            for h in range(2)
            for w in range(2)
            if which[t, 2 * h, 2 * w]
        ]
        close(one[:, 0].permute(1, 2, 0), torch.cat(units))


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_features_of_vjepa2(transformers: Any, tmp_path: Path) -> None:
    """The encoder reads the context alone, as the authors' does; transformers' drops what is hidden behind it.

    Weights lie in a file as transformers saves it.
    """
    config = transformers.VJEPA2Config(crop_size=64, frames_per_clip=6)
    original = scattered(transformers.VJEPA2Model(config))
    arch = archdsl.load("vjepa2_vitl_pretrain", frames=6, size=64)
    ours = imported(original, arch, tmp_path)
    kept = arch.pathways["main"].stages["keep"].blocks[0].count
    count = arch.pathways["predictor"].stages["tokens"].blocks[0].count
    clip, mask = torch.randn(2, 3, 6, 64, 64), torch.zeros(2, 2, 16)
    for i in range(2):
        order = torch.randperm(16)
        mask[i, 0, order[:kept]] = 1
        mask[i, 1, order[kept : kept + count]] = 2  # their second kind of mask token
    context, targets = (tubes(mask[:, i]) for i in range(2))
    with torch.no_grad():
        got = ours({"clip": clip, "mask": mask.view(2, 2, 1, 4, 4)})
        x = original.encoder.embeddings(clip.transpose(1, 2))
        x = x.gather(1, context[..., None].expand(-1, -1, x.shape[2]))
        for layer in original.encoder.layer:
            x = layer(x, context)[0]
        x = original.encoder.layernorm(x)
        whole = torch.zeros(2, 48, x.shape[2]).scatter(1, context[..., None].expand(-1, -1, x.shape[2]), x)
        want = original.predictor(whole, [context], [targets]).last_hidden_state
    close(got.flatten(2).mT, want)
    predictor = archdsl.load("vjepa2_vitl_predictor", frames=6, size=64)
    alone = archdsl.build(predictor, weights=tmp_path).eval()
    features = whole.mT.unflatten(2, (3, 4, 4))
    with torch.no_grad():
        close(alone({"features": features, "mask": mask.view(2, 2, 1, 4, 4)}).flatten(2).mT, want)


def tubes(chosen: Tensor) -> Tensor:
    """The numbers of tokens in tubes of three: all chosen ones of the first frame, then of the next.  -> (n, tokens)"""
    places = torch.stack([one.nonzero()[:, 0] for one in chosen])
    return torch.cat([places + 16 * t for t in range(3)], dim=1)
