"""Makes docs/gallery/: a drawing and a table for one network of each of several families, an index, a plot."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import archdsl
from archdsl.catalog import model, reference_of
from archdsl.report.number_format import amount
from archdsl.report.plot import plot, plot_points

HERE = Path(__file__).with_name("gallery")
SHOWN = {
    "slowfast_4x16_r50": "Two pathways at two frame rates, the fast one fused into the slow one after four stages.",
    "two_stream_fusion_conv": "Two clips, rgb and flow, that become one tower after the last convolution.",
    "i3d_inception": "Inception v1 inflated in time, once for rgb and once for flow; the scores are added.",
    "s3d_g": "Inception with its cubes split into 1x3x3 and 3x1x1, and a gate behind each.",
    "c3d": "Eight convolutions of 3x3x3.",
    "r2plus1d_18": "A residual net whose every cube is a plane and a line.",
    "ircsn_r50": "Channel-separated: the cubes are depthwise.",
    "x3d_m": "MobileNet's blocks, widened and deepened step by step.",
    "i3d_8x8_r50_nl": "A ResNet inflated in time with non-local blocks between its bottlenecks.",
    "tsn_bn_inception": "An image net on three segments of a video, its scores averaged.",
    "slow_fusion": "Time collapses within the first three convolutions.",
    "googlenet_aux": "Inception with the two auxiliary heads that training reads.",
    "nasnet_a_mobile": "Cells that read the two cells before, as edges within one pathway.",
    "densenet121": "Dense blocks: every layer reads all before it.",
}
"""Network -> what to look for. One of each family."""
PLOTTED = [
    "slow_4x16_r50",
    "slow_8x8_r50",
    "slowfast_4x16_r50",
    "slowfast_8x8_r50",
    "slowfast_8x8_r101",
    "slowfast_16x8_r101",
    "x3d_s",
    "x3d_m",
    "x3d_l",
    "i3d_inception_rgb",
    "ircsn_r101",
    "r2plus1d_16x4_r50",
]

OPENING = """# Gallery

A drawing and a table for one network of each of {families} families, made by `python docs/gallery.py`. Any other is one
command away: `archdsl draw NAME -o x.svg`, `archdsl table NAME --format md`. With `-o x.html` the drawing is a page:
stages fold and unfold, a block shows its code.
"""
PLOT = """
## Accuracy against cost

`archdsl plot slowfast_4x16_r50 x3d_m ... -o tradeoff.svg`: accuracies as published, costs counted for one clip.
Figures of different sources have different colours, since views and training data differ.

![accuracy against cost](tradeoff.svg)
"""


def made() -> Iterator[tuple[str, str]]:
    """(file name, text) of everything but the plot."""
    sections = []
    for name, idea in SHOWN.items():
        plan = archdsl.compile(archdsl.load(name))
        yield f"{name}.svg", archdsl.draw(plan, level="stage")
        yield f"{name}.md", archdsl.table(plan, format="md")
        sections.append(section(plan, idea))
    yield "README.md", OPENING.format(families=len(SHOWN)) + "".join(sections) + PLOT


def section(plan: archdsl.Plan, idea: str) -> str:
    """A network in the index."""
    name, reference = plan.name, reference_of(model(plan.name))
    paper = f" *{reference.title}*, {reference.paper}." if reference else ""
    inputs = ", ".join("x".join(map(str, shape)) for shape in plan.inputs.values())
    cost = f"{amount(plan.params)} parameters, {amount(plan.macs)} multiply-adds (convention macs) at {inputs}."
    return f"\n## {name}\n\n{idea}{paper}\n{cost} [Table]({name}.md)\n\n![{name}]({name}.svg)\n"


def main() -> None:
    """Write all; what an earlier run left and this one does not make is removed."""
    HERE.mkdir(exist_ok=True)
    files = dict(made())
    for old in {path.name for path in HERE.iterdir()} - {*files, "tradeoff.svg"}:
        (HERE / old).unlink()
    for name, text in files.items():
        (HERE / name).write_text(text, encoding="utf-8")
    plot(plot_points(map(model, PLOTTED)), HERE / "tradeoff.svg")
    sys.stdout.write(f"{len(files) + 1} files in docs/gallery\n")


if __name__ == "__main__":
    main()
