"""docs/weights.md anew: whose weights are read, and how near the scores are. `python -m docs.weights`.

It needs the packages that benchmarks/originals.py names; takes a quarter of an hour.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Collection
from fnmatch import fnmatchcase
from pathlib import Path

from archdsl.catalog import zoo
from archdsl.catalog.dialects import dialects, namings
from benchmarks.originals import ORIGINALS, Comparison, compare

HEAD = """\
# Whose weights are read

`--weights FILE` of `train`, `evaluate` and `predict`, `archdsl.build(arch, weights=FILE)` and `archdsl weights convert`
read these sources. Rules are data: `zoo/weights/SOURCE.yaml` has a few for each family, our address against their name.

"""
TABLE = """
## Originals beside ours

Each network was built by its own package with random weights and statistics, saved as that package saves and converted,
and both gave scores for one random clip. The difference is the largest, as a share of the largest score. Layer norms of
transformers' ViT and VideoMAE were built to add 1e-6 to variances, as their authors' do: with that package's own 1e-12
differences reach 2e-4. PyTorchVideo's MViT adds 1e-6 too, as torchvision's does. The last softmax of PyTorchVideo
and Hiera was taken off; ours of MMAction2's SlowFast had edges without norm and activation, as its has.

| original | package | ours | dialect | tensors | difference |
|---|---|---|---|---|---|
"""


def sources() -> str:
    """A table of the dialects."""
    rows = ["| source | files | families |", "|---|---|---|"]
    for name, dialect in dialects().items():
        rows.append(f"| `{name}`: {dialect.title} | {dialect.file} | {', '.join(dialect.families)} |")
    return "\n".join(rows) + "\n"


IN_TESTS = {
    "test_originals_image_tasks": (
        *("torchvision_tasks/fcn", "torchvision_tasks/deeplabv3", "torchvision_tasks/deeplabv3_mobilenet"),
        *("torchvision_tasks/lraspp", "torchvision_tasks/rcnn", "torchvision_tasks/rcnn_v2"),
        *("torchvision_tasks/retinanet", "torchvision_tasks/ssd", "torchvision_tasks/ssdlite", "huggingface/detr_v5"),
    ),
    "test_originals_text": ("huggingface/clip", "huggingface/xclip"),
    "test_originals_masked": (
        *("huggingface/videomae_pretrain", "huggingface/vjepa2_pretrain", "huggingface/vjepa2_predictor"),
        "authors/hiera_mae",
    ),
}
"""Test -> families whose outputs it compares with the package's, with weights from a file."""
FAMILIES = """
## Families and models

Of every family a file is made by its rules as the source nests it, shown by `weights show`, converted and built from;
the tensors are equal again (`tests/test_files_of_weights.py`). Where a package builds the original, its outputs are
compared as well: in the table below, or in the test that is named. Not read are TensorFlow's checkpoints (DeepMind's
I3D, MoViNet), Caffe's `.caffemodel`, MXNet's `.params` (Deep Feature Flow) and Flax's msgpack; files that others made
of them for torch are.

| family | models of the zoo | outputs compared |
|---|---|---|
"""


def families(compared: Collection[str]) -> str:
    """A table of the families, with what compares outputs of each; `compared` in the table below."""
    tests = {title: f"`tests/{test}.py`" for test, titles in IN_TESTS.items() for title in titles}
    rows = [FAMILIES.rstrip("\n")]
    for naming in namings():
        models = [m.name for m in zoo() if any(fnmatchcase(m.name, pattern) for pattern in naming.models)]
        said = "below" if naming.title in compared else tests.get(naming.title, "-")
        rows.append(f"| `{naming.title}` | {', '.join(models)} | {said} |")
    return "\n".join(rows) + "\n"


def row(made: Comparison) -> str:
    """A row of the table of originals."""
    one = made.original
    theirs = one.theirs.rpartition("/")[2]
    return f"| {theirs} | {one.package} | {one.ours} | {made.dialect} | {made.tensors} | {made.difference:.1e} |\n"


def main() -> None:
    """Compare all and write the page."""
    found = []
    for original in ORIGINALS:
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            found.append(compare(original, folder))
    text = HEAD + sources() + families({one.dialect for one in found}) + TABLE + "".join(map(row, found))
    Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
