"""Networks tested: scores of videos, metrics, predictions."""
