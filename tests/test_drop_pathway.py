"""An edge that is dropped at times is dropped at all its stages in the same step (DropPathway of AVSlowFast)."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import archdsl
from archdsl.blocks import Conv
from archdsl.errors import SpecError
from archdsl.language import Arch, Classifier, Clip, Edge, Pathway, Stage
from archdsl.language.writers.yaml_writer import to_yaml


def two(drop: float = 0.5, causal: bool = False) -> Arch:
    """Two pathways of two stages; the second tells the first at both."""
    stages = {f"s{i}": Stage(Conv(channels=4, kernel=(1, 3, 3), norm="none")) for i in (1, 2)}
    edge = Edge(source="b", target="a", after=("s1", "s2"), merge="sum", drop=drop)
    pathways = {"a": Pathway(stages=stages), "b": Pathway(stages=stages)}
    clip = Clip(frames=2, size=8)
    head = Classifier(reads=("a",), classes=3)
    return Arch(name="two", clip=clip, pathways=pathways, edges=(edge,), head=head, causal=causal)


@pytest.mark.parametrize("lower", ["none", "auto"])
def test_all_stages_hear_or_none_does(lower: str) -> None:
    """A step has one of two results, one as a test has it; without the source no gradient reaches it."""
    network = archdsl.build(two(), lower, train=True)
    clip = torch.randn(3, 3, 2, 8, 8)
    heard = network.eval()(clip)
    network.train()
    found: dict[bool, list[Tensor]] = {True: [], False: []}
    for seed in range(24):
        torch.manual_seed(seed)
        network.zero_grad()
        y = network(clip)
        y.sum().backward()
        gradient = network.get_parameter("b.s1.0.conv.weight").grad
        assert gradient is not None
        found[bool(gradient.abs().sum() > 0)].append(y.detach())
    assert 4 < len(found[True]) < 20
    for y in found[True]:
        torch.testing.assert_close(y, heard)
    for y in found[False][1:]:
        torch.testing.assert_close(y, found[False][0])
    assert not torch.allclose(found[False][0], heard, atol=1e-4)


def test_it_costs_no_weights_and_stands_in_specs() -> None:
    plain, dropped = (archdsl.compile(two(drop)) for drop in (0.0, 0.8))
    assert (plain.params, plain.macs) == (dropped.params, dropped.macs)
    assert "drop: 0.8" in to_yaml(dropped.arch)
    assert not any("heard" in node.address for node in plain.nodes)
    assert sum(node.address.endswith("heard") for node in dropped.nodes) == 1
    names = [{name for name, _ in archdsl.build(one).named_parameters()} for one in (plain, dropped)]
    assert names[0] == names[1]
    with pytest.raises(SpecError):
        two(drop=1.0)


def test_the_papers_network_drops_its_sound_everywhere() -> None:
    plan = archdsl.compile(archdsl.load("avslowfast_r50_8x8", drop=0.8, size=64))
    dropped = [node for node in plan.nodes if node.address.endswith(".dropped")]
    assert len(dropped) == 4
    assert len({node.reads[1] for node in dropped}) == 1
