"""ViViT (arXiv:2103.15691): tubes of 2 frames as tokens, and four ways to attend over time and space.

`joint` (the paper's model 1) lets all tokens attend to all. `fe`, the factorised encoder (2), runs an image transformer
on each pair of frames and a second one over their class tokens. `fsa` (3) attends over time, then space, in each block.
`fdp` (4) has half of the heads attend over time and half over space.
"""

from typing import Literal

from archdsl.blocks import Attend, ClassToken, FrameRows, FrameToken, LayerNorm, Norm, Patches, Positions, Transformer
from archdsl.errors import SpecError
from archdsl.language import Arch, Classifier, Clip, Model, Pathway, Stage, TokenClassifier, repeat, row_of
from archdsl.spec.scalars import Count
from archdsl.zoo import vit

WIDTHS = {width: vit.WIDTHS[width] for width in (768, 1024)}
"""Blocks and heads of each width: Base, Large."""
Form = Literal["joint", "fe", "fsa", "fdp"]
ATTEND = {"joint": ("thw",), "fe": ("hw",), "fsa": ("t", "hw"), "fdp": (Attend(over=("t", "hw")),)}


def vivit(
    name: str, form: Form = "joint", width: Count = 768, temporal: Count = 4, size: Count = 224, classes: Count = 400
) -> Arch:
    """`temporal` counts the blocks over class tokens of the factorised encoder."""
    depth, attention_heads = row_of(WIDTHS, width=width)
    if form != "fe" and temporal != 4:
        what, got = "blocks over class tokens without a factorised encoder", f"temporal={temporal}, form={form}"
        raise SpecError(what, at="temporal", got=got, want="form=fe")
    block = Transformer(heads=attention_heads, attend=ATTEND[form], act="gelu_tanh")
    patches, token = Patches(kernel=(2, 16, 16), channels=width), ClassToken(std=0.0)
    body = Stage(*repeat(block, depth))
    if form == "fe":
        stages = {
            "tokens": Stage(patches, token, Positions(over="hw"), FrameRows()),
            "space": body,
            "frames": Stage(LayerNorm(), FrameToken(), token, Positions()),
            "time": Stage(*repeat(block.but(attend="thw"), temporal)),
        }
    else:
        tokens = (patches, token, Positions()) if form == "joint" else (patches, Positions())
        stages = {"tokens": Stage(*tokens), "body": body}
    mean = Classifier(norm=Norm(kind="layer", eps=1e-6), classes=classes)
    head = mean if form in ("fsa", "fdp") else TokenClassifier(classes=classes)
    return Arch(name=name, clip=Clip(frames=32, size=size), pathways=dict(main=Pathway(stages=stages)), head=head)


models = (
    Model(name="vivit_b16x2_joint", family=vivit),
    Model(name="vivit_b16x2_fe", family=vivit, parameters=dict(form="fe")),
    Model(name="vivit_b16x2_fsa", family=vivit, parameters=dict(form="fsa")),
    Model(name="vivit_b16x2_fdp", family=vivit, parameters=dict(form="fdp")),
    Model(name="vivit_l16x2_joint", family=vivit, parameters=dict(width=1024)),
    Model(name="vivit_l16x2_fe", family=vivit, parameters=dict(form="fe", width=1024)),
)
