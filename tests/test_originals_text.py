"""CLIP and X-CLIP, with copied random weights, against transformers: equal vectors and scores.

`pip install --no-deps transformers==5.24.0 tokenizers huggingface_hub safetensors httpx truststore regex`
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import archdsl
from archdsl.language import Arch
from tests.test_originals_transformers import scattered, transformers  # noqa: F401


def with_weights(original: Any, arch: Arch, folder: Path) -> Any:
    """Our network with their weights, from a file as transformers saves it."""
    save_file({name: value.contiguous() for name, value in original.state_dict().items()}, folder / "model.safetensors")
    return archdsl.build(arch, weights=folder).eval()


def texts_of(count: int, tokens: int) -> Tensor:
    """Ids of several texts, each ended somewhere and padded with 0.  (count, tokens)"""
    ids = torch.randint(1, 49000, (count, tokens), generator=torch.Generator().manual_seed(1))
    for i, row in enumerate(ids):
        row[tokens - 1 - i] = 49407
        row[tokens - i :] = 0
    return ids


def close(got: Tensor, want: Tensor) -> None:
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5 * float(want.abs().max()))


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_scores_of_clip(transformers: Any, tmp_path: Path) -> None:  # noqa: F811
    """Of 2 images and 3 texts each, at 32 pixels."""
    config = transformers.CLIPConfig(vision_config=dict(image_size=32, patch_size=16))
    original = scattered(transformers.CLIPModel(config))
    ours = with_weights(original, archdsl.load("clip_vit_b16", size=32, texts=3), tmp_path)
    images, ids = torch.randn(2, 3, 1, 32, 32), texts_of(3, 77)
    words = ids.T[None, None, :, :, None].repeat(2, 1, 1, 1, 1)
    with torch.no_grad():
        got = ours({"video": images, "words": words})
        want = original(input_ids=ids, pixel_values=images[:, :, 0])
    close(got["scores"], want.logits_per_image)
    close(got["clip"], want.image_embeds)
    close(got["texts"][0, :, 0, :, 0].T, want.text_embeds)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_scores_of_xclip(transformers: Any, tmp_path: Path) -> None:  # noqa: F811
    """Of a clip of 2 frames, whose patches move 3 texts."""
    config = transformers.XCLIPConfig(
        vision_config=dict(image_size=32, patch_size=16, num_frames=2, drop_path_rate=0.0),
        prompt_num_attention_heads=8,
    )
    original = scattered(transformers.XCLIPModel(config))
    ours = with_weights(original, archdsl.load("xclip_b16", size=32, frames=2, texts=3), tmp_path)
    clip, ids = torch.randn(1, 3, 2, 32, 32), texts_of(3, 77)
    with torch.no_grad():
        got = ours({"video": clip, "words": ids.T[None, None, :, :, None]})
        want = original(input_ids=ids, pixel_values=clip.transpose(1, 2))
    close(got["clip"], want.video_embeds)
    close(got["texts"][..., 0, :, 0].mT, want.text_embeds)
    close(got["scores"], want.logits_per_video)
