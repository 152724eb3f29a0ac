"""Training: clips, one loop for every network, evaluation. torch lives here and in archdsl.backend only."""

from archdsl.training.data.clips import Batch, ClipRequest, Sample, Unreadable, Videos
from archdsl.training.data.synthetic.motion import MovingDigits
from archdsl.training.evaluation.evaluate import evaluate, write_results
from archdsl.training.evaluation.predict import predict
from archdsl.training.evaluation.scores import Scores, fuse_scores
from archdsl.training.exports.export import export
from archdsl.training.processes import process_group
from archdsl.training.run import Run
from archdsl.training.train import train

__all__ = [
    "Batch",
    "ClipRequest",
    "MovingDigits",
    "Run",
    "Sample",
    "Scores",
    "Unreadable",
    "Videos",
    "evaluate",
    "export",
    "fuse_scores",
    "predict",
    "process_group",
    "train",
    "write_results",
]
