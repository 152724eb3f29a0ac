"""TIN, the Temporal Interlacing Network (arXiv:2001.06499): a temporal shift whose distances the clip chooses.

Before the first kernel of each residual branch, a quarter of the channels moves in time by two offsets and their
negatives, between frames by linear interpolation, and is weighted frame by frame. The nets that choose offsets and
weights see frame means only. Their layers over time tie a net to its segments.
"""

from archdsl.blocks import TemporalInterlace
from archdsl.language import Arch, Model
from archdsl.rewrites import with_modules
from archdsl.spec.scalars import Count
from archdsl.zoo import resnet, tsm


def tin(name: str, depth: Count = 50, segments: Count = 8, share: Count = 4, classes: Count = 400) -> Arch:
    """`share`: one channel in so many moves."""
    arch = tsm.host(name, resnet.stages(depth), segments, classes)
    return with_modules(arch, {"before": TemporalInterlace(share=share)})


models = (Model(name="tin_r50", family=tin),)
