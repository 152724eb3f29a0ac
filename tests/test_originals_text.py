"""CLIP and X-CLIP, with copied random weights, against transformers: equal vectors and scores.

`pip install --no-deps transformers==5.24.0 tokenizers huggingface_hub safetensors httpx truststore regex`
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import archdsl
from tests.test_originals_transformers import renamed, scattered, transformers  # noqa: F401

SCALE = {"logit_scale": "head.similarity.weight"}


def layer_rules(theirs: str, ours: str) -> dict[str, str]:
    """Names within CLIP's encoder layers."""
    return {
        rf"{theirs}.(\d+).layer_norm1.(\w+)": rf"{ours}.\1.attend.norm.\2",
        rf"{theirs}.(\d+).self_attn.q_proj.(\w+)": rf"{ours}.\1.attend.query.\2",
        rf"{theirs}.(\d+).self_attn.k_proj.(\w+)": rf"{ours}.\1.attend.key.\2",
        rf"{theirs}.(\d+).self_attn.v_proj.(\w+)": rf"{ours}.\1.attend.value.\2",
        rf"{theirs}.(\d+).self_attn.out_proj.(\w+)": rf"{ours}.\1.attend.out.\2",
        rf"{theirs}.(\d+).layer_norm2.(\w+)": rf"{ours}.\1.mlp.norm.\2",
        rf"{theirs}.(\d+).mlp.fc1.(\w+)": rf"{ours}.\1.mlp.up.\2",
        rf"{theirs}.(\d+).mlp.fc2.(\w+)": rf"{ours}.\1.mlp.down.\2",
    }


def tower_rules(image: str, embed: str) -> dict[str, str]:
    """Names within both towers; `image` and `embed` are where ours has the blocks and the end of the image tower."""
    return {
        r"vision_model.embeddings.class_embedding": f"{image}.tokens.1.token.weight",
        r"vision_model.embeddings.patch_embedding.(\w+)": rf"{image}.tokens.0.conv.\1",
        r"vision_model.embeddings.position_embedding.weight": f"{image}.tokens.2.positions.hw",
        r"vision_model.pre_lay\w*norm.(\w+)": rf"{image}.tokens.4.norm.\1",
        r"vision_model.post_layernorm.(\w+)": rf"{embed}.1.norm.\1",
        r"visual_projection.weight": f"{embed}.2.linear.weight",
        r"text_model.embeddings.token_embedding.weight": "text.tokens.0.table.weight",
        r"text_model.embeddings.position_embedding.weight": "text.tokens.1.positions.t",
        r"text_model.final_layer_norm.(\w+)": r"text.embed.0.norm.\1",
        r"text_projection.weight": "text.embed.2.linear.weight",
        **layer_rules(r"text_model.encoder.layers", "text.body"),
        **layer_rules(r"vision_model.encoder.layers", f"{image}.body"),
        **SCALE,
    }


def with_weights(original: Any, arch: Any, rules: dict[str, str]) -> Any:
    """Our network with their weights."""
    ours = archdsl.build(arch).eval()
    theirs = {name: value[None] if value.ndim == 0 else value for name, value in original.state_dict().items()}
    mine, values = ours.state_dict(), renamed(theirs, rules)
    assert sorted(values) == sorted(mine)
    ours.load_state_dict({name: value.reshape(mine[name].shape) for name, value in values.items()})
    return ours


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
def test_scores_of_clip(transformers: Any) -> None:  # noqa: F811
    """Of 2 images and 3 texts each, at 32 pixels."""
    config = transformers.CLIPConfig(vision_config=dict(image_size=32, patch_size=16))
    original = scattered(transformers.CLIPModel(config))
    ours = with_weights(original, archdsl.load("clip_vit_b16", size=32, texts=3), tower_rules("image", "image.embed"))
    images, ids = torch.randn(2, 3, 1, 32, 32), texts_of(3, 77)
    words = ids.T[None, None, :, :, None].repeat(2, 1, 1, 1, 1)
    with torch.no_grad():
        got = ours({"video": images, "words": words})
        want = original(input_ids=ids, pixel_values=images[:, :, 0])
    close(got["scores"], want.logits_per_image)
    close(got["clip"], want.image_embeds)
    close(got["texts"][0, :, 0, :, 0].T, want.text_embeds)


