"""LeNet-5 (LeCun, Bottou, Bengio, Haffner: Proceedings of the IEEE, 1998): 60,000 weights for digits of 32x32.

`lenet5` is the paper's net up to F6: pools with a trained coefficient and bias per map, a third layer whose maps read
the maps of Table I, a scaled tanh after every layer. The paper's output compares F6 with ten fixed bitmaps; here a
linear layer scores ten classes. `lenet5_full` is what most later code means by the name: max pools, ReLU, and maps that
read all maps.
"""

from archdsl.blocks import AvgPool, Conv, FlattenSpace, Linear, MaxPool, Norm, TableConv
from archdsl.language import Arch, Classifier, Clip, Model, Pathway, Stage
from archdsl.spec.scalars import Count

NONE = Norm(kind="none")
WINDOW = dict(kernel=(1, 2, 2), stride=(1, 2, 2), pad="valid")


def lenet5(name: str, classes: Count = 10) -> Arch:
    """The paper's layers, under its names."""
    act = "scaled_tanh"

    def conv(channels: int) -> Conv:
        return Conv(channels=channels, kernel=(1, 5, 5), pad="valid", norm=NONE, act=act, init="default")

    def weighed(channels: int) -> Stage:
        return Stage(AvgPool(**WINDOW), Conv(channels=channels, groups="depthwise", norm=NONE, act=act, init="default"))

    stages = {
        "c1": Stage(conv(6)),
        "s2": weighed(6),
        "c3": Stage(TableConv(act=act)),
        "s4": weighed(16),
        "c5": Stage(conv(120)),
        "f6": Stage(FlattenSpace(), Linear(channels=84, act=act, init="default")),
    }
    return digits(name, stages, classes)


def lenet5_full(name: str, classes: Count = 10) -> Arch:
    """Later usage: convolution, ReLU, max pool, twice; then 120, 84 and 10."""
    pool = MaxPool(**WINDOW)

    def conv(channels: int) -> Conv:
        return Conv(channels=channels, kernel=(1, 5, 5), pad="valid", norm=NONE, init="default")

    stages = {
        "c1": Stage(conv(6), pool),
        "c3": Stage(conv(16), pool),
        "c5": Stage(FlattenSpace(), Linear(channels=120, init="default")),
        "f6": Stage(Linear(channels=84, init="default")),
    }
    return digits(name, stages, classes)


def digits(name: str, stages: dict[str, Stage], classes: int) -> Arch:
    """Gray images of 32x32, or frames each by itself."""
    clip = Clip(modality="gray", frames=1, size=32)
    return Arch(name=name, clip=clip, pathways=dict(gray=Pathway(stages=stages)), head=Classifier(classes=classes))


models = (
    Model(name="lenet5", family=lenet5),
    Model(name="lenet5_full", family=lenet5_full),
)
