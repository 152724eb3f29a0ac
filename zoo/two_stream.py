"""Two-stream networks: one tower sees what things look like, the other how they move.

Simonyan and Zisserman (arXiv:1406.2199): VGG-M-2048 towers for one RGB frame and for ten frames of optical flow,
trained apart, their softmax scores averaged. Ten flow frames stacked as 20 channels are here a first kernel that spans
ten frames, which is the same sum. The temporal tower has no response norm after its second convolution.

Feichtenhofer et al. (arXiv:1604.06573): the flow tower ends where it is fused into the RGB tower, after the ReLU of
conv5 or earlier, by sum, maximum, concatenation, concatenation and a 1x1 convolution, or a bilinear product. Their
last net has VGG-16 towers that see five places of a video: fusion by a 3x3x3 convolution, pools over time, and a
temporal tower that also goes on alone. The RGB frame is the middle one of its ten flow frames.
"""

from typing import Literal

from archdsl.blocks import Block, Conv, Dropout, MaxPool, Norm
from archdsl.errors import SpecError
from archdsl.language import Arch, Classifier, Clip, Edge, Model, Pathway, Several, Stage, change
from archdsl.spec.scalars import Count
from archdsl.zoo import vgg

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5")


def clips(flow_frames: int) -> dict[str, Clip]:
    return dict(rgb=Clip(frames=1, size=224), flow=Clip(modality="flow", frames=flow_frames, size=224))


def stacked(stages: dict[str, Stage], frames: int) -> dict[str, Stage]:
    """The tower whose first kernel spans `frames` frames."""
    conv1 = change(stages["conv1"], "0.kernel", (frames, 7, 7))
    return {**stages, "conv1": conv1}


def two_stream(name: str, flow_frames: Count = 10, classes: Count = 101) -> Arch:
    """Two towers to the end."""
    spatial = Pathway(clip="rgb", stages=vgg.vgg_m_stages(dropout=0.9))
    temporal = Pathway(clip="flow", stages=stacked(vgg.vgg_m_stages(dropout=0.9, second=()), flow_frames))
    towers = dict(spatial=spatial, temporal=temporal)
    heads = {tower: Classifier(reads=(tower,), classes=classes, dropout=0.9, act="softmax") for tower in towers}
    return Arch(name=name, clips=clips(flow_frames), pathways=towers, head=Several(heads=heads, merge="average"))


def fused(
    name: str,
    merge: Literal["sum", "max", "concat", "bilinear"] = "concat",
    after: Literal[*LAYERS] = "conv5",
    mix: bool = False,
    flow_frames: Count = 10,
    classes: Count = 101,
) -> Arch:
    """One tower from `after` on. `mix` halves the channels of a concatenation by a 1x1 convolution."""
    if mix and merge != "concat":
        raise SpecError("`mix` without `merge: concat`", at="mix", got=f"mix=true, merge={merge}", want="merge concat")
    spatial, temporal = vgg.vgg_m_stages(dropout=0.85), vgg.vgg_m_stages(dropout=0.85, second=())
    conv, *rest = spatial[after].blocks
    fuse = (conv.but(kernel=(1, 1, 1), stride=(1, 1, 1), pad="same", act="none"),) if mix else ()
    later = {layer: spatial[layer] for layer in spatial if layer not in LAYERS[: LAYERS.index(after) + 1]}
    if merge == "bilinear":
        rest, later = [], {}
    before = {layer: spatial[layer] for layer in LAYERS[: LAYERS.index(after)]}
    middle: tuple[Block, ...] = (*fuse, *rest)
    stages = {**before, after: Stage(conv), **(dict(fused=Stage(*middle)) if middle else {}), **later}
    flow = {layer: temporal[layer] for layer in LAYERS[: LAYERS.index(after)]} | {
        after: Stage(temporal[after].blocks[0])
    }
    towers = dict(
        spatial=Pathway(clip="rgb", stages=stages), temporal=Pathway(clip="flow", stages=stacked(flow, flow_frames))
    )
    edge = Edge(source="temporal", target="spatial", after=after, merge=merge)
    head = Classifier(reads=("spatial",), classes=classes, dropout=0.85 if later else 0.0)
    return Arch(name=name, clips=clips(flow_frames), pathways=towers, edges=(edge,), head=head)


def fused_3d(name: str, chunks: Count = 5, flow_frames: Count = 10, classes: Count = 101) -> Arch:
    """VGG-16 towers fused in space and time, averaged with the temporal tower."""
    tower = vgg.vgg(name).pathways["rgb"].stages
    ends = {
        layer: Stage(*(block.but(p=0.85) if isinstance(block, Dropout) else block for block in tower[layer].blocks))
        for layer in ("fc6", "fc7")
    }
    maps = {**{layer: tower[layer] for layer in LAYERS[:-1]}, "conv5": Stage(*tower["conv5"].blocks[:-1])}
    pool = MaxPool(kernel=(0, 2, 2), stride=(1, 2, 2), pad="valid")
    mix = Conv(channels=512, kernel=(3, 3, 3), norm=Norm(kind="none"), init="normal")
    stack = Conv(
        channels=64, kernel=(flow_frames, 3, 3), stride=(flow_frames, 1, 1), pad=(0, 1, 1), norm=Norm(kind="none")
    )
    flow = {**maps, "conv1": Stage(stack, *tower["conv1"].blocks[1:])}
    spatial = Pathway(
        clip="rgb", every=flow_frames, start=flow_frames // 2, stages={**maps, "fused": Stage(mix, pool), **ends}
    )
    temporal = Pathway(clip="flow", stages={**flow, "pool5": Stage(pool), **ends})
    towers = dict(spatial=spatial, temporal=temporal)
    frames = chunks * flow_frames
    both = dict(rgb=Clip(frames=frames, size=224), flow=Clip(modality="flow", frames=frames, size=224))
    heads = {tower: Classifier(reads=(tower,), classes=classes, dropout=0.85, act="softmax") for tower in towers}
    edge = Edge(source="temporal", target="spatial", after="conv5")
    return Arch(name=name, clips=both, pathways=towers, edges=(edge,), head=Several(heads=heads, merge="average"))


def fusion(name: str, **parameters: object) -> Model:
    return Model(name=name, family=fused, parameters=parameters)


models = (
    Model(name="two_stream_vgg_m", family=two_stream),
    fusion("two_stream_fusion_sum", merge="sum"),
    fusion("two_stream_fusion_max", merge="max"),
    fusion("two_stream_fusion_concat", merge="concat"),
    fusion("two_stream_fusion_conv", mix=True),
    fusion("two_stream_fusion_conv3", mix=True, after="conv3"),
    fusion("two_stream_fusion_conv4", mix=True, after="conv4"),
    fusion("two_stream_fusion_bilinear", merge="bilinear"),
    Model(name="two_stream_fusion_vgg16_3d", family=fused_3d),
)
