"""Transformers, with copied random weights, against the code that a model is taken from: equal outputs.

`pip install --no-deps transformers==5.24.0 tokenizers huggingface_hub safetensors httpx truststore regex`
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import archdsl

PARTS = ("query", "key", "value")
Rules = Mapping[str, str]


@pytest.fixture(scope="module")
def transformers(torchvision: Any) -> Any:
    return pytest.importorskip("transformers", reason="pip install --no-deps transformers==5.24.0 and what it needs")


def scattered(network: nn.Module) -> nn.Module:
    """Every weight drawn anew, so that none does nothing."""
    torch.manual_seed(0)
    for name, value in network.named_parameters():
        scale = 0.1 if value.ndim < 2 or "embed" in name or "token" in name else value[0].numel() ** -0.5
        nn.init.normal_(value, std=scale)
        if "norm" in name and name.endswith("weight"):
            value.data += 1
    return network.eval()


def renamed(state: Mapping[str, Tensor], rules: Rules) -> dict[str, Tensor]:
    """Their weights under our names, by the first rule that fits a whole name; `qkv` in a new one is parted."""
    found = {}
    for name, value in state.items():
        new = next((re.sub(old, new, name) for old, new in rules.items() if re.fullmatch(old, name)), None)
        assert new, f"no rule for {name}"
        parts = PARTS if "qkv" in new else ("",)
        values = value.chunk(len(parts)) if parts == PARTS else (value,)
        found.update({new.replace("qkv", part): one for part, one in zip(parts, values)})
    return found


def same_outputs(theirs: Any, ours: nn.Module, rules: Rules, clip: Tensor, given: Tensor) -> None:
    """Both give the same scores, to 1e-5 of the largest."""
    mine = ours.state_dict()
    values = renamed(theirs.state_dict(), rules)
    assert sorted(values) == sorted(mine)
    ours.load_state_dict({name: value.reshape(mine[name].shape) for name, value in values.items()})
    with torch.no_grad():
        got, want = ours.eval()(clip), theirs(given)
    want = want if isinstance(want, Tensor) else want.logits
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5 * float(want.abs().max()))


TIMESFORMER = {
    r".*embeddings.cls_token": "main.tokens.1.token.weight",
    r".*embeddings.position_embeddings": "main.tokens.2.positions.hw",
    r".*embeddings.time_embeddings": "main.tokens.2.positions.t",
    r".*patch_embeddings.projection.(\w+)": r"main.tokens.0.conv.\1",
    r".*layer.(\d+).layernorm_after.(\w+)": r"main.body.\1.mlp.norm.\2",
    r".*layer.(\d+).intermediate.dense.(\w+)": r"main.body.\1.mlp.up.\2",
    r".*layer.(\d+).temporal_layernorm.(\w+)": r"main.body.\1.attend_t.norm.\2",
    r".*layer.(\d+).temporal_attention.attention.qkv.(\w+)": r"main.body.\1.attend_t.qkv.\2",
    r".*layer.(\d+).temporal_attention.output.dense.(\w+)": r"main.body.\1.attend_t.out.\2",
    r".*layer.(\d+).temporal_dense.(\w+)": r"main.body.\1.attend_t.linear.\2",
    r".*layer.(\d+).layernorm_before.(\w+)": r"main.body.\1.ATTEND.norm.\2",
    r".*layer.(\d+).attention.attention.qkv.(\w+)": r"main.body.\1.ATTEND.qkv.\2",
    r".*layer.(\d+).attention.output.dense.(\w+)": r"main.body.\1.ATTEND.out.\2",
    r".*layer.(\d+).output.dense.(\w+)": r"main.body.\1.mlp.down.\2",
    r"timesformer.layernorm.(\w+)": r"head.norm.\1",
    r"classifier.(\w+)": r"head.classifier.\1",
}


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(("attention", "theirs"), [("divided", "divided_space_time"), ("joint", "joint_space_time")])
def test_scores_of_timesformer(transformers: Any, attention: str, theirs: str) -> None:
    """At 2 frames of 64 pixels; `space` is not compared: theirs leaves frames in the batch."""
    config = transformers.TimesformerConfig(
        num_labels=400, num_frames=2, image_size=64, attention_type=theirs, num_hidden_layers=12
    )
    original = scattered(transformers.TimesformerForVideoClassification(config))
    ours = archdsl.build(archdsl.load(f"timesformer_{attention}_8x32", frames=2, size=64))
    name = "attend_hw" if attention == "divided" else "attend"
    clip = torch.randn(1, 3, 2, 64, 64)
    rules = {old: new.replace("ATTEND", name) for old, new in TIMESFORMER.items()}
    same_outputs(original, ours, rules, clip, clip.transpose(1, 2))


VIDEOMAE = {
    r".*patch_embeddings.projection.(\w+)": r"main.tokens.0.conv.\1",
    r".*layer.(\d+).layernorm_before.(\w+)": r"main.body.\1.attend.norm.\2",
    r".*layer.(\d+).attention.attention.(query|key|value).(\w+)": r"main.body.\1.attend.\2.\3",
    r".*layer.(\d+).attention.output.dense.(\w+)": r"main.body.\1.attend.out.\2",
    r".*layer.(\d+).layernorm_after.(\w+)": r"main.body.\1.mlp.norm.\2",
    r".*layer.(\d+).intermediate.dense.(\w+)": r"main.body.\1.mlp.up.\2",
    r".*layer.(\d+).output.dense.(\w+)": r"main.body.\1.mlp.down.\2",
    r"fc_norm.(\w+)": r"main.pool.1.norm.\1",
    r"classifier.(\w+)": r"head.classifier.\1",
}


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_scores_of_videomae(transformers: Any) -> None:
    config = transformers.VideoMAEConfig(
        hidden_size=384,
        num_attention_heads=6,
        intermediate_size=1536,
        num_labels=400,
        num_frames=4,
        image_size=64,
        layer_norm_eps=1e-6,
    )
    original = scattered(transformers.VideoMAEForVideoClassification(config))
    ours = archdsl.build(archdsl.load("videomae_vit_s", frames=4, size=64))
    clip = torch.randn(1, 3, 4, 64, 64)
    same_outputs(original, ours, VIDEOMAE, clip, clip.transpose(1, 2))


VIT = {
    r"(?:vivit|vit).embeddings.cls_token": "main.tokens.1.token.weight",
    r".*embeddings.position_embeddings": "main.tokens.2.positions.thw",
    r".*patch_embeddings.projection.(\w+)": r"main.tokens.0.conv.\1",
    r".*layers.(\d+).layernorm_before.(\w+)": r"main.body.\1.attend.norm.\2",
    r".*layers.(\d+).attention.q_proj.(\w+)": r"main.body.\1.attend.query.\2",
    r".*layers.(\d+).attention.k_proj.(\w+)": r"main.body.\1.attend.key.\2",
    r".*layers.(\d+).attention.v_proj.(\w+)": r"main.body.\1.attend.value.\2",
    r".*layers.(\d+).attention.o_proj.(\w+)": r"main.body.\1.attend.out.\2",
    r".*layers.(\d+).layernorm_after.(\w+)": r"main.body.\1.mlp.norm.\2",
    r".*layers.(\d+).mlp.fc1.(\w+)": r"main.body.\1.mlp.up.\2",
    r".*layers.(\d+).mlp.fc2.(\w+)": r"main.body.\1.mlp.down.\2",
    r"(?:vivit|vit).layernorm.(\w+)": r"head.norm.\1",
    r"classifier.(\w+)": r"head.classifier.\1",
}


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_scores_of_transformers_vit(transformers: Any) -> None:
    """With the epsilon of the authors; theirs is 1e-12."""
    config = transformers.ViTConfig(num_labels=1000, image_size=64, layer_norm_eps=1e-6)
    original = scattered(transformers.ViTForImageClassification(config))
    image = torch.randn(2, 3, 1, 64, 64)
    same_outputs(original, archdsl.build(archdsl.load("vit_b16", size=64)), VIT, image, image[:, :, 0])


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_scores_of_vivit(transformers: Any) -> None:
    config = transformers.VivitConfig(num_labels=400, num_frames=4, image_size=64)
    original = scattered(transformers.VivitForVideoClassification(config))
    ours = archdsl.build(archdsl.load("vivit_b16x2_joint", frames=4, size=64))
    clip = torch.randn(1, 3, 4, 64, 64)
    same_outputs(original, ours, VIT, clip, clip.transpose(1, 2))


TORCHVISION = {
    r"class_token": "main.tokens.1.token.weight",
    r"encoder.pos_embedding": "main.tokens.2.positions.thw",
    r"conv_proj.(\w+)": r"main.tokens.0.conv.\1",
    r"encoder.layers.encoder_layer_(\d+).ln_1.(\w+)": r"main.body.\1.attend.norm.\2",
    r"encoder.layers.encoder_layer_(\d+).self_attention.in_proj_(\w+)": r"main.body.\1.attend.qkv.\2",
    r"encoder.layers.encoder_layer_(\d+).self_attention.out_proj.(\w+)": r"main.body.\1.attend.out.\2",
    r"encoder.layers.encoder_layer_(\d+).ln_2.(\w+)": r"main.body.\1.mlp.norm.\2",
    r"encoder.layers.encoder_layer_(\d+).mlp.0.(\w+)": r"main.body.\1.mlp.up.\2",
    r"encoder.layers.encoder_layer_(\d+).mlp.3.(\w+)": r"main.body.\1.mlp.down.\2",
    r"encoder.ln.(\w+)": r"head.norm.\1",
    r"heads.head.(\w+)": r"head.classifier.\1",
}


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_scores_of_torchvisions_vit(torchvision: Any) -> None:
    original = scattered(torchvision.models.VisionTransformer(64, 16, 12, 12, 768, 3072))
    image = torch.randn(2, 3, 1, 64, 64)
    same_outputs(original, archdsl.build(archdsl.load("vit_b16", size=64)), TORCHVISION, image, image[:, :, 0])


HIERA_DEPTHS = (1, 2, 7, 2)
HIERA_BLOCK = {
    "norm1": "attend_norm",
    "attn.qkv": "attend.qkv",
    "attn.proj": "attend.out",
    "proj": "project",
    "norm2": "mlp.norm",
    "mlp.fc1": "mlp.up",
    "mlp.fc2": "mlp.down",
}
HIERA_PLACES = [f"main.stage{stage}.{i}" for stage, depth in enumerate(HIERA_DEPTHS, 1) for i in range(depth)]
HIERA = {
    r"patch_embed.proj.(\w+)": r"main.tokens.0.conv.\1",
    r"pos_embed_spatial": "main.tokens.1.positions.hw",
    r"pos_embed_temporal": "main.tokens.1.positions.t",
    r"norm.(\w+)": r"main.pool.1.norm.\1",
    r"head.projection.(\w+)": r"head.classifier.\1",
    **{
        rf"blocks.{n}.{theirs}.(\w+)": rf"{place}.{ours}.\1"
        for n, place in enumerate(HIERA_PLACES)
        for theirs, ours in HIERA_BLOCK.items()
    },
}


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_scores_of_hiera(torchvision: Any) -> None:
    """Theirs end in a softmax outside training, which is taken off."""
    hiera = pytest.importorskip("hiera", reason="pip install --no-deps hiera-transformer==0.1.4 timm==1.0.31")
    video = dict(q_stride=(1, 2, 2), mask_unit_size=(1, 8, 8), patch_kernel=(3, 7, 7), patch_stride=(2, 4, 4))
    sizes = dict(stages=HIERA_DEPTHS, input_size=(4, 64, 64), patch_padding=(1, 3, 3), num_classes=400)
    original = scattered(hiera.Hiera(**video, **sizes, sep_pos_embed=True))
    original.head.act_func = nn.Identity()
    ours = archdsl.build(archdsl.load("hiera_t_16x224", frames=4, size=64))
    clip = torch.randn(2, 3, 4, 64, 64)
    same_outputs(original, ours, HIERA, clip, clip)


VJEPA2 = {
    r".*patch_embeddings.proj.(\w+)": r"main.tokens.0.conv.\1",
    r".*encoder.layer.(\d+).norm1.(\w+)": r"main.body.\1.attend.norm.\2",
    r".*encoder.layer.(\d+).attention.(query|key|value).(\w+)": r"main.body.\1.attend.\2.\3",
    r".*encoder.layer.(\d+).attention.proj.(\w+)": r"main.body.\1.attend.out.\2",
    r".*encoder.layer.(\d+).norm2.(\w+)": r"main.body.\1.mlp.norm.\2",
    r".*encoder.layer.(\d+).mlp.fc1.(\w+)": r"main.body.\1.mlp.up.\2",
    r".*encoder.layer.(\d+).mlp.fc2.(\w+)": r"main.body.\1.mlp.down.\2",
    r".*encoder.layernorm.(\w+)": r"main.norm.0.norm.\1",
    r"pooler.query_tokens": "main.probe.3.query.weight",
    r"classifier.(\w+)": r"head.classifier.\1",
}
for i, block in enumerate((*(f"self_attention_layers.{i}" for i in range(3)), "cross_attention_layer")):
    VJEPA2 |= {
        rf"pooler.{block}.layer_norm1.(\w+)": rf"main.probe.{i}.attend.norm.\1",
        **{rf"pooler.{block}.\w+_attn.{part[0]}_proj.(\w+)": rf"main.probe.{i}.attend.{part}.\1" for part in PARTS},
        rf"pooler.{block}.self_attn.out_proj.(\w+)": rf"main.probe.{i}.attend.out.\1",
        rf"pooler.{block}.layer_norm2.(\w+)": rf"main.probe.{i}.mlp.norm.\1",
        rf"pooler.{block}.mlp.fc1.(\w+)": rf"main.probe.{i}.mlp.up.\1",
        rf"pooler.{block}.mlp.fc2.(\w+)": rf"main.probe.{i}.mlp.down.\1",
    }


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_scores_of_vjepa2(transformers: Any) -> None:
    """With the epsilon of the authors' probe; theirs is that of the encoder. The predictor is not compared."""
    config = transformers.VJEPA2Config(crop_size=64, frames_per_clip=6, num_labels=400, pred_num_hidden_layers=1)
    original = scattered(transformers.VJEPA2ForVideoClassification(config))
    original.vjepa2.predictor = nn.Identity()
    for part in original.pooler.modules():
        if isinstance(part, nn.LayerNorm):
            part.eps = 1e-5
    ours = archdsl.build(archdsl.load("vjepa2_vitl_k400", frames=6, size=64))
    clip = torch.randn(1, 3, 6, 64, 64)
    same_outputs(original, ours, VJEPA2, clip, clip.transpose(1, 2))


