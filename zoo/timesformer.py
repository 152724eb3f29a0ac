"""TimeSformer (arXiv:2102.05095): a ViT whose blocks attend over time, then within each frame.

Patches are those of an image model, frame by frame. Time attention leaves the class token alone and is followed by a
second linear layer that starts at 0; in space attention each frame sees a copy of the class token. `joint` attends over
both at once; `space` never looks at other frames and takes the mean over them at the end.
"""

from typing import Literal

from archdsl.blocks import Attend, ClassToken, FrameRows, FrameToken, LayerNorm, Mean, Patches, Positions, Transformer
from archdsl.language import Arch, Classifier, Clip, Model, Pathway, Stage, TokenClassifier, repeat
from archdsl.spec.scalars import Count

Attention = Literal["divided", "joint", "space"]
DIVIDED = (Attend(over="t", linear=True), Attend(over="hw"))


def timesformer(
    name: str, frames: Count = 8, size: Count = 224, attention: Attention = "divided", classes: Count = 400
) -> Arch:
    """ViT-B/16 over `frames` frames, with the attention of the paper's Figure 2."""
    patches = Patches(kernel=(1, 16, 16), channels=768)
    block = Transformer(heads=12, attend=DIVIDED if attention == "divided" else "thw" if attention == "joint" else "hw")
    tables = ("hw",) if attention == "space" else ("hw", "t")
    tokens = [patches, ClassToken(), Positions(over=tables), *[FrameRows()] * (attention == "space")]
    stages = {"tokens": Stage(*tokens), "body": Stage(*repeat(block, 12))}
    head = TokenClassifier(classes=classes)
    if attention == "space":
        stages["pool"] = Stage(Mean(over="t"), LayerNorm(), FrameToken())
        head = Classifier(classes=classes, pool="none")
    clip = Clip(frames=frames, size=size)
    return Arch(name=name, clip=clip, pathways=dict(main=Pathway(drop_path=0.1, stages=stages)), head=head)


models = (
    Model(name="timesformer_divided_8x32", family=timesformer),
    Model(name="timesformer_joint_8x32", family=timesformer, parameters=dict(attention="joint")),
    Model(name="timesformer_space_8x32", family=timesformer, parameters=dict(attention="space")),
    Model(name="timesformer_hr_16x16", family=timesformer, parameters=dict(frames=16, size=448)),
    Model(name="timesformer_l_96x4", family=timesformer, parameters=dict(frames=96)),
)
