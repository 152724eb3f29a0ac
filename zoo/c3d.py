"""C3D (arXiv:1412.0767): 3x3x3 kernels all the way, pools that halve time from the second on, three wide layers.

The last pool rounds up, as Caffe does: 7 -> 4, which is what gives fc6 its 8192 inputs and the net its 78.4M
parameters. `c3d_ucf` is the small net of the paper's search for a kernel depth (section 3.1): five convolutions, and
`depths` are the temporal kernels.
"""

from archdsl.blocks import Conv, Dropout, Flatten, Linear, MaxPool, Norm
from archdsl.language import Arch, Classifier, Clip, Model, Pathway, Stage
from archdsl.spec.scalars import Count

FIRST = MaxPool(kernel=(1, 2, 2), stride=(1, 2, 2), pad="valid")
POOL = MaxPool(kernel=(2, 2, 2), stride=(2, 2, 2), pad="valid")


def conv(channels: int, depth: int = 3) -> Conv:
    return Conv(channels=channels, kernel=(depth, 3, 3), norm=Norm(kind="none"), init="normal")


def wide(channels: int) -> Stage:
    return Stage(Linear(channels=channels), Dropout(p=0.5))


def c3d(name: str, classes: Count = 101) -> Arch:
    """Eight convolutions. 487 classes for Sports-1M, 101 for UCF-101."""
    stages = {
        "conv1": Stage(conv(64), FIRST),
        "conv2": Stage(conv(128), POOL),
        "conv3": Stage(conv(256), conv(256), POOL),
        "conv4": Stage(conv(512), conv(512), POOL),
        "conv5": Stage(conv(512), conv(512), POOL.but(ceil=True)),
        "fc6": Stage(Flatten(), *wide(4096).blocks),
        "fc7": wide(4096),
    }
    return network(name, stages, classes)


def c3d_ucf(
    name: str, depths: tuple[Count, Count, Count, Count, Count] = (3, 3, 3, 3, 3), classes: Count = 101
) -> Arch:
    """Five convolutions, each with its own temporal kernel."""
    stages = {}
    for i, (channels, depth) in enumerate(zip((64, 128, 256, 256, 256), depths)):
        pool = FIRST if i == 0 else POOL.but(ceil=True) if i == 4 else POOL
        stages[f"conv{1 + i}"] = Stage(conv(channels, depth), pool)
    stages["fc6"] = Stage(Flatten(), *wide(2048).blocks)
    stages["fc7"] = wide(2048)
    return network(name, stages, classes)


def network(name: str, stages: dict[str, Stage], classes: int) -> Arch:
    """16 frames of 112 pixels."""
    head = Classifier(classes=classes, pool="none")
    return Arch(
        name=name, clip=Clip(frames=16, size=112, fps=30), pathways=dict(main=Pathway(stages=stages)), head=head
    )


models = (Model(name="c3d", family=c3d), Model(name="c3d_ucf", family=c3d_ucf))
