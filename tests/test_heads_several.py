"""Heads side by side: outputs by name, or scores joined."""

from __future__ import annotations

import pytest
import torch

import archdsl
from archdsl.blocks import Conv
from archdsl.language import Arch, Classifier, Clip, Pathway, Several, Stage
from archdsl.testing import check

TWO = dict(one=Classifier(classes=3, reads=("left",)), two=Classifier(classes=3, reads=("right",)))


def net(head: Several) -> Arch:
    stages = dict(a=Stage(Conv(channels=4, kernel=(1, 3, 3))), b=Stage(Conv(channels=8)))
    pathways = dict(left=Pathway(stages=stages), right=Pathway(after="left.a", stages=dict(c=Stage(Conv(channels=2)))))
    return Arch(name="net", clip=Clip(frames=2, size=8), pathways=pathways, head=head)


def test_each_head_has_an_output_of_its_name() -> None:
    assert check(net(Several(heads=TWO))).outputs == {"one": (3,), "two": (3,)}


@pytest.mark.parametrize("merge", ["sum", "average"])
def test_joined_scores_are_those_of_both(merge: str) -> None:
    apart, joined = archdsl.build(net(Several(heads=TWO))), archdsl.build(net(Several(heads=TWO, merge=merge)))
    joined.load_state_dict(apart.state_dict())
    clip = torch.randn(2, 3, 2, 8, 8)
    outputs = apart.eval()(clip)
    both = outputs["one"] + outputs["two"]
    torch.testing.assert_close(joined.eval()(clip), both if merge == "sum" else both / 2)
    assert check(net(Several(heads=TWO, merge=merge))).outputs == {"scores": (3,)}


def test_classes_change_in_every_head() -> None:
    arch = archdsl.load(net(Several(heads=TWO)), classes=5)
    assert arch.classes == 5
    assert archdsl.compile(arch).outputs == {"one": (5,), "two": (5,)}


def test_a_head_must_say_what_it_reads() -> None:
    with pytest.raises(archdsl.SpecError) as error:
        Several(heads=dict(one=Classifier(classes=3)))
    assert str(error.value.faults[0]).startswith("head one has no `reads`\n  at      heads.one")


def test_a_pathway_that_is_not_there_is_told() -> None:
    with pytest.raises(archdsl.SpecError, match="no pathway 'middle'"):
        net(Several(heads=dict(one=Classifier(classes=3, reads=("middle",)))))
