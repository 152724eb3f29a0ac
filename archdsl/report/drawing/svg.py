"""SVG text: shapes, words that stay text, and one style sheet for light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

XY = tuple[float, float]

HEAT_EDGES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
"""Shares of macs where the next colour begins."""
LIGHT_COLOURS = ("#ffffff", "#eff6fc", "#dcebf7", "#c3dcf1", "#a0c8e8", "#78b0de", "#5297d0")
DARK_COLOURS = ("#1a212a", "#1a2836", "#1b3349", "#1c3f5e", "#1f4d75", "#235c8d", "#2a6da6")

DRAWING_STYLE = """
.d-bg{fill:#fff}.d-panel{fill:#f4f6f8;stroke:none}.d-box{stroke:#5b6875;stroke-width:.8}
.archdsl text{font-family:Helvetica,Arial,'Liberation Sans',sans-serif;fill:#16202a}
text.d-soft{fill:#566370}text.d-figure{fill:#2b3742}text.d-name{font-weight:700}text.d-side{fill:#b04a0c}
.d-flow{fill:none;stroke:#5b6875;stroke-width:1.1}.d-lateral{fill:none;stroke:#c8590f;stroke-width:1.2}
.d-halo{fill:none;stroke:#fff;stroke-width:4}.d-tip{fill:#5b6875}.d-tip-lateral{fill:#c8590f}
.d-merge{fill:#fff;stroke:#c8590f;stroke-width:1.1}.d-dot{fill:#c8590f}
.d-frames{stroke:#16202a;fill:none}.d-solid{fill:#16202a;opacity:.55}.d-axis{stroke:#16202a;stroke-width:.5;opacity:.35}
.d-bracket{fill:none;stroke:#16202a;stroke-width:.7}
@media (prefers-color-scheme:dark){
.d-bg{fill:#11161c}.d-panel{fill:#171d25}.d-box{stroke:#7d8a97}
.archdsl text{fill:#e6edf3}text.d-soft{fill:#9aa7b4}text.d-figure{fill:#c6d0da}text.d-side{fill:#ffa264}
.d-flow{stroke:#93a1af}.d-lateral{stroke:#f08a43}.d-halo{stroke:#11161c}.d-tip{fill:#93a1af}.d-tip-lateral{fill:#f08a43}
.d-merge{fill:#11161c;stroke:#f08a43}.d-dot{fill:#f08a43}
.d-frames{stroke:#e6edf3}.d-solid{fill:#e6edf3}.d-axis{stroke:#e6edf3}.d-bracket{stroke:#e6edf3}
"""
ARROW_TIPS = "".join(
    f'<marker id="archdsl-{name}" viewBox="0 0 8 8" refX="7.2" refY="4" markerWidth="6.5" markerHeight="6.5" '
    f'markerUnits="userSpaceOnUse" orient="auto"><path class="{style}" d="M0 .8 8 4 0 7.2Z"/></marker>'
    for name, style in (("flow", "d-tip"), ("lateral", "d-tip-lateral"))
)

NARROW_LETTERS, WIDE_LETTERS = frozenset("ijlI|.,:;'!()[]/ ft-"), frozenset("mwMW@%→…")


def style_sheet() -> str:
    """The style sheet with the colours of shares."""
    light = "".join(f".d-h{i}{{fill:{colour}}}" for i, colour in enumerate(LIGHT_COLOURS))
    dark = "".join(f".d-h{i}{{fill:{colour}}}" for i, colour in enumerate(DARK_COLOURS))
    before, media, after = DRAWING_STYLE.strip().partition("@media")
    return f"{before}{light}\n{media}{after}{dark}\n}}"


def heat_class(share: float) -> int:
    """The colour of a share of macs."""
    return sum(share >= edge for edge in HEAT_EDGES)


def text_width(text: str, font: float, *, bold: bool = False) -> float:
    """About how wide a text is in Helvetica: never much too small."""
    units = sum(
        0.29
        if c in NARROW_LETTERS
        else 0.88
        if c in WIDE_LETTERS
        else 0.68
        if c.isupper()
        else 0.35
        if c in "²³¹"
        else 0.56
        if c < "\u1100"
        else 1.0  # Chinese, Japanese, Korean
        for c in text
    )
    return units * font * (1.07 if bold else 1.0)


def cut_to_width(text: str, font: float, room: float, *, bold: bool = False) -> str:
    """The text, cut with an ellipsis where it is wider than the room."""
    if text_width(text, font, bold=bold) <= room:
        return text
    while text and text_width(text + "…", font, bold=bold) > room:
        text = text[:-1]
    return text.rstrip(" .,_") + "…"


def elided_name(name: str, font: float, room: float) -> str:
    """A bold name, its middle left out where it is wider than the room: the ends tell names apart."""
    if text_width(name, font, bold=True) <= room:
        return name
    kept = len(name) - 1
    while kept > 2 and text_width(made := f"{name[: kept - kept // 2]}…{name[-(kept // 2) :]}", font, bold=True) > room:
        kept -= 1
    return made if kept > 2 else cut_to_width(name, font, room, bold=True)


def wrapped_lines(words: Sequence[str], joint: str, font: float, room: float) -> list[str]:
    """Words joined into lines that fit the room."""
    lines: list[str] = []
    for word in words:
        if lines and text_width(lines[-1] + joint + word, font) <= room:
            lines[-1] += joint + word
        else:
            lines.append(word)
    return [cut_to_width(line, font, room) for line in lines]


def coord(value: float) -> str:
    """Two decimals at most, so that equal plans give equal text."""
    return (
        f"{value:.2f}".rstrip("0").rstrip(".").replace("-0", "0")
        if abs(value) < 0.005
        else f"{value:.2f}".rstrip("0").rstrip(".")
    )


class Canvas:
    """Collects SVG elements. Every text is escaped here and nowhere else."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def rect(self, x: float, y: float, w: float, h: float, style: str, radius: float = 3) -> None:
        place = f'x="{coord(x)}" y="{coord(y)}" width="{coord(w)}" height="{coord(h)}" rx="{coord(radius)}"'
        self.parts.append(f'<rect class="{style}" {place}/>')

    def text(self, x: float, y: float, words: str, font: float, style: str = "", anchor: str = "start") -> None:
        place = "" if anchor == "start" else f' text-anchor="{anchor}"'
        named = f' class="{style}"' if style else ""
        self.parts.append(
            f'<text{named} x="{coord(x)}" y="{coord(y)}" font-size="{coord(font)}"{place}>{escape(words)}</text>'
        )

    def circle(self, x: float, y: float, r: float, style: str) -> None:
        self.parts.append(f'<circle class="{style}" cx="{coord(x)}" cy="{coord(y)}" r="{coord(r)}"/>')

    def path(self, d: str, style: str, tip: str = "", width: float | None = None) -> None:
        end = f' marker-end="url(#archdsl-{tip})"' if tip else ""
        thick = f' stroke-width="{coord(width)}"' if width else ""
        self.parts.append(f'<path class="{style}" d="{d}"{thick}{end}/>')

    def route(self, points: Sequence[XY], style: str, tip: str = "") -> None:
        """A line through points with rounded corners."""
        self.path(rounded_path(points), style, tip)

    def open(self, style: str, address: str, hint: str) -> None:
        """A group of elements that tell of one address; the hint shows when the pointer rests on it."""
        self.parts.append(f'<g class="{style}" data-address="{escape(address)}"><title>{escape(hint)}</title>')

    def close(self) -> None:
        self.parts.append("</g>")

    def document(self, width: float, height: float, title: str, scale: float) -> str:
        """The whole drawing as SVG text."""
        box = f'viewBox="0 0 {coord(width)} {coord(height)}"'
        size = f'width="{coord(width * scale)}" height="{coord(height * scale)}" {box}'
        head = (
            f'<svg class="archdsl" xmlns="http://www.w3.org/2000/svg" {size} role="img"><title>{escape(title)}</title>'
        )
        defs = f"<style>{style_sheet()}</style><defs>{ARROW_TIPS}</defs>"
        ground = f'<rect class="d-bg" width="{coord(width)}" height="{coord(height)}"/>'
        return "\n".join([head, defs, ground, *self.parts, "</svg>"]) + "\n"


def rounded_path(points: Sequence[XY], radius: float = 4) -> str:
    """Path data through points, corners rounded."""
    kept = [p for i, p in enumerate(points) if i == 0 or p != points[i - 1]]
    words = [f"M{coord(kept[0][0])} {coord(kept[0][1])}"]
    for (ax, ay), (bx, by), (cx, cy) in zip(kept, kept[1:], kept[2:]):
        before, after = max(abs(ax - bx), abs(ay - by)), max(abs(cx - bx), abs(cy - by))
        r = min(radius, before / 2, after / 2)
        sx, sy = bx + (ax - bx) / before * r, by + (ay - by) / before * r
        ex, ey = bx + (cx - bx) / after * r, by + (cy - by) / after * r
        words.append(f"L{coord(sx)} {coord(sy)}Q{coord(bx)} {coord(by)} {coord(ex)} {coord(ey)}")
    words.append(f"L{coord(kept[-1][0])} {coord(kept[-1][1])}")
    return "".join(words)
