"""TRN, Temporal Relation Networks (arXiv:1711.08496): frames are told apart alone and read in their order.

A 2-D net makes one vector of each segment's middle frame; two layers read several frames side by side. Multi-scale
sums what relations of 2, 3, ... all frames say, three of each size. Which three is chance in training, and here, unlike
in the authors' code and mmaction2's, an even spread at test, so that a net's answer is one answer.
"""

from archdsl.language import Arch, Model, Relation, Stage
from archdsl.spec.scalars import Count
from archdsl.zoo import inception, resnet, tsn


def trn(name: str, stages: dict[str, Stage], segments: int, classes: int, multi: bool = True) -> Arch:
    """A 2-D net with a head that relates frames; a relation of all frames has the wider layer."""
    arch = tsn.tsn(name, stages, segments=segments, segment_frames=8, classes=classes)
    scales = dict(scales="multi") if multi else dict(scales="single", hidden=512)
    return arch.but(head=Relation(classes=classes, dropout=0.8, **scales))


def trn_resnet(name: str, depth: Count = 50, segments: Count = 8, multi: bool = True) -> Arch:
    """mmaction2's, for Something-Something."""
    return trn(name, resnet.stages(depth), segments, 174, multi)


def trn_bn_inception(name: str, segments: Count = 8, multi: bool = True) -> Arch:
    """The paper's, for Something-Something."""
    return trn(name, inception.bn_inception_stages(), segments, 174, multi)


models = (
    Model(name="trn_r50", family=trn_resnet, parameters=dict(multi=False)),
    Model(name="trn_r50_multiscale", family=trn_resnet),
    Model(name="trn_bn_inception_multiscale", family=trn_bn_inception),
)
