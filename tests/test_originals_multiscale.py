"""Transformers whose maps shrink, with copied random weights, against torchvision and PyTorchVideo: equal outputs.

`pip install --no-deps torchvision==0.29.1`; PyTorchVideo comes with the tests.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import archdsl
from tests.test_originals_transformers import renamed, scattered

SWIN = {
    r"patch_embed.proj.(\w+)": r"main.stage1.0.conv.\1",
    r"patch_embed.norm.(\w+)": r"main.stage1.0.norm.\1",
    r"features.(\d).reduction.(\w+)": r"main.MERGE\1.linear.\2",
    r"features.(\d).norm.(\w+)": r"main.MERGE\1.norm.\2",
    r"features.(\d).(\d+).norm1.(\w+)": r"main.BLOCK\1,\2.attend.norm.\3",
    r"features.(\d).(\d+).norm2.(\w+)": r"main.BLOCK\1,\2.mlp.norm.\3",
    r"features.(\d).(\d+).attn.qkv.(\w+)": r"main.BLOCK\1,\2.attend.qkv.\3",
    r"features.(\d).(\d+).attn.proj.(\w+)": r"main.BLOCK\1,\2.attend.out.\3",
    r"features.(\d).(\d+).attn.relative_position_bias_table": r"main.BLOCK\1,\2.attend.attention.table",
    r"features.(\d).(\d+).mlp.0.(\w+)": r"main.BLOCK\1,\2.mlp.up.\3",
    r"features.(\d).(\d+).mlp.3.(\w+)": r"main.BLOCK\1,\2.mlp.down.\3",
    r"norm.(\w+)": r"head.norm_main.\1",
    r"head.(\w+)": r"head.classifier.\1",
}
"""Ours has the merge of patches and the blocks behind it in one stage."""


def placed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """BLOCK and MERGE as stages: parts 0, 2, 4, 6 of theirs are blocks, 1, 3, 5 merge."""
    found = {}
    for name, value in state.items():
        name = re.sub(r"BLOCK(\d),(\d+)", lambda of: f"stage{int(of[1]) // 2 + 1}.{int(of[2]) + 1}", name)
        found[re.sub(r"MERGE(\d)", lambda of: f"stage{int(of[1]) // 2 + 2}.0", name)] = value
    return found


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize(("frames", "size"), [(16, 112), (20, 96)])
def test_scores_of_swin(torchvision: Any, frames: int, size: int, fused: bool) -> None:
    """At 20 frames of 96 pixels maps are padded along every axis, and windows are larger than those of stage 3."""
    theirs = scattered(torchvision.models.video.swin3d_t(weights=None))
    arch = archdsl.load("video_swin_t", frames=frames, size=size, fused=fused)
    ours, clip = archdsl.build(arch), torch.randn(2, 3, frames, size, size)
    state = {name: value for name, value in theirs.state_dict().items() if "index" not in name}
    values = placed(renamed(state, SWIN))
    assert sorted(values) == sorted(ours.state_dict())
    ours.load_state_dict(values)
    with torch.no_grad():
        got, want = ours.eval()(clip), theirs(clip)
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5 * float(want.abs().max()))


PARTED = {"q": "query", "k": "key", "v": "value"}
MVIT = {
    r"(?:conv_proj|patch_embed.patch_model).(\w+)": r"main.tokens.0.conv.\1",
    r".*class_token|.*cls_token": "main.tokens.1.token.weight",
    r".*temporal_pos|.*pos_embed_temporal": "main.tokens.2.positions.t",
    r"positions": "main.tokens.2.positions.hw",
    r"(BLOCK.*).norm1.(\w+)": r"\1.attend_norm.\2",
    r"(BLOCK.*).norm2.(\w+)": r"\1.mlp_norm.\2",
    r"(BLOCK.*).attn.rel_pos_(\w)": r"\1.attend.attention.table_\2",
    r"(BLOCK.*).attn.qkv.(\w+)": r"\1.attend.qkv.\2",
    r"(BLOCK.*).attn.([qkv]).(\w+)": r"\1.attend.\2.\3",
    r"(BLOCK.*).attn.proj(?:ect.0)?.(\w+)": r"\1.attend.out.\2",
    r"(BLOCK.*).attn.pool_(\w)(?:.pool)?.weight": r"\1.attend.\2_pool.weight",
    r"(BLOCK.*).attn.(?:norm_(\w)|pool_(\w).norm_act.0).(\w+)": r"\1.attend.\2\3_norm.\4",
    r"(BLOCK.*).mlp.(?:0|fc1).(\w+)": r"\1.mlp.up.\2",
    r"(BLOCK.*).mlp.(?:3|fc2).(\w+)": r"\1.mlp.down.\2",
    r"(BLOCK.*).proj(?:ect)?.(\w+)": r"\1.PROJECT.\2",
    r"norm(?:_embed)?.(\w+)": r"head.norm.\1",
    r"head.(?:1|proj).(\w+)": r"head.classifier.\1",
}
"""torchvision's and PyTorchVideo's names."""


def mvit_state(state: Mapping[str, Tensor], project: str) -> dict[str, Tensor]:
    """Their weights under our names: blocks in stages, the position of the class token before those of the map."""
    state = dict(state)
    for one, other in (("class_pos", "spatial_pos"), ("pos_embed_class", "pos_embed_spatial")):
        if name := next((name for name in state if name.endswith(one)), None):
            place, space = state.pop(name), state.pop(name.replace(one, other))
            state["positions"] = torch.cat([place.flatten()[None], space.flatten(0, -2)])
    starts = (0, 1, 3, 14)

    def block(found: re.Match[str]) -> str:
        stage = max(i for i, start in enumerate(starts) if start <= int(found[1]))
        return f"BLOCKmain.stage{stage + 1}.{int(found[1]) - starts[stage]}."

    def short(name: str) -> str:
        name = name.replace("BLOCK", "").replace("PROJECT", project)
        return re.sub(r"attend\.([qkv])(?=[._])", lambda found: f"attend.{PARTED[found[1]]}", name)

    values = renamed({re.sub(r"^blocks\.(\d+)\.", block, name): value for name, value in state.items()}, MVIT)
    return {short(name): value for name, value in values.items()}


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", ["mvit_v1_b", "mvit_v2_s"])
def test_scores_of_torchvisions_mvit(torchvision: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """8 frames of 88 pixels give maps of 11 and 6 rows, for which tables of relative positions are stretched."""
    made, size = torchvision.models.video.mvit._mvit, 88
    small = dict(spatial_size=(size, size), temporal_size=8)
    monkeypatch.setattr(torchvision.models.video.mvit, "_mvit", lambda **fields: made(**{**fields, **small}))
    theirs = scattered(getattr(torchvision.models.video, name)(weights=None))
    ours = archdsl.build(archdsl.load(f"{name}_16x4", frames=8, size=size))
    compared(theirs, ours, mvit_state(theirs.state_dict(), "mlp_project" if "v1" in name else "attend_project"), size)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_scores_of_pytorchvideos_mvit(torchvision: Any) -> None:
    hub = pytest.importorskip("pytorchvideo.models.vision_transformers", reason="pip install pytorchvideo")
    from pytorchvideo.models.hub.vision_transformers import mvit_video_base_config as config

    theirs = scattered(hub.create_multiscale_vision_transformers(**{**config, "spatial_size": 96, "temporal_size": 8}))
    for part in theirs.modules():
        if isinstance(part, nn.LayerNorm):
            part.eps = 1e-6  # as PySlowFast and torchvision have it: theirs adds 1e-5 behind its pools
    ours = archdsl.build(archdsl.load("mvit_v1_b_16x4", frames=8, size=96))
    compared(theirs, ours, mvit_state(theirs.state_dict(), "mlp_project"), 96)


def compared(theirs: nn.Module, ours: nn.Module, values: dict[str, Tensor], size: int) -> None:
    """Both give the same scores of 8 random frames, in double precision."""
    mine, clip = ours.state_dict(), torch.randn(2, 3, 8, size, size, dtype=torch.double)
    assert sorted(values) == sorted(mine)
    ours.load_state_dict({name: value.reshape(mine[name].shape) for name, value in values.items()})
    with torch.no_grad():
        got, want = ours.double().eval()(clip), theirs.double()(clip)
    torch.testing.assert_close(got, want)
