"""Training: clips, one loop for every network, evaluation. torch lives here and in archdsl.backend only."""

from archdsl.training.clips import Clips
from archdsl.training.loop import evaluate, train
from archdsl.training.motion import MovingDigits

__all__ = ["Clips", "MovingDigits", "evaluate", "train"]
