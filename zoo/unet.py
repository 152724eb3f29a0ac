"""U-Net (arXiv:1505.04597) and 3-D U-Net (arXiv:1606.06650): a net that narrows and widens, joined level by level.

Convolutions are not padded, so that scores are of the middle of the image alone; what crosses from the way down is cut
about its middle. The 3-D net norms every convolution, without a learnt scale, and widens before each pool. `padded`
keeps the size, as most later code does: then scores are of the whole image.
"""

from collections.abc import Sequence

from archdsl.blocks import Block, Conv, Deconv, Dropout, MaxPool, Norm
from archdsl.language import Arch, Clip, CropTo, Dense, Edge, Model, Pathway, Stage
from archdsl.spec.scalars import Count

NONE, BARE = Norm(kind="none"), Norm(shift=False)


def unet(
    name: str,
    modality: str = "gray",
    size: Count = 572,
    base: Count = 64,
    levels: Count = 4,
    padded: bool = False,
    classes: Count = 2,
) -> Arch:
    """Two 3x3 convolutions at each level, twice the channels at the next."""
    conv = Conv(channels=base, kernel=(1, 3, 3), pad="same" if padded else "valid", norm=NONE, init="msra_in")

    def pair(level: int) -> tuple[Block, Block]:
        wide = conv.but(channels=base * 2**level)
        return wide, wide

    down = [pair(level) for level in range(levels + 1)]
    down[-1] = (*down[-1], Dropout(p=0.5))
    down[-2] = (*down[-2], Dropout(p=0.5))
    ups = [
        Deconv(channels=base * 2**i, kernel=(1, 2, 2), stride=(1, 2, 2), norm=NONE, act="none") for i in range(levels)
    ]
    clip = Clip(modality=modality, frames=1, size=size)
    return u_shaped(name, clip, down, [pair(level) for level in range(levels)], ups, (1, 2, 2), classes)


def unet_3d(
    name: str,
    frames: Count = 116,
    size: Count = 132,
    base: Count = 32,
    levels: Count = 3,
    padded: bool = False,
    classes: Count = 3,
) -> Arch:
    """Cubes; the second convolution of each level doubles the channels, and what widens keeps them."""
    conv = Conv(
        channels=base, kernel=(3, 3, 3), pad="same" if padded else "valid", bias=True, norm=BARE, init="msra_in"
    )
    at = [base * 2**level for level in range(levels + 2)]
    down = [(conv.but(channels=at[i]), conv.but(channels=at[i + 1])) for i in range(levels + 1)]
    back = [(conv.but(channels=at[i + 1]), conv.but(channels=at[i + 1])) for i in range(levels)]
    up = Deconv(channels=base, kernel=(2, 2, 2), stride=(2, 2, 2), bias=False, norm=NONE, act="none")
    ups = [up.but(channels=at[i + 2]) for i in range(levels)]
    clip = Clip(frames=frames, size=size)
    return u_shaped(name, clip, down, back, ups, (2, 2, 2), classes)


def u_shaped(
    name: str,
    clip: Clip,
    down: Sequence[tuple[Block, ...]],
    back: Sequence[tuple[Block, ...]],
    ups: Sequence[Block],
    half: tuple[int, int, int],
    classes: int,
) -> Arch:
    """Levels down, each behind a pool, and back up, each behind what widens; their maps are joined."""
    pool = MaxPool(kernel=half, stride=half, pad="valid")
    stages = {f"down{i + 1}": Stage(*(pool,) * (i > 0), *blocks) for i, blocks in enumerate(down)}
    joined = range(len(back) - 1, -1, -1)
    for i in joined:
        stages[f"widen{i + 1}"] = Stage(ups[i])
        stages[f"up{i + 1}"] = Stage(*back[i])
    edge = Edge(
        source="main",
        target="main",
        after=tuple(f"down{i + 1}" for i in joined),
        into=tuple(f"widen{i + 1}" for i in joined),
        transform=(CropTo(over="thw"),),
        merge="prepend",
        name="across",
    )
    head = Dense(classes=classes, enlarge=False)
    return Arch(name=name, clip=clip, pathways=dict(main=Pathway(stages=stages)), edges=(edge,), head=head)


models = (
    Model(name="unet", family=unet),
    Model(name="unet_3d", family=unet_3d),
)
