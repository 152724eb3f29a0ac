"""One door for spec files: a path (.py, .yaml, .json) or the name of a zoo model. And the dialects of weights."""

from archdsl.catalog.models import (
    ARCH_FILE,
    SHELF,
    card_of,
    load,
    model,
    model_of_data,
    models_in,
    module_of,
    reference_of,
    zoo,
    zoo_files,
    zoo_model,
)

__all__ = [
    "ARCH_FILE",
    "SHELF",
    "card_of",
    "load",
    "model",
    "model_of_data",
    "models_in",
    "module_of",
    "reference_of",
    "zoo",
    "zoo_files",
    "zoo_model",
]
