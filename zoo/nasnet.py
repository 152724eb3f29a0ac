"""NASNet-A (arXiv:1707.07012): cells found by search, each reading the outputs of the two cells before it.

A normal cell keeps the map, a reduction cell halves it and doubles the width; the net is N normal cells, a reduction,
three times over, behind two reductions as a stem. An edge brings the output of the cell before the one before. As
TensorFlow's slim builds it (`N @ penultimate filters`), without auxiliary classifier and scheduled drop-path.
"""

from typing import Annotated

from pydantic import Field

from archdsl.blocks import Cell, Conv, Norm, NormAct
from archdsl.language import Arch, Classifier, Clip, Edge, Fit, Model, Pathway, Stage
from archdsl.spec.scalars import Count

NORM = Norm(eps=1e-3, momentum=3e-4)
NORMAL = (
    ("separable_5", "now", "separable_3", "before"),
    ("separable_5", "before", "separable_3", "before"),
    ("average_3", "now", "same", "before"),
    ("average_3", "before", "average_3", "before"),
    ("separable_3", "now", "same", "now"),
)
REDUCTION = (
    ("separable_5", "now", "separable_7", "before"),
    ("max_3", "now", "separable_7", "before"),
    ("average_3", "now", "separable_5", "before"),
    ("same", "1", "average_3", "0"),
    ("separable_3", "0", "max_3", "now"),
)
"""Figure 4 of the paper, in the order of the code."""


def normal(channels: int) -> Cell:
    """A cell that keeps the map."""
    return Cell(channels=channels, pairs=NORMAL, leave=("before", "0", "1", "2", "3", "4"), norm=NORM)


def reduction(channels: int, carried: bool = True) -> Cell:
    """A cell that halves the map."""
    return Cell(channels=channels, pairs=REDUCTION, leave=("1", "2", "3", "4"), stride=2, carried=carried, norm=NORM)


def nasnet_a(
    name: str,
    repeats: Annotated[Count, Field(le=100)] = 4,
    penultimate: Annotated[Count, Field(multiple_of=96)] = 1056,
    stem: Count = 32,
    size: Count = 224,
    past_reduction: bool = False,
) -> Arch:
    """`repeats` normal cells at each of three widths; the last width is a sixth of the `penultimate` filters.

    With `past_reduction` the first cell after a reduction reads, as the output before, that of three cells before.
    """
    width = penultimate // 24
    cells = dict(stem_0=reduction(width // 4, carried=False), stem_1=reduction(width // 2))
    for i in range(3):
        if i:
            cells[f"reduction_{i}"] = reduction(width << i)
        cells |= {f"cell_{i * repeats + j}": normal(width << i) for j in range(repeats)}
    conv = Conv(channels=stem, kernel=(1, 3, 3), stride=(1, 2, 2), pad="valid", norm=NORM, act="none")
    stages = dict(stem=Stage(conv)) | {cell: Stage(block) for cell, block in cells.items()}
    last = list(stages)[-1]
    stages[last] = Stage(cells[last], NormAct(norm=Norm(kind="none"), act="relu"))
    order, edges = list(stages), []
    for i, cell in enumerate(order[2:]):
        far = past_reduction and order[i + 1].startswith("reduction")
        fit = Fit(channels=cells[cell].channels, norm=NORM)
        edges.append(
            Edge(source="main", target="main", after=order[i - far], into=order[i + 1], transform=fit, name="skip")
        )
    head = Classifier(classes=1000, dropout=0.5)
    return Arch(
        name=name, clip=Clip(frames=1, size=size), pathways=dict(main=Pathway(stages=stages)), edges=edges, head=head
    )


models = (
    Model(name="nasnet_a_mobile", family=nasnet_a),
    Model(
        name="nasnet_a_large",
        family=nasnet_a,
        parameters=dict(repeats=6, penultimate=4032, stem=96, size=331, past_reduction=True),
    ),
)
