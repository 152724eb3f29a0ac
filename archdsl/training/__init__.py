"""Training: clips, one loop for every network, evaluation. torch lives here and in archdsl.backend only."""

from archdsl.training.clips import Clips
from archdsl.training.motion import MovingDigits
from archdsl.training.run import Run
from archdsl.training.standin import evaluate
from archdsl.training.training import train

__all__ = ["Clips", "MovingDigits", "Run", "evaluate", "train"]
