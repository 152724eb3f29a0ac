"""R3D, MC3 and R(2+1)D (arXiv:1711.11248): how much of a residual net should see time, and whether at once with space.

R3D's kernels are cubes. MC3 keeps them in the first two of five stages, the rest see single frames. R(2+1)D is R3D
with each cube factorised: 1x3x3, norm, ReLU, 3x1x1. How many channels lie between the factors is where builds differ:
the paper and VMZ choose it for each convolution (`_vmz`, whose norms have an epsilon of 1e-3 as well), torchvision once
for a block, which makes the first block of a stage narrower. PyTorchVideo's R(2+1)D-50 is another net: bottlenecks,
time before space, no widening between.
"""

from archdsl.blocks import Bottleneck, Conv, Norm
from archdsl.language import Arch, Classifier, Clip, Model, Pathway, Stage, change
from archdsl.rewrites import factorize
from archdsl.spec.scalars import Count, Positive
from archdsl.zoo import resnet

CUBES, MC3 = (3, 3, 3, 3), (3, 1, 1, 1)
Kernels = tuple[Count, Count, Count, Count]
"""The temporal kernels of the four stages."""


def r3d(name: str, depth: Count = 18, frames: Count = 16, kernel_t: Kernels = CUBES, eps: Positive = 1e-5) -> Arch:
    """Stages whose temporal kernel is 3 halve time and space, the others space alone. No pool after the stem."""
    norm = Norm(eps=eps)
    stages = resnet.stages(depth, resnet.BASIC.but(norm=norm))
    stages["stem"] = Stage(Conv(channels=64, kernel=(3, 7, 7), stride=(1, 2, 2), norm=norm))
    pathway = Pathway(stages=stages)
    for i, k in enumerate(kernel_t):
        pathway = change(pathway, f"stages.res{2 + i}.kernel_t", k)
        if i and k > 1:
            pathway = change(pathway, f"stages.res{2 + i}.stride_t", 2)
    return network(name, Clip(frames=frames, size=112), pathway, Classifier(classes=400))


def r2plus1d(
    name: str, depth: Count = 18, frames: Count = 16, middle_from: str = "block", eps: Positive = 1e-5
) -> Arch:
    """R3D factorised. 45 channels lie between the stem's factors, where the rule of other kernels gives 83."""
    arch = factorize(r3d(name, depth, frames, eps=eps), middle_from=middle_from)
    return change(arch, "pathways.rgb.stages.stem.middle", 45)


def r2plus1d_50(name: str, frames: Count = 64, every: Count = 4) -> Arch:
    """PyTorchVideo's: a flat stem, space halved in all four stages, time in the last two."""
    stages = resnet.stages(50, Bottleneck(channels=256, kernel=(3, 3, 3)))
    stages["stem"] = Stage(Conv(channels=64, kernel=(1, 7, 7), stride=(1, 2, 2)))
    pathway = change(Pathway(every=every, stages=stages), "stages.res2.stride", 2)
    for stage in ("res4", "res5"):
        pathway = change(pathway, f"stages.{stage}.stride_t", 2)
    arch = network(name, Clip(frames=frames, size=224, fps=30), pathway, Classifier(classes=400, window=7, dropout=0.5))
    return factorize(arch, middle_from="output", order="time_first")


def network(name: str, clip: Clip, pathway: Pathway, head: Classifier) -> Arch:
    return Arch(name=name, clip=clip, pathways=dict(rgb=pathway), head=head)


D34, VMZ = dict(depth=34, frames=32), dict(middle_from="conv", eps=1e-3)
models = (
    Model(name="r3d_18", family=r3d),
    Model(name="r3d_34", family=r3d, parameters=D34),
    Model(name="mc3_18", family=r3d, parameters=dict(kernel_t=MC3)),
    Model(name="r2plus1d_18", family=r2plus1d),
    Model(name="r2plus1d_18_vmz", family=r2plus1d, parameters=VMZ),
    Model(name="r2plus1d_34", family=r2plus1d, parameters=D34),
    Model(name="r2plus1d_34_vmz", family=r2plus1d, parameters=VMZ | D34),
    Model(name="r2plus1d_16x4_r50", family=r2plus1d_50),
)
