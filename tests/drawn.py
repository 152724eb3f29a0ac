"""Archs that the tests of drawings draw: two lanes, one image, three lanes of two clips, branches, many stages."""

from __future__ import annotations

from fractions import Fraction

from archdsl.blocks import Bottleneck, Conv, MaxPool
from archdsl.language import Arch, Classifier, Clip, Edge, Pathway, Stage, TimeConv, TimeDeconv, repeat


def stages(kernel_t: int = 1) -> dict[str, Stage]:
    return dict(
        stem=Stage(
            Conv(channels=16, kernel=(kernel_t, 7, 7), stride=(1, 2, 2)), MaxPool(kernel=(1, 3, 3), stride=(1, 2, 2))
        ),
        res2=Stage(*repeat(Bottleneck(channels=64, kernel_t=kernel_t), 4)),
        res3=Stage(*repeat(Bottleneck(channels=128, kernel_t=kernel_t, stride=2), 2)),
    )


def two() -> Arch:
    return Arch(
        name="two",
        clip=Clip(frames=32, size=64, fps=30),
        pathways=dict(
            slow=Pathway(every=8, stages=stages()),
            fast=Pathway(every=2, width_ratio=Fraction(1, 4), stages=stages(3)),
        ),
        edges=(Edge(source="fast", target="slow", after=("stem", "res2"), transform=TimeConv(kernel=5)),),
        head=Classifier(classes=10),
    )


def image() -> Arch:
    return Arch(
        name="image",
        clip=Clip(frames=1, size=64),
        pathways=dict(body=Pathway(stages=stages())),
        head=Classifier(classes=10),
    )


def three() -> Arch:
    """Three pathways of two clips; two edges into one stage, one back, one within a pathway."""
    steady = TimeConv(kernel=1, alpha=1)
    return Arch(
        name="three",
        clips=dict(rgb=Clip(frames=32, size=64, fps=25), flow=Clip(modality="flow", frames=32, size=64)),
        pathways=dict(
            slow=Pathway(clip="rgb", every=8, stages=stages()),
            motion=Pathway(clip="flow", every=8, stages=stages()),
            fast=Pathway(clip="rgb", every=2, width_ratio=Fraction(1, 4), stages=stages(3)),
        ),
        edges=(
            Edge(source="fast", target="slow", after="res2", transform=TimeConv(kernel=5)),
            Edge(source="motion", target="slow", after="res2", transform=steady, merge="concat"),
            Edge(source="slow", target="fast", after="res2", transform=TimeDeconv(kernel=3)),
            Edge(source="slow", target="slow", after="stem", into="res2", name="skip"),
        ),
        head=Classifier(classes=10),
    )


def branching() -> Arch:
    """A trunk with two pathways behind it; the head reads a pathway that does not end last."""
    s = stages()
    return Arch(
        name="branching",
        clip=Clip(frames=8, size=64),
        pathways=dict(
            trunk=Pathway(every=2, stages=dict(stem=s["stem"], res2=s["res2"])),
            left=Pathway(after="trunk", stages=dict(res3=s["res3"])),
            right=Pathway(after="trunk.stem", stages=dict(a=Stage(Conv(channels=8)), b=Stage(Conv(channels=8)))),
        ),
        head=Classifier(classes=10),
    )


def long() -> Arch:
    """Many stages, with long names."""
    named = {f"a_rather_long_name_of_stage_{i}": Stage(Conv(channels=8 + i, kernel=(3, 3, 3))) for i in range(24)}
    return Arch(
        name="n" * 100,
        clip=Clip(frames=300, size=16),
        pathways=dict(main=Pathway(stages=named)),
        head=Classifier(classes=3),
    )


ARCHES = (two, image, three, branching, long)
