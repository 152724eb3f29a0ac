"""Transformers beyond plain ones: views, taps, tubes, scans, memories. The integers of the original implementations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

import archdsl

COUNTS: dict[tuple[str, tuple[tuple[str, Any], ...]], tuple[int, int]] = {
    # google-research/scenic@4a38d47, projects/mtv
    ("mtv_b", ()): (304_270_864, 374_597_276_160),
    ("mtv_b_no_fusion", ()): (302_049_040, 367_222_503_936),
    ("mtv_b", (("size", 320),)): (304_545_040, 873_852_031_488),
    ("mtv_b", (("classes", 174),)): (303_966_894, 374_596_972_416),
    ("mtv_l", ()): (876_382_552, 1_418_746_395_648),
}
"""Model and what is changed of it: parameters, multiply-adds."""


@pytest.mark.parametrize(("name", "given"), COUNTS)
def test_counts_are_the_originals(name: str, given: tuple[tuple[str, Any], ...]) -> None:
    plan = archdsl.compile(archdsl.load(name, **dict(given)))
    assert (plan.params, plan.macs) == COUNTS[name, given]


THREE = """
name: three
clip: {frames: 8, size: 16}
pathways:
  coarse: {stages: {cut: {patches: {kernel: [4, 8, 8], channels: 12}}, more: {transformer: {heads: 3}}}}
  middle: {stages: {cut: {conv: {channels: 8, kernel: [1, 8, 8], stride: [2, 8, 8], pad: valid}}}}
  fine: {stages: {cut: [{patches: {kernel: [1, 8, 8], channels: 4}}, class_token]}}
edges:
  - {source: middle, target: coarse, after: cut, transform: {cross_attention: {heads: 2}}, merge: sum}
  - {source: fine, target: middle, after: cut, transform: {cross_attention: {heads: 2}}, merge: sum}
head: {classifier: {reads: [coarse], classes: 10}}
"""


def test_cross_attention_on_edges(tmp_path: Path) -> None:
    """12 channels at 2 x 2 x 2 read 8 at 4 x 2 x 2, convolved ones, and these 4 and a token at 8 x 2 x 2.

    The middle map is normalised once: of the first edge there are norms of 12 and 8 channels, of the second of 4.
    """
    (tmp_path / "three.yaml").write_text(THREE)
    plan = archdsl.testing.check(archdsl.load(tmp_path / "three.yaml"))
    first, second = plan.shapes["edges.cut.middle_to_coarse"], plan.shapes["edges.cut.fine_to_middle"]
    assert (first, second) == ((12, 2, 2, 2), (8, 4, 2, 2))
    sizes = {node.address: plan.shapes[node.reads[0]].c for node in plan.nodes if node.address.endswith("norm")}
    edges = {address.removeprefix("edges.cut."): c for address, c in sizes.items() if address.startswith("edges")}
    assert edges == {"middle_to_coarse.query_norm": 12, "middle_to_coarse.norm": 8, "fine_to_middle.norm": 4}


def test_cross_attention_is_the_formula(tmp_path: Path) -> None:
    (tmp_path / "three.yaml").write_text(THREE)
    network = archdsl.build(archdsl.load(tmp_path / "three.yaml")).eval()
    lateral = network.get_submodule("edges.cut.middle_to_coarse")
    torch.nn.init.normal_(lateral.out.weight)
    seen: dict[str, Any] = {}
    for name in ("coarse.cut", "middle.cut"):
        network.get_submodule(name).register_forward_hook(lambda _m, _x, y, name=name: seen.update({name: y}))
    network.get_submodule("coarse.more").register_forward_pre_hook(lambda _m, x: seen.update(more=x[0]))
    network(torch.randn(1, 3, 8, 16, 16))
    coarse, middle = (seen[name].flatten(2)[0].T for name in ("coarse.cut", "middle.cut"))
    reads = [F.layer_norm(x, x.shape[1:], eps=1e-6) for x in (coarse, middle, middle)]
    q, k, v = (layer(x) for layer, x in zip((lateral.query, lateral.key, lateral.value), reads))
    two = (slice(0, 6), slice(6, 12))
    heads = [(q[:, at] @ k[:, at].T / 6**0.5).softmax(dim=1) @ v[:, at] for at in two]
    want = coarse + lateral.out(torch.cat(heads, dim=1))
    torch.testing.assert_close(seen["more"].flatten(2)[0].T, want)
