"""Training: clips, one loop for every network, evaluation. torch lives here and in archdsl.backend only."""

from archdsl.training.data.clips import Batch, Sample, Take, Unreadable, Videos
from archdsl.training.data.synthetic.motion import MovingDigits
from archdsl.training.distributed import world_of
from archdsl.training.evaluation.evaluate import evaluate, write_results
from archdsl.training.evaluation.predict import predict
from archdsl.training.evaluation.scores import Scores, fused
from archdsl.training.run import Run
from archdsl.training.train import train

__all__ = [
    "Batch",
    "MovingDigits",
    "Run",
    "Sample",
    "Scores",
    "Take",
    "Unreadable",
    "Videos",
    "evaluate",
    "fused",
    "predict",
    "train",
    "world_of",
    "write_results",
]
