"""The listener of Listen, Attend and Spell (arXiv:1508.01211): sound, read both ways, at an eighth of its rate.

A bidirectional LSTM over filter banks, then three that each read two neighbouring steps of the one before as one. The
speller, which attends to it, is no part of it here.
"""

from archdsl.blocks import Block, Branches, Lstm, PackFrames
from archdsl.language import Arch, Clip, Features, Model, Pathway, Stage
from archdsl.spec.scalars import Count


def listener(name: str, frames: Count = 160, bands: Count = 40, hidden: Count = 256, levels: Count = 3) -> Arch:
    """As many steps as frames over two to the number of levels."""

    def both() -> Block:
        one = Lstm(hidden=hidden, biases=2)
        return Branches(branches={"onward": (one,), "back": (one.but(reverse=True),)})

    stages = {"listen": Stage(both())}
    stages |= {f"pyramid{i}": Stage(PackFrames(), both()) for i in range(1, levels + 1)}
    clip = Clip(modality="features", channels=bands, frames=frames, size=1)
    return Arch(name=name, clip=clip, pathways=dict(sound=Pathway(stages=stages)), head=Features())


models = (Model(name="las_listener", family=listener),)
