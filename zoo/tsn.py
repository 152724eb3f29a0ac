"""Temporal Segment Networks (arXiv:1608.00859, arXiv:1705.02953): a video is a few snippets, and their scores agree.

The clip is cut into equal segments; the middle of each is classified by one image net, and a consensus makes one score
of all: the average, the maximum, the mean of the highest, or a learned weighting. A snippet is one RGB frame, five
frames of flow (of warped flow, where camera motion is taken out first: the same net), or five RGB differences. Five
frames stacked as channels are here a first kernel that spans five frames and strides by five, which is the same sum.
`segments=25` is the net as it is tested.
"""

from archdsl.language import Arch, Clip, Consensus, Model, Pathway, Stage, change, row_of
from archdsl.spec.scalars import Count
from archdsl.zoo import inception, resnet

SNIPPETS = {"rgb": 1, "flow": 5, "rgb_diff": 5}


def tsn(
    name: str,
    stages: dict[str, Stage],
    modality: str = "rgb",
    segments: int = 3,
    segment_frames: int = 10,
    classes: int = 400,
    over: str = "average",
    k: int | None = None,
    dropout: float = 0.5,
) -> Arch:
    """An image net over snippets; its first block reads them."""
    length = row_of(SNIPPETS, modality=modality)
    if length > 1:
        (_, h, w), (_, sh, sw) = stages["stem"].blocks[0].kernel, stages["stem"].blocks[0].stride
        for field, value in dict(kernel=(length, h, w), stride=(length, sh, sw), pad=(0, h // 2, w // 2)).items():
            stages = {**stages, "stem": change(stages["stem"], f"0.{field}", value)}
    pathway = Pathway(segments=segments, stages=stages, **(dict(snippet=length) if length > 1 else {}))
    clip = Clip(modality=modality, frames=segments * segment_frames, size=224)
    head = Consensus(classes=classes, over=over, k=k, dropout=dropout)
    return Arch(name=name, clip=clip, pathways=dict(main=pathway), head=head)


def tsn_resnet(
    name: str, depth: Count = 50, segments: Count = 8, over: str = "average", k: Count | None = None
) -> Arch:
    """mmaction2's, for Kinetics-400."""
    return tsn(name, resnet.stages(depth), segments=segments, over=over, k=k, dropout=0.4)


def tsn_bn_inception(
    name: str, modality: str = "rgb", segments: Count = 3, over: str = "average", k: Count | None = None
) -> Arch:
    """The paper's, for UCF-101."""
    dropout = 0.8 if modality == "rgb" else 0.7
    stages = inception.bn_inception_stages()
    return tsn(name, stages, modality, segments, classes=101, over=over, k=k, dropout=dropout)


models = (
    Model(name="tsn_r50", family=tsn_resnet),
    Model(name="tsn_r50_max", family=tsn_resnet, parameters=dict(over="max")),
    Model(name="tsn_r50_topk", family=tsn_resnet, parameters=dict(over="top", k=3)),
    Model(name="tsn_r50_weighted", family=tsn_resnet, parameters=dict(over="weighted")),
    Model(name="tsn_r101", family=tsn_resnet, parameters=dict(depth=101)),
    Model(name="tsn_bn_inception", family=tsn_bn_inception),
    Model(name="tsn_bn_inception_flow", family=tsn_bn_inception, parameters=dict(modality="flow")),
    Model(name="tsn_bn_inception_warped_flow", family=tsn_bn_inception, parameters=dict(modality="flow")),
    Model(name="tsn_bn_inception_rgb_diff", family=tsn_bn_inception, parameters=dict(modality="rgb_diff")),
)
