"""Perception encoders: the integers of timm's form, and its outputs with copied random weights.

`pip install --no-deps timm==1.0.31 torchvision==0.29.1 safetensors huggingface_hub`
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

import archdsl
from archdsl.language import Stage
from tests.test_originals_transformers import renamed, scattered

COUNTS: dict[tuple[str, tuple[tuple[str, Any], ...]], tuple[int, int]] = {
    # timm 1.0.31, whose heads have a bias; facebookresearch/perception_models for `lang` networks
    ("vit_pe_core_b16", (("width", "t"), ("size", 384))): (6_141_056, 4_725_257_088),
    ("vit_pe_core_b16", (("width", "s"), ("size", 384))): (23_783_168, 15_662_245_632),
    ("vit_pe_core_b16", ()): (93_673_984, 17_802_438_144),
    ("vit_pe_core_l14", ()): (317_152_256, 192_181_880_832),
    ("vit_pe_core_g14", ()): (1_882_033_920, 2_059_316_625_408),
    ("vit_pe_lang_g14", ()): (1_740_922_624, 1_931_244_208_128),
    ("vit_pe_spatial_b16", ()): (86_433_792, 107_027_122_176),
    ("vit_pe_spatial_l14", ()): (303_964_160, 361_796_517_888),
    ("vit_pe_spatial_g14", ()): (1_851_887_104, 2_054_456_082_432),
}
"""Model and what is changed of it: parameters, multiply-adds."""


@pytest.mark.parametrize(("name", "given"), COUNTS)
def test_counts_are_the_originals(name: str, given: tuple[tuple[str, Any], ...]) -> None:
    plan = archdsl.compile(archdsl.load(name, **dict(given)))
    assert (plan.params, plan.macs) == COUNTS[name, given]


def test_parameters_of_a_form_that_is_no_model_of_its_own() -> None:
    large = archdsl.load("vit_pe_lang_g14", width="l")
    bare = archdsl.load("vit_pe_core_b16", bias=False)
    assert archdsl.compile(large).params == 291_415_040
    assert archdsl.compile(bare).params == 93_673_984 - 1024


RULES = {
    r"cls_token": "main.tokens.1.token.weight",
    r"pos_embed": "main.tokens.TABLE.positions.thw",
    r"patch_embed.proj.(\w+)": r"main.tokens.0.conv.\1",
    r"norm_pre.(\w+)": r"main.tokens.NORM.norm.\1",
    r"blocks.(\d+).norm1.(\w+)": r"main.body.\1.attend.norm.\2",
    r"blocks.(\d+).norm2.(\w+)": r"main.body.\1.mlp.norm.\2",
    r"blocks.(\d+).attn.qkv.(\w+)": r"main.body.\1.attend.qkv.\2",
    r"blocks.(\d+).attn.proj.(\w+)": r"main.body.\1.attend.out.\2",
    r"blocks.(\d+).mlp.fc1.(\w+)": r"main.body.\1.mlp.up.\2",
    r"blocks.(\d+).mlp.fc2.(\w+)": r"main.body.\1.mlp.down.\2",
    r"blocks.(\d+).gamma_1": r"main.body.\1.attend.scale.weight",
    r"blocks.(\d+).gamma_2": r"main.body.\1.mlp.scale.weight",
    r"norm.(\w+)": r"main.pool.0.attend.norm.\1",
    r"attn_pool.latent": "main.pool.0.query.weight",
    r"attn_pool.q.(\w+)": r"main.pool.0.attend.query.\1",
    r"attn_pool.kv.(\w+)": r"main.pool.0.attend.KV.\1",
    r"attn_pool.proj.(\w+)": r"main.pool.0.attend.out.\1",
    r"attn_pool.norm.(\w+)": r"main.pool.0.mlp.norm.\1",
    r"attn_pool.mlp.fc1.(\w+)": r"main.pool.0.mlp.up.\1",
    r"attn_pool.mlp.fc2.(\w+)": r"main.pool.0.mlp.down.\1",
    r"head.(\w+)": r"head.classifier.\1",
}


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("ours", "theirs"), [("core", "core_base"), ("spatial", "spatial_base"), ("lang", "lang_large")]
)
def test_outputs_of_timm(torchvision: Any, ours: str, theirs: str) -> None:
    """At two blocks: scores of `core`, the map of `spatial`; `lang_large` shares parts with the giant networks."""
    timm = pytest.importorskip("timm", reason="pip install --no-deps timm==1.0.31")
    patch = 14 if theirs.endswith("large") else 16
    size = patch * 5
    network = timm.create_model(
        f"vit_pe_{theirs}_patch{patch}_{dict(core_base=224, spatial_base=512, lang_large=448)[theirs]}",
        img_size=size,
        depth=2,
        ref_feat_shape=(5, 5),
    )
    network = scattered(network)
    arch = archdsl.load("vit_pe_core_b16", kind=ours, width="l" if ours == "lang" else "b", size=size)
    main = arch.pathways["main"]
    short = main.but(stages={**main.stages, "body": Stage(*main.stages["body"].blocks[:2])})
    arch = arch.but(pathways={"main": short})
    mine = archdsl.build(arch).eval()
    values = {}
    for name, value in renamed(network.state_dict(), RULES).items():
        name = name.replace("TABLE", "2").replace("NORM", "3")
        parts = ("key", "value") if "KV" in name else ("",)
        values |= {name.replace("KV", part): one for part, one in zip(parts, value.chunk(len(parts)))}
    shapes = mine.state_dict()
    assert sorted(values) == sorted(shapes)
    mine.load_state_dict({name: value.reshape(shapes[name].shape) for name, value in values.items()})
    clip = torch.randn(2, 3, 1, size, size)
    with torch.no_grad():
        got = mine(clip)
        want = network(clip[:, :, 0]) if ours == "core" else network.forward_features(clip[:, :, 0])[:, 1:].mT
    torch.testing.assert_close(got.reshape(want.shape), want, rtol=1e-5, atol=1e-5 * float(want.abs().max()))
