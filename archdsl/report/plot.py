"""Published accuracy against cost, a point for each network: as Figure 2 of the SlowFast paper (arXiv:1812.03982)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archdsl.catalog import reference_of
from archdsl.compiler import CONVENTIONS, compile
from archdsl.errors import Fault, SpecError, did_you_mean
from archdsl.language import Claim, Model
from archdsl.report.cost import ACCURACIES
from archdsl.spec.files import write_out

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COSTS = ("params", *CONVENTIONS)
PLOT_SUFFIXES = (".svg", ".pdf", ".png")
AXIS_UNITS = (("G", 10**9), ("M", 10**6), ("k", 10**3), ("", 1))
POINT_COLOURS = ("#1f6fb4", "#c8590f", "#2f8f4e", "#8a4fb0", "#a3262b", "#7a6a00", "#0f8a96", "#5b6875")
POINT_MARKERS = "osD^vPX*"
LABEL_DIRECTIONS = (
    (1, 0.5),
    (-1, 0.5),
    (0, 1),
    (0, -1),
    (1, -0.6),
    (-1, -0.6),
    (1, 1.4),
    (-1, 1.4),
    (1, -1.4),
    (-1, -1.4),
)
LABEL_DISTANCES = (7, 15, 24, 36, 50)
"""Where a name may stand about its point, in points: the first place that is free."""
LOG_SCALE_FROM = 20
"""Costs that are further apart than this factor stand on a logarithmic axis."""


@dataclass(frozen=True)
class PlotPoint:
    """One network: what it costs at the input of the claim, and the accuracy that was published."""

    name: str
    family: str
    cost: int
    accuracy: float
    source: str


def plot_points(
    models: Iterable[Model], against: str = "macs", figure: str = "top1", source: str = "", *, strict: bool = True
) -> list[PlotPoint]:
    """A point for each network. Where several accuracies were published, the first whose source has the word.

    Raises SpecError for an unknown cost or accuracy, and (if strict) for networks of which none was published.
    """
    for word, known, what in ((against, COSTS, "cost"), (figure, ACCURACIES, "accuracy")):
        if word not in known:
            fix = did_you_mean(word, known)
            raise SpecError(f"no {what} {word!r}", got=word, want=", ".join(known), fix=fix)
    found, faults = [], []
    for model in models:
        claims = [claim for claim in claims_of(model) if claim.figure == figure]
        fitting = [claim for claim in claims if source.lower() in claim.source.lower()]
        if fitting:
            found.append(plot_point(model, fitting[0], against))
        else:
            faults.append(unpublished(model, claims, figure, source))
    if faults and (strict or not found):
        raise SpecError(faults)
    return found


def claims_of(model: Model) -> tuple[Claim, ...]:
    """What was published of a model."""
    reference = reference_of(model)
    return reference.claims if reference else ()


def plot_point(model: Model, claim: Claim, against: str) -> PlotPoint:
    """The network at the input of the claim."""
    plan = compile(model.arch(**claim.input))
    cost = plan.params if against == "params" else plan.count(against)
    family = model._file.stem if model._file else model.name
    return PlotPoint(model.name, family, cost, float(claim.number), claim.source)


def unpublished(model: Model, claims: Sequence[Claim], figure: str, source: str) -> Fault:
    """Why a network has no place in the plot."""
    if claims:
        sources = "; ".join(dict.fromkeys(claim.source for claim in claims))
        return Fault(what=f"no {figure} of {model.name} from such a source", got=source, want=f"a word of: {sources}")
    return Fault(what=f"no published {figure} of {model.name}", fix="a claim in its reference, or leave it out")


def plot(found: Sequence[PlotPoint], path: str | Path, against: str = "macs", figure: str = "top1") -> None:
    """The points as a file: .svg, .pdf or .png. Raises SpecError for another format, or without matplotlib."""
    path = Path(path)
    if path.suffix.lower() not in PLOT_SUFFIXES:
        want = ", ".join(PLOT_SUFFIXES)
        raise SpecError("no plot of that format", got=path.suffix or str(path), want=want, fix=f"{path.stem}.svg")
    try:
        from matplotlib import rc_context  # an extra, and 0.4 s to import
        from matplotlib.figure import Figure
    except ImportError:
        raise SpecError("no matplotlib to plot with", want="matplotlib", fix="pip install 'archdsl[plot]'") from None
    unit, scale = next((name, size) for name, size in AXIS_UNITS if size <= max(p.cost for p in found) or size == 1)
    style: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "archdsl", "text.parse_math": False}
    style |= {"font.size": 9, "font.family": "sans-serif", "axes.spines.top": False, "axes.spines.right": False}
    with rc_context(style):
        sources = len({p.source for p in found})
        sheet = Figure(figsize=(6.4, 3.6 + 0.16 * sources), layout="constrained")
        axes = sheet.add_subplot()
        axes.margins(0.12)
        draw_families(axes, found, scale)
        axes.set_xlabel(f"{axis_title(against)}{f', {unit}' if unit else ''}")
        axes.set_ylabel(f"published {figure.replace('top', 'top-')} accuracy, %")
        axes.grid(color="#d5dbe1", linewidth=0.6)
        sheet.draw_without_rendering()  # so that the places of the points are known
        draw_labels(axes, found, scale)
        date = {"Date": None} if path.suffix.lower() == ".svg" else {}
        made = BytesIO()
        sheet.savefig(made, format=path.suffix[1:].lower(), dpi=200, metadata=date or None)
    write_out(path, made.getvalue())


def axis_title(against: str) -> str:
    """The horizontal axis."""
    if against == "params":
        return "parameters"
    return "multiply-adds of one clip (convention macs)" if against == "macs" else f"one clip (convention {against})"


def draw_families(axes: Axes, found: Sequence[PlotPoint], scale: int) -> None:
    """A colour for each source, since only figures of one source compare; a line through each of its families."""
    sources = list(dict.fromkeys(p.source for p in found))
    for i, source in enumerate(sources):
        look: dict[str, Any] = {
            "color": POINT_COLOURS[i % len(POINT_COLOURS)],
            "marker": POINT_MARKERS[(i + i // len(POINT_COLOURS)) % len(POINT_MARKERS)],
        }
        for k, family in enumerate(dict.fromkeys(p.family for p in found if p.source == source)):
            mine = sorted((p.cost, p.accuracy) for p in found if (p.source, p.family) == (source, family))
            label = source.lstrip("_") if k == 0 else None  # matplotlib leaves out labels that begin with _
            xs, ys = [cost / scale for cost, _ in mine], [accuracy for _, accuracy in mine]
            axes.plot(xs, ys, label=label, linewidth=0.9, markersize=5, **look)
    costs = [p.cost / scale for p in found]
    if max(costs) > LOG_SCALE_FROM * min(costs):
        set_log_scale(axes, min(costs), max(costs))
    else:
        axes.set_xlim(left=0)
    axes.figure.legend(loc="outside lower left", fontsize=7, frameon=False)


def set_log_scale(axes: Axes, least: float, most: float) -> None:
    """A horizontal axis with ticks at 1, 2, 5, 10..."""
    axes.set_xscale("log")
    ticks = [digit * 10.0**power for power in range(-6, 13) for digit in (1, 2, 5)]
    shown = [tick for tick in ticks if least * 0.8 <= tick <= most * 1.25]
    axes.set_xticks(shown, [f"{tick:g}" for tick in shown])
    axes.minorticks_off()


def draw_labels(axes: Axes, found: Sequence[PlotPoint], scale: int) -> None:
    """Every point's name near it, where it covers neither a point nor another name; a thin line where it is far."""
    frame = axes.get_window_extent()
    spots = [axes.transData.transform((p.cost / scale, p.accuracy)) for p in found]
    taken = [(x - 5.0, y - 5.0, x + 5.0, y + 5.0) for x, y in spots]
    for p in sorted(found, key=lambda p: -p.accuracy):
        at = (p.cost / scale, p.accuracy)
        for far, (dx, dy) in product(LABEL_DISTANCES, LABEL_DIRECTIONS):
            place: dict[str, Any] = {"xytext": (dx * far, dy * far), "textcoords": "offset points"}
            side = {1: "left", 0: "center", -1: "right"}[dx]
            text = axes.annotate(p.name, at, ha=side, va="center", fontsize=7, **place)
            box = text.get_window_extent()
            mine = (box.x0, box.y0, box.x1, box.y1)
            inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
            if inside and not any(overlap(mine, other) for other in taken):
                taken.append(mine)
                if far > LABEL_DISTANCES[0]:
                    axes.annotate("", at, arrowprops={"arrowstyle": "-", "linewidth": 0.4}, **place)
                break
            text.remove()


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    """Whether two boxes (left, bottom, right, top) overlap."""
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


__all__ = ["ACCURACIES", "COSTS", "PlotPoint", "plot", "plot_points"]
