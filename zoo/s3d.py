"""S3D (arXiv:1712.04851): I3D with each kernel over space and time separated into one over space and one over time.

`s3d` is torchvision's net: batch norm and ReLU after both kernels, symmetric padding, a separated stem. The others
follow TensorFlow's slim: the stem stays whole, the temporal kernels have a bias, no norm, and start as the identity,
padding is SAME. S3D-G weighs channels by feature gates after each separated kernel and on every branch.
"""

from collections.abc import Iterable

from archdsl.blocks import Block, Branches, FeatureGate, Norm
from archdsl.language import Arch, Classifier, Model, Stage, change
from archdsl.rewrites import inflate, separate
from archdsl.spec.scalars import Count
from archdsl.zoo import inception

FLAT = ("pool_2a", "pool_3a")


def s3d(name: str, frames: Count = 16, gates: bool = False) -> Arch:
    """torchvision's net; `gates` adds feature gates to it."""
    image = inception.inception_v1(name, norm=Norm(eps=1e-3, momentum=1e-3), pad="same")
    arch = separate(inflate(image, frames=frames, flat=FLAT)).but(
        head=Classifier(classes=400, window=7, window_t=2, dropout=0.2)
    )
    return gated(arch) if gates else arch


def s3d_slim(name: str, frames: Count = 64, gates: bool = True, stem_t: Count = 7, scale: bool = True) -> Arch:
    """slim's net. `scale` is that of batch norm, which slim leaves out by default."""
    image = inception.inception_v1(name, norm=Norm(eps=1e-3, momentum=1e-3, scale=scale))
    whole = inflate(image, frames=frames, flat=FLAT)
    whole = change(whole, "pathways.main.stages.conv_1a.kernel", (stem_t, 7, 7))
    arch = separate(whole, keep=("conv_1a",), norm=Norm(kind="none"), init="identity")
    arch = arch.but(head=Classifier(classes=400, window_t=2, dropout=0.2))
    return gated(arch) if gates else arch


def gated(arch: Arch) -> Arch:
    """Feature gates after conv_2c and at the end of every branch."""
    stages = arch.pathways["main"].stages
    with_gates = {name: Stage(*gates_after(name, stage.blocks)) for name, stage in stages.items()}
    return change(arch, "pathways.main.stages", with_gates)


def gates_after(stage: str, blocks: Iterable[Block]) -> Iterable[Block]:
    """A stage's blocks with their gates."""
    for block in blocks:
        if isinstance(block, Branches):
            yield block.but(branches={name: (*chain, FeatureGate()) for name, chain in block.branches.items()})
        else:
            yield block
    if stage == "conv_2c":
        yield FeatureGate()


models = (
    Model(name="s3d", family=s3d),
    Model(name="s3d_gated", family=s3d, parameters=dict(frames=64, gates=True)),
    Model(name="s3d_g", family=s3d_slim),
    Model(name="s3d_g_stem3", family=s3d_slim, parameters=dict(stem_t=3)),
    Model(name="s3d_slim", family=s3d_slim, parameters=dict(gates=False)),
    Model(name="s3d_g_slim", family=s3d_slim, parameters=dict(stem_t=3, scale=False)),
)
