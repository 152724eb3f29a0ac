"""Weights from files: read safely, brought to our addresses, fitted, put into networks."""

from archdsl.backend.weights.adaptation import Ways, adapted
from archdsl.backend.weights.files import local_weights, read_weights
from archdsl.backend.weights.fit import copy_weights, put_weights, raise_for, weight_faults
from archdsl.backend.weights.reports import Conversion, FileOfWeights, convert, describe
from archdsl.backend.weights.translation import Translation, expected_input, exported, load_weights, translated

__all__ = [
    "Conversion",
    "FileOfWeights",
    "Translation",
    "Ways",
    "adapted",
    "convert",
    "copy_weights",
    "describe",
    "expected_input",
    "exported",
    "load_weights",
    "local_weights",
    "put_weights",
    "raise_for",
    "read_weights",
    "translated",
    "weight_faults",
]
