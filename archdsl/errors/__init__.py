"""What a person wrote that cannot be: SpecError and its faults, the names that they may have meant."""

from archdsl.errors.near_names import MOST_LISTED, did_you_mean, listed, nearest_names, words_and_numbers
from archdsl.errors.spec_error import Fault, SpecError, excerpt, printable

__all__ = [
    "MOST_LISTED",
    "Fault",
    "SpecError",
    "did_you_mean",
    "excerpt",
    "listed",
    "nearest_names",
    "printable",
    "words_and_numbers",
]
