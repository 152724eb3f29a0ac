"""What networks take on this machine: seconds, memory, and how near they come to what it can do."""

from archdsl.measuring.comparing import Comparison, Measured, Setup, compared
from archdsl.measuring.machine import device_of
from archdsl.measuring.memory import alone, peak_of
from archdsl.measuring.sides import Side, own_side, peer_side
from archdsl.measuring.tables import bench_table, geometric_mean

__all__ = [
    "Comparison",
    "Measured",
    "Setup",
    "Side",
    "alone",
    "bench_table",
    "compared",
    "device_of",
    "geometric_mean",
    "own_side",
    "peak_of",
    "peer_side",
]
