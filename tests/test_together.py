"""Ensembles: archs side by side, each with its own weights, and the mean of their scores."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import archdsl
from archdsl.blocks import Conv, TimeShift
from archdsl.errors import SpecError
from archdsl.language import Arch, Classifier, Clip, Consensus, Edge, Head, Localiser, Pathway, Stage
from archdsl.rewrites import causal, together

COUNTS = {
    # members, and what their papers print of both together
    "tsm_r50_en": ("tsm_r50", "tsm_r50_16f"),
    "tdn_r101_en": ("tdn_r101", "tdn_r101_16f"),
    "teinet_r50_en": ("teinet_r50", "teinet_r50_16f"),
    "tanet_r50_en": ("tanet_r50", "tanet_r50_16f"),
}


def small(channels: int, head: Head | None = None, **clip: Any) -> Arch:
    """Two pathways, an edge and a head."""
    stages = {"res1": Stage(Conv(channels=channels, kernel=(1, 3, 3)))}
    pathways = {
        "slow": Pathway(every=2, stages=stages),
        "fast": Pathway(stages=stages),
        "late": Pathway(after="slow", stages=stages),
    }
    edge = Edge(source="fast", target="slow", after="res1", transform="time_sample", merge="sum")
    head = head or Classifier(classes=5)
    return Arch(name="small", clip=Clip(**{"frames": 4, "size": 8, **clip}), pathways=pathways, edges=[edge], head=head)


@pytest.mark.parametrize("name", COUNTS)
def test_an_ensemble_costs_what_its_members_cost(name: str) -> None:
    both, *members = (archdsl.compile(archdsl.load(one)) for one in (name, *COUNTS[name]))
    assert both.params == sum(one.params for one in members)
    assert both.macs == sum(one.macs for one in members)
    assert both.outputs == {"scores": (400,)}


def with_twin(arch: Arch) -> Arch:
    """A pathway more, which shares the weights of `fast`."""
    return arch.but(pathways={**arch.pathways, "twin": arch.pathways["fast"].but(tied_to="fast", every=2)})


@pytest.mark.parametrize("a", [small(3), with_twin(small(3))], ids=["plain", "tied"])
def test_scores_are_the_mean_of_the_members(a: Arch) -> None:
    torch.manual_seed(0)
    b = small(4)
    both = archdsl.compile(together("both", a=a, b=b))
    assert both.params == archdsl.compile(a).params + archdsl.compile(b).params
    network = archdsl.build(together("both", a=a, b=b)).double().eval()
    clip = torch.randn(2, 3, 4, 8, 8, dtype=torch.double)
    alone = []
    for key, arch in (("a", a), ("b", b)):
        one, prefix = archdsl.build(arch).double().eval(), (f"{key}_", f"head.{key}.", f".{key}_")
        state = {}
        for name, value in network.state_dict().items():
            if name.startswith(prefix[:2]) or prefix[2] in name:
                state[name.replace(f"head.{key}.", "head.").replace(f"{key}_", "")] = value
        one.load_state_dict(state)
        alone.append(one(clip))
    torch.testing.assert_close(network(clip), (alone[0] + alone[1]) / 2)


def test_causal_members_stream_together() -> None:
    shifted = {"res1": Stage(TimeShift(share=3))}
    one = Arch(
        name="one", clip=Clip(frames=4, size=8), pathways={"rgb": Pathway(stages=shifted)}, head=Consensus(classes=5)
    )
    plan = archdsl.compile(together("both", a=causal(one), b=causal(one)))
    assert plan.arch.causal
    assert plan.held == 2 * archdsl.compile(causal(one)).held
    with pytest.raises(SpecError, match="some of the archs causal, some not"):
        together("both", a=causal(one), b=one)


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (small(3, frames=8), "different clips with the same name 'clip'"),
        (small(3, Localiser()), "b is not a single classifier"),
    ],
)
def test_what_cannot_stand_together(other: Arch, what: str) -> None:
    with pytest.raises(SpecError, match=what):
        together("both", a=small(3), b=other)
