"""What networks take on this machine: seconds, memory, and how near they come to what it can do."""

from archdsl.measuring.calibration import CASES, USUAL, WHOLE, Timed, calibrated, grid, measured, spread
from archdsl.measuring.comparison import Comparison, Measured, Setup, compared
from archdsl.measuring.contestants import Side, own_side, peer_side
from archdsl.measuring.memory import alone, peak_of
from archdsl.measuring.policy import paying, small
from archdsl.measuring.tables import bench_table, geometric_mean

__all__ = [
    "CASES",
    "USUAL",
    "WHOLE",
    "Comparison",
    "Measured",
    "Setup",
    "Side",
    "Timed",
    "alone",
    "bench_table",
    "calibrated",
    "compared",
    "geometric_mean",
    "grid",
    "measured",
    "own_side",
    "paying",
    "peak_of",
    "peer_side",
    "small",
    "spread",
]
