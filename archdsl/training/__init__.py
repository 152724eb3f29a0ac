"""Training: clips, one loop for every network, evaluation. torch lives here and in archdsl.backend only."""

from archdsl.training.clips import Batch, Sample, Take, Unreadable, Videos
from archdsl.training.motion import MovingDigits
from archdsl.training.run import Run
from archdsl.training.standin import evaluate
from archdsl.training.training import train

__all__ = ["Batch", "MovingDigits", "Run", "Sample", "Take", "Unreadable", "Videos", "evaluate", "train"]
