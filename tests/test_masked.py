"""Masked pre-training: which parts of a map are kept, where they lie, counts of the zoo's networks, drawings."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings

import archdsl
from archdsl import ops
from archdsl.backend import build_graph
from archdsl.backend.runtime.attention.masks import MaskTokens, kept_units
from archdsl.blocks import Keep, Patches, Positions, SinePositions, Transformer
from archdsl.blocks.masks import Turned
from archdsl.language import Arch, Clip, Features, Pathway, Stage
from archdsl.ops import Shape
from archdsl.testing import graph_of
from archdsl.testing.arches import masked_arches
from archdsl.testing.conformance import check


def test_parts_are_kept_in_the_order_of_the_map() -> None:
    """Of two channels in turn; where fewer are chosen the first of the others fill up, of more the last are left."""
    x = torch.arange(8.0).view(1, 1, 2, 2, 2)
    mask = torch.tensor([[[0.0, 1], [1, 0]], [[1, 1], [1, 0]]]).view(1, 2, 1, 2, 2)
    assert kept_units(x, mask, (2, 2, 2), (2, 1)).tolist() == [[[[[1], [2], [0]], [[5], [6], [4]]]]]
    assert kept_units(x, mask, (2, 2, 2), (2,), first=1).tolist() == [[[[[0], [1]], [[4], [5]]]]]
    assert kept_units(x, mask, (2, 2, 2), (3,)).tolist() == [[[[[1], [2], [0]], [[5], [6], [4]]]]]


def test_parts_of_several_elements() -> None:
    """Each clip of a batch has its own; a part keeps its rows and columns."""
    x = torch.arange(32.0).view(2, 1, 1, 4, 4)
    mask = torch.zeros(2, 1, 1, 2, 2)
    mask[0, 0, 0, 0, 1] = mask[1, 0, 0, 1, 0] = 1
    found = kept_units(x, mask, (1, 4, 4), (1,))
    assert found.tolist() == [[[[[2, 3], [6, 7]]]], [[[[24, 25], [28, 29]]]]]


def test_kinds_of_mask_tokens() -> None:
    """The mask says which stands for each part, 1 for the first."""
    module = MaskTokens(channels=2, size=(1, 2, 1), count=2, kinds=3)
    mask = torch.tensor([[0.0, 0, 0, 0], [0, 3, 0, 1]]).view(1, 2, 1, 2, 2)
    y = module(torch.zeros(1, 2, 1, 1, 1), mask)[0, :, 0, :, 0].T
    torch.testing.assert_close(y, torch.stack([torch.zeros(2), module.weight[2], module.weight[0]]))


@pytest.mark.parametrize("positions", [SinePositions(), Positions(over=("hw", "t"))])
@pytest.mark.parametrize(("times", "rotary"), [(1, True), (2, Turned(over=("w", "t"), one_angle=True, start=1))])
def test_keeping_all_is_the_whole_map(positions: Any, times: int, rotary: Any) -> None:
    """Attention is alike in any order: with every part kept, blocks and positions before and behind give the same."""
    torch.manual_seed(0)

    def network(keep: tuple[Any, ...]) -> Any:
        blocks = (Patches(kernel=(2, 4, 4), channels=12), *keep, positions, Transformer(heads=2, rotary=rotary))
        clips = {"clip": Clip(frames=4, size=8), "mask": Clip(modality="mask", frames=times, size=2)}
        pathway = Pathway(clip="clip", stages={"body": Stage(*blocks)})
        arch = Arch(name="net", clips=clips, pathways={"main": pathway}, head=Features())
        return archdsl.build(arch).eval()

    whole, kept = network(()), network((Keep(count=4 * times),))
    kept.load_state_dict({renumbered(name): value for name, value in whole.state_dict().items()})
    clips = {"clip": torch.randn(2, 3, 4, 8, 8), "mask": torch.rand(2, 1, times, 2, 2)}
    want = whole(clips)
    got = kept(clips)
    places = kept_units(want, clips["mask"], (2, 2, 2), (4 * times,))
    torch.testing.assert_close(got, places, rtol=1e-4, atol=1e-5)


def renumbered(name: str) -> str:
    """The address of a block that stands behind one more."""
    pathway, stage, number, *rest = name.split(".")
    return ".".join([pathway, stage, str(int(number) + (number != "0")), *rest])


def test_what_is_hidden_is_not_seen() -> None:
    """The pixels of hidden parts change nothing, whatever patches overlap."""
    torch.manual_seed(0)
    for name, size in (("hiera_t_16x224_mae", 64), ("videomae_vit_s_pretrain", 64)):
        arch = archdsl.load(name, frames=8, size=size)
        network = archdsl.build(arch).eval()
        mask = arch.clips["mask"].shape
        kept = arch.pathways["main"].stages["keep"].blocks[0].count
        chosen = (torch.rand(1, 1, mask.t * mask.h * mask.w).argsort(2) < kept).float().view(1, 1, *mask[1:4])
        masks = torch.cat([chosen, 1 - chosen], dim=1)
        clip = torch.randn(1, 3, 8, size, size)
        seen = chosen
        for axis, sides in enumerate(zip(clip.shape[2:], mask[1:4])):
            seen = seen.repeat_interleave(sides[0] // sides[1], dim=2 + axis)
        with torch.no_grad():
            one, other = (network({"clip": x, "mask": masks}) for x in (clip, clip + 5 * (1 - seen)))
            moved = network({"clip": clip + 5 * seen, "mask": masks})
        torch.testing.assert_close(one, other)
        assert not torch.allclose(one, moved)


PUBLISHED = {  # (parameters, fvcore's count) in the authors' code
    "videomae_vit_s_pretrain": (24_029_376, 11_557_244_928),
    "videomae_vit_b_pretrain": (94_210_944, 35_481_919_488),
    "videomae_vit_l_pretrain": (342_996_992, 142_775_779_328),
    "videomae_vit_h_pretrain": (645_659_392, 136_958_222_336),
    "videomae_v2_vit_g_pretrain": (1_026_306_560, None),
    "hiera_b_16x224_mae": (79_367_104, None),
    "hiera_bplus_16x224_mae": (98_320_352, None),
    "hiera_l_16x224_mae": (243_621_760, None),
    "hiera_h_16x224_mae": (710_861_568, None),
    "vjepa2_vitl_predictor": (22_086_016, None),
    "vjepa2_vith_predictor": (22_282_880, None),
    "vjepa2_vitg_predictor": (22_381_312, None),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_counts_of_the_authors_code(name: str) -> None:
    params, fvcore = PUBLISHED[name]
    plan = archdsl.compile(archdsl.load(name))
    assert plan.params == params
    assert fvcore is None or plan.count("fvcore") == fvcore


def test_counts_with_other_parameters() -> None:
    """V1 masks of ViT-L with a short decoder and of ViT-g; Hugging Face's default, whose encoder ends without norm."""
    large = archdsl.compile(archdsl.load("videomae_vit_l_pretrain", decoder_depth=4))
    assert (large.params, large.count("fvcore")) == (317_782_016, 83_110_494_208)
    giant = archdsl.compile(archdsl.load("videomae_v2_vit_g_pretrain", dual=False))
    assert (giant.params, giant.count("fvcore")) == (1_026_306_560, 264_122_316_800)
    assert archdsl.compile(archdsl.load("videomae_vit_b_pretrain", norm=False)).params == 94_209_408


@settings(max_examples=3)
@given(masked_arches())
def test_random_masked_archs_pass_the_check(arch: Arch) -> None:
    check(arch)


def test_tokens_beside_the_map_are_kept() -> None:
    """They stand in front of the kept parts and of mask tokens."""
    x, mask = Shape(3, 2, 4, 4, 1), Shape(2, 1, 2, 2)
    keep = ops.KeepUnits(counts=(3,))
    whole = torch.randn(1, *x.tensor)
    y = build_graph(graph_of(keep, (x, mask)))({"x0": whole, "x1": torch.ones(1, *mask)})
    assert keep.out(x, mask) == Shape(3, 2, 6, 2, 1)
    torch.testing.assert_close(y[..., 0], whole[..., 0])


def test_admits_tells_sizes_that_the_mask_parts() -> None:
    arch = archdsl.load("videomae_vit_s_pretrain", frames=4, size=64)
    found = {(axis.axis, axis.clips): axis.text for axis in archdsl.admits(arch).axes}
    assert found["size", ("clip",)] == "multiples of 64 from 64"
    assert found["frames", ("clip",)] == "multiples of 2 from 2"
