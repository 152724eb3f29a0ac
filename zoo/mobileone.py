"""MobileOne (arXiv:2206.04040): pairs of a depthwise 3x3 and a 1x1, each learnt as a sum of branches.

Branches fold into one kernel. S0 to S4 differ in width; S0 has four branches of each kernel, S4 gates its last blocks.
The specs are the nets as they are trained; `folded=true` gives what is deployed: one convolution for each sum, no norm.
"""

from fractions import Fraction

from archdsl.blocks import SqueezeExcite, SummedConv
from archdsl.language import Arch, Classifier, Clip, Model, Pathway, Stage, row_of
from archdsl.spec.scalars import Count

WIDTHS = {
    "s0": ("0.75", "1", "1", "2"),
    "s1": ("1.5", "1.5", "2", "2.5"),
    "s2": ("1.5", "2", "2.5", "4"),
    "s3": ("2", "2.5", "3", "4"),
    "s4": ("3", "3.5", "3.5", "4"),
}
"""Factors of 64, 128, 256 and 512 channels (Table 3)."""
TIMES = (2, 8, 10, 1)
GATED = {"s4": (0, 0, 5, 1)}
"""Last pairs of a stage that are gated."""
SE = SqueezeExcite(ratio=Fraction(1, 16), multiple=8)


def stages(size: str, folded: bool = False) -> dict[str, Stage]:
    """A stem and four stages of pairs."""
    widths = [int(base * Fraction(factor)) for base, factor in zip((64, 128, 256, 512), row_of(WIDTHS, variant=size))]
    rule = dict(folded=folded, branches_of_kernel=4 if size == "s0" else 1)
    stem = SummedConv(channels=min(64, widths[0]), kernel=(1, 3, 3), stride=(1, 2, 2), folded=folded)
    made = {"stem": Stage(stem)}
    for i, (width, times, gated) in enumerate(zip(widths, TIMES, GATED.get(size, (0,) * 4)), 1):
        blocks = []
        for k in range(times):
            own = dict(rule, se=SE if k >= times - gated else None)
            stride = (1, 1, 1) if k else (1, 2, 2)
            blocks += [SummedConv(kernel=(1, 3, 3), stride=stride, groups="depthwise", **own)]
            blocks += [SummedConv(channels=width, **own)]
        made[f"stage{i}"] = Stage(*blocks)
    return made


def mobileone(name: str, variant: str = "s0", folded: bool = False, classes: Count = 1000) -> Arch:
    """One image, or frames each by itself."""
    pathway = Pathway(stages=stages(variant, folded))
    return Arch(name=name, clip=Clip(frames=1, size=224), pathways=dict(rgb=pathway), head=Classifier(classes=classes))


models = tuple(Model(name=f"mobileone_{size}", family=mobileone, parameters=dict(variant=size)) for size in WIDTHS)
