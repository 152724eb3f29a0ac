"""Ideas as functions: Arch -> Arch."""

from archdsl.rewrites.adapters import with_adapters, with_lora
from archdsl.rewrites.causal import causal
from archdsl.rewrites.depthwise import depthwise
from archdsl.rewrites.detection import for_detection
from archdsl.rewrites.ensemble import together
from archdsl.rewrites.factorize import factorize
from archdsl.rewrites.flow import insert_flow
from archdsl.rewrites.inflate import inflate
from archdsl.rewrites.keys import with_key_frames
from archdsl.rewrites.motion import pool_in_time, shift_in_time, with_modules
from archdsl.rewrites.nonlocal_ import insert_nonlocal
from archdsl.rewrites.separate import separate
from archdsl.rewrites.temporal import with_temporal_kernels

__all__ = [
    "causal",
    "depthwise",
    "factorize",
    "for_detection",
    "inflate",
    "insert_flow",
    "insert_nonlocal",
    "pool_in_time",
    "separate",
    "shift_in_time",
    "together",
    "with_adapters",
    "with_key_frames",
    "with_lora",
    "with_modules",
    "with_temporal_kernels",
]