LOCAL = {"0": "norm", "1": "enter", "2": "over_time", "3": "leave"}
UNIFORMER_V2 = {
    r"conv1.(\w+)": r"main.tokens.0.conv.\1",
    r"class_embedding": "main.tokens.1.token.weight",
    r"positional_embedding": "main.tokens.2.positions.hw",
    r"ln_pre.(\w+)": r"main.tokens.4.norm.\1",
    r".*resblocks.(\d+).ln_1.(\w+)": r"main.body.\1.attend.norm.\2",
    r".*resblocks.(\d+).ln_2.(\w+)": r"main.body.\1.mlp.norm.\2",
    r".*resblocks.(\d+).attn.in_proj_(\w+)": r"main.body.\1.attend.qkv.\2",
    r".*resblocks.(\d+).attn.out_proj.(\w+)": r"main.body.\1.attend.out.\2",
    r".*resblocks.(\d+).mlp.c_fc.(\w+)": r"main.body.\1.mlp.up.\2",
    r".*resblocks.(\d+).mlp.c_proj.(\w+)": r"main.body.\1.mlp.down.\2",
    r"transformer.temporal_cls_token": "query.query.0.queries.weight",
    r"transformer.norm.(\w+)": r"head.norm_query.\1",
    r"transformer.balance": "edges.token.share.merge.weight",
    **{
        rf".*resblocks.(\d+).lmhra{i}.pos_embed.{n}.(\w+)": rf"main.body.\1.{place}.0.{ours}.\2"
        for i, place in ((1, "before"), (2, "between"))
        for n, ours in LOCAL.items()
    },
}
for i in range(4):
    edge, mlp = f"edges.{f'layer{i}' if i else 'query'}.main_to_query", f"query.layer{i + 1}.0"
    UNIFORMER_V2 |= {
        rf"transformer.dpe.{i}.(\w+)": rf"{edge}.through.0.conv.\1",
        rf"transformer.dec.{i}.ln_1.(\w+)": rf"{edge}.query_norm.\1",
        rf"transformer.dec.{i}.ln_3.(\w+)": rf"{edge}.norm.\1",
        rf"transformer.dec.{i}.attn.in_proj_(\w+)": rf"{edge}.qkv.\1",
        rf"transformer.dec.{i}.attn.out_proj.(\w+)": rf"{edge}.out.\1",
        rf"transformer.dec.{i}.ln_2.(\w+)": rf"{mlp}.norm.\1",
        rf"transformer.dec.{i}.mlp.c_fc.(\w+)": rf"{mlp}.up.\1",
        rf"transformer.dec.{i}.mlp.c_proj.(\w+)": rf"{mlp}.down.\1",
    }


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("form", ["", "_local", "_ssv2"])
def test_scores_of_uniformer_v2(mmaction: Any, form: str) -> None:
    """Its features, classified by a layer of ours; `_ssv2` at four last layers, of patches of every second frame."""
    fields = dict(no_lmhra=form == "", double_lmhra=form != "", temporal_downsample=form == "_ssv2")
    backbone = dict(type="UniFormerV2", input_resolution=64, t_size=4, clip_pretrained=False, **fields)
    original = scattered(sys.modules["mmaction.registry"].MODELS.build(backbone))
    given = dict(taps=4, classes=400) if form == "_ssv2" else {}
    ours = scattered(archdsl.build(archdsl.load(f"uniformer_v2_b16{form}", frames=4, size=64, **given)))
    original.head = nn.Linear(768, 400)
    original.head.load_state_dict(ours.get_submodule("head.classifier").state_dict())
    clip = torch.randn(2, 3, 4, 64, 64)
    forward = original.forward
    original.forward = lambda x: original.head(forward(x))
    same_outputs(original, ours, UNIFORMER_V2 | {r"head.(\w+)": r"head.classifier.\1"}, clip, clip)