MESSAGES = {
    r"vision_model.encoder.layers.(\d+).message_fc.(\w+)": r"frames.body.\1.message.\2",
    r"vision_model.encoder.layers.(\d+).message_ln.(\w+)": r"frames.body.\1.exchange.norm.\2",
    r"vision_model.encoder.layers.(\d+).message_attn.q_proj.(\w+)": r"frames.body.\1.exchange.query.\2",
    r"vision_model.encoder.layers.(\d+).message_attn.k_proj.(\w+)": r"frames.body.\1.exchange.key.\2",
    r"vision_model.encoder.layers.(\d+).message_attn.v_proj.(\w+)": r"frames.body.\1.exchange.value.\2",
    r"vision_model.encoder.layers.(\d+).message_attn.out_proj.(\w+)": r"frames.body.\1.exchange.out.\2",
}
PROMPTS = {
    r"prompts_visual_layernorm.(\w+)": r"patches.embed.1.norm.\1",
    r"prompts_visual_projection": "patches.embed.2.linear.weight",
    r"prompts_generator.layernorm.(\w+)": r"edges.embed.patches_to_text.norm.\1",
    r"prompts_generator.alpha": "edges.embed.patches_to_text.scale.weight",
}
for i in (0, 1):
    at, theirs = f"edges.embed.patches_to_text.layer{i + 1}", rf"prompts_generator.decoder.{i}"
    PROMPTS |= {
        rf"{theirs}.cross_attn.q_proj.(\w+)": rf"{at}.attend.query.\1",
        rf"{theirs}.cross_attn.k_proj.(\w+)": rf"{at}.attend.key.\1",
        rf"{theirs}.cross_attn.v_proj.(\w+)": rf"{at}.attend.value.\1",
        rf"{theirs}.cross_attn.proj.(\w+)": rf"{at}.attend.out.\1",
        rf"{theirs}.norm1.(\w+)": rf"{at}.attend.norm.\1",
        rf"{theirs}.norm3.(\w+)": rf"{at}.mlp.norm.\1",
        rf"{theirs}.mlp.0.(\w+)": rf"{at}.mlp.up.\1",
        rf"{theirs}.mlp.3.(\w+)": rf"{at}.mlp.down.\1",
    }
INTEGRATION = {
    r"mit.position_embedding": "clip.clip.0.read.0.positions.t",
    **{
        old.replace(r".(\d+)", ".0", 1): new.replace(r".\1", ".1").replace(r"\2", r"\1")
        for old, new in layer_rules(r"mit.encoder.layers", "clip.clip.0.read").items()
    },
}


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_scores_of_xclip(transformers: Any) -> None:  # noqa: F811
    """Of a clip of 2 frames, whose patches move 3 texts."""
    config = transformers.XCLIPConfig(
        vision_config=dict(image_size=32, patch_size=16, num_frames=2, drop_path_rate=0.0),
        prompt_num_attention_heads=8,
    )
    original = scattered(transformers.XCLIPModel(config))
    rules = {**tower_rules("frames", "clip.embed"), **MESSAGES, **PROMPTS, **INTEGRATION}
    state = original.state_dict()
    state["prompts_visual_projection"] = state["prompts_visual_projection"].T.contiguous()
    original.state_dict = lambda: state
    ours = with_weights(original, archdsl.load("xclip_b16", size=32, frames=2, texts=3), rules)
    clip, ids = torch.randn(1, 3, 2, 32, 32), texts_of(3, 77)
    with torch.no_grad():
        got = ours({"video": clip, "words": ids.T[None, None, :, :, None]})
        want = original(input_ids=ids, pixel_values=clip.transpose(1, 2))
    close(got["clip"], want.video_embeds)
    close(got["texts"][..., 0, :, 0].mT, want.text_embeds)
    close(got["scores"], want.logits_per_video)
