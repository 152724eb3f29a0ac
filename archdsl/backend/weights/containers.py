"""How others nest weights in a file: under which keys, beside what of their training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor

PROBES = "classifiers"
"""Key of a list: a probe for each setting of its training."""
AVERAGED = (
    "ema_state_dict",
    "model_ema",
    "state_dict_ema",
    "ema_model",
    "target_encoder",
    "ema_encoder",
    "averaged_model",
)
"""Keys of weights that are averages over steps."""
WRAPPERS = (
    *("state_dict", "model_state", "model_state_dict", "model", "module", "network"),
    *(*AVERAGED, "encoder", "blobs", PROBES),
)
"""Keys under which others keep the weights beside an optimiser's state."""
PREFIXES = ("module.", "_orig_mod.")
"""What torch's wrappers put before every name."""
OUTER = ("backbone.", "model.")
"""What some put before every name: then it is none of the network's own. `backbone.` where `module.` was before it."""
PREDICTOR = ("predictor_", "mask_tokens.")
"""Names of V-JEPA's predictor, which lies beside its encoder under a key of its own."""
PROGRESS = {
    "epoch": ("epoch", "epochs_run"),
    "iteration": ("iteration", "iter", "global_step", "step", "num_updates", "model_iter"),
}
"""How far a training was -> keys of it."""

DEEPEST = 4
"""Wrappers around each other."""
MOST_COUNTED = 1 << 53
"""Steps of a training: a larger number counts none."""


class Contents(NamedTuple):
    """What a file holds."""

    tensors: dict[Any, Tensor]
    """By their names there, without wrappers' prefixes."""
    read: str = ""
    """The keys under which they lay, such as `model`; empty for none."""
    beside: tuple[str, ...] = ()
    """Keys of other weights beside these."""
    progress: tuple[str, ...] = ()
    """`epoch 12`, `iteration 3000`: as the file has it."""

    def __str__(self) -> str:
        averaged = any(key in AVERAGED for key in self.read.split("/"))
        parts = [self.read + " (averaged)" * averaged] if self.read else []
        parts += [*self.progress, *(f"beside {key}" + " (averaged)" * (key in AVERAGED) for key in self.beside)]
        return ", ".join(parts)


def contents_of(found: Any) -> Contents:
    """The mapping of names to tensors, out of what it is wrapped in, without wrappers' prefixes and other data."""
    keys: list[str] = []
    beside: list[str] = []
    progress: dict[str, str] = {}
    for _ in range(DEEPEST):
        here = [key for key in WRAPPERS if mapping_under(key, found) is not None]
        if not here:
            break
        keys.append(here[0])
        beside += here[1:]
        progress = progress_of(found) | progress
        found = {**predictor_beside(found), **(mapping_under(here[0], found) or {})}
    progress = progress_of(found) | progress
    tensors = {name: x for name, x in found.items() if isinstance(x, Tensor)} if isinstance(found, Mapping) else {}
    return Contents(unprefixed(tensors), "/".join(keys), tuple(beside), tuple(progress.values()))


def mapping_under(key: str, found: Any) -> Mapping[Any, Any] | None:
    """A mapping under a key, of several probes the first."""
    inner = found.get(key) if isinstance(found, Mapping) else None
    if key == PROBES and isinstance(inner, list) and inner:
        inner = inner[0]
    return inner if isinstance(inner, Mapping) else None


def predictor_beside(found: Mapping[Any, Any]) -> dict[str, Tensor]:
    """The tensors of a predictor that lies beside an encoder; empty where there is none."""
    inner = mapping_under("predictor", found)
    if inner is None:
        return {}
    return {name: x for name, x in inner.items() if isinstance(name, str) and own_name(name).startswith(PREDICTOR)}


def own_name(name: str) -> str:
    """A name without what wrappers put before it."""
    return name.removeprefix("module.").removeprefix("backbone.")


def unprefixed(tensors: dict[Any, Tensor]) -> dict[Any, Tensor]:
    """Tensors without the prefixes of wrappers."""
    if not all(isinstance(name, str) for name in tensors):
        return tensors
    wrapped = all(name.startswith("module.") for name in tensors)
    for prefix in PREFIXES:
        tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    for prefix in OUTER if wrapped else OUTER[1:]:
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return tensors


def progress_of(found: Any) -> dict[str, str]:
    """How far the training was that wrote a file, by word: `epoch` -> `epoch 12`."""
    if not isinstance(found, Mapping):
        return {}
    places = [found, *(inner for key in ("meta", "blobs") if isinstance(inner := found.get(key), Mapping))]
    made: dict[str, str] = {}
    for word, keys in PROGRESS.items():
        counts = (count_in(place.get(key)) for place in places for key in keys)
        if (count := next((count for count in counts if count is not None), None)) is not None:
            made[word] = f"{word} {count}"
    return made


def count_in(value: Any) -> int | None:
    """A whole number, such as trainers write; None for anything else."""
    whole = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MOST_COUNTED
    return int(value) if whole and value == int(value) else None