VIDEOPRISM = {
    r"spatial_embeddings.patch_embeddings.projection.(\w+)": r"main.tokens.0.conv.\1",
    r"spatial_embeddings.\w+": "main.tokens.1.positions.hw",
    r"temporal_embeddings.\w+": "main.frames.0.positions.t",
    r"layernorm1.(\w+)": r"main.space.12.norm.\1",
    r"layernorm2.(\w+)": r"main.time.4.norm.\1",
}
for theirs, stage in (("spatial_layers", "space"), ("temporal_layers", "time")):
    VIDEOPRISM |= {
        rf"{theirs}.(\d+).layernorm_before.(\w+)": rf"main.{stage}.\1.attend.norm.\2",
        rf"{theirs}.(\d+).layernorm_after.(\w+)": rf"main.{stage}.\1.mlp.norm.\2",
        **{rf"{theirs}.(\d+).attention.{part[0]}_proj.(\w+)": rf"main.{stage}.\1.attend.{part}.\2" for part in PARTS},
        rf"{theirs}.(\d+).attention.o_proj.(\w+)": rf"main.{stage}.\1.attend.out.\2",
        rf"{theirs}.(\d+).mlp.fc1.(\w+)": rf"main.{stage}.\1.mlp.up.\2",
        rf"{theirs}.(\d+).mlp.fc2.(\w+)": rf"main.{stage}.\1.mlp.down.\2",
    }


class Features(nn.Module):
    """Features of places in turn as a map; norms that theirs has one lower."""

    def __init__(self, of: Any, side: int) -> None:
        super().__init__()
        self.of, self.side = of, side

    def state_dict(self) -> Any:  # type: ignore[override]
        state = self.of.state_dict()
        return {
            name: value + (value.ndim == 1 and "norm" in name and "weight" in name) for name, value in state.items()
        }

    def forward(self, clip: Tensor) -> Tensor:
        y = self.of(clip).last_hidden_state
        return y.mT.unflatten(2, (-1, self.side, self.side))


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_features_of_videoprism(transformers: Any) -> None:
    """At 3 frames of 72 pixels; products of queries and keys reach a good part of their cap."""
    config = transformers.VideoPrismVisionConfig(image_size=72, num_frames=3)
    config._attn_implementation = "eager"
    original = scattered(transformers.VideoPrismVisionModel(config))
    ours = archdsl.build(archdsl.load("videoprism_b", frames=3, size=72))
    clip = torch.randn(2, 3, 3, 72, 72)
    same_outputs(Features(original, 4).eval(), ours, VIDEOPRISM, clip, clip.transpose(1, 2))
