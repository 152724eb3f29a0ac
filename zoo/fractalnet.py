"""FractalNet (arXiv:1605.07648): very deep without residuals, by a rule that doubles depth and adds a shortcut column.

f1 is a convolution, f(C+1) the mean of a convolution and f(C) applied twice; a mean of means is one mean. As the
authors' generator writes it for CIFAR: five blocks, each column pooled before the last mean, biases, Caffe's batch
norm without scale and shift, dropout that grows from block to block, local drop-path of 15 %.
"""

from archdsl.blocks import Fractal, Norm
from archdsl.language import Arch, Classifier, Clip, Model, Pathway, Stage
from archdsl.spec.scalars import Count, Share

WIDTHS = (64, 128, 256, 512, 512)
CAFFE = Norm(momentum=1e-3, scale=False, shift=False)
"""Caffe keeps 0.999 of its running statistics."""


def fractalnet(name: str, columns: Count = 3, classes: Count = 100, drop_path: Share = 0.15) -> Arch:
    """The deepest path has 5 * 2^(columns - 1) convolutions and a classifier."""
    stages = {}
    for i, width in enumerate(WIDTHS):
        block = Fractal(channels=width, columns=columns, norm=CAFFE, dropout=i / 10, drop_path=drop_path)
        stages[f"block{1 + i}"] = Stage(block)
    clip, head = Clip(frames=1, size=32), Classifier(classes=classes)
    return Arch(name=name, clip=clip, pathways=dict(main=Pathway(stages=stages)), head=head)


models = (
    Model(name="fractalnet_20", family=fractalnet),
    Model(name="fractalnet_40", family=fractalnet, parameters=dict(columns=4)),
)
