"""A family is a function from parameters to an arch, `models` lists its instances: what the files of the zoo are."""

from fractions import Fraction

from archdsl import Arch, Clip, Edge, Model, Pathway, Stage
from archdsl.blocks import Bottleneck, Conv
from archdsl.language import Classifier, TimeConv, repeat


def two_speeds(name: str, *, tau: int = 8, alpha: int = 4, beta_inv: int = 8) -> Arch:
    """The fast pathway sees alpha times the frames with 1 / beta_inv of the channels."""
    stages = dict(
        stem=Stage(Conv(channels=32, kernel=(1, 3, 3), stride=(1, 2, 2))),
        res2=Stage(*repeat(Bottleneck(channels=64, stride=2), 2)),
    )
    return Arch(
        name=name,
        clip=Clip(frames=16, size=32, fps=30),
        pathways=dict(
            slow=Pathway(every=tau, stages=stages),
            fast=Pathway(every=tau // alpha, stages=stages, width_ratio=Fraction(1, beta_inv)),
        ),
        edges=(Edge(source="fast", target="slow", after=("stem", "res2"), transform=TimeConv()),),
        head=Classifier(classes=5),
    )


models = (
    Model(name="two_speeds_8x4", family=two_speeds),
    Model(name="two_speeds_8x2", family=two_speeds, parameters=dict(alpha=2)),
)
