"""Small localisers of every kind."""

from __future__ import annotations

from fractions import Fraction

from archdsl.blocks import BoundaryMatch, Conv, Scale
from archdsl.language import Arch, Clip, Localiser, Pathway, SegmentDetector, Stage


def along(channels: int, kernel: int = 3, act: str = "relu") -> Conv:
    return Conv(channels=channels, kernel=(kernel, 1, 1), norm="none", act=act, init="default")


def sequence(channels: int = 8, positions: int = 24, fps: Fraction | None = None) -> Clip:
    return Clip(modality="features", channels=channels, frames=positions, size=1, fps=fps)


def tiny_tem(positions: int = 24) -> Arch:
    """Chances of an action, a start and an end."""
    stages = {"near": Stage(along(32), along(32)), "chances": Stage(along(3, 1, "sigmoid"))}
    pathways = {"scores": Pathway(stages=stages)}
    return Arch(name="tiny_tem", clip=sequence(positions=positions), pathways=pathways, head=Localiser())


def tiny_pem(candidates: int = 60) -> Arch:
    """The overlap of each candidate."""
    stages = {"hidden": Stage(along(32, 1)), "overlap": Stage(along(1, 1, "sigmoid"))}
    pathways = {"scores": Pathway(stages=stages)}
    return Arch(name="tiny_pem", clip=sequence(32, candidates), pathways=pathways, head=Localiser())


def tiny_bmn(positions: int = 24) -> Arch:
    """Starts, ends, and every proposal."""
    boundary = {"near": Stage(along(32)), "chance": Stage(along(1, 1, "sigmoid"))}

    def over(channels: int, side: int, act: str = "relu") -> Conv:
        return Conv(channels=channels, kernel=(1, side, side), norm="none", act=act, init="default")

    proposals = {
        "near": Stage(along(16)),
        "held": Stage(BoundaryMatch(samples=8)),
        "within": Stage(Conv(channels=32, kernel=(8, 1, 1), pad="valid", norm="none", init="default")),
        "among": Stage(over(32, 1), over(32, 3)),
        "overlap": Stage(over(2, 1, "sigmoid")),
    }
    pathways = {
        "base": Pathway(stages={"near": Stage(along(32), along(32))}),
        "start": Pathway(after="base", stages=boundary),
        "end": Pathway(after="base", stages=boundary),
        "proposals": Pathway(after="base", stages=proposals),
    }
    head = Localiser(maps=("proposals",))
    return Arch(name="tiny_bmn", clip=sequence(positions=positions), pathways=pathways, head=head)


def tiny_tal(classes: int = 8, positions: int = 24, streams: tuple[str, ...] = ("rgb",)) -> Arch:
    """Anchors and proposals, one pathway for each stream."""
    clips = {f"{stream}_features": sequence(8, positions, Fraction(5, 4)) for stream in streams}
    stages = {"features": Stage(Scale(by=1.0))}
    pathways = {stream: Pathway(clip=f"{stream}_features", stages=stages) for stream in streams}
    head = SegmentDetector(classes=classes, scales=(3, 6, 12), channels=32, hidden=(64,), top=20)
    return Arch(name="tiny_tal", clips=clips, pathways=pathways, head=head)
