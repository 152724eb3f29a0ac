"""docs/weights.md anew: whose weights are read, and how near the scores are. `python -m docs.weights`.

It needs the packages that benchmarks/originals.py names; takes a quarter of an hour.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from pathlib import Path

from archdsl.catalog.dialects import dialects
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


def row(made: Comparison) -> str:
    """A row of the table of originals."""
    one = made.original
    theirs = one.theirs.rpartition("/")[2]
    return f"| {theirs} | {one.package} | {one.ours} | {made.dialect} | {made.tensors} | {made.difference:.1e} |\n"


def main() -> None:
    """Compare all and write the page."""
    text = HEAD + sources() + TABLE
    for original in ORIGINALS:
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            text += row(compare(original, folder))
    Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
