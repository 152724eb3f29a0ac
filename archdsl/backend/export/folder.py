"""A folder as Hugging Face users expect one: configuration, weights, preprocessing, a card, and the code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from safetensors.torch import save
from torch import Tensor

from archdsl import __version__
from archdsl.backend.emission import emit
from archdsl.backend.weights.files import METADATA, WEIGHTS_FILE
from archdsl.catalog import ARCH_FILE
from archdsl.compiler import Plan
from archdsl.errors import SpecError
from archdsl.language.recipes.clips import ShortSide, Values
from archdsl.language.recipes.recipe import Recipe
from archdsl.language.writers.yaml_writer import arch_to_data, recipe_yaml, to_yaml
from archdsl.report.number_format import shapes_text, short, whole
from archdsl.spec.files import json_text

PIPELINES = {"rgb": "video-classification"}
"""Hugging Face's word for what a classifier of such clips does."""


@dataclass(frozen=True)
class ExportedFolder:
    """What a folder is made of."""

    plan: Plan
    tensors: Mapping[str, Tensor]
    recipe: Recipe | None
    values: Values | None
    classes: tuple[str, ...]
    about: Mapping[str, Any]
    figures: Mapping[str, float]
    """Of the run's last evaluation."""
    notes: tuple[str, ...]
    """What was published of the model."""


def folder_files(folder: ExportedFolder) -> dict[str, bytes | str]:
    """Name -> content of every file. Raises SpecError for an arch that cannot be written as data."""
    plan, metadata = folder.plan, {"format": "pt", METADATA: json.dumps(folder.about)}
    files: dict[str, bytes | str] = {
        WEIGHTS_FILE: save({name: x.contiguous().clone() for name, x in folder.tensors.items()}, metadata),
        "config.json": text_of(configuration(folder)),
        ARCH_FILE: to_yaml(plan.arch),
        "network.py": emit(plan),
        "run.json": text_of({"classes": list(folder.classes), "data": None}),
        "README.md": card(folder),
    }
    if folder.recipe:
        files["recipe.yaml"] = recipe_yaml(folder.recipe)
    if folder.values and [clip.modality for clip in plan.arch.clips.values()] == ["rgb"]:
        files["preprocessor_config.json"] = text_of(preprocessing(folder, folder.values))
    return files


def text_of(data: Any) -> str:
    """A JSON file."""
    return json_text(data, indent=2) + "\n"


def configuration(folder: ExportedFolder) -> dict[str, Any]:
    """config.json: the arch under `arch`, and what others read."""
    classes = folder.classes
    (c, t, h, w), *rest = folder.plan.inputs.values()
    one = {"num_channels": c, "num_frames": t, "image_size": h if h == w else [h, w]} if not rest else {}
    names = {"num_labels": len(classes), "id2label": dict(enumerate(classes))} if classes else {}
    return {
        "model_type": "archdsl",
        "architectures": [folder.plan.name],
        "archdsl_version": __version__,
        "torch_dtype": "float32",
        **one,
        **names,
        **({"label2id": {name: i for i, name in enumerate(classes)}} if classes else {}),
        "arch": arch_to_data(folder.plan.arch),
    }


def preprocessing(folder: ExportedFolder, values: Values) -> dict[str, Any]:
    """preprocessor_config.json: fields of transformers' video processors; what comes out is (n, t, c, h, w)."""
    (clip,) = folder.plan.arch.clips.values()
    h, w = clip.shape.h, clip.shape.w
    every = folder.recipe.sampling.every if folder.recipe else None
    fps = folder.recipe.sampling.fps if folder.recipe else clip.fps
    return {
        "image_processor_type": "VideoMAEImageProcessor",
        "do_resize": True,
        "size": {"shortest_edge": short_side(folder, min(h, w))},
        "do_center_crop": True,
        "crop_size": {"height": h, "width": w},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(values.mean),
        "image_std": list(values.std),
        "num_frames": clip.frames,
        "sampling_rate": every,
        "fps": None if fps is None else float(fps),
    }


def short_side(folder: ExportedFolder, crop: int) -> int:
    """The short side that frames are resized to before the crop: the recipe's."""
    side: ShortSide = folder.recipe.views.short_side if folder.recipe else "crop"
    if isinstance(side, str):
        return crop
    return side or round(crop * Fraction(256, 224))


def card(folder: ExportedFolder) -> str:
    """README.md: what it is, how it is loaded, what it was tested on."""
    plan, values = folder.plan, folder.values
    kinds = {clip.modality for clip in plan.arch.clips.values()}
    pipeline = PIPELINES.get("".join(kinds), "") if folder.classes else ""
    front = ["---", "library_name: archdsl", *([f"pipeline_tag: {pipeline}"] if pipeline else [])]
    lines = [*front, "tags: [video, archdsl]", "---", "", f"# {plan.name}", ""]
    lines += [f"{note}\n" for note in folder.notes]
    costs = f"{whole(plan.params)} parameters, {short(plan.macs)} multiply-adds"
    lines += [f"{costs} for one clip of {shapes_text(plan.inputs)}.", ""]
    if values:
        lines += [f"Pixels: RGB from 0 to 1, minus mean {list(values.mean)}, over std {list(values.std)}.", ""]
    if folder.recipe:
        source = f" ({folder.recipe.source})" if folder.recipe.source else ""
        lines += [f"Trained by the recipe {folder.recipe.name}{source}: recipe.yaml.", ""]
    if folder.figures:
        lines += ["| metric | value |", "|---|---|"]
        lines += [*(f"| {name} | {value:.4f} |" for name, value in folder.figures.items()), ""]
    return "\n".join([*lines, USE.strip(), ""])


USE = """
```python
import archdsl

network = archdsl.build(archdsl.load("FOLDER"), weights="FOLDER").eval()
scores = network(clip)  # (n, c, t, h, w)
```

`archdsl count FOLDER`, and where a recipe is in the folder `archdsl predict FOLDER VIDEO`, take the folder as it is.
Without archdsl: `network.py` has the network, and needs torch only; the names in `model.safetensors` are its own.
"""


def check_writable_as_data(plan: Plan) -> None:
    """Raises SpecError for an arch with Python blocks: a folder has no place for their code."""
    try:
        arch_to_data(plan.arch)
    except SpecError as error:
        raise SpecError(
            "this arch has no YAML form, which a folder needs",
            got=error.faults[0].got or error.faults[0].what,
            want="an arch of built-in or drawn blocks",
            fix="-o net.pt2, net.onnx or net.safetensors",
        ) from None
