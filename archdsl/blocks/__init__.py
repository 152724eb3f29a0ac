"""Small named graphs of ops. A new one is a subclass of Block in your own file, or a drawing in YAML."""

from archdsl.blocks.base import Act, Block, Norm, NormField, Pad, Width, add_act, add_block
from archdsl.blocks.drawn import Drawing, Drawn, Step
from archdsl.blocks.plain import AvgPool, Conv, FrameDifference, GlobalPool, Gray, MaxPool, Resize
from archdsl.blocks.residual import Basic, Bottleneck, Residual

BLOCKS: tuple[type[Block], ...] = (
    Conv,
    MaxPool,
    AvgPool,
    GlobalPool,
    Basic,
    Bottleneck,
    Gray,
    FrameDifference,
    Resize,
)
"""Every block that YAML knows by name."""

__all__ = [block.__name__ for block in BLOCKS] + [
    "BLOCKS",
    "Act",
    "Block",
    "Drawing",
    "Drawn",
    "Norm",
    "NormField",
    "Pad",
    "Residual",
    "Step",
    "Width",
    "add_act",
    "add_block",
]
