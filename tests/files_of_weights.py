"""Files of weights as each source writes them, made by its naming rules."""

from __future__ import annotations

import pickle
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

import archdsl
from archdsl import catalog
from archdsl.backend.weights import exported, translated
from archdsl.backend.weights.fit import COUNTER
from archdsl.catalog.dialects import Naming


def models_of(naming: Naming) -> list[str]:
    """The models of the zoo that a naming says it fits."""
    return [model.name for model in catalog.zoo() if any(fnmatchcase(model.name, p) for p in naming.models)]


def smallest_of(naming: Naming) -> str:
    """The one with the fewest parameters."""
    return min(models_of(naming), key=lambda name: archdsl.compile(archdsl.load(name)).params)


def state(name: str) -> dict[str, Tensor]:
    """A network's tensors, each with numbers of its own."""
    torch.manual_seed(0)
    with torch.device("meta"):
        own = archdsl.build(archdsl.load(name)).state_dict()
    return {k: torch.rand(x.shape) if x.is_floating_point() else torch.tensor(7) for k, x in own.items()}


def there_and_back(naming: Naming, name: str) -> None:
    """A network's tensors under a source's names and again under ours."""
    own = state(name)
    made = translated(exported(own, naming), own)
    assert made.naming is not None
    assert not made.extra
    for address, tensor in own.items():
        counter = address.endswith(COUNTER) and address not in made.tensors  # Caffe2 has none
        assert counter or torch.equal(made.tensors[address], tensor), address


def under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors with something before every name."""
    return {prefix + name: tensor for name, tensor in tensors.items()}


def of_vjepa2(tensors: dict[str, Tensor]) -> dict[str, Any]:
    """As facebookresearch/vjepa2 saves encoder and predictor, with the positions that its rotary ones stand for."""
    predictor = {k: x for k, x in tensors.items() if k.startswith(("predictor_", "mask_tokens"))}
    encoder = {k: x for k, x in tensors.items() if k not in predictor}
    target = under("module.backbone.", encoder | {"pos_embed": torch.zeros(1, 2048, 8)})
    student = {name: torch.zeros_like(x) for name, x in target.items()}
    predictor = under("module.backbone.", predictor | {"predictor_pos_embed": torch.zeros(1, 2048, 8)})
    parts = {"encoder": student, "predictor": predictor, "target_encoder": target}
    return {**parts, "opt": {"state": {}}, "scaler": None, "epoch": 240, "loss": 0.5}


def write_as_theirs(tensors: dict[str, Tensor], naming: Naming, folder: Path) -> Path:
    """A file as a naming's source writes it."""
    if naming.source in ("caffe2", "vmz"):
        path = folder / "theirs.pkl"
        blobs = {name: x.numpy() for name, x in tensors.items()}
        momentum = {f"{name}_momentum": x for name, x in list(blobs.items())[:2]}
        path.write_bytes(pickle.dumps({"blobs": blobs | momentum}, protocol=2))
        return path
    if naming.source == "huggingface":
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})
        return folder / "model.safetensors"
    wrapped: dict[str, Any] = tensors
    if naming.source in ("pyslowfast", "pytorchvideo"):
        wrapped = {
            "epoch": 195,
            "model_state": tensors,
            "optimizer_state": {"state": {}},
            "cfg": "TRAIN:\n  ENABLE: true",
        }
    elif naming.source == "mmaction2":
        wrapped = {"meta": {"epoch": 100, "iter": 3000, "mmaction2_version": "1.0"}, "state_dict": tensors}
    elif naming.key.startswith("vjepa2"):
        wrapped = of_vjepa2(tensors)
    elif naming.source == "authors" and naming.key in ("tsm", "tsn", "tea", "bn_inception", "flownet_s"):
        named = tensors if naming.key == "flownet_s" else under("module.", tensors)
        wrapped = {"epoch": 50, "arch": naming.key, "state_dict": named, "best_prec1": torch.tensor(71.2)}
    elif naming.key.startswith("videomae"):
        wrapped = {"model": tensors, "epoch": 800, "optimizer": {}, "model_ema": tensors}
    torch.save(wrapped, folder / "theirs.pth")
    return folder / "theirs.pth"
