"""TubeViT (arXiv:2212.03229): a ViT over sparse tubes of several shapes and over patches of single frames.

Three sizes of tubes and one of image patches give tokens of one sequence. One kernel of 8 x 8 x 8 is learnt, and
resized for the others. Tokens are told apart by fixed sines of where their middles lie; a softmax over learnt scores
weights them at the end.
"""

from typing import Literal

from archdsl.blocks import ClassToken, LayerNorm, SoftmaxPool, Transformer, Tube, Tubes
from archdsl.language import Arch, Classifier, Clip, Model, Pathway, Stage, repeat, row_of
from archdsl.spec.scalars import Count
from archdsl.zoo import vit

CHANNELS = {"b": 768, "l": 1024, "h": 1280}
"""Those of ViT-B, -L and -H, which have its blocks and heads."""
TUBES = (
    Tube(kernel=(8, 8, 8), stride=(16, 32, 32)),
    Tube(kernel=(16, 4, 4), stride=(6, 32, 32), offset=(4, 8, 8)),
    Tube(kernel=(4, 12, 12), stride=(16, 32, 32), offset=(0, 16, 16)),
    Tube(kernel=(1, 16, 16), stride=(32, 16, 16)),
)
"""In the order of their tokens, as daniel-code/TubeViT@8df0d99 has them from the paper."""


def tubevit(
    name: str, width: Literal["b", "l", "h"] = "b", frames: Count = 32, size: Count = 224, classes: Count = 400
) -> Arch:
    """TubeViT-B, -L or -H."""
    channels = row_of(CHANNELS, width=width)
    depth, heads = vit.WIDTHS[channels]
    stages = {
        "tokens": Stage(Tubes(channels=channels, tubes=TUBES), ClassToken(std=0.0)),
        "body": Stage(*repeat(Transformer(heads=heads), depth)),
        "pool": Stage(LayerNorm(), SoftmaxPool()),
    }
    clip, head = Clip(frames=frames, size=size), Classifier(classes=classes, pool="none")
    return Arch(name=name, clip=clip, pathways=dict(main=Pathway(stages=stages)), head=head)


models = (
    Model(name="tubevit_b", family=tubevit),
    Model(name="tubevit_l", family=tubevit, parameters=dict(width="l")),
    Model(name="tubevit_h", family=tubevit, parameters=dict(width="h")),
)
