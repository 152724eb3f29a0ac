"""What networks take on this machine: seconds, memory, and how near they come to what it can do."""

from archdsl.measuring.calibration import (
    CALIBRATION_NETWORKS,
    CASE_COUNT,
    WHOLE_NETWORKS,
    TimedRounds,
    calibration_cases,
    machine_table,
    measure_cases,
    spread_cases,
)
from archdsl.measuring.comparison import BenchSetup, Comparison, ContestantTimes, compare
from archdsl.measuring.contestants import Contestant, own_contestant, peer_contestant
from archdsl.measuring.memory import peak_alone, peak_of_command
from archdsl.measuring.policy import measure_passes, small_plans
from archdsl.measuring.tables import bench_table, geometric_mean

__all__ = [
    "CALIBRATION_NETWORKS",
    "CASE_COUNT",
    "WHOLE_NETWORKS",
    "BenchSetup",
    "Comparison",
    "Contestant",
    "ContestantTimes",
    "TimedRounds",
    "bench_table",
    "calibration_cases",
    "compare",
    "geometric_mean",
    "machine_table",
    "measure_cases",
    "measure_passes",
    "own_contestant",
    "peak_alone",
    "peak_of_command",
    "peer_contestant",
    "small_plans",
    "spread_cases",
]
