"""Ideas as functions: Arch -> Arch."""

from archdsl.rewrites.depthwise import depthwise
from archdsl.rewrites.detection import for_detection
from archdsl.rewrites.factorize import factorize
from archdsl.rewrites.inflate import inflate
from archdsl.rewrites.nonlocal_ import insert_nonlocal
from archdsl.rewrites.separate import separate
from archdsl.rewrites.temporal import with_temporal_kernels

__all__ = [
    "depthwise",
    "factorize",
    "for_detection",
    "inflate",
    "insert_nonlocal",
    "separate",
    "with_temporal_kernels",
]
