"""Temporal localisation: which stretches of a sequence of features may hold an action.

BSN (arXiv:1806.02964): its first network says at every position how likely an action is there, starts and ends
(`bsn_tem`); candidates are paired by rule, and the second rates each by 32 numbers read around and in it (`bsn_pem`).
BMN (arXiv:1907.09702) does both at once: a fixed matrix reads every duration and start off the sequence.

A clip of features is (c, positions, 1, 1); for `bsn_pem` the positions are candidates. Maps over proposals are
(c, 1, durations, starts).
"""

from __future__ import annotations

from archdsl.blocks import BoundaryMatch, Conv, Scale
from archdsl.language import Arch, Clip, Localiser, Model, Pathway, Stage
from archdsl.spec.scalars import Count

HERE = (1, 1, 1)
NEAR = (3, 1, 1)
AROUND = (1, 3, 3)


def along(channels: int, kernel: tuple[int, int, int] = NEAR, groups: int = 1, act: str = "relu") -> Conv:
    """A convolution along the sequence, or where the kernel says so; it starts as torch has it."""
    return Conv(channels=channels, kernel=kernel, groups=groups, norm="none", act=act, init="default")


def over_map(channels: int, kernel: tuple[int, int, int], act: str = "relu") -> Conv:
    """A convolution over durations and starts."""
    return Conv(channels=channels, kernel=kernel, norm="none", act=act)


def sequence(channels: int, positions: int) -> Clip:
    """Features of one position after the other."""
    return Clip(modality="features", channels=channels, frames=positions, size=1)


def bsn_tem(name: str, *, features: Count = 400, hidden: Count = 512) -> Arch:
    """Actionness, start and end at every position; 0.01 of them goes into the sigmoid."""
    stages = {
        "near": Stage(along(hidden), along(hidden)),
        "chances": Stage(along(3, HERE, act="none"), Scale(by=0.01, act="sigmoid")),
    }
    clip = sequence(features, 100)
    return Arch(name=name, clip=clip, pathways={"scores": Pathway(stages=stages)}, head=Localiser())


def bsn_pem(name: str, *, features: Count = 32, hidden: Count = 256) -> Arch:
    """The overlap of each candidate with an action; a tenth of each layer goes on."""
    stages = {
        "hidden": Stage(along(hidden, HERE, act="none"), Scale(by=0.1, act="relu")),
        "overlap": Stage(along(1, HERE, act="none"), Scale(by=0.1, act="sigmoid")),
    }
    clip = sequence(features, 1000)
    return Arch(name=name, clip=clip, pathways={"scores": Pathway(stages=stages)}, head=Localiser())


def bmn(name: str, *, features: Count = 400, samples: Count = 32) -> Arch:
    """Starts and ends at every position; of every proposal its overlap, regressed and classified."""
    base = Pathway(stages={"near": Stage(along(256, groups=4), along(256, groups=4))})
    boundary = {"near": Stage(along(256, groups=4)), "chance": Stage(along(1, HERE, act="sigmoid"))}
    proposals = {
        "near": Stage(along(256)),
        "held": Stage(BoundaryMatch(samples=samples)),
        "within": Stage(Conv(channels=512, kernel=(samples, 1, 1), pad="valid", norm="none", init="default")),
        "among": Stage(over_map(128, HERE), over_map(128, AROUND), over_map(128, AROUND)),
        "overlap": Stage(over_map(2, HERE, act="sigmoid")),
    }
    pathways = {
        "base": base,
        "start": Pathway(after="base", stages=boundary),
        "end": Pathway(after="base", stages=boundary),
        "proposals": Pathway(after="base", stages=proposals),
    }
    return Arch(name=name, clip=sequence(features, 100), pathways=pathways, head=Localiser(maps=("proposals",)))


models = (
    Model(name="bsn_tem", family=bsn_tem),
    Model(name="bsn_tem_2048", family=bsn_tem, parameters={"features": 2048}),
    Model(name="bsn_pem", family=bsn_pem),
    Model(name="bmn", family=bmn),
    Model(name="bmn_2048", family=bmn, parameters={"features": 2048}),
)
