"""The curves of a run: loss, rate, speed and every metric over the steps, a panel each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from archdsl.report.drawing.svg import Canvas, coord, cut_to_width

PANEL = (300.0, 120.0)
"""Width and height of a panel's axes."""
GAP = (70.0, 56.0)
CURVE_FONT = 11.0
PER_ROW = 2
MOST_POINTS = 600
"""Points of a curve; of longer ones every n-th is drawn, and the last."""
NO_CURVES = ("step", "epoch")
Curve = Sequence[tuple[int, float]]


def curves_svg(entries: Iterable[Mapping[str, float]], title: str) -> str:
    """The curves of a log's entries."""
    curves: dict[str, list[tuple[int, float]]] = {}
    for entry in entries:
        for name, value in entry.items():
            if name not in NO_CURVES:
                curves.setdefault(name, []).append((int(entry["step"]), value))
    canvas, width = Canvas(), GAP[0] + PER_ROW * (PANEL[0] + GAP[0])
    canvas.text(12, 24, cut_to_width(title, 14, width - 24), 14, "d-name")
    for i, (name, curve) in enumerate(curves.items()):
        row, column = divmod(i, PER_ROW)
        draw_curve(canvas, GAP[0] + column * (PANEL[0] + GAP[0]), 60 + row * (PANEL[1] + GAP[1]), name, thinned(curve))
    rows = -(-len(curves) // PER_ROW)
    return canvas.document(width, 60 + rows * (PANEL[1] + GAP[1]), title, 1.0)


def draw_curve(canvas: Canvas, left: float, top: float, name: str, curve: Curve) -> None:
    """One panel: its name, first and last step, lowest and highest value."""
    width, height = PANEL
    steps, values = zip(*curve)
    low, high, first, last = min(values), max(values), steps[0], steps[-1]
    canvas.rect(left, top, width, height, "d-panel", 0)
    canvas.text(left, top - 6, f"{name}: {values[-1]:.4g}", CURVE_FONT, "d-name")
    for value, y in ((high, top + 9), (low, top + height)):
        canvas.text(left - 6, y, f"{value:.4g}", CURVE_FONT, "d-soft", "end")
    for step, x, anchor in ((first, left, "start"), (last, left + width, "end")):
        canvas.text(x, top + height + 14, f"step {step}", CURVE_FONT, "d-soft", anchor)
    places = [
        (left + width * (step - first) / max(last - first, 1), top + height - height * place_between(value, low, high))
        for step, value in curve
    ]
    if len(places) == 1:
        canvas.circle(*places[0], 2.5, "d-dot")
    else:
        canvas.path("M" + "L".join(f"{coord(x)} {coord(y)}" for x, y in places), "d-lateral")


def place_between(value: float, low: float, high: float) -> float:
    """Where a value lies between two: 0 to 1; in the middle where they are equal."""
    return (value - low) / (high - low) if high > low else 0.5


def thinned(curve: Curve) -> Curve:
    """Points evenly taken of a long curve, the last one among them."""
    every = -(-len(curve) // MOST_POINTS)
    return curve if every == 1 else [*curve[:-1:every], curve[-1]]
